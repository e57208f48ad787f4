"""What happens to all nodes of a session at once: saving and restoring their state, cleaning up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from remotemedia._guest import faults
from remotemedia._guest.calling import Caller
from remotemedia._guest.faults import Fault


def save(callers: Iterable[Caller]) -> list[tuple[str, bytes]]:
    """Id and pickled state of each node that can save its state.

    Raises:
        Fault: the first failure.
    """
    return [(caller.node_id, caller.checkpoint()) for caller in callers if caller.saves()]


def restore(saved: Sequence[tuple[str, bytes]], callers: Iterable[Caller]) -> None:
    """Give nodes the states that they, or others like them, have saved.

    Raises:
        Fault: the first failure.
    """
    states = dict(saved)
    for caller in callers:
        if caller.node_id in states:
            caller.restore(states[caller.node_id])


def clean_up(callers: Iterable[Caller]) -> list[dict[str, Any]]:
    """Call `cleanup` on each node. Returns the `facts` of each failure.

    In a function of its own, because the variable of the loop keeps the last node alive.
    """
    failures = []
    for caller in callers:
        try:
            caller.cleanup()
        except Fault as fault:
            failures.append(faults.facts(fault))
    return failures

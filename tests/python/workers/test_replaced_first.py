"""A worker whose nodes have left something running is replaced at once and ended in the
background, also where the pool may have one worker only.
"""

from __future__ import annotations

from typing import Any

import pytest

from lingering_nodes import LEFT
from processes import is_alive, wait_until_gone
from worker_programs import runtime, session

HOLD_UP = {
    "a thread",
    "a thread that is busy",
    "a job of an executor",
    "an atexit function that hangs",
    "an event loop in a thread",
}
"""With these a process does not end before it is killed."""
SESSIONS = 4


def run(workers: Any, node: str, item: str) -> int:
    """The process of a session."""
    with session(workers, f"lingering_nodes:{node}") as opened:
        ((_, pid),) = opened.process(item)
    assert isinstance(pid, int)
    return pid


@pytest.mark.parametrize("left", [*LEFT, "a task"])
def test_the_next_sessions_do_not_wait_for_the_end_of_a_worker(left: str) -> None:
    # spec: CARD-08, CARD-06
    node = "LeavesTask" if left == "a task" else "Leaves"
    used: list[int] = []
    with runtime("cpython", "[workers]\nmax = 1\n") as workers:
        for _ in range(SESSIONS):
            used.append(run(workers, node, left))
            before = used[-2:-1]
            if left in HOLD_UP and before:
                assert is_alive(before[0]), "the session has waited for its end"
    for pid in used:
        wait_until_gone({pid})

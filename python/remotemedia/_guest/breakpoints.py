"""`breakpoint()` in a node. No terminal belongs to a worker, so it says how to debug the node, once
for each place in a session, and the node goes on.
"""

from __future__ import annotations

import sys
from typing import Any

_INSTEAD = (
    "does not stop in a worker: run(..., use_rust=False) debugs in your process, and "
    "capture=\"on_error\" keeps a failing item for 'remotemedia replay FILE --pdb'"
)
ADVICE = f"breakpoint() {_INSTEAD}"
OF_DEBUGGERS = f"a debugger {_INSTEAD}"
"""The message of the exception with which `pdb` ends where there is no terminal."""

_told: set[tuple[str, int]] = set()


def install(is_chosen: bool) -> None:
    """Have `breakpoint()` say that; not where the user has chosen a debugger (PYTHONBREAKPOINT)."""
    if not is_chosen:
        sys.breakpointhook = _say


def forget(_before: object = None) -> None:
    """Say it again in the next session."""
    _told.clear()


def _say(*_arguments: Any, **_named: Any) -> None:
    frame = sys._getframe(1)
    place = frame.f_code.co_filename, frame.f_lineno
    if place in _told:
        return
    _told.add(place)
    print(f"{place[0]}:{place[1]}: {ADVICE}", file=sys.stderr)  # noqa: T201

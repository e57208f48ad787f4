"""Ends node code that runs when its session ends: the orchestrator sends SIGURG, and the code finds
a `KeyboardInterrupt` as it would at a terminal.

It is SIGURG because few programs use that signal, and a process without a handler for it ignores it
(Go's runtime chose it for the same reasons). It may come at any moment. It interrupts the running
code, or else the next code of this session. It is reset when the session ends.
"""

from __future__ import annotations

import signal
from types import FrameType

is_running = False
"""Code of a node runs on the main thread, and may be interrupted."""
_is_wanted = False
"""The session ends: no more of its code may run."""


class Interrupted(KeyboardInterrupt):
    """The session ends while this code runs."""

    def __init__(self) -> None:
        super().__init__("the session ends")


def install() -> None:
    """Take the signal over. Programs that nodes start have its default."""
    signal.signal(signal.SIGURG, _on_signal)


def begin() -> None:
    """Node code begins.

    Raises:
        Interrupted: its session ends.
    """
    global is_running
    if _is_wanted:
        raise Interrupted
    is_running = True


def end() -> None:
    """Node code has returned."""
    global is_running
    is_running = False


def forget() -> None:
    """The session is over."""
    global is_running, _is_wanted
    is_running = _is_wanted = False


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    global is_running, _is_wanted
    _is_wanted = True
    if is_running:
        # Only once, so that `finally` and `cleanup` of the node can run.
        is_running = False
        raise Interrupted


__all__ = ["Interrupted", "begin", "end", "forget", "install"]

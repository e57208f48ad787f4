"""Ends node code that runs when its session ends: the orchestrator sends SIGURG, and the code finds
a `KeyboardInterrupt` as it would at a terminal.

It is SIGURG because hardly anybody else uses that signal, and a process without a handler for it
ignores it (Go's runtime chose it for the same reasons). It may come at any moment. It counts for
the code that runs, else for whatever this session would run next; its end makes it forgotten.
"""

from __future__ import annotations

import signal
from types import FrameType

is_running = False
"""Code of a node runs on the main thread, and may be interrupted."""
_is_wanted = False
"""The session ends: nothing more of it is to run."""


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
    """Node code has handed over."""
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
        # Once: `finally` and `cleanup` of the node have their time.
        is_running = False
        raise Interrupted


__all__ = ["Interrupted", "begin", "end", "forget", "install"]

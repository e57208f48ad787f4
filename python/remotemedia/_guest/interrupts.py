"""Interrupts node code that still runs when its session ends or its call is dropped, or when a
deadline has passed. For the first two the orchestrator sends SIGURG, and the handler raises a
`KeyboardInterrupt` in the node's code, like Ctrl-C at a terminal. For the second it sends
SIGSTKFLT: faulthandler writes the stacks of all threads first, even while C code runs.

SIGURG was chosen because few programs use it and a process without a handler ignores it (Go's
runtime uses it for the same reasons). The signal may come at any moment. If no node code runs, the
next node code of this session is interrupted when it begins. The end of the session resets this.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

_PAUSE_SECONDS = 0.001
_RECORDED_OFFSET = 48
"""Place in the flight recorder of the byte that says that the stacks are complete."""
_recorder = -1
is_running = False
"""Whether node code runs on the main thread and may be interrupted."""
_is_wanted = False
"""Whether no more code of the session, or of the call that is dropped, may begin."""
_ended_sessions = 0
"""Changes when a session ends."""
_IMPORTER = "importlib._bootstrap"
has_cut_import = False
"""Whether an import was interrupted. Compiled modules cannot be imported again in a process, and
code may have gone on without the module."""


class Interrupted(KeyboardInterrupt):
    """The session is ending while this code runs, or its caller has no use for this call."""

    def __init__(self) -> None:
        super().__init__("the caller has ended the session or this call")


def install() -> None:
    """Install the handlers. Programs that nodes start get the default handling."""
    signal.signal(signal.SIGURG, _on_signal)
    if sys.implementation.name == "cpython":
        # A RustPython worker has a thread for it (`deadline.rs`).
        signal.signal(signal.SIGSTKFLT, _on_overdue)
    report = sys.unraisablehook

    def report_others(unraisable: Any) -> None:
        if unraisable.exc_type is Interrupted:
            _try_again()
        else:
            report(unraisable)

    sys.unraisablehook = report_others


def record_stacks(recorder: int) -> None:
    """Have faulthandler write the stacks to the flight recorder when a deadline has passed."""
    global _recorder
    if sys.implementation.name == "cpython":
        _recorder = recorder
        faulthandler.register(signal.SIGSTKFLT, file=recorder, all_threads=True, chain=True)


def _try_again() -> None:
    """The handler ran in code that cannot raise, such as the callback of a weak reference. It runs
    again when that code has returned: the signal comes until node code is interrupted or over.
    """
    global is_running
    is_running = True
    session = _ended_sessions

    def send() -> None:
        pause = threading.Event()
        while session == _ended_sessions and is_running:
            pause.wait(_PAUSE_SECONDS)
            os.kill(os.getpid(), signal.SIGURG)

    threading.Thread(target=send, daemon=True).start()


def begin() -> None:
    """Call this before node code runs.

    Raises:
        Interrupted: the session is ending, or the call is dropped.
    """
    global is_running
    if _is_wanted:
        raise Interrupted
    is_running = True


def end() -> None:
    """Call this when node code has returned."""
    global is_running
    is_running = False


def settle() -> None:
    """Further node code of the session may run: the call that was to be interrupted is over."""
    global is_running, _is_wanted
    is_running = _is_wanted = False


def forget() -> None:
    """Reset the state, at the end of a session and before the next one: a signal that was sent
    while the end of the last one was on its way may come only now.
    """
    global is_running, _is_wanted, _ended_sessions
    is_running = _is_wanted = False
    _ended_sessions += 1


def _is_inside(frame: FrameType | None, is_it: Callable[[CodeType], bool]) -> bool:
    """Whether code that meets a condition runs at a frame, or waits for what runs there."""
    while frame is not None:
        if is_it(frame.f_code):
            return True
        frame = frame.f_back
    return False


def _imports(code: CodeType) -> bool:
    return _IMPORTER in code.co_filename


def _tries_again(code: CodeType) -> bool:
    return code is _try_again.__code__


def _on_signal(_number: int, frame: FrameType | None) -> None:
    global is_running, _is_wanted, has_cut_import
    _is_wanted = True
    # What is raised while the next try is prepared would be lost; the signal comes again.
    if is_running and not _is_inside(frame, _tries_again):
        has_cut_import = has_cut_import or _is_inside(frame, _imports)
        # Interrupt only once, so that the node's `finally` blocks and `cleanup` can run.
        is_running = False
        raise Interrupted


def _on_overdue(number: int, frame: FrameType | None) -> None:
    """Note that the stacks are written, and interrupt the node."""
    with contextlib.suppress(OSError):  # a node may have closed the descriptor
        os.pwrite(_recorder, b"\1", _RECORDED_OFFSET)
    _on_signal(number, frame)


__all__ = [
    "Interrupted",
    "begin",
    "end",
    "forget",
    "has_cut_import",
    "install",
    "record_stacks",
    "settle",
]

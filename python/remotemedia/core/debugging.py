"""Logs what crosses the border between the caller's Python and the native runtime: each call with
its arguments in short and its duration, and each value before and after its conversion. The
orchestrator adds a line for each message to and from a worker.

The lines are written by the native module while a session works, and logged here, many in one
record: at the end of a run, when a call raises, when the session closes, and otherwise within
`DELAY` seconds. The records are of level DEBUG, of the logger `remotemedia.debug`. Where nothing
shows such records, they go to stderr.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from remotemedia._load import native

if TYPE_CHECKING:
    from remotemedia._native import Lines

DELAY = 0.05
"""After how many seconds lines are logged that nothing else has caused to be logged."""
_CALLS = (
    "run", "process", "process_until", "process_each", "flush", "begin", "begin_flush",
    "begin_run", "next", "begin_stream", "feed_stream", "end_items", "next_of_stream", "end_stream",
    "interrupt", "close",
)  # fmt: skip

logger = logging.getLogger("remotemedia.debug")


class _Order:
    """Keeps the lines of different threads in order; `waiting`: those for which `DELAY` runs."""

    def __init__(self) -> None:
        # A signal handler may log while its own thread does.
        self.turn = threading.RLock()
        self.waiting: set[Lines] = set()


_order = _Order()
os.register_at_fork(after_in_child=_order.__init__)  # type: ignore[misc]


def ready() -> None:
    """Have the records shown."""
    if not logger.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)


def opener(open_session: Callable[..., Any]) -> Callable[..., Any]:
    """The function that opens a session, logged as is everything that the session does."""
    ready()
    return lambda manifest, **named: LoggedSession(_opened(open_session, manifest, named))


def _opened(open_session: Callable[..., Any], manifest: str, named: dict[str, Any]) -> Any:
    brief = native().brief
    given = [f"{key}={brief(value)}" for key, value in named.items() if value is not None]
    logger.debug("-> Runtime.open(%s)", ", ".join([brief(manifest), *given]))
    began = time.perf_counter()
    try:
        session = open_session(manifest, **named)
    except BaseException as error:
        logger.debug("<- Runtime.open raised %s in %s", type(error).__name__, _since(began))
        raise
    show(session.lines())
    logger.debug("<- Runtime.open = %s in %s", brief(session), _since(began))
    return session


def _since(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1e3:.3f} ms"


class LoggedSession:
    """A native session whose calls are logged."""

    def __init__(self, session: Any) -> None:
        # No `__getattr__`: it would slow down every call.
        for name in dir(session):
            if not name.startswith("_"):
                method = session.logged(name) if name in _CALLS else getattr(session, name)
                setattr(self, name, method)


def show(lines: Lines | None) -> None:
    """Log the lines that wait."""
    if lines is not None:
        with _order.turn:
            _log(lines.take())


def show_soon(lines: Lines) -> None:
    """Log the lines that wait, and those that are added until then, after `DELAY`."""
    _order.waiting.add(lines)
    timer = threading.Timer(DELAY, _show_late, (lines,))
    timer.daemon = True
    timer.name = "remotemedia-debug"
    try:
        timer.start()
    except RuntimeError:  # no thread can start: the interpreter ends
        _show_late(lines)


def _show_late(lines: Lines) -> None:
    with _order.turn:
        _order.waiting.discard(lines)
        _log(lines.take_told())


@atexit.register
def _show_all() -> None:
    while _order.waiting:
        _show_late(_order.waiting.pop())


def _log(text: str | None) -> None:
    if text is not None:
        logger.debug("%s", text)


__all__ = ["DELAY", "LoggedSession", "logger", "opener", "ready", "show", "show_soon"]

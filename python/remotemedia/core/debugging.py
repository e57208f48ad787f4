"""Logs what crosses the border between the caller's Python and the native runtime: each call with
its arguments in short and its duration, and each value before and after its conversion. The
orchestrator adds a line for each message to and from a worker.

The records are of level DEBUG, of the logger `remotemedia.debug`. Where nothing shows such records,
they go to stderr.
"""

from __future__ import annotations

import logging
import reprlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger("remotemedia.debug")

_CALLS = frozenset(
    {
        "run", "process", "process_until", "flush", "begin", "begin_flush", "begin_run", "next",
        "interrupt", "close",
    }
)  # fmt: skip


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
    return lambda *arguments, **named: LoggedSession(
        logged("Runtime.open", open_session, *arguments, **named)
    )


def logged(name: str, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a function of the native runtime, and log that."""
    given = [brief(argument) for argument in arguments]
    given += [f"{key}={brief(value)}" for key, value in named.items() if value is not None]
    text = f"{name}({', '.join(given)})"
    logger.debug("-> %s", text)
    began = time.perf_counter()
    try:
        result = call(*arguments, **named)
    except BaseException as error:
        logger.debug("<- %s raised %s in %s", text, type(error).__name__, _since(began))
        raise
    logger.debug("<- %s = %s in %s", text, brief(result), _since(began))
    return result


class LoggedSession:
    """A native session whose calls are logged."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        """The method of the session, logged if it crosses the border."""
        method = getattr(self._session, name)
        if name not in _CALLS:
            return method
        return lambda *arguments: logged(f"Session.{name}", method, *arguments)


def converted(is_input: bool, value: Any, form: str, seconds: float) -> None:
    """Log a conversion.

    Args:
        is_input: whether an object of the caller became a value, and not the reverse.
        value: the object.
        form: the value in short.
        seconds: how long it took.
    """
    before, after = (brief(value), form) if is_input else (form, brief(value))
    what = "input" if is_input else "output"
    logger.debug("   %s: %s became %s in %.3f ms", what, before, after, seconds * 1e3)


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlevel = 3

    def repr1(self, x: Any, level: int) -> str:
        """Arrays by type and shape; texts and containers cut short; other objects by type."""
        shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
        if isinstance(shape, tuple) and dtype is not None:
            return f"{type(x).__name__} {dtype} {shape}"
        if x is None or isinstance(x, bool | int | float | complex | str | bytes):
            return super().repr1(x, level)
        if type(x) in (list, tuple, dict, set, frozenset):
            return super().repr1(x, level)
        # The `repr` of an object of the user may be long, slow or fail.
        return f"<{type(x).__qualname__}>"


_short = _Short()


def brief(value: Any) -> str:
    """A value in short, on one line."""
    return _short.repr(value)


def _since(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1e3:.3f} ms"


__all__ = ["LoggedSession", "brief", "converted", "logged", "logger", "opener", "ready"]

"""What nodes print and log, sent to the orchestrator with the node's name."""

from __future__ import annotations

import contextvars
import io
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

Send = Callable[[str, str, bool, int, str], None]
"""`send(node_id, logger, is_stream, level, message)`."""

_MAX_LINE = 1 << 20
"""Characters of an unfinished line that may wait for its end."""


class Running:
    """Which node's code runs: by context, so that its tasks keep its name, and for threads that a
    node started, the node that ran last.
    """

    def __init__(self) -> None:
        self._in_context: contextvars.ContextVar[str] = contextvars.ContextVar("remotemedia_node")
        self._last = ""

    def enter(self, node_id: str) -> None:
        """`node_id`'s code begins to run in this context."""
        self._in_context.set(node_id)
        self._last = node_id

    @property
    def node_id(self) -> str:
        """The node that runs here."""
        return self._in_context.get(self._last)


class Printed(io.TextIOBase):
    """A text stream whose lines go to the orchestrator. Unfinished lines wait for `flush`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, original: TextIO, running: Running, send: Send) -> None:
        super().__init__()
        self._name = name
        self._original = original
        self._running = running
        self._send = send
        self._lock = threading.RLock()
        self._pending = ""
        self._pending_node = ""

    def __repr__(self) -> str:
        """As for any stream."""
        return f"<Printed name='<{self._name}>'>"

    @property
    def buffer(self) -> Any:
        """The binary stream below: what is written there goes through the worker's pipe."""
        return self._original.buffer

    def fileno(self) -> int:
        """The descriptor of the worker's pipe."""
        return self._original.fileno()

    def isatty(self) -> bool:
        """Never."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Take text; whole lines are sent at once."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        node_id = self._running.node_id
        with self._lock:
            if node_id != self._pending_node:
                self.flush()
                self._pending_node = node_id
            self._pending += text
            if "\n" in text or len(self._pending) > _MAX_LINE:
                lines, _, self._pending = self._pending.rpartition("\n")
                if lines or "\n" in text:
                    self._emit(lines)
                if len(self._pending) > _MAX_LINE:
                    self.flush()
        return len(text)

    def flush(self) -> None:
        """Send a line that is not finished."""
        with self._lock:
            pending, self._pending = self._pending, ""
            if pending:
                self._emit(pending)

    def _emit(self, text: str) -> None:
        self._send(self._pending_node, self._name, True, 0, _sendable(text))


class Logged(logging.Handler):
    """Sends log records."""

    def __init__(self, running: Running, send: Send) -> None:
        super().__init__()
        self._running = running
        self._send_record = send
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback if it has one."""
        try:
            message = self.format(record)
        except Exception:  # logging reports a bad record on stderr, as everywhere
            self.handleError(record)
            return
        name, level = _sendable(record.name), max(record.levelno, 0)
        self._send_record(self._running.node_id, name, False, level, _sendable(message))


def _sendable(text: str) -> str:
    """The text without lone surrogates, which have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def redirect(running: Running, send: Send) -> tuple[Printed, Printed]:
    """Put the streams and the handler in place; gives the streams."""
    streams = (
        Printed("stdout", sys.stdout, running, send),
        Printed("stderr", sys.stderr, running, send),
    )
    sys.stdout, sys.stderr = streams
    root = logging.getLogger()
    root.addHandler(Logged(running, send))
    root.setLevel(logging.INFO)
    return streams

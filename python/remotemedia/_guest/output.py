"""Sends the lines that nodes print and their log records to the orchestrator, with the node's
id.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from remotemedia._guest import warned
from remotemedia._text import sendable

SourceLine = tuple[str, int, str]
"""File, line and function of a log record."""

Send = Callable[[str, str, bool, int, str, SourceLine | None], None]
"""`send(node_id, logger, is_stream, level, message, place)`."""

_MAX_LINE = 1 << 20
"""Characters of an unfinished line after which it is sent without waiting for its end."""

_MAX_NUMBER = (1 << 31) - 1
"""Highest log level and line number that are sent; higher numbers are reduced to this."""


class Running:
    """The node whose code runs. It is kept in a context variable, so that asyncio tasks of a node
    keep its id. Threads started by a node have no context; for them it is the node that ran last.

    Attributes:
        in_context: Context variable with the id of the running node.
        last: Id of the node that ran last.
    """

    def __init__(self) -> None:
        self.in_context: contextvars.ContextVar[str] = contextvars.ContextVar("remotemedia_node")
        self.last = ""

    def enter(self, node_id: str) -> None:
        """Call this when code of `node_id` begins to run in this context."""
        self.in_context.set(node_id)
        self.last = node_id

    def leave(self) -> None:
        """Note that no node runs."""
        self.enter("")

    @property
    def node_id(self) -> str:
        """Id of the node that runs in this context; empty if none runs."""
        return self.in_context.get(self.last)


class Printed(io.TextIOBase):
    """A text stream whose lines are sent to the orchestrator. Unfinished lines wait for `flush`.

    Attributes:
        pending: the text of an unfinished line.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, descriptor: int, running: Running, send: Send) -> None:
        super().__init__()
        self.name = f"<{name}>"
        self._name = name
        self._descriptor = descriptor
        self._buffer: BinaryIO | None = None
        self._running = running
        self._send = send
        self._lock = threading.RLock()
        self.pending = ""
        self._pending_node = ""

    def __repr__(self) -> str:
        """The usual form for a stream."""
        return f"<Printed name={self.name!r}>"

    @property
    def buffer(self) -> BinaryIO:
        """A binary stream that writes to the worker's pipe. Closing it leaves the pipe open, since
        a wrapper around this stream closes it when the wrapper is deleted.
        """
        if self._buffer is None or self._buffer.closed:
            self._buffer = open(self._descriptor, "wb", closefd=False)  # noqa: SIM115
        return self._buffer

    def detach(self) -> Any:
        """The binary stream. This text stream stays usable."""
        return self.buffer

    def close(self) -> None:
        """Flush only. The stream stays open, since it belongs to the worker, not to the session."""
        self.flush()

    def fileno(self) -> int:
        """The descriptor of the worker's pipe."""
        return self._descriptor

    def isatty(self) -> bool:
        """Always False."""
        return False

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, text: str) -> int:
        """Write text; complete lines are sent at once."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        node_id = self._running.node_id
        with self._lock:
            if node_id != self._pending_node:
                self.flush()
                self._pending_node = node_id
            self.pending += text
            if "\n" in text or len(self.pending) > _MAX_LINE:
                lines, _, self.pending = self.pending.rpartition("\n")
                if lines or "\n" in text:
                    self._emit(lines)
                if len(self.pending) > _MAX_LINE:
                    self.flush()
        return len(text)

    @property
    def has_unsent(self) -> bool:
        """Whether `flush` may have something to do."""
        return bool(self.pending) or self._buffer is not None

    def flush(self) -> None:
        """Send an unfinished line, and flush the binary stream."""
        with self._lock:
            pending, self.pending = self.pending, ""
            if pending:
                self._emit(pending)
            if self._buffer is not None and not self._buffer.closed:
                self._buffer.flush()

    def _emit(self, text: str) -> None:
        self._send(self._pending_node, self._name, True, 0, sendable(text), None)

    def reconfigure(self, **_settings: Any) -> None:
        """Do nothing: text is sent as text, so encoding and buffering do not matter."""

    def start_afresh(self) -> None:
        """Drop an unfinished line and replace the lock: a forked child may inherit it locked."""
        self._lock = threading.RLock()
        self.pending = ""


FIELDS = "\u2063"
"""Separates a record's text from its extra fields: an invisible character that is not in use."""

_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "asctime",
    "message",
    "taskName",
}


def _fields(record: logging.LogRecord) -> str:
    """The argument `extra` of the logging call as JSON after `FIELDS`; empty without `extra`."""
    extra = {name: value for name, value in vars(record).items() if name not in _OWN}
    if not extra:
        return ""
    import json  # imported here to keep the start of workers fast

    return f"{FIELDS} {json.dumps(extra, default=repr)}"


class Logged(logging.Handler):
    """A log handler that sends records with their place in the code and their extra fields."""

    def __init__(self, running: Running, send: Send) -> None:
        super().__init__()
        self._running = running
        self._send_record = send
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback if it has one."""
        try:
            message = sendable(self.format(record) + _fields(record))
            name = sendable(record.name)
            level = min(max(record.levelno, 0), _MAX_NUMBER)
            line = min(max(record.lineno, 0), _MAX_NUMBER)
            place = sendable(record.pathname), line, sendable(record.funcName or "")
        except Exception:  # logging reports a bad record on stderr, as any handler does
            self.handleError(record)
            return
        self._send_record(self._running.node_id, name, False, level, message, place)


class OutputCapture:
    """The streams and the log handler of a worker. Each session installs them again, since nodes of
    an earlier session may have replaced them.
    """

    def __init__(self, running: Running, send: Send) -> None:
        self._send = send
        self._running = running
        self._streams = (
            Printed("stdout", 1, running, self._pass_on),
            Printed("stderr", 2, running, self._pass_on),
        )
        self._handler = Logged(running, self._pass_on)
        logging.getLogger().setLevel(logging.INFO)
        self._own_levels: list[tuple[logging.Logger, int]] = []
        self.attach()
        # A forked child must not write frames to its parent's connection.
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def attach(self) -> None:
        """Install the streams and the handler, also that of warnings."""
        sys.stdout, sys.stderr = self._streams
        warned.install(self._warn)
        root = logging.getLogger()
        if self._handler not in root.handlers:
            root.addHandler(self._handler)

    def lower_levels(self, levels: Mapping[str, int]) -> None:
        """Lower the levels of loggers so that records which the caller wants are sent.

        Args:
            levels: wanted level by name of the logger; "" is the root logger.
        """
        for name, level in levels.items():
            logger = logging.getLogger(name)
            if level < logger.getEffectiveLevel():
                self._own_levels.append((logger, logger.level))
                logger.setLevel(level)

    def restore_levels(self) -> None:
        """Undo `lower_levels`."""
        for logger, level in reversed(self._own_levels):
            logger.setLevel(level)
        self._own_levels.clear()

    @contextlib.contextmanager
    def flushed(self) -> Iterator[None]:
        """Send unfinished lines on leaving."""
        try:
            yield
        finally:
            self.flush()

    def flush(self) -> None:
        """Send unfinished lines."""
        for stream in self._streams:
            if stream.has_unsent:
                stream.flush()

    def _pass_on(
        self,
        node_id: str,
        logger: str,
        is_stream: bool,
        level: int,
        text: str,
        place: SourceLine | None,
    ) -> None:
        self._send(node_id, logger, is_stream, level, text, place)

    def _warn(self, text: str, place: SourceLine) -> None:
        # Like printed text, but with a place.
        self._send(self._running.node_id, "stderr", True, 0, text, place)

    def _leave_to_parent(self) -> None:
        """Called in a forked child: write to the worker's pipes, like any other child process."""
        for stream in self._streams:
            stream.start_afresh()
        self._send = _write_to_pipe


def _write_to_pipe(
    _node_id: str, logger: str, is_stream: bool, _level: int, text: str, _place: SourceLine | None
) -> None:
    stream = sys.__stdout__ if is_stream and logger == "stdout" else sys.__stderr__
    if stream is not None:
        stream.write(f"{text}\n")
        stream.flush()

"""Notes each call of a node before it begins, so that a call that fails can be repeated.

The note of a call is a file, because it must outlive the worker: a crash leaves it behind. It is
emptied when the call ends well, and renamed when the node raises. `core/capturing.py` in the
caller's process reads it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from remotemedia import _pickle
from remotemedia._guest.calling import Caller
from remotemedia._guest.faults import Fault
from remotemedia._guest.state import attributes_of
from remotemedia._guest.text import described, sendable

NOW, FAILED = ".now", ".failed"
"""How the names of notes end: of a call that runs, and of one that has failed."""


def caller_of(terms: tuple[bytes, int] | None) -> Callable[..., Caller]:
    """Makes the callers of a session's nodes; see `CaptureTerms` in the protocol."""
    if terms is None:
        return Caller
    prefix, limit = terms
    return lambda *arguments: NotedCaller(os.fsdecode(bytes(prefix)), limit, arguments)


class NotedCaller(Caller):
    """Calls one node, and notes each call before it begins."""

    def __init__(self, prefix: str, limit: int, arguments: tuple[Any, ...]) -> None:
        super().__init__(*arguments)
        self.is_special = True
        self._note = _Note(f"{prefix}-{self.node_id}", self.node, limit)

    def outputs(self, value: Any) -> Iterator[Any]:
        """The node's outputs for one item."""
        self._note.begin("process", value)
        in_hand = [value]
        del value
        outputs = super().outputs
        return self._noted(lambda: outputs(in_hand.pop()))

    def produced(self) -> Iterator[Any]:
        """The outputs of a source."""
        self._note.begin("process")
        return self._noted(super().produced)

    def flushed(self) -> Iterator[Any]:
        """The node's outputs at the end of the input."""
        self._note.begin("flush")
        return self._noted(super().flushed)

    def _noted(self, call: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        try:
            yield from call()
        except Fault:
            self._note.keep()
            raise
        finally:
            self._note.end()


class _TooBig(Exception):
    pass


class _Bounded(io.BytesIO):
    """Bytes in memory, of a bounded number."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.foresee(size)
        self._left -= size
        return super().write(bytes(data) if not isinstance(data, bytes) else data)

    def foresee(self, size: int) -> None:
        if size > self._left:
            raise _TooBig


class _Note:
    """The note of a node's call.

    Args:
        path: path of the file, without its end.
        node: the node.
        limit: largest pickle of an item, and of a state, in bytes.
    """

    def __init__(self, path: str, node: Any, limit: int) -> None:
        self._path = path
        self._node = node
        self._limit = limit
        self._file: Any = None
        # Attributes that could not be pickled, each with the reason: they are not tried again.
        self._left: dict[str, str] = {}

    def begin(self, operation: str, *item: Any) -> None:
        """Note a call that is about to begin."""
        pickle, problem = self._pickled(item)
        state = self._state()
        head = {
            "operation": operation,
            "item_bytes": len(pickle),
            "state_bytes": len(state),
            "left": self._left,
            "problem": problem,
        }
        data = json.dumps(head).encode() + b"\n" + pickle + state
        with contextlib.suppress(OSError):  # a full disk must not end a run
            if self._file is None:
                descriptor = os.open(self._path + NOW, os.O_CREAT | os.O_RDWR, 0o600)
                self._file = os.fdopen(descriptor, "wb", buffering=0)
            self._file.seek(0)
            self._file.write(data)
            self._file.truncate()

    def keep(self) -> None:
        """Keep the note, because the call has failed."""
        with contextlib.suppress(OSError):
            os.replace(self._path + NOW, self._path + FAILED)  # noqa: PTH105  # pathlib is slow
            self._close()

    def end(self) -> None:
        """Empty the note, because the call is over."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.seek(0)
                self._file.truncate()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _pickled(self, value: Any) -> tuple[bytes, str | None]:
        """The pickle of a value, or why there is none."""
        file = _Bounded(self._limit)
        try:
            _pickle.dump_into(file, value, file.foresee)
        except _TooBig:
            return b"", f"its pickle is larger than {self._limit} bytes"
        except BaseException as error:  # pickling can raise any exception
            return b"", described(error)
        return file.getvalue(), None

    def _state(self) -> bytes:
        """A pickle of the node's attributes, without those that cannot be pickled."""
        attributes = {
            name: value
            for name, value in attributes_of(self._node).items()
            if name not in self._left
        }
        pickle, problem = self._pickled(attributes)
        if problem is None:
            return pickle
        for name, value in attributes.items():
            _, problem = self._pickled(value)
            if problem is not None:
                self._left[sendable(name)] = sendable(problem)
        rest = {name: value for name, value in attributes.items() if name not in self._left}
        pickle, problem = self._pickled(rest)
        if problem is not None:  # each of them is small enough, and all together are not
            self._left.update(dict.fromkeys(rest, problem))
        return pickle or self._pickled({})[0]

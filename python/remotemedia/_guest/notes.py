"""Notes each call of a node before it begins, so that a call that fails can be repeated.

The note of a call is a file, because it must outlive the worker: a crash leaves it behind. Its
first byte is cleared when the call ends well, and it is renamed when the node raises.
`core/capturing.py` in the caller's process reads it.

A note is made for every call. So the pickle of the node's attributes is made again only when they
may have changed, and plain values are pickled without a look at what else is in them.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any

from remotemedia import _pickle
from remotemedia import _plain as plain
from remotemedia._guest.calling import Caller
from remotemedia._guest.faults import Fault
from remotemedia._guest.state import attributes_of
from remotemedia._text import described, sendable

NOW, FAILED = ".now", ".failed"
"""How the names of notes end: of a call that runs, and of one that has failed."""
PROCESS, FLUSH, INITIALIZE = b"process", b"flush", b"initialize"
"""The operations that are noted."""
OVER = b"-"
"""How a note begins when no call runs. Otherwise its first line is the operation and the sizes of
what follows: a dict in JSON, the pickle of the node's attributes, that of the item in a tuple, and
the memory of each array that is not in the latter."""
_LARGE_BYTES = 64 << 10
"""Least size of an item that is written by itself: to join it to the others would copy it."""


def caller_of(terms: tuple[bytes, int] | None) -> Callable[..., Caller]:
    """Makes the callers of a session's nodes; see `CaptureTerms` in the protocol."""
    if terms is None:
        return Caller
    prefix, limit = terms
    # Several workers of a session may have replicas of a node.
    own = f"{os.fsdecode(bytes(prefix))}-{os.getpid()}"
    return lambda *arguments: NotedCaller(own, limit, arguments)


class NotedCaller(Caller):
    """Calls one node, and notes each call before it begins."""

    def __init__(self, prefix: str, limit: int, arguments: tuple[Any, ...]) -> None:
        super().__init__(*arguments)
        self.note: Note = Note(f"{prefix}-{self.node_id}", self.node, limit)

    def outputs(self, value: Any) -> Iterator[Any]:
        """The node's outputs for one item."""
        self.note.begin(PROCESS, value)
        in_hand = [value]
        del value
        outputs = super().outputs
        return self._noted(lambda: outputs(in_hand.pop()))

    def expanded(self, result: Any) -> Iterator[Any]:
        """The outputs in the result of a call that is noted already."""
        in_hand = [result]
        del result
        expanded = super().expanded
        return self._noted(lambda: expanded(in_hand.pop()))

    def produced(self) -> Iterator[Any]:
        """The outputs of a source."""
        self.note.begin(PROCESS)
        return self._noted(super().produced)

    def flushed(self) -> Iterator[Any]:
        """The node's outputs at the end of the input."""
        self.note.begin(FLUSH)
        return self._noted(super().flushed)

    def initialize(self) -> None:
        """Call `preload` and `initialize`."""
        self.note.begin(INITIALIZE)
        try:
            super().initialize()
        except Fault:
            self.note.keep()
            raise
        finally:
            self.note.end()

    def _noted(self, call: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        try:
            yield from call()
        except Fault:
            self.note.keep()
            raise
        finally:
            self.note.end()


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


class Note:
    """The note of a node's call.

    Args:
        path: path of the file, without its end.
        node: the node.
        limit: largest pickle of an item, and of a state, in bytes.
    """

    def __init__(self, path: str, node: Any, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._descriptor: int | None = None
        self._state = _State(node, limit)
        self._pickles = plain.Pickles()
        # What the notes of calls have in common while the state is the same.
        self._sizes = self._rest = b""
        self._problem: str | None = None

    def begin(self, operation: bytes, *item: Any) -> None:
        """Note a call that is about to begin."""
        problem: str | None = None
        beside: Sequence[Any] = ()
        if item and plain.is_plain(item[0], self._limit):
            made, beside = self._pickles.dumps(item)
        else:
            made, problem = pickled(item, self._limit)
        if self._state.has_changed() or problem != self._problem:
            self._problem = problem
            import json  # imported late: few sessions need it

            about = json.dumps({"left": self._state.left, "problem": problem}).encode()
            self._sizes = b" %d %d " % (len(about), len(self._state.pickle))
            self._rest = b"\n" + about + self._state.pickle
        size = b"%d" % len(made)
        for memory in beside:
            size += b" %d" % memory.nbytes
        head = b"".join((operation, self._sizes, size, self._rest, made))
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path + NOW, os.O_CREAT | os.O_WRONLY, 0o600)
            if beside:
                self._write_beside(head, beside)
            else:
                _write(self._descriptor, head, 0)
        except OSError:  # a full disk must not end a run
            pass

    def _write_beside(self, head: bytes, beside: Sequence[Any]) -> None:
        assert self._descriptor is not None
        if sum(memory.nbytes for memory in beside) < _LARGE_BYTES:
            _write(self._descriptor, b"".join((head, *beside)), 0)
            return
        offset = len(head)
        for memory in beside:
            _write(self._descriptor, memory, offset)
            offset += memory.nbytes
        _write(self._descriptor, head, 0)

    def keep(self) -> None:
        """Keep the note, because the call has failed."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.replace(self._path + NOW, self._path + FAILED)  # noqa: PTH105  # pathlib is slow
            self._close()

    def end(self) -> None:
        """Empty the note, because the call is over."""
        if self._descriptor is not None:
            try:  # noqa: SIM105  # as in `begin`
                _write(self._descriptor, OVER, 0)
            except OSError:
                pass

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        """The session is over."""
        self._close()


def _write_by_steps(descriptor: int, data: Any, offset: int) -> int:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)


_write: Callable[[int, Any, int], int] = getattr(os, "pwrite", _write_by_steps)


class _State:
    """The attributes of a node, without those that cannot be pickled.

    Attributes:
        pickle: a pickle of the attributes.
        left: the names of those that cannot be pickled, each with the reason. They are not tried
            again.
    """

    def __init__(self, node: Any, limit: int) -> None:
        self.pickle = b""
        self.left: dict[str, str] = {}
        self._node = node
        self._limit = limit
        self._seen: _Seen | None = None

    def has_changed(self) -> bool:
        """Whether `pickle` had to be made again."""
        if self._seen is not None and self._seen.is_all_there_is(self._node):
            return False
        attributes = attributes_of(self._node)
        self.pickle = self._made(attributes)
        rest = {name: value for name, value in attributes.items() if name not in self.left}
        self._seen = _Seen.of(self._node, rest)
        return True

    def _made(self, attributes: dict[str, Any]) -> bytes:
        wanted = {name: value for name, value in attributes.items() if name not in self.left}
        pickle, problem = pickled(wanted, self._limit)
        if problem is None:
            return pickle
        for name, value in wanted.items():
            _, problem = pickled(value, self._limit)
            if problem is not None:
                self.left[sendable(name)] = sendable(problem)
        rest = {name: value for name, value in wanted.items() if name not in self.left}
        pickle, problem = pickled(rest, self._limit)
        if problem is not None:  # each of them is small enough, and all together are not
            self.left.update(dict.fromkeys(rest, problem))
        return pickle or pickled({}, self._limit)[0]


class _Seen:
    """The attributes of a node at one moment, where a look at them tells whether one has changed
    since: plain values, and small containers of such.
    """

    def __init__(self, own: dict[str, Any], containers: list[tuple[Any, list[Any]]]) -> None:
        self._names = [*own]
        self._values = [*own.values()]
        self._empty = [container for container, parts in containers if not parts]
        self._filled = [(container, parts) for container, parts in containers if parts]

    @classmethod
    def of(cls, node: Any, attributes: dict[str, Any]) -> _Seen | None:
        """These attributes of a node; None if a look does not tell. It has others, which do not
        count: they are the base class's own, or cannot be pickled.
        """
        own = getattr(node, "__dict__", None)
        if type(own) is not dict or not attributes.keys() <= own.keys():
            return None  # it has slots
        containers = []
        for value in attributes.values():
            if type(value) not in plain.SCALARS:
                parts = plain.elements(value)
                if parts is None or not all(type(part) in plain.SCALARS for part in parts):
                    return None
                containers.append((value, parts))
        return cls(own, containers)

    def is_all_there_is(self, node: Any) -> bool:
        """Whether the attributes are the same ones, with the same elements."""
        own = node.__dict__
        try:
            if [*own] != self._names or not all(map(is_, own.values(), self._values)):
                return False
        except RuntimeError:  # a thread of the node has changed them meanwhile
            return False
        return not any(self._empty) and all(_has_all(*filled) for filled in self._filled)


def _has_all(container: Any, parts: list[Any]) -> bool:
    now = plain.elements(container)
    return now is not None and len(now) == len(parts) and all(map(is_, now, parts))


def pickled(value: Any, limit: int) -> tuple[bytes, str | None]:
    """The pickle of a value, or why there is none."""
    try:
        if plain.is_plain(value, limit):
            made = plain.dumps(value)
            if len(made) > limit:
                raise _TooBig
            return made, None
        file = _Bounded(limit)
        _pickle.dump_into(file, value, file.foresee)
    except _TooBig:
        return b"", f"its pickle is larger than {limit} bytes"
    except BaseException as error:  # pickling can raise any exception
        return b"", described(error)
    return file.getvalue(), None

"""The moments of the matrix: a node for each, which does its work and once misbehaves.

A node returns `2 * item + 1`. `PLANS` says with which items each is run and what must come out.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from remotemedia.core.node import Node
from remotemedia.doctor.chaos.fuse import Fuse
from remotemedia.doctor.chaos.misbehaviours import act

ITEMS = [1, 2, 3]
_MODULE = __name__
DONE, GO = b"d", b"g"
"""What is written when an idle worker's thread has misbehaved, and to have it begin."""


class Steady(Node):
    """A node that behaves; the base of all others."""

    def __init__(self, fuse: Fuse | None = None, timeout_ms: int | None = None) -> None:
        super().__init__(timeout_ms=timeout_ms)
        self.fuse = fuse

    def act(self) -> None:
        """Misbehave."""
        if self.fuse is not None:
            act(self.fuse)

    def process(self, item: int) -> Any:
        """Compute."""
        return 2 * item + 1


class Counting(Node):
    """Counts its items; shows whether a session beside has lost its state."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def process(self, _item: object) -> int:
        """Count."""
        self.seen += 1
        return self.seen


class Constructed(Steady):
    """Misbehaves in its constructor."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self.act()


class Unpickled(Steady):
    """Misbehaves when a worker opens the pickle of the node."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state."""
        vars(self).update(state)
        self.act()


class Initialized(Steady):
    """Misbehaves in `initialize`."""

    def initialize(self) -> None:
        """Misbehave."""
        self.act()


class First(Steady):
    """Misbehaves with its first item."""

    def process(self, item: int) -> Any:
        """Misbehave, then compute."""
        self.act()
        return super().process(item)


class Later(Steady):
    """Misbehaves with its last item."""

    def process(self, item: int) -> Any:
        """Misbehave with the last item, then compute."""
        if item == ITEMS[-1]:
            self.act()
        return super().process(item)


class Between(Steady):
    """Misbehaves between two outputs of a generator."""

    def process(self, item: int) -> Iterator[int]:
        """Compute twice."""
        yield 2 * item + 1
        self.act()
        yield 2 * item + 1


class Awaiting(Steady):
    """Misbehaves in a coroutine, while the event loop runs."""

    async def process(self, item: int) -> Any:
        """Misbehave, then compute."""
        import asyncio  # imported late: it is slow to import on RustPython

        await asyncio.sleep(0)
        self.act()
        await asyncio.sleep(0)
        return 2 * item + 1


class Answer:
    """A number that misbehaves when it is pickled, and arrives as an int."""

    def __init__(self, value: int, fuse: Fuse) -> None:
        self.value = value
        self.fuse = fuse

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        """Misbehave."""
        act(self.fuse)
        return int, (self.value,)


def opened(value: int, fuse: Fuse) -> int:
    """Misbehave, and return the number: what the pickle of a `Question` calls."""
    act(fuse)
    return value


class Question:
    """A number that misbehaves when its pickle is opened, and arrives as an int."""

    def __init__(self, value: int, fuse: Fuse) -> None:
        self.value = value
        self.fuse = fuse

    def __reduce__(self) -> tuple[Any, tuple[int, Fuse]]:
        """Have a worker call `opened`."""
        return opened, (self.value, self.fuse)


class Result(Steady):
    """Returns what misbehaves when it is pickled."""

    def process(self, item: int) -> Any:
        """Compute."""
        assert self.fuse is not None
        return Answer(2 * item + 1, self.fuse)


class Saved(Steady):
    """Keeps what misbehaves when the session closes and attributes travel back."""

    def process(self, item: int) -> Any:
        """Compute."""
        assert self.fuse is not None
        self.kept = Answer(item, self.fuse)
        return super().process(item)


class Idle(Steady):
    """Misbehaves in a thread of its own, while the worker waits for an item."""

    def process(self, item: int) -> Any:
        """Start the thread with the first item, then compute."""
        if self.fuse is not None and os.path.exists(self.fuse["file"]):  # noqa: PTH110
            go = os.open(f"{self.fuse['file']}.go", os.O_RDWR)
            done = os.open(f"{self.fuse['file']}.done", os.O_WRONLY)
            threading.Thread(target=self._later, args=(go, done), daemon=True).start()
        return super().process(item)

    def _later(self, go: int, done: int) -> None:
        try:
            os.read(go, 1)
            self.act()
        finally:
            os.write(done, DONE)


class Tallying(Steady):
    """Has state, which outlives its worker. Its output is wrong once that is lost."""

    def __init__(self, fuse: Fuse | None = None, timeout_ms: int | None = None) -> None:
        super().__init__(fuse, timeout_ms)
        self.seen = 0

    def process(self, item: int) -> Any:
        """Compute; the items are numbered from 1."""
        self.seen += 1
        return item + self.seen + 1

    def checkpoint(self) -> int:
        """The state."""
        return self.seen

    def restore(self, seen: int) -> None:
        """Take the state."""
        self.seen = seen


class Checkpointing(Tallying):
    """Misbehaves in `checkpoint`."""

    def checkpoint(self) -> int:
        """Misbehave, then return the state."""
        self.act()
        return super().checkpoint()


class Restoring(Tallying):
    """Dies once, and misbehaves in `restore`, which the next worker calls."""

    def process(self, item: int) -> Any:
        """Die with the second item if that is still to be done, else compute."""
        if item == ITEMS[1] and self.fuse is not None:
            try:
                os.unlink(f"{self.fuse['file']}.dies")  # noqa: PTH108
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().process(item)

    def restore(self, seen: int) -> None:
        """Misbehave, then take the state."""
        self.act()
        super().restore(seen)


class Flushing(Steady):
    """Misbehaves in `flush`."""

    def flush(self) -> int:
        """Misbehave, then return the last output."""
        self.act()
        return 0


class Cleaning(Steady):
    """Misbehaves in `cleanup`."""

    def cleanup(self) -> None:
        """Misbehave."""
        self.act()


@dataclass(frozen=True)
class Plan:
    """How a moment is run.

    Attributes:
        summary: when the node misbehaves.
        node: the node's class; None for a module that misbehaves when it is imported.
        as_object: whether the node travels as an object, not as the name of its class.
        outputs: what must come out for `ITEMS`.
        every: the node's `checkpoint_every`.
    """

    summary: str
    node: type[Steady] | None
    outputs: list[int]
    as_object: bool = False
    every: int | None = None

    @property
    def node_type(self) -> str:
        """The node's class, as manifests name it."""
        assert self.node is not None
        return f"{_MODULE}:{self.node.__name__}"


_PLAIN = [3, 5, 7]

PLANS: dict[str, Plan] = {
    "import": Plan("the import of the node's module", None, _PLAIN),
    "construct": Plan("the constructor", Constructed, _PLAIN),
    "unpickle": Plan("the unpickling of the node in the worker", Unpickled, _PLAIN, as_object=True),
    "initialize": Plan("initialize()", Initialized, _PLAIN),
    "input": Plan("the unpickling of an item in the worker", Steady, _PLAIN),
    "first": Plan("process() with the first item", First, _PLAIN),
    "later": Plan("process() with a later item", Later, _PLAIN),
    "between": Plan("a generator, between two outputs", Between, [3, 3, 5, 5, 7, 7]),
    "await": Plan("a coroutine, in the event loop", Awaiting, _PLAIN),
    "result": Plan("the pickling of an output", Result, _PLAIN),
    "idle": Plan("a thread of the node, while the worker is idle", Idle, _PLAIN),
    "checkpoint": Plan("checkpoint(), between two items", Checkpointing, _PLAIN, every=1),
    "restore": Plan("restore(), after the death of a worker", Restoring, _PLAIN, every=1),
    "flush": Plan("flush()", Flushing, [*_PLAIN, 0]),
    "cleanup": Plan("cleanup()", Cleaning, _PLAIN),
    "save": Plan("the pickling of changed attributes at the end", Saved, _PLAIN, as_object=True),
}
"""By the name in the table."""

"""Node classes and values that workers import, and helpers that several end-to-end tests share."""

from __future__ import annotations

import asyncio
import enum
import os
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from remotemedia import Node

# Far beyond what anything here takes: it ends a test that would hang.
WATCHDOG_SECONDS = 120


class Identity(Node):
    """Gives back what it gets."""

    def process(self, data: Any, /) -> Any:
        return data


class Tell(Node):
    """Says what arrived: the qualified type and the repr."""

    def process(self, data: Any, /) -> Any:
        return f"{type(data).__module__}.{type(data).__qualname__}", repr(data)


class Pid(Node):
    """Says which process it runs in."""

    def process(self, data: Any, /) -> Any:
        return os.getpid()


class Apply(Node):
    """Calls a function with each item."""

    def __init__(self, function: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def process(self, data: Any, /) -> Any:
        return self.function(data)


class Scale(Node):
    """Multiplies; made from a manifest's parameters."""

    def __init__(self, factor: float = 2, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def process(self, data: Any, /) -> Any:
        return data * self.factor


class Counter(Node):
    """Counts its items."""

    def __init__(self, start: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.seen = start
        self.history: list[Any] = []

    def process(self, data: Any, /) -> Any:
        self.seen += 1
        self.history.append(data)
        return self.seen


class Divide(Node):
    """Divides 1 by each item, two calls deep."""

    def process(self, data: Any, /) -> Any:
        return divided(1, data)


def divided(dividend: float, divisor: float) -> float:
    return dividend / divisor


class Numbers(Node):
    """A source of `count` numbers."""

    is_source = True

    def __init__(self, count: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def process(self, data: Any = None, /) -> Iterator[int]:
        yield from range(self.count)


class Journal(Node):
    """Writes every call into a file that all nodes of a pipeline share; fails at one item."""

    def __init__(self, path: str, fail_at: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        self.fail_at = fail_at

    def note(self, what: str) -> None:
        with open(self.path, "a", encoding="utf-8") as journal:
            journal.write(f"{self.name} {what}\n")

    def initialize(self) -> None:
        self.note("initialize")

    def process(self, data: Any, /) -> Any:
        self.note(f"process {data}")
        if self.fail_at is not None and data == self.fail_at:
            raise ValueError(f"cannot take {data}")
        return data

    def flush(self) -> Any:
        self.note("flush")

    def cleanup(self) -> None:
        self.note("cleanup")


class Fails(Node):
    """Raises what `make` gives, for every item."""

    def __init__(self, make: Callable[[], BaseException], **options: Any) -> None:
        super().__init__(**options)
        self.make = make

    def process(self, data: Any, /) -> Any:
        raise self.make()


class BrokenConstructor(Node):
    """Cannot be made."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        raise RuntimeError("no microphone is attached")

    def process(self, data: Any, /) -> Any:
        return data


class BrokenInitialize(Node):
    """Cannot be initialised."""

    def initialize(self) -> None:
        raise OSError("the model file is missing")

    def process(self, data: Any, /) -> Any:
        return data


class WaitsForPipe(Node):
    """Reports in one named pipe, and ends with the line that somebody writes into another."""

    def process(self, data: Any, /) -> Any:
        reports, goes_on = data
        Path(reports).write_text("waiting\n", encoding="utf-8")
        with open(goes_on, encoding="utf-8") as pipe:
            return pipe.readline()


class Echoes(Node):
    """An async node with a background task that lives as long as the node."""

    async def initialize(self) -> None:
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.answered: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.create_task(self.serve())

    async def serve(self) -> None:
        served = 0
        while True:
            item = await self.asked.get()
            served += 1
            await self.answered.put((item, served))

    async def process(self, data: Any, /) -> Any:
        await self.asked.put(data)
        return await self.answered.get()

    async def cleanup(self) -> None:
        self.task.cancel()


class WritesLater(Node):
    """Starts a task that writes to a named pipe after `process` has returned."""

    async def process(self, data: Any, /) -> Any:
        self.later = asyncio.create_task(self.write(data))
        return "scheduled"

    async def write(self, path: str) -> None:
        await asyncio.sleep(0.01)
        await asyncio.to_thread(Path(path).write_text, "written\n", encoding="utf-8")


class RunningSum(Node):
    """Streaming: called once, with all items."""

    is_streaming = True

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[Any]:
        total = 0
        async for item in data:
            total += item
            yield total
        yield f"sum {total}"


@dataclass
class Point:
    """A dataclass with nested parts."""

    x: float
    y: float
    tags: list[str] = field(default_factory=list)
    inner: Point | None = None


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


class Segment(NamedTuple):
    start_ms: int
    end_ms: int


Pair = namedtuple("Pair", ["left", "right"])


class Money:
    """A class of the user, with slots and equality."""

    __slots__ = ("amount",)

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.amount == self.amount

    def __hash__(self) -> int:
        return hash(self.amount)

    def __repr__(self) -> str:
        return f"Money({self.amount})"


def children() -> set[int]:
    """Process ids of the living children of this process."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.add(int(entry.name))
    return found


def run_script(directory: Path, source: str, **environment: str) -> str:
    """What a script prints that runs as a program of its own; its failure is the test's."""
    script = directory / "script.py"
    script.write_text(textwrap.dedent(source), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=WATCHDOG_SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def node_metrics(metrics: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The metrics of each node by its id."""
    assert metrics is not None
    return {node["node_id"]: node for node in metrics["nodes"]}

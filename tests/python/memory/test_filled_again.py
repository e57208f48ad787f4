"""Arrays that the caller fills again for the next item, as `readinto` does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia import Node, Pipeline

LENGTHS = [10, 50_000]
"""One that travels in the message, and one in shared memory."""


class First(Node):
    """Gives the first number of its array."""

    def process(self, item: Any) -> float:
        return float(item[0])


class Sums(Node):
    """Keeps the first number of each array over crashes; dies once at the sixth."""

    def __init__(self, marker: str, **options: Any) -> None:
        super().__init__(**options)
        self.marker = marker
        self.seen: list[float] = []

    def process(self, item: Any) -> list[float]:
        self.seen.append(float(item[0]))
        if len(self.seen) == 6 and not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.seen

    def checkpoint(self) -> list[float]:
        return self.seen

    def restore(self, state: list[float]) -> None:
        self.seen = state


def frames(length: int, count: int = 6) -> Iterator[Any]:
    buffer = np.zeros(length)
    for number in range(count):
        buffer[:] = number
        yield buffer


@pytest.mark.parametrize("length", LENGTHS)
def test_of_an_iterator(length: int) -> None:
    """spec: IOP-05"""
    pipeline = Pipeline(First())
    for _ in range(2):
        assert pipeline.run(frames(length)) == [0, 1, 2, 3, 4, 5]
        assert list(pipeline.stream(frames(length))) == [0, 1, 2, 3, 4, 5]
        assert list(pipeline.map(frames(length), workers=2)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("length", LENGTHS)
def test_fed(length: int) -> None:
    """spec: IOP-05"""
    with Pipeline(First()).session() as session:
        for frame in frames(length):
            session.feed(frame)
        session.end_input()
        assert list(session.results()) == [0, 1, 2, 3, 4, 5]


class Collects(Node):
    """Keeps the first number of each array, slowly; gives all at the end."""

    def initialize(self) -> None:
        self.seen: list[float] = []

    def process(self, item: Any) -> None:
        time.sleep(0.05)
        self.seen.append(float(item[0]))

    def flush(self) -> list[float]:
        return self.seen


@pytest.mark.parametrize("length", LENGTHS)
def test_processed_after_the_call_for_it_has_returned(length: int) -> None:
    """spec: IOP-05"""
    with Pipeline(lambda item: item, Collects()).session() as session:
        for frame in frames(length):
            session.process(frame, due=time.monotonic() + 0.001, late="drop")
        assert session.flush() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("how", ["process", "stream"])
def test_repeated_after_a_crash(tmp_path: Any, length: int, how: str) -> None:
    """spec: IOP-05"""
    pipeline = Pipeline(Sums(str(tmp_path / "died"), checkpoint_every=100))
    if how == "stream":
        *_, last = pipeline.stream(frames(length, 7))
    else:
        with pipeline.session() as session:
            for frame in frames(length, 7):
                (last,) = session.process(frame)
    assert last == [0, 1, 2, 3, 4, 5, 6]

"""What a process that forks shares with its children stays as it was at the fork, for as long as
they may look, and no longer.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import remotemedia
from e2e_nodes import Identity, Scale
from remotemedia import Node, Pipeline, Runtime
from shared_memory_nodes import RING_BYTES, SEGMENT_BYTES, floats, hops, one

LARGE = [RING_BYTES, SEGMENT_BYTES]
SEGMENTS = ["memfd", "named"]


class Child:
    """A forked child that looks at something when it is told to."""

    def __init__(self, looks: Callable[[], bool]) -> None:
        waits, self._goes = os.pipe()
        self._says, hears = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            found = b"failed"
            try:
                os.close(self._goes)
                os.read(waits, 1)
                found = b"same" if looks() else b"changed"
            finally:
                os.write(hears, found)
                os._exit(0)
        os.close(waits)
        os.close(hears)

    def found(self) -> str:
        """What it found now. It has ended then."""
        os.close(self._goes)
        told = os.read(self._says, 100).decode()
        os.close(self._says)
        os.waitpid(self._pid, 0)
        return told


class ForksAndGives(Node):
    """Forks a child that keeps looking at the input, and gives the input back."""

    def process(self, data: Any, /) -> Any:
        first = data[0].item()
        self._child = Child(lambda: bool((data == first).all()))
        return data

    def flush(self) -> Any:
        return self._child.found()


class Pools(Node):
    """Has a pool of forked processes from its beginning on."""

    def initialize(self) -> None:
        self._pool = multiprocessing.get_context("fork").Pool(1)

    def process(self, data: Any, /) -> Any:
        return self._pool.apply(abs, (float(data[0]),))

    def cleanup(self) -> None:
        self._pool.terminate()
        self._pool.join()


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("node", [Scale(2), Identity()], ids=["made", "given back"])
def test_a_child_of_the_caller_goes_on_seeing_a_result(node: Node, size: int, segment: str) -> None:
    # spec: CARD-05, CARD-11
    with (
        Runtime(f'[shared_memory]\nsegment = "{segment}"\n') as runtime,
        Pipeline([node], runtime=runtime).session() as session,
    ):
        kept = [one(session, floats(size))]
        expected = kept[0].copy()
        child = Child(lambda: bool((kept[0] == expected).all()))
        kept.clear()
        for number in range(20):  # in the same memory, if it could be used again
            one(session, floats(size, -1 - number))
        assert child.found() == "same"


@pytest.mark.parametrize("size", LARGE)
def test_a_child_of_the_caller_goes_on_seeing_a_shared_array(size: int) -> None:
    # spec: CARD-05
    kept = [remotemedia.asarray_shared(floats(size))]
    child = Child(lambda: bool((kept[0] == floats(size)).all()))
    kept.clear()
    for number in range(700 if size == RING_BYTES else 20):  # more than the ring takes
        remotemedia.asarray_shared(floats(size, -1 - number))
    assert child.found() == "same"


@pytest.mark.parametrize("size", LARGE)
def test_a_child_of_a_node_goes_on_seeing_an_input_that_is_given_back(size: int) -> None:
    # spec: CARD-05
    with Pipeline([ForksAndGives()]).session() as session:
        result = one(session, np.ones(size, dtype=np.uint8))
        result[:] = 2
        assert session.flush() == ["same"]
        assert (result == 2).all()


def test_memory_is_used_again_when_children_have_ended() -> None:
    # spec: CARD-05
    # Room for two results: what a child that is gone has seen must not take it.
    settings = '[shared_memory]\nmax = "8 MiB"\n'
    with (
        Runtime(settings) as runtime,
        Pipeline([Scale(2)], runtime=runtime).session() as session,
    ):
        kept: list[Any] = []
        for number in range(12):
            kept.extend(session.process(floats(SEGMENT_BYTES, number)))
            assert kept[0].base.is_shared
            assert (kept[0] == floats(SEGMENT_BYTES, number) * 2).all()
            assert Child(lambda: kept[0].size > 0).found() == "same"
            kept.clear()


@pytest.mark.filterwarnings("default")  # processes with threads should not fork, says Python 3.12
def test_children_that_live_on_hold_only_what_they_have_seen() -> None:
    # spec: CARD-05
    with Runtime('[shared_memory]\nmax = "8 MiB"\n') as runtime:
        pipeline = Pipeline([Pools()], runtime=runtime)
        with pipeline.session() as session:
            for number in range(12):
                assert one(session, floats(SEGMENT_BYTES, number)) == number
        incoming, _ = hops(pipeline)
        assert incoming["shared_bytes"] == 12 * SEGMENT_BYTES
        assert incoming["inline_bytes"] == 0

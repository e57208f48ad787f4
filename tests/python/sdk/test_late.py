"""Items with a due time: `Session.process(item, due=..., late=...)`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia import Node, NodeError, Pipeline, PipelineError, Runtime
from remotemedia.core.concealment import FADE_FRAMES, stand_in
from saved_nodes import Sums
from worker_programs import PROGRAMS, runtime

each = pytest.mark.parametrize("program", PROGRAMS)


class Gated(Node):
    """Gives the sum so far. Waits at an item of 100 or more until a file is there."""

    def __init__(self, gate: str, **options: Any) -> None:
        super().__init__(**options)
        self.gate = gate
        self.total = 0

    def process(self, value: int) -> int:
        self.total += value
        while value >= 100 and not Path(self.gate).exists():
            time.sleep(0.005)
        return self.total


class GatedFrames(Gated):
    """The same with frames of samples."""

    def process(self, value: Any) -> Any:
        while value[0] >= 100 and not Path(self.gate).exists():
            time.sleep(0.005)
        return value


def soon(seconds: float = 0.15) -> float:
    return time.monotonic() + seconds


def late_count(pipeline: Pipeline) -> int:
    metrics = pipeline.get_metrics()
    assert metrics is not None
    count: int = metrics["late_count"]
    return count


@each
def test_a_late_item_is_dropped_and_its_state_is_not(program: str, tmp_path: Path) -> None:
    # spec: CARD-02
    gate = tmp_path / "gate"
    with runtime(program) as where:
        pipeline = Pipeline(Gated(str(gate)), runtime=where)
        with pipeline.session() as session:
            assert session.process(1, due=soon(30), late="drop") == [1]
            assert session.process(100, due=soon(), late="drop") == []
            gate.touch()
            # The late output does not come with the next item.
            assert session.process(2, due=soon(30), late="drop") == [103]
            assert session.process(3) == [106]
        assert late_count(pipeline) == 1


@each
def test_while_a_node_hangs_items_without_room_are_dropped(program: str, tmp_path: Path) -> None:
    # spec: CARD-02
    gate = tmp_path / "gate"
    with runtime(program, "[calls]\nqueue = 2\n") as where:
        pipeline = Pipeline(Gated(str(gate)), runtime=where)
        with pipeline.session() as session:
            for _ in range(6):
                assert session.process(100, due=soon(0.05), late="drop") == []
            gate.touch()
            # One ran, two waited; there was no room for three.
            assert session.process(1, due=soon(30), late="drop") == [301]
        assert late_count(pipeline) == 6


@each
def test_waiting_counts_what_is_late(program: str, tmp_path: Path) -> None:
    with runtime(program) as where:
        pipeline = Pipeline(Sums(), runtime=where)
        with pipeline.session() as session:
            assert session.process(1, due=time.monotonic() - 1) == [1]
            assert session.process(1, due=soon(30)) == [2]
        assert late_count(pipeline) == 1


def test_a_late_frame_is_concealed_by_the_one_before(tmp_path: Path) -> None:
    # spec: CARD-08
    gate = tmp_path / "gate"
    first = np.linspace(1.0, 2.0, 960, dtype=np.float32)
    with Runtime() as where:
        pipeline = Pipeline(GatedFrames(str(gate)), runtime=where)
        with pipeline.session() as session:
            assert session.process(first + 100, due=soon(), late="conceal") == []
            gate.touch()
            [given] = session.process(first, due=soon(30), late="conceal")
            assert np.array_equal(given, first)
            gate.unlink()
            [concealed] = session.process(first + 100, due=soon(), late="conceal")
            assert concealed.dtype == np.float32
            assert concealed[0] == first[-1]
            assert np.array_equal(concealed, stand_in(first, 0))
            [further] = session.process(first + 100, due=soon(), late="conceal")
            assert np.array_equal(further, stand_in(first, 1))
            gate.touch()
            [given] = session.process(first, due=soon(30), late="conceal")
            assert np.array_equal(given, first)
            [given] = session.process(2 * first)  # the item before may have no due time
            gate.unlink()
            [concealed] = session.process(first + 100, due=soon(), late="conceal")
            assert np.array_equal(concealed, stand_in(given, 0))
            gate.touch()
        assert late_count(pipeline) == 4


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u1"])
@pytest.mark.parametrize("shape", [(480,), (2, 480), (480, 2)])
def test_a_stand_in_begins_where_the_frame_ended_and_fades_to_silence(
    dtype: str, shape: tuple[int, ...]
) -> None:
    dice = np.random.default_rng(1)
    middle = 128 if dtype == "u1" else 0
    frame = dice.integers(middle - 100, middle + 100, shape).astype(dtype)
    frames = [stand_in(frame, place) for place in range(FADE_FRAMES + 1)]
    axis = 0 if shape == (480, 2) else -1
    assert np.array_equal(frames[0].take(0, axis), frame.take(-1, axis))
    loudness = [np.abs(f.astype("f8") - middle).mean() for f in frames]
    assert loudness == sorted(loudness, reverse=True)
    assert all(f.dtype == frame.dtype and f.shape == frame.shape for f in frames)
    assert (frames[-1] == middle).all()


def test_other_outputs_are_repeated() -> None:
    for value in ("text", {"level": 3}, np.array(["a"]), np.zeros(0), np.float32(1.5), None):
        assert stand_in(value, 0) is value


def test_an_error_of_a_late_item_comes_with_the_next_one(tmp_path: Path) -> None:
    # spec: DSG-15
    with Runtime() as where, Pipeline(Raises(), runtime=where).session() as session:
        assert session.process(0.3, due=soon(0.05), late="drop") == []
        with pytest.raises(NodeError, match="too late to complain"):
            session.process(0.0, due=soon(30), late="drop")
        assert session.process(0.0, due=soon(30), late="drop") == [0.0]


class Raises(Node):
    """Waits, then raises."""

    def process(self, seconds: float) -> float:
        time.sleep(seconds)
        if seconds:
            raise ValueError("too late to complain")
        return seconds


def test_wrong_words_are_named() -> None:
    # spec: DSG-01
    words = pytest.raises(PipelineError, match='"wait", "drop" or "conceal", not \'skip\'')
    with Runtime() as where, Pipeline(Sums(), runtime=where).session() as session, words:
        session.process(1, due=soon(), late="skip")  # type: ignore[arg-type]


def test_an_async_session_takes_it_too() -> None:
    import asyncio

    async def main() -> list[Any]:
        with Runtime() as where:
            async with Pipeline(Sums(), runtime=where).session() as session:
                first: list[Any] = await session.process(1, due=soon(30), late="conceal")
                return first

    assert asyncio.run(main()) == [1]

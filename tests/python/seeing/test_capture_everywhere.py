"""`capture="on_error"` in maps, for replicas, for `initialize`, and for native nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia import (
    AudioResampleNode,
    Capture,
    NodeError,
    NodeTimeout,
    PassThroughNode,
    Pipeline,
    Runtime,
    WorkerCrashed,
    replay,
)
from remotemedia.core.manifest_node import ManifestNode
from seen_nodes import Dies, FailsToInitialize, FailsToPreload, Hangs, Picky
from worker_programs import PROGRAMS, runtime


@pytest.fixture(params=PROGRAMS)
def several(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    with runtime(request.param, "[workers]\nmax = 3\n[rustpython]\nmax = 3\n") as where:
        yield where


@pytest.fixture(autouse=True)
def _own_path() -> Iterator[None]:
    """`replay.load` changes the path and the arguments of its process."""
    path, argv = [*sys.path], [*sys.argv]
    yield
    sys.path[:], sys.argv[:] = path, argv


def kept(folder: Path) -> list[Path]:
    """The captures in a folder, which has nothing else."""
    found = sorted(folder.iterdir())
    assert all(path.name.endswith(".capture") for path in found), found
    return found


def loaded(path: str | Path) -> tuple[dict[str, Any], Any, Any, dict[str, Any]]:
    head, pickle = replay.read(Path(path))
    return head, *replay.load(head, pickle)


# Maps and replicas.


@pytest.mark.parametrize("batch", [None, 8])
def test_each_failing_item_of_a_map_is_kept(
    several: Runtime, tmp_path: Path, batch: int | None
) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline([PassThroughNode(), Picky(7)], runtime=several)
    results = list(
        pipeline.map(range(40), workers=2, batch=batch, errors="return", capture=Capture(tmp_path))
    )
    failed = {n: result for n, result in enumerate(results) if isinstance(result, NodeError)}
    assert len(failed) > 1
    assert len(kept(tmp_path)) == len(failed)
    for number, error in failed.items():
        head, node, item, _ = loaded(error.capture)  # type: ignore[attr-defined]
        assert (head["operation"], type(node), item) == ("process", Picky, (number,))
        assert replay.main([error.capture]) == replay.FAILED  # type: ignore[attr-defined]


def test_captures_of_a_map_are_bounded(several: Runtime, tmp_path: Path) -> None:
    """spec: IOP-35"""
    capture = Capture(tmp_path, max_files=3)
    pipeline = Pipeline(Picky(1), runtime=several)
    list(pipeline.map(range(40), workers=3, errors="return", capture=capture))
    assert len(kept(tmp_path)) == 3


def test_items_that_end_workers_of_a_map_are_kept(several: Runtime, tmp_path: Path) -> None:
    """spec: IOP-35"""
    capture = Capture(tmp_path)
    results = list(
        Pipeline(Dies(), runtime=several).map(
            ["a", 9, "b", 8], workers=2, errors="return", capture=capture
        )
    )
    assert [type(result) for result in results] == [str, WorkerCrashed, str, WorkerCrashed]
    items = [loaded(results[place].capture)[2] for place in (1, 3)]
    assert items == [(9,), (8,)]
    hangs = Pipeline(Hangs(timeout_ms=100), runtime=several)
    results = list(hangs.map(["a", "hang"], workers=2, errors="return", capture=capture))
    assert isinstance(results[1], NodeTimeout)
    assert loaded(results[1].capture)[2] == ("hang",)  # type: ignore[attr-defined]


def test_the_failing_items_of_replicas_are_each_kept(several: Runtime, tmp_path: Path) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline(Picky(7, replicas=3), runtime=several)
    errors: list[Any] = []
    list(pipeline.stream(range(60), on_error=errors.append, capture=Capture(tmp_path)))
    items = [loaded(error.capture)[2] for error in errors]
    assert items == [(number,) for number in range(0, 60, 7)]
    assert [error.remote_message for error in errors] == [f"refused: {n}" for (n,) in items]


# `initialize`.


def test_a_failing_initialize_is_kept_and_replayed(
    several: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline(FailsToInitialize(5), runtime=several, capture=Capture(tmp_path))
    ways: tuple[Callable[[], object], ...] = (
        lambda: pipeline.run(1),
        lambda: list(pipeline.map([1, 2], workers=2)),
        lambda: pipeline.session().open(),
        lambda: list(pipeline.stream([1])),
    )
    for count, way in enumerate(ways, 1):
        with pytest.raises(NodeError, match="no model of 5") as failed:
            way()
        path = failed.value.capture  # type: ignore[attr-defined]
        head, node, item, state = loaded(path)
        assert (head["operation"], item) == ("initialize", ())
        assert (type(node), state["limit"], state["tries"]) == (FailsToInitialize, 5, 0)
        assert replay.main([path]) == replay.FAILED
        assert "OSError: no model of 5" in capsys.readouterr().err
        assert len(kept(tmp_path)) == count


def test_a_failing_preload_is_kept_and_replayed(
    several: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline(FailsToPreload(), runtime=several, capture=Capture(tmp_path))
    ways: tuple[Callable[[], object], ...] = (
        lambda: pipeline.run(1),
        lambda: list(pipeline.map([1, 2], workers=2)),
    )
    for way in ways:
        with pytest.raises(NodeError, match="no weights") as failed:
            way()
        assert replay.main([failed.value.capture]) == replay.FAILED  # type: ignore[attr-defined]
        told = capsys.readouterr()
        assert "FailsToPreload" in told.out
        assert "OSError: no weights" in told.err


# Native nodes.

RATE = 48_000


def sound(value: float) -> tuple[Any, int]:
    return np.full((1, 4800), value, np.float32), RATE


def run_all(pipeline: Pipeline, items: list[Any], way: str) -> None:
    if way == "run":
        pipeline.run(items)
    elif way == "map":
        list(pipeline.map(items, workers=2))
    elif way == "stream":
        list(pipeline.stream(items))
    else:
        with pipeline.session() as session:
            for item in items:
                session.process(item)


@pytest.mark.parametrize("way", ["run", "session", "stream", "map"])
def test_the_failing_item_of_a_native_node_is_kept_and_replayed(
    tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline(AudioResampleNode(16_000, quality="low"), capture=Capture(tmp_path))
    items = [sound(0.5), sound(float("nan"))]
    with pytest.raises(NodeError) as failed:
        run_all(pipeline, items, way)
    path = failed.value.capture  # type: ignore[attr-defined]
    assert kept(tmp_path) == [Path(path)]
    head, node, (item,), _ = loaded(path)
    assert head["class"].endswith("AudioResampleNode")
    assert (node.target_sample_rate, node.quality) == (16_000, "low")
    assert item[1] == RATE
    np.testing.assert_array_equal(item[0], items[1][0])
    assert replay.main([path]) == replay.FAILED
    out, err = capsys.readouterr()
    assert str(failed.value.remote_message) in out
    assert str(failed.value.remote_message) in err


def test_a_native_node_of_a_manifest_is_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """spec: IOP-35"""
    node = ManifestNode({"id": "r", "node_type": "MultiplyNode", "params": {"factor": 2}})
    with pytest.raises(NodeError) as failed:
        Pipeline(node).run({"no": "number"}, capture=Capture(tmp_path))
    (path,) = kept(tmp_path)
    assert replay.main([str(path)]) == replay.FAILED
    assert str(failed.value.remote_message) in capsys.readouterr().err


def test_a_streaming_native_node_is_replayed_with_what_it_heard(tmp_path: Path) -> None:
    """spec: IOP-35"""
    node = AudioResampleNode(16_000, streaming=True)
    piece = np.zeros((1, 4800), np.float32)
    with Pipeline(node).session(capture=Capture(tmp_path)) as session:
        for number in range(3):
            piece[:] = number
            session.process((piece, RATE))
        with pytest.raises(NodeError) as failed:
            session.process((piece, 44_100))  # another rate in the same stream
    path = failed.value.capture  # type: ignore[attr-defined]
    _, _, (item,), state = loaded(path)
    assert item[1] == 44_100
    assert [heard[0][0, 0] for heard in state["items before"]] == [0, 1, 2]
    assert replay.main([path]) == replay.FAILED


def test_what_a_streaming_native_node_heard_is_bounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """spec: IOP-35"""
    capture = Capture(tmp_path, max_bytes=50_000)
    piece = np.zeros((1, 4800), np.float32)
    with Pipeline(AudioResampleNode(16_000, streaming=True)).session(capture=capture) as session:
        for _ in range(3):
            session.process((piece, RATE))
        with pytest.raises(NodeError) as failed:
            session.process((piece, 44_100))
        path = failed.value.capture  # type: ignore[attr-defined]
        _, _, _, state = loaded(path)
        assert state["items before"] == []
        assert replay.main([path, "--show"]) == replay.ENDED_WELL
        assert "items before is not in the capture" in capsys.readouterr().out
        with pytest.raises(NodeError) as failed:
            session.process((np.zeros((1, 48_000), np.float32), 44_100))
        assert not hasattr(failed.value, "capture")

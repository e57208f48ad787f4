"""Arrays that are no plain ones, for native nodes: memory maps, other classes, other layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia import (
    AudioResampleNode,
    MultiplyNode,
    NodeError,
    PassThroughNode,
    Pipeline,
    VADNode,
)

# numpy warns of its own class.
pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

SOUND = np.sin(np.arange(2 * 4800, dtype=np.float32)).reshape(2, 4800)


class Own(np.ndarray):
    """A class of the user."""


def mapped(folder: Path, mode: Any = "r") -> Any:
    path = folder / "sound.npy"
    np.save(path, SOUND)
    return np.load(path, mmap_mode=mode)


def read_only(_: Path) -> Any:
    array = SOUND.copy()
    array.flags.writeable = False
    return array


FORMS: dict[str, Callable[[Path], Any]] = {
    "memory map": mapped,
    "memory map to write": lambda folder: mapped(folder, "r+"),
    "memory map, copy on write": lambda folder: mapped(folder, "c"),
    "part of a memory map": lambda folder: mapped(folder)[:, 100:],
    "every second of a memory map": lambda folder: mapped(folder)[:, ::2],
    "matrix": lambda _: np.asmatrix(SOUND),
    "own class": lambda _: SOUND.view(Own),
    "masked array without a mask": lambda _: np.ma.masked_array(SOUND),
    "read-only": read_only,
    "columns first": lambda _: np.asfortranarray(SOUND),
    "big-endian": lambda _: SOUND.astype(">f4"),
    "every second": lambda _: SOUND[:, ::2],
    "backwards": lambda _: SOUND[:, ::-1],
    "one channel of several": lambda _: SOUND[1],
    "the same for all channels": lambda _: np.broadcast_to(SOUND[0], (3, 4800)),
    "not aligned": lambda _: np.frombuffer(b"x" + SOUND.tobytes(), np.float32, offset=1),
    "empty": lambda _: np.zeros((1, 0), np.float32),
}


def same(item: Any) -> Any:
    """A node between."""
    return item


@pytest.fixture(params=[*FORMS])
def array(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return FORMS[request.param](tmp_path)


@pytest.mark.parametrize(
    "way", ["run", "in one process", "stream", "map", "after Python", "cpython"]
)
def test_a_native_node_takes_an_array_of_any_kind_as_its_plain_one(array: Any, way: str) -> None:
    """spec: IOP-05"""
    plain = np.array(array, subok=False)
    wanted_audio, rate = Pipeline(AudioResampleNode(16_000)).run((plain, 48_000))
    wanted = Pipeline(MultiplyNode(2)).run(plain)
    for node, item, result in (
        (AudioResampleNode(16_000), (array, 48_000), wanted_audio),
        (MultiplyNode(2), array, wanted),
        (MultiplyNode(2), [array][0], wanted),
    ):
        made = run(node, item, way)
        made = made[0] if isinstance(made, tuple) else made
        assert type(made) is np.ndarray
        np.testing.assert_array_equal(made, result)
    assert rate == 16_000
    np.testing.assert_array_equal(np.asarray(array), plain)


def run(node: Any, item: Any, way: str) -> Any:
    if way == "in one process":
        return Pipeline(node).run(item, use_rust=False)
    if way == "stream":
        return next(iter(Pipeline(node).stream([item])))
    if way == "map":
        return next(iter(Pipeline(node).map([item], workers=2)))
    if way == "after Python":
        return Pipeline(same, node).run(item)
    if way == "cpython":
        node.runtime_hint = "cpython"
    return Pipeline(node).run(item)


def test_dicts_and_tuples_with_memory_maps_are_audio_too(tmp_path: Path) -> None:
    """spec: IOP-05"""
    array = mapped(tmp_path)
    wanted = Pipeline(AudioResampleNode(16_000)).run((SOUND, 48_000))[0]
    dict_made = Pipeline(AudioResampleNode(16_000)).run({"data": array, "sample_rate": 48_000})
    np.testing.assert_array_equal(dict_made["data"], wanted)
    *_, info = Pipeline(VADNode()).run((array, 48_000))
    *_, expected = Pipeline(VADNode()).run((SOUND, 48_000))
    assert info == expected


def test_an_item_that_passes_keeps_its_class(tmp_path: Path) -> None:
    """spec: IOP-05"""
    for item in (np.asmatrix(SOUND), np.ma.masked_array([1.0, 2.0], [True, False])):
        made = Pipeline(PassThroughNode()).run(item)
        assert type(made) is type(item)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(item))
    kinds = Pipeline(lambda item: type(item).__name__)
    assert kinds.run(mapped(tmp_path)) == "memmap"


REFUSED: dict[str, tuple[Any, str]] = {
    "masked": (np.ma.masked_array(SOUND, SOUND > 0.5), r"filled\(0\)"),
    "records": (
        np.rec.array([(1.0, 2)], dtype=[("left", "f4"), ("n", "i4")]),
        r"item\['left'\]",
    ),
    "objects": (np.array([1.0, None]), r"astype\(numpy\.float32\)"),
    "own class of texts": (np.array(["a"]).view(Own), r"astype\(numpy\.float32\)"),
    "plain records": (np.zeros(3, [("left", "f4")]), "convert the array to one of"),
    "dates": (np.array(["2026-11-30"], "datetime64[D]"), "convert the array to one of"),
    "texts": (np.array(["a", "b"]), "convert the array to one of"),
    "complex numbers": (np.zeros(3, np.complex64), "convert the array to one of"),
    "half": (np.zeros(3, np.float16), "convert the array to one of"),
}


@pytest.mark.parametrize("kind", [*REFUSED])
@pytest.mark.parametrize("way", ["run", "in one process", "stream", "after Python", "cpython"])
def test_an_array_without_a_plain_form_is_refused_with_what_to_do(kind: str, way: str) -> None:
    """spec: IOP-07, IOP-05"""
    item, told = REFUSED[kind]
    for node, given in ((AudioResampleNode(16_000), (item, 48_000)), (MultiplyNode(2), item)):
        with pytest.raises(NodeError, match=told) as raised:
            run(node, given, way)
        assert raised.value.remote_type in ("TypeError", "ValueError")


def test_one_number_as_an_array(tmp_path: Path) -> None:
    """spec: IOP-05"""
    number = np.array(1.5, np.float32)
    assert Pipeline(MultiplyNode(2)).run(number) == 3
    assert Pipeline(MultiplyNode(2)).run(number.view(Own)) == 3
    for array in (number, number.view(Own)):
        with pytest.raises(NodeError, match=r"expected an array of shape .*, got shape \(\)"):
            Pipeline(AudioResampleNode(16_000)).run((array, 48_000))


def test_a_memory_map_is_copied_no_more_than_an_array_in_memory(tmp_path: Path) -> None:
    """spec: IOP-30"""
    array = np.zeros((2, 2_000_000), np.float32)
    np.save(tmp_path / "large.npy", array)
    copied = []
    for item in (array, np.load(tmp_path / "large.npy", mmap_mode="r")):
        pipeline = Pipeline(VADNode(method="energy"))
        pipeline.run((item, 48_000))
        metrics = pipeline.get_metrics()
        assert metrics is not None
        copied.append(metrics["nodes"][0]["copied_bytes"])
    assert copied[0] == copied[1]

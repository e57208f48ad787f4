"""Arrays that move a node from RustPython to CPython, and numpy that CPython itself has not."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

from array_nodes import AddsSums, Deviation, Held
from interpreters import environment_of, other_pythons
from remotemedia import NodeError, Pipeline, Runtime
from version_nodes import Doubled, Version

STRUCTURED = np.array([(1, 2.5), (3, 4.5)], [("start", "<i4"), ("part", "f4")])


@pytest.mark.parametrize(
    "array",
    [
        STRUCTURED,
        np.array(["text", "x"]),
        np.array([b"text", b"x"]),
        np.array([1, 2], "M8[ns]"),
        np.arange(3, dtype=">f4"),
        np.array([None, "text", 10**30], object),
        np.datetime64(5, "s"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_an_array_that_views_do_not_hold_moves_the_node_with_the_item(array: Any) -> None:
    """spec: IOP-39, IOP-41: the node is called once, on CPython, with the array as it was."""
    for item in (array, {"inside": [array]}):
        with Runtime("[workers]\nmax = 4\n") as runtime:
            pipeline = Pipeline([Held()], runtime=runtime)
            name, calls, back = pipeline.run(item, runtime="rustpython")
            (placed,) = pipeline.explain(runtime="rustpython")
        assert (name, calls) == ("cpython", 1)
        back, item = (back, item) if item is array else (back["inside"][0], item["inside"][0])
        assert (type(back), back.dtype) == (type(item), item.dtype)
        assert np.array_equal(back, item)
        assert placed.runtime == "cpython"
        assert "a value could not be converted" in placed.why


def test_a_node_that_asks_views_for_more_moves() -> None:
    """spec: IOP-39"""
    samples = np.array([[1, 2], [3, 5]], np.int16)
    for node, wanted in ((Deviation(), samples.std()), (AddsSums(), samples.sum(axis=0) + 1)):
        with Runtime("[workers]\nmax = 4\n") as runtime:
            pipeline = Pipeline([node], runtime=runtime)
            name, made = pipeline.run(samples, runtime="rustpython")
            (placed,) = pipeline.explain(runtime="rustpython")
        assert name == "cpython"
        assert np.array_equal(made, wanted)
        assert "module 'numpy' lacks a feature that the node uses" in placed.why


@pytest.fixture(scope="module")
def without_numpy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment of another Python with this package and nothing else: the caller's packages
    are not for it.
    """
    return environment_of(other_pythons()[0], tmp_path_factory.mktemp("without_numpy"))


def test_a_worker_without_numpy_fails_at_its_first_array(without_numpy: str) -> None:
    """spec: CARD-05: it starts, and runs nodes that see no arrays."""
    with Runtime(f'[python]\ninterpreter = "{without_numpy}"\n') as runtime:
        plain = Pipeline([Version(), Doubled()], runtime=runtime)
        assert plain.run("item")[0][1:] == (1, "item")
        held = Pipeline([Held()], runtime=runtime)
        assert held.run([1.5, b"x"]) == [("cpython", 1, 1.5), ("cpython", 2, b"x")]
        for array in (np.zeros(3, np.float32), np.zeros(100_000), np.float64(2), STRUCTURED):
            with pytest.raises(NodeError, match="pip install numpy") as caught:
                held.run({"inside": array})
            assert caught.value.remote_type == "ModuleNotFoundError"
            assert without_numpy in str(caught.value)


def test_helpers_for_arrays_say_that_they_need_numpy(without_numpy: str) -> None:
    """spec: CARD-05: the package itself is imported without it."""
    for code in ("remotemedia.audio.zeros(3)", "remotemedia.AudioView"):
        program = f"import remotemedia, remotemedia.audio; {code}"
        done = subprocess.run(
            [without_numpy, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: arrays need numpy")
        assert done.stderr.splitlines()[-1].endswith("pip install numpy there")

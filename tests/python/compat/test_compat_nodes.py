"""Every node of the SDK and every example, on CPython and on RustPython, with the same results.

Numbers are the same within a relative 1e-5 or an absolute 1e-6: audio is float32, and the two
interpreters add up in another order.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from compat.page import recorded
from places import REPOSITORY
from remotemedia import DataSourceNode, Pipeline
from remotemedia.nodes import __all__ as sdk_nodes

pytestmark = pytest.mark.rustpython

EXAMPLES = REPOSITORY / "examples"
RELATIVE, ABSOLUTE = 1e-5, 1e-6
NODES = recorded("node")
SCRIPTS = recorded("example")
Samples = np.ndarray[Any, np.dtype[np.float32]]


def tone(samples: int) -> Samples:
    return (0.5 * np.sin(np.arange(samples) / 5)).astype(np.float32)


def speech(samples: int) -> Samples:
    """Loud, then silent, then loud."""
    audio = tone(samples)
    audio[samples // 3 : 2 * samples // 3] = 0
    return audio


def source(items: list[Any]) -> DataSourceNode:
    node = DataSourceNode()
    for item in items:
        node.push_data(item)
    node.close()
    return node


def _differences(a: Any, b: Any, place: str = "result") -> list[str]:
    """Where two results are not the same."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        same = a.dtype == b.dtype and a.shape == b.shape
        same = same and np.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        return [] if same else [f"{place}: {a!r} and {b!r}"]
    if type(a) is not type(b):
        return [f"{place}: {type(a).__name__} and {type(b).__name__}"]
    if isinstance(a, Mapping):
        if list(a) != list(b):
            return [f"{place}: keys {list(a)} and {list(b)}"]
        return [told for key in a for told in _differences(a[key], b[key], f"{place}[{key!r}]")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{place}: {len(a)} and {len(b)} elements"]
        pairs = enumerate(zip(a, b, strict=True))
        return [told for i, (x, y) in pairs for told in _differences(x, y, f"{place}[{i}]")]
    if isinstance(a, float):
        close = math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        return [] if close else [f"{place}: {a} and {b}"]
    return [] if a == b else [f"{place}: {a!r} and {b!r}"]


def _run(entry: dict[str, Any], runtime: str, *, as_python: bool) -> tuple[Any, str]:
    """What the node gives on an interpreter, and where it ran."""
    names = {**{name: getattr(remotemedia, name) for name in sdk_nodes}, "np": np}
    names |= {"tone": tone, "speech": speech, "source": source}
    node = eval(entry["make"], names)
    node.name = "node"
    items = eval(entry["items"], names) if "items" in entry else None
    if as_python:
        # With a hint, nodes with a native twin run as the Python classes that they are, too.
        node.runtime_hint = runtime
    pipeline = Pipeline([node], runtime=runtime)
    result = pipeline.run_sync(items)
    metrics = pipeline.get_metrics()
    assert metrics is not None
    (ran,) = metrics["nodes"]
    return result, ran["runtime"]


def test_every_node_of_the_sdk_is_compared() -> None:
    # spec: IOP-36
    assert sorted(entry["name"] for entry in NODES) == sorted(sdk_nodes)


@pytest.mark.parametrize("entry", NODES, ids=lambda entry: str(entry["name"]))
def test_a_node_gives_the_same_on_both(entry: dict[str, Any]) -> None:
    # spec: IOP-12, IOP-36
    of_the_class, there = _run(entry, "cpython", as_python=True)
    chosen, here = _run(entry, "rustpython", as_python=False)
    assert _differences(of_the_class, chosen) == []
    kept = entry["rustpython"] == "in the caller"
    assert there == ("rust_native" if kept else "cpython")
    assert here == ("rustpython" if entry["rustpython"] == "works" else "rust_native")
    assert entry["rustpython"] == "works" or entry["reason"]


def test_the_class_of_a_native_node_says_why_it_leaves_rustpython() -> None:
    # spec: IOP-39, IOP-40
    class Adds(remotemedia.AddNode):
        """Runs in a worker."""

    pipeline = Pipeline([Adds(addend=2)], runtime="rustpython")
    assert pipeline.run_sync([1]) == 3
    (placement,) = pipeline.explain(runtime="rustpython")
    assert placement.runtime == "cpython"
    assert "native nodes" in placement.why
    (placement,) = Pipeline([remotemedia.AddNode(addend=2)]).explain(runtime="rustpython")
    assert placement.runtime == "rust_native"


def test_no_page_advises_against_the_native_form() -> None:
    # spec: IOP-29
    native = [entry for entry in NODES if entry["rustpython"] == "native"]
    assert len(native) > 5
    assert [e["name"] for e in native if "runtime_hint=" in e.get("workaround", "")] == []


@pytest.mark.parametrize(
    "entry", [e for e in NODES if e["rustpython"] == "native"], ids=lambda e: str(e["name"])
)
def test_the_class_of_a_native_node_gives_the_same(entry: dict[str, Any]) -> None:
    # spec: IOP-36, IOP-39
    native, _ = _run(entry, "rustpython", as_python=False)
    moved, here = _run(entry, "rustpython", as_python=True)
    assert here == entry.get("as_class", "cpython")
    assert _differences(native, moved) == []


def test_every_example_is_compared() -> None:
    # spec: IOP-37
    there = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert sorted(entry["name"] for entry in SCRIPTS) == there


# What an example prints of its processes and their times differs from run to run; nodes on one
# interpreter share a worker, and lose it together.
_OF_THE_RUN = re.compile(
    r"pid \d+|; state also lost: \w+|^\w+_\d+ +(cpython|rustpython|rust_native) +.*$"
    r"|\d+ frames concealed|\d+\.\d+ ms|(?<=are in )\S+",
    re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d+\.\d+")


def _printed(script: Path, runtime: str, folder: Path) -> tuple[str, list[float]]:
    """What an example prints on an interpreter: the text without its numbers, and these."""
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, "REMOTEMEDIA_PYTHON_RUNTIME": runtime},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = _OF_THE_RUN.sub("", done.stdout)
    return _NUMBER.sub("#", text), [float(number) for number in _NUMBER.findall(text)]


@pytest.mark.parametrize("entry", SCRIPTS, ids=lambda entry: str(entry["name"]))
def test_an_example_prints_the_same_on_both(entry: dict[str, Any], tmp_path: Path) -> None:
    # spec: IOP-37
    text, numbers = _printed(EXAMPLES / entry["name"], "cpython", tmp_path)
    other_text, other_numbers = _printed(EXAMPLES / entry["name"], "rustpython", tmp_path)
    assert other_text == text
    # Printed with a few digits, of which the last may be rounded the other way.
    assert other_numbers == pytest.approx(numbers, rel=1e-3, abs=1e-3)
    assert text.strip()

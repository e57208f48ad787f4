"""Stars of modules that RustPython lacks: who uses what they bring moves, and nobody else."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remotemedia import NodeError, Pipeline, Runtime

NODES = """
import sys
from dataclasses import dataclass
from math import *
from typing import Optional
from numpy import *
from remotemedia import Node

def mean_of(data):
    return float(average(data))

class Plain(Node):
    def process(self, data):
        return [sys.implementation.name, len(data), comb(4, 2)]

class Annotated(Node):
    def process(self, data: ndarray | None) -> ndarray:
        return [sys.implementation.name, data]

@dataclass
class Chunk:
    data: list[ndarray]
    last: Optional[ndarray] = None

class Chunks(Node):
    def process(self, data):
        return [sys.implementation.name, len(Chunk(data).data)]

class Rooted(Node):
    def process(self, data):
        return [sys.implementation.name, float(sqrt(data[0]))]

class Helped(Node):
    def process(self, data):
        return [sys.implementation.name, mean_of(data)]

class Summed(Node):
    # numpy's own sum, not Python's: it adds up along an axis.
    def process(self, data):
        return [sys.implementation.name, sum([data, data], 0).tolist()]

class Looked(Node):
    def process(self, data):
        return [sys.implementation.name, float(eval("median")(data))]
"""
WANTED: dict[str, list[Any]] = {
    "Plain": ["rustpython", 2, 6],
    "Annotated": ["rustpython", [4, 9]],
    "Chunks": ["rustpython", 2],
    "Rooted": ["cpython", 2.0],
    "Helped": ["cpython", 6.5],
    "Summed": ["cpython", [8, 18]],
    "Looked": ["cpython", 6.5],
}
PACKAGE = {
    "__init__.py": "from .nodes import *\nfrom .further import *\n",
    "nodes.py": NODES,
    "further.py": """
from . import nodes
from .nodes import *
from .nodes import cumsum as running

class Further(Node):
    def process(self, data):
        return [sys.implementation.name, len(data)]

class Floored(Node):
    def process(self, data):
        return [sys.implementation.name, float(clip(data, 0, 5)[1])]

class Attributed(Node):
    def process(self, data):
        return [sys.implementation.name, nodes.diff(data).tolist()]

class Named(Node):
    def process(self, data):
        return [sys.implementation.name, running(data).tolist()]
""",
}
FURTHER: dict[str, list[Any]] = {
    "Further": ["rustpython", 2],
    "Floored": ["cpython", 5.0],
    "Attributed": ["cpython", [5]],
    "Named": ["cpython", [4, 13]],
}
SCRIPT = """
import numpy as np
import numpy.typing as npt
from typing import TypeVar

KIND = np.float32

Floats = npt.NDArray[np.float32]

T = TypeVar("T", bound=np.ndarray)

class Aliased(Node):
    def process(self, data: Floats, *rest: T) -> dict[str, Floats]:
        return [sys.implementation.name, data]

class Typed(Node):
    def process(self, data):
        return [sys.implementation.name, KIND.__name__]

class Holds(Node):
    def __init__(self):
        super().__init__()
        self.kind = KIND

    def process(self, data):
        return [sys.implementation.name, self.kind.__name__]

if __name__ == "__main__":
    import json
    from remotemedia import Pipeline, Runtime

    given = []
    for chain in json.loads(sys.argv[1]):
        nodes = [globals()[name]() for name in chain]
        pipeline = Pipeline(*nodes, runtime=Runtime())
        out = pipeline.run_sync([[4, 9]], runtime="rustpython")
        given.append([out, [at.runtime for at in pipeline.explain(runtime="rustpython")]])
    print(json.dumps(given))
"""


def _check(kind: Any, wanted: list[Any]) -> None:
    pipeline = Pipeline(kind(), runtime=Runtime())
    assert pipeline.run_sync([[4, 9]], runtime="rustpython") == wanted
    (told,) = pipeline.explain(runtime="rustpython")
    assert told.runtime == wanted[0]
    assert ("'numpy' is a C extension" in told.why) == (wanted[0] == "cpython")
    if wanted[0] == "rustpython":
        assert pipeline.run_sync([[4, 9]], runtime="rustpython", fallback=False) == wanted


@pytest.mark.parametrize(("name", "wanted"), WANTED.items())
def test_a_star_moves_who_uses_what_it_brings(
    name: str, wanted: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-28, IOP-39
    (tmp_path / "starred_nodes.py").write_text(NODES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "starred_nodes", raising=False)
    _check(getattr(importlib.import_module("starred_nodes"), name), wanted)


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_star_moves_who_uses_it_by_way_of_other_modules(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-26, IOP-28, IOP-39
    root = tmp_path / "starred_package"
    if form == "archive":
        root = tmp_path / "all.zip"
        with zipfile.ZipFile(root, "w") as archive:
            for name, text in PACKAGE.items():
                archive.writestr(f"starred_package/{name}", text)
        monkeypatch.syspath_prepend(str(root))
    else:
        root.mkdir()
        for name, text in PACKAGE.items():
            (root / name).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("starred_package")]:
        monkeypatch.delitem(sys.modules, name)
    package = importlib.import_module("starred_package")
    for name, wanted in {**FURTHER, "Plain": WANTED["Plain"], "Rooted": WANTED["Rooted"]}.items():
        _check(getattr(package, name), wanted)


def test_of_a_script_each_node_runs_where_it_can(tmp_path: Path) -> None:
    # spec: IOP-37, IOP-39
    (tmp_path / "script.py").write_text(f"{NODES}{SCRIPT}")
    # Nobody can tell that `Looked` needs a name which is in no code but in a text.
    alone = [[name] for name in WANTED if name != "Looked"]
    chains = [*alone, ["Aliased"], ["Rooted", "Plain"], ["Typed", "Plain"], ["Plain", "Holds"]]
    done = subprocess.run(
        [sys.executable, "script.py", json.dumps(chains)],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout.splitlines()[-1])
    assert given[: len(alone)] == [[WANTED[name], [WANTED[name][0]]] for (name,) in alone]
    assert given[len(alone) :] == [
        [["rustpython", [4, 9]], ["rustpython"]],
        [["rustpython", 2, 6], ["cpython", "rustpython"]],
        [["rustpython", 2, 6], ["cpython", "rustpython"]],
        [["cpython", "float32"], ["rustpython", "cpython"]],
    ]


def test_what_a_package_says_of_itself_comes_after_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-28
    (tmp_path / "starred_told.py").write_text(NODES)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("starred_told")
    with pytest.raises(NodeError) as caught:
        Pipeline(module.Rooted()).run_sync([[4, 9]], runtime="rustpython", fallback=False)
    first = str(caught.value).splitlines()[0]
    for part in ("Rooted_0", "numpy needs a C extension", 'runtime_hint="cpython"'):
        assert part in first, caught.value

"""`remotemedia compat`: the tables, and the verdicts on one's own nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from places import REPOSITORY
from remotemedia import WorkerStartError
from remotemedia._load import native
from remotemedia.compat.page import page

NODES = """
from __future__ import annotations

import ctypes
import json
import os

import numpy as np
import yaml
from remotemedia import Node
from remotemedia.core import Node as Base

try:
    import orjson
except ImportError:
    orjson = None

TABLE = {"a": json.dumps(1)}


def helper(x):
    return np.abs(x)


class Pure(Node):
    def process(self, x: np.ndarray):
        return x, TABLE


class Loud(Pure):
    def process(self, x):
        return helper(x)


class Stored(Base):
    def process(self, x):
        import sqlite3

        return sqlite3.connect(":memory:")


class Guarded(Node):
    def process(self, x):
        return orjson.dumps(x) if orjson else yaml.safe_dump(x)


class Unsafe(Node):
    def process(self, x):
        return ctypes.c_int(x)


class Pinned(Node):
    def process(self, x):
        return os.sched_getaffinity(0)


class Misspelt(Node):
    def process(self, x):
        import numpi

        return numpi


class NoNode:
    pass
"""


def _compat(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remotemedia", "compat", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def _verdicts(*arguments: str | Path) -> dict[str, Any]:
    done = _compat(*arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    return {entry["node"]: entry for entry in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("compat") / "my_nodes.py"
    file.write_text(NODES, encoding="utf-8")
    return _verdicts(file)


def _lack(verdict: dict[str, Any]) -> tuple[str, str]:
    (lack,) = verdict["lacks"]
    return lack["module"], lack["reason"]


def test_the_nodes_of_a_file_are_found(verdicts: dict[str, Any]) -> None:
    names = ["Pure", "Loud", "Stored", "Guarded", "Unsafe", "Pinned", "Misspelt"]
    assert list(verdicts) == names


def test_an_import_that_a_node_does_not_use_does_not_count(verdicts: dict[str, Any]) -> None:
    # spec: IOP-38, IOP-39
    assert verdicts["Pure"]["rustpython"]
    assert verdicts["Pure"]["cpython"]
    assert "numpy" in verdicts["Pure"]["does_not_use"]
    assert "json" in verdicts["Pure"]["uses"]


def test_what_a_helper_uses_counts_for_the_node(verdicts: dict[str, Any]) -> None:
    # spec: IOP-38, IOP-39
    assert not verdicts["Loud"]["rustpython"]
    assert _lack(verdicts["Loud"]) == ("numpy", "c_extension")
    assert "cpython" in verdicts["Loud"]["lacks"][0]["suggestion"]


def test_every_reason_is_told(verdicts: dict[str, Any]) -> None:
    # spec: IOP-28, IOP-38
    assert _lack(verdicts["Stored"]) == ("sqlite3", "stdlib_missing")
    assert _lack(verdicts["Unsafe"]) == ("ctypes", "blocked")
    assert _lack(verdicts["Misspelt"]) == ("numpi", "not_installed")
    assert "numpy" in verdicts["Misspelt"]["lacks"][0]["suggestion"]
    assert "numpi" in verdicts["Misspelt"]["cpython_error"]
    assert verdicts["Pinned"]["rustpython"]
    assert "os.sched_getaffinity" in verdicts["Pinned"]["notes"][0]


def test_a_guarded_import_is_no_reason(verdicts: dict[str, Any]) -> None:
    assert verdicts["Guarded"]["rustpython"]
    assert [lack["module"] for lack in verdicts["Guarded"]["can_do_without"]] == ["orjson"]


def test_the_exit_code_says_whether_all_would_run(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(
        "from remotemedia import Node\nclass A(Node):\n    def process(self, x): return x\n"
    )
    done = _compat(good)
    assert (done.returncode, done.stderr) == (0, "")
    assert "A: RustPython or CPython" in done.stdout
    assert "1 of 1 nodes would run on RustPython" in done.stdout
    bad = tmp_path / "bad.py"
    bad.write_text(f"{good.read_text()}    import sqlite3 as s\n    s\n")
    done = _compat(good, bad)
    assert done.returncode == 1
    assert "A: CPython\n    sqlite3 (stdlib_missing): " in done.stdout


def test_a_package_is_looked_through(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sub" / "__init__.py").write_text("FACTOR = 2\n")
    (package / "base.py").write_text(
        "from remotemedia import Node\nclass Own(Node):\n    def process(self, x): return x\n"
    )
    (package / "deep.py").write_text(
        "from .base import Own\nfrom .sub import FACTOR\nimport numpy\n"
        "class A(Own):\n    def process(self, x): return x * FACTOR\n"
        "class B(Own):\n    def process(self, x): return numpy.abs(x)\n"
    )
    found = _verdicts(package)
    assert {name: v["rustpython"] for name, v in found.items()} == {
        "Own": True,
        "A": True,
        "B": False,
    }


def test_a_script_is_not_run(tmp_path: Path) -> None:
    """Its nodes are loaded with what they need; the rest of it would open windows and send mail."""
    marker = tmp_path / "marker"
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\nfrom remotemedia import Node\nSCALE = 2\n"
        f"pathlib.Path({str(marker)!r}).write_text('run')\n"
        "class A(Node):\n    def process(self, x): return x * SCALE\n"
        "if __name__ == '__main__':\n    raise SystemExit(5)\n"
    )
    assert _verdicts(script)["A"]["rustpython"]
    assert not marker.exists()


def test_what_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.py", tmp_path / "broken.py"
    empty.write_text("x = 1\n")
    broken.write_text("x = = 1\n")
    for path, told in ((empty, "no class"), (broken, "syntax"), (tmp_path / "gone.py", "No such")):
        done = _compat(path)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    done = _compat(broken, REMOTEMEDIA_RUSTPYTHON=str(tmp_path / "not_there"))
    assert done.returncode == 3
    assert "pip install" in done.stderr


def test_every_file_is_looked_at_whatever_the_others_are(tmp_path: Path) -> None:
    # spec: IOP-38
    text = "from remotemedia import *\nclass A(Node):\n    def process(self, x): return x\n"
    files = {"first": text, "empty": "x = 1\n", "broken": "x = = 1\n", "last": text}
    paths = [tmp_path / f"{name}.py" for name in files]
    for path in paths:
        path.write_text(files[path.stem])
    done = _compat(*paths)
    assert done.returncode == 2
    for part in ("empty.py: holds no class", "broken.py: invalid syntax"):
        assert part in done.stderr
    for name in ("first", "last"):
        assert f"{name}.py:2: A: RustPython or CPython" in done.stdout
    found = json.loads(_compat(*paths, "--json").stdout)
    assert [(Path(v["file"]).stem, v["node"]) for v in found] == [("first", "A"), ("last", "A")]
    assert _compat(paths[0], paths[1]).returncode == 0
    done = _compat(tmp_path)
    assert (done.returncode, done.stdout.count(": A: RustPython")) == (2, 2)


def test_names_of_modules_that_are_there_in_part_are_followed(tmp_path: Path) -> None:
    # spec: IOP-28, IOP-38
    file = tmp_path / "parts.py"
    file.write_text(
        "import concurrent.futures\nimport multiprocessing as mp\n"
        "from multiprocessing import Pool, cpu_count\nfrom os import sched_getaffinity\n"
        "from surely_not_here import *\nfrom remotemedia import Node\n"
        "class Pools(Node):\n    def process(self, x): return Pool(2).map(abs, x)\n"
        "class Starts(Node):\n    def process(self, x): return mp.Process(target=x)\n"
        "class Submits(Node):\n"
        "    def process(self, x): return concurrent.futures.ProcessPoolExecutor()\n"
        "class Pinned(Node):\n    def process(self, x): return sched_getaffinity(x)\n"
        "class Counts(Node):\n    def process(self, x): return cpu_count()\n"
        "class Stars(Node):\n    def process(self, x): return window(abs(x))\n"
    )
    found = _verdicts(file)
    lacks = {n: {x["module"]: x["reason"] for x in v["lacks"]} for n, v in found.items()}
    assert lacks == {
        "Pools": {"multiprocessing.Pool": "blocked"},
        "Starts": {"multiprocessing.Process": "blocked"},
        "Submits": {"concurrent.futures.ProcessPoolExecutor": "blocked"},
        "Pinned": {"os": "unsupported"},
        "Counts": {},
        "Stars": {"surely_not_here": "not_installed"},
    }


def test_a_star_counts_for_who_uses_what_it_brings(tmp_path: Path) -> None:
    # spec: IOP-38, IOP-39
    file = tmp_path / "stars.py"
    file.write_text(
        "from math import *\nfrom numpy import *\nfrom json import *\n"
        "from remotemedia import Node\n"
        "def own(x): return zeros(x)\n"
        "class Plain(Node):\n    def process(self, x): return len(dumps(x))\n"
        "class Comb(Node):\n    def process(self, x): return comb(x, 2)\n"
        "class Sqrt(Node):\n    def process(self, x): return sqrt(x)\n"
        "class Sum(Node):\n    def process(self, x): return sum(x)\n"
        "class Own(Node):\n    def process(self, x): return own(x)\n"
        "class Unknown(Node):\n    def process(self, x): return nowhere_to_be_seen(x)\n"
    )
    lacks = {n: [x["module"] for x in v["lacks"]] for n, v in _verdicts(file).items()}
    assert lacks == {
        "Plain": [],
        "Comb": [],
        "Sqrt": ["numpy"],
        "Sum": ["numpy"],
        "Own": ["numpy"],
        "Unknown": ["numpy"],
    }


def test_a_reader_that_has_enough_is_no_error() -> None:
    # spec: IOP-38
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        command = [sys.executable, "-m", "remotemedia", "compat", "--json"]
        done = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (128 + 13, b"")


def test_rustpython_is_found_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "remotemedia-rustpython"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    find, elsewhere = native().find_rustpython, tmp_path / "elsewhere"
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("REMOTEMEDIA_RUSTPYTHON", str(program))
    assert find(str(elsewhere / "python")) == str(program)
    monkeypatch.delenv("REMOTEMEDIA_RUSTPYTHON")
    assert find(str(tmp_path / "python")) == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(str(elsewhere / "python")) == str(program)
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(WorkerStartError, match=r"pip install ./worker-shim.*elsewhere"):
        find(str(elsewhere / "python"))


def test_the_tables_are_shown() -> None:
    # spec: IOP-29, IOP-38
    done = _compat("--json")
    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["sqlite3"]["rustpython"] == "missing"
    text = _compat().stdout
    assert len(text.splitlines()) == len(rows) + 1
    assert "compat" in _compat("--help").stdout
    listed = subprocess.run(
        [sys.executable, "-m", "remotemedia", "--help"], capture_output=True, text=True, check=True
    )
    assert "\n  compat " in listed.stdout


def test_the_page_is_current() -> None:
    # spec: IOP-29, IOP-38
    written = (REPOSITORY / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert written == page(), "docs/compatibility.md is out of date: run `make compatibility`"
    assert "| `sqlite3` | works | missing | built without SQLite |" in written


def test_what_helpers_in_other_files_use_counts(tmp_path: Path) -> None:
    # spec: IOP-38, IOP-39
    package = tmp_path / "own_package"
    package.mkdir()
    files = {
        "__init__.py": "from .dsp import *\n",
        "stars.py": "from numpy import *\nfrom .consts import *\n",
        "consts.py": "RATE = 16000\n",
        "dsp.py": (
            "import numpy as np\nfrom .consts import RATE\n"
            "def rms(x): return float(np.sqrt(np.mean(np.square(x))))\n"
            "def same(x): return x, RATE\n"
        ),
        "base.py": (
            "import numpy as np\nfrom remotemedia import Node\n"
            "class BaseNode(Node):\n    def process(self, x): return np.abs(x)\n"
        ),
        "nodes.py": (
            "import own_package.dsp\nfrom remotemedia import Node\nfrom . import dsp\n"
            "from .base import BaseNode\nfrom .dsp import rms, same as alike\n"
            "from .stars import *\n"
            "class Named(Node):\n    def process(self, x): return rms(x)\n"
            "class Alike(Node):\n    def process(self, x): return alike(x)\n"
            "class Dotted(Node):\n    def process(self, x): return dsp.rms(x)\n"
            "class Same(Node):\n    def process(self, x): return dsp.same(x)\n"
            "class Whole(Node):\n    def process(self, x): return own_package.dsp.rms(x)\n"
            "class Passed(Node):\n    def process(self, x): return own_package.rms(x)\n"
            "class Within(Node):\n    def process(self, x):\n"
            "        from .dsp import rms as root\n        return root(x)\n"
            "class Within2(Node):\n    def process(self, x):\n"
            "        from .dsp import same\n        return same(x)\n"
            "class Star(Node):\n    def process(self, x): return sqrt(x)\n"
            "class Rate(Node):\n    def process(self, x): return x * RATE\n"
            "class Child(BaseNode):\n    pass\n"
        ),
    }
    for name, text in files.items():
        (package / name).write_text(text)
    lacks = {n: [x["module"] for x in v["lacks"]] for n, v in _verdicts(package).items()}
    on_rustpython = ["Alike", "Same", "Within2", "Rate"]
    assert [name for name, several in lacks.items() if several == []] == on_rustpython
    assert {m for several in lacks.values() for m in several} == {"numpy"}

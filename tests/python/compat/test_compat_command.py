"""`remotemedia compat`: the verdicts on the nodes of files and packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remotemedia import WorkerStartError
from remotemedia._load import native

pytestmark = pytest.mark.rustpython

PURE = "from remotemedia import Node\nclass A(Node):\n    def process(self, x): return x\n"
REASONS = {
    "c_extension": "import numpy\n",
    "stdlib_missing": "import sqlite3\n",
    "blocked": "import ctypes\n",
    "not_installed": "import numpi\n",
}


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


def _works(verdicts: dict[str, Any]) -> dict[str, tuple[bool, bool]]:
    return {n: (v["cpython"]["works"], v["rustpython"]["works"]) for n, v in verdicts.items()}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The verdicts on a package with a module for each reason, whose node needs the import."""
    folder = tmp_path_factory.mktemp("compat") / "mine"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "sub" / "__init__.py").write_text("FACTOR = 2\n")
    (folder / "base.py").write_text(
        "from remotemedia import Node\nclass Own(Node):\n    def process(self, x): return x\n"
        "class Plain:\n    def process(self, x): return x\n"
        "class Error(Exception): pass\nclass NoNode: pass\n"
    )
    (folder / "deep.py").write_text(
        "from .base import Own\nfrom .sub import FACTOR\nclass Child(Own):\n    factor = FACTOR\n"
    )
    for reason, statement in REASONS.items():
        name = statement.split()[1]
        (folder / f"{reason}.py").write_text(
            f"{statement}from remotemedia import Node\n"
            f"class {reason.title()}(Node):\n    uses = {name}\n"
            "    def process(self, x): return x\n"
        )
    (folder / "broken_at_load.py").write_text(f"{PURE.replace('A(', 'Broken(')}1 / 0\n")
    (folder / "dies.py").write_text(
        f"import os, sys\n{PURE.replace('A(', 'Dies(')}"
        "    kept = sys.implementation.name == 'cpython' or os._exit(7)\n"
    )
    return _verdicts(folder)


def test_the_nodes_of_a_package_are_found(package: dict[str, Any]) -> None:
    # spec: IOP-38
    both = (True, True)
    works = _works(package)
    assert {name: works[name] for name in ("Own", "Plain", "Child")} == dict.fromkeys(
        ("Own", "Plain", "Child"), both
    )
    assert not {"NoNode", "Error"} & set(works)
    assert package["Child"]["line"] == 3
    assert Path(package["Child"]["file"]).name == "deep.py"


def test_each_reason_is_shown_with_what_to_do(package: dict[str, Any]) -> None:
    # spec: IOP-28, IOP-38, IOP-39
    for reason, statement in REASONS.items():
        verdict = package[reason.title()]
        shown = verdict["rustpython"]
        assert not shown["works"]
        assert (shown["module"], shown["reason"]) == (statement.split()[1], reason)
        assert shown["advice"]
        assert verdict["cpython"]["works"] == (reason != "not_installed")
    assert 'runtime_hint="cpython"' in package["C_Extension"]["rustpython"]["advice"]
    assert "numpy" in package["Not_Installed"]["cpython"]["advice"]


def test_a_module_that_fails_fails_alone(package: dict[str, Any]) -> None:
    # spec: IOP-38
    works = _works(package)
    assert works["Broken"] == (True, True), "a script: what it does beside its classes is not run"
    assert works["Dies"] == (True, False)
    assert "code 7" in package["Dies"]["rustpython"]["error"]


def test_the_exit_code_says_whether_all_work(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(PURE)
    done = _compat(good)
    assert (done.returncode, done.stderr) == (0, "")
    assert "A: works on CPython and RustPython" in done.stdout
    assert "1 of 1 nodes work on RustPython" in done.stdout
    bad.write_text(f"import sqlite3\n{PURE.replace('A(', 'B(')}    uses = sqlite3\n")
    done = _compat(good, bad)
    assert done.returncode == 1
    assert "B: works on CPython\n    not on RustPython: sqlite3 (stdlib_missing)\n" in done.stdout
    assert "what to do: it has no SQLite" in done.stdout


def test_a_script_is_not_run(tmp_path: Path) -> None:
    """Its nodes are loaded with what they need, whatever else the script imports and does."""
    # spec: IOP-38, IOP-39
    marker = tmp_path / "marker"
    script = tmp_path / "script.py"
    script.write_text(
        "from __future__ import annotations\n"
        "import pathlib\nimport numpy as np\nfrom remotemedia import Node\nSCALE = 2\n"
        f"pathlib.Path({str(marker)!r}).write_text('run')\n"
        "def scaled(x): return x * SCALE\n"
        "class A(Node):\n    def process(self, x: np.ndarray): return scaled(x)\n"
        "def peak(x): return np.max(x)\n"
        "class B(A):\n    def process(self, x): return peak(x)\n"
        "if __name__ == '__main__':\n    raise SystemExit(5)\n"
    )
    found = _verdicts(script)
    assert _works(found) == {"A": (True, True), "B": (True, False)}
    assert found["B"]["rustpython"]["module"] == "numpy"
    assert not marker.exists()


def test_a_path_without_nodes_is_an_error(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.py", tmp_path / "broken.py"
    empty.write_text("x = 1\n")
    broken.write_text("x = = 1\n")
    for path, text in ((empty, "no class"), (broken, "syntax"), (tmp_path / "gone.py", "No such")):
        done = _compat(path)
        assert done.returncode == 2
        assert text in done.stderr
        assert "Traceback" not in done.stderr
    done = _compat(broken, REMOTEMEDIA_RUSTPYTHON=str(tmp_path / "not_there"))
    assert done.returncode == 3
    assert "pip install" in done.stderr


def test_a_broken_file_does_not_stop_the_others(tmp_path: Path) -> None:
    # spec: IOP-38
    text = "from remotemedia import *\nclass A(Node):\n    def process(self, x): return x\n"
    files = {"first": text, "empty": "x = 1\n", "broken": "x = = 1\n", "last": text}
    paths = [tmp_path / f"{name}.py" for name in files]
    for path in paths:
        path.write_text(files[path.stem])
    done = _compat(*paths)
    assert done.returncode == 2
    for part in ("empty.py: contains no class", "broken.py: invalid syntax"):
        assert part in done.stderr
    for name in ("first", "last"):
        assert f"{name}.py:2: A: works on CPython and RustPython" in done.stdout
    done = _compat(tmp_path, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 2
    assert [(Path(v["file"]).stem, v["node"]) for v in found] == [("first", "A"), ("last", "A")]


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    # spec: IOP-38
    file = tmp_path / "good.py"
    file.write_text(PURE)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        command = [sys.executable, "-m", "remotemedia", "compat", str(file), "--json"]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
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


def test_the_help_lists_the_command() -> None:
    # spec: IOP-38
    assert "with CPython and RustPython" in " ".join(_compat("--help").stdout.split())
    listed = subprocess.run(
        [sys.executable, "-m", "remotemedia", "--help"], capture_output=True, text=True, check=True
    )
    assert "\n  compat " in listed.stdout

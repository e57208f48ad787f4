"""What one process finds RustPython unable to run, the next one knows: two real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HELPER = """
import numpy as np
def total():
    return int(np.arange(4).sum())
"""
SCRIPT = """
import json
import logging
import sys
from remotemedia import Node, Pipeline, Runtime
import helper

class Sums(Node):
    def process(self, data):
        return [sys.implementation.name, helper.total()]

class Missing(Node):
    def process(self, data):
        import not_installed_yet
        return [sys.implementation.name]

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
with Runtime() as runtime:
    wanted = {"Sums": Sums, "Missing": Missing}[sys.argv[1]]
    pipeline = Pipeline(wanted(), runtime=runtime)
    if "forget" in sys.argv:
        pipeline.forget_fallbacks()
    (before,) = pipeline.explain(runtime="rustpython")
    try:
        out = pipeline.run([[]], runtime="rustpython")
    except Exception as error:
        out = [type(error).__name__]
    metrics = pipeline.get_metrics()
    print(json.dumps({
        "out": out,
        "why": before.why,
        "fallback": (metrics or {"nodes": [{"fallback": None}]})["nodes"][0]["fallback"],
        "tried": sorted(worker["runtime"] for worker in runtime.workers()),
    }))
"""

SERVICE = """
import sys
from remotemedia import Node, Pipeline, Runtime

class Sums(Node):
    def process(self, data):
        import numpy
        return sys.implementation.name

class Fails(Node):
    def process(self, data):
        if sys.implementation.name != "cpython":
            raise ValueError("not here")
        return sys.implementation.name

with Runtime(sys.stdin.readline().encode().decode("unicode_escape")) as runtime:
    for line in sys.stdin:
        pipeline = Pipeline(globals()[line.strip()](), runtime=runtime)
        (before,) = pipeline.explain(runtime="rustpython")
        try:
            out = pipeline.run_sync([0], runtime="rustpython")
        except Exception as error:
            out = type(error).__name__
        print(before.runtime, out, flush=True)
"""


class Service:
    """A process that runs pipelines as long as it is asked to."""

    def __init__(self, folder: Path, configuration: str = "") -> None:
        (folder / "service.py").write_text(SERVICE)
        self._process = subprocess.Popen(
            [sys.executable, "service.py"],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._say(configuration.replace("\n", "\\n"))

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def run(self, node: str) -> str:
        """Where the node was to run, and where it did."""
        assert self._process.stdout is not None
        self._say(node)
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text(HELPER)
    return tmp_path


def _run(folder: Path, *arguments: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "script.py", *arguments],
        cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "said": done.stderr}


def _remotemedia(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("remotemedia")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=200)


def test_the_second_process_does_not_try_again_until_it_is_told_to_forget(folder: Path) -> None:
    # spec: IOP-39
    first = _run(folder, "Sums")
    assert first["out"] == ["cpython", 6]
    assert "rustpython" in first["tried"]
    assert first["fallback"]["kind"] == "c_extension"
    assert first["fallback"]["decided_at"] is None

    second = _run(folder, "Sums")
    assert second["out"] == ["cpython", 6]
    assert second["tried"] == ["cpython"]
    assert second["fallback"]["kind"] == "c_extension"
    assert second["fallback"]["decided_at"] > 1_700_000_000
    for part in ("numpy", "an earlier run found that", "remotemedia forget"):
        assert part in second["why"]
    assert "not on RustPython" in second["said"]

    listed = json.loads(_remotemedia("decisions", "--json").stdout)
    assert [(entry["node"], entry["kind"]) for entry in listed] == [
        ("__main__:Sums", "c_extension")
    ]
    assert "__main__:Sums" in _remotemedia("decisions").stdout

    third = _run(folder, "Sums", "forget")
    assert "rustpython" in third["tried"]
    assert "earlier" not in third["why"]

    wrong = _remotemedia("forget", "__main__:Other")
    assert wrong.returncode == 2
    assert "remotemedia decisions" in wrong.stderr
    assert _remotemedia("forget", "__main__:Sums").stdout == "1 decision forgotten\n"
    assert _remotemedia("decisions").stdout == ""
    assert "rustpython" in _run(folder, "Sums")["tried"]
    assert _remotemedia("forget").stdout == "1 decision forgotten\n"
    assert "rustpython" in _run(folder, "Sums")["tried"]


def test_what_is_forgotten_reaches_a_process_that_runs(folder: Path, own_cache: Path) -> None:
    # spec: IOP-39
    with Service(folder) as service:
        assert service.run("Sums") == "rustpython cpython"
        assert service.run("Sums") == "cpython cpython"
        _remotemedia("forget", "__main__:Other")
        assert service.run("Sums") == "cpython cpython"
        assert _remotemedia("forget", "__main__:Sums").stdout == "1 decision forgotten\n"
        assert service.run("Sums") == "rustpython cpython", "it is tried anew"
        assert service.run("Sums") == "cpython cpython", "once"
        _remotemedia("forget")
        assert service.run("Sums") == "rustpython cpython"
        (own_cache / "decisions-v1.json").unlink()
        assert service.run("Sums") == "rustpython cpython"
        # What is in no file: it may have been the inputs.
        given = [service.run("Fails") for _ in range(4)]
        assert given == [*["rustpython NodeError"] * 2, "rustpython cpython", "cpython cpython"]
        _remotemedia("forget")
        assert service.run("Fails") == "rustpython NodeError"


def test_what_may_not_be_kept_holds_as_long_as_the_process(folder: Path) -> None:
    # spec: IOP-39
    with Service(folder, "[fallback]\nremember = false\n") as service:
        assert service.run("Sums") == "rustpython cpython"
        _remotemedia("forget")
        assert service.run("Sums") == "cpython cpython"


def test_code_that_was_mended_is_tried_again(folder: Path) -> None:
    # spec: IOP-39
    _run(folder, "Sums")
    (folder / "unrelated.py").write_text("")
    assert _run(folder, "Sums")["tried"] == ["cpython"]
    (folder / "helper.py").write_text("def total():\n    return 6\n")
    mended = _run(folder, "Sums")
    assert mended["out"] == ["rustpython", 6]
    assert mended["fallback"] is None


def test_a_package_that_is_not_installed_is_looked_for_again(folder: Path) -> None:
    # spec: IOP-39
    assert _run(folder, "Missing")["out"] != ["rustpython"]
    (folder / "not_installed_yet.py").write_text("")
    assert _run(folder, "Missing")["out"] == ["rustpython"]


@pytest.mark.parametrize("off", ["configuration", "no place", "no right"])
def test_nothing_is_remembered_where_nothing_may_be(
    folder: Path, off: str, own_cache: Path
) -> None:
    # spec: IOP-39
    environment: dict[str, str] = {}
    if off == "configuration":
        config = folder / "runtime.toml"
        config.write_text("[fallback]\nremember = false\n")
        environment["REMOTEMEDIA_CONFIG"] = str(config)
    elif off == "no place":
        (folder / "file").write_text("")
        environment["REMOTEMEDIA_CACHE"] = str(folder / "file")
    else:
        environment["REMOTEMEDIA_CACHE"] = (
            "/proc/remotemedia"  # not even root may make a folder there
        )
    for _ in range(2):
        done = _run(folder, "Sums", **environment)
        assert done["out"] == ["cpython", 6]
        assert "rustpython" in done["tried"]
        # The run that could not keep it says so itself: there may be no other.
        assert done["said"].count("cannot be written") == (off == "no right")
    assert list(own_cache.iterdir()) == []


def test_a_file_that_is_broken_is_told_once_and_work_goes_on(folder: Path, own_cache: Path) -> None:
    # spec: IOP-39
    file = own_cache / "decisions-v1.json"
    file.write_text("not ours")
    done = _run(folder, "Sums")
    assert done["out"] == ["cpython", 6]
    assert done["said"].count(str(file)) == 1
    assert _run(folder, "Sums")["tried"] == ["cpython"]

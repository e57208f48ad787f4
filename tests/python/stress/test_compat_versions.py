"""A caller on one version of CPython, with workers on the others that are installed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from interpreters import other_pythons
from places import FIXTURES
from remotemedia import NodeError, Pipeline, Runtime
from version_nodes import Doubled, Failing, Version

pytestmark = pytest.mark.stress
OTHERS = other_pythons()
OWN = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
NUMPYS = {"1.26.4": 12, np.__version__: 99}
"""The oldest numpy that the package takes, and that of the tests; the last Python of each."""
PACKAGE = Path(remotemedia.__file__).parent

SCRIPT = """
import sys
from remotemedia import Node, Pipeline, Runtime

SCALE = 3


def scaled(x):
    return x * SCALE


class Mine(Node):
    def process(self, x):
        return scaled(x), list(sys.version_info[:2])


with Runtime(f'[python]\\nexecutable = "{sys.argv[1]}"\\n') as runtime:
    print(Pipeline([Mine()], runtime=runtime).run(7))
"""


def _version(program: str) -> str:
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _config(program: str) -> str:
    return f'[python]\nexecutable = "{program}"\n'


def _environment_of(python: str, folder: Path) -> str:
    made = [python, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(made, check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "remotemedia").symlink_to(PACKAGE)
    return str(folder / "bin" / "python")


@pytest.fixture(params=OTHERS)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A virtual environment of another Python with this package and nothing else."""
    return _environment_of(request.param, tmp_path / "environment")


def test_there_is_another_version() -> None:
    """Where one Python alone is installed the tests below would say nothing."""
    assert len(OTHERS) >= 1


def test_a_pool_may_use_another_python(environment: str) -> None:
    node = Version(start=5)
    with Runtime(_config(environment)) as runtime:
        pipeline = Pipeline([node, Doubled()], runtime=runtime)
        assert _version(environment) != _version(sys.executable)
        told = pipeline.run(["a", {"k": [1, 2.5, None]}][:1])
        version = _version(environment)
        assert told == [(version, 6, "a"), (version, 6, "a") * 2]
    # State comes back over the versions.
    assert node.count == 6


def test_nodes_of_a_script_run_on_another_python(environment: str, tmp_path: Path) -> None:
    """They travel as source: bytecode of one version ends the process of another."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), environment], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    major, minor = _version(environment).split(".")
    assert done.stdout.strip() == f"(21, [{major}, {minor}])"


def test_errors_come_back_with_their_traceback(environment: str) -> None:
    with (
        Runtime(_config(environment)) as runtime,
        pytest.raises(NodeError) as caught,
    ):
        Pipeline([Failing()], runtime=runtime).run(0)
    assert caught.value.remote_type == "ZeroDivisionError"
    assert "return 1 / data" in (caught.value.remote_traceback or "")


def _environment_with(python: str, numpy: str, folder: Path) -> str | None:
    """An environment with this package and a numpy; None where there is no such numpy for it."""
    if int(_version(python).split(".")[1]) > NUMPYS[numpy]:
        return None
    program = _environment_of(python, folder)
    cloudpickle = f"cloudpickle=={importlib.metadata.version('cloudpickle')}"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wanted = ["install", "--only-binary", ":all:", f"numpy=={numpy}", cloudpickle]
    subprocess.run([*pip, "--python", program, *wanted], check=True)
    return program


CALLER = """
import json, sys
import numpy as np
import remotemedia
from remotemedia import Pipeline, Runtime
from version_nodes import Views

array = np.arange(100_000, dtype=np.float32).reshape(2, -1)
shared = remotemedia.asarray_shared(array)
told = []
with Runtime(f'[python]\\nexecutable = "{sys.argv[1]}"\\n') as runtime:
    pipeline = Pipeline([Views()], runtime=runtime)
    with pipeline.session() as session:
        for item in (array, array, shared):
            (output,) = session.process(item)
            *says, half = output
            told.append([*says, half.base.is_shared, bool((half == array * 0.5).all())])
hops = pipeline.get_metrics()["nodes"][0]["hops"]
print(json.dumps([told, [hops["in"]["copies"], hops["out"]["copies"]]]))
"""


@pytest.mark.parametrize("numpy", NUMPYS)
def test_arrays_are_not_copied_whatever_python_and_numpy(numpy: str, tmp_path: Path) -> None:
    """The caller and the worker have other versions than each other, and the same.

    spec: CARD-05, NRA-14
    """
    script = tmp_path / "caller.py"
    script.write_text(CALLER, encoding="utf-8")

    def copies(caller: str, worker: str) -> Any:
        nodes = str(FIXTURES)
        done = subprocess.run(
            [caller, str(script), worker],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": nodes},
        )
        assert done.returncode == 0, done.stderr
        told, copies = json.loads(done.stdout)
        assert told == [[numpy, "Block", "remotemedia", True, True]] * 3
        return copies

    tried = 0
    for number, python in enumerate([OWN, *OTHERS]):
        program = _environment_with(python, numpy, tmp_path / str(number))
        if program is None:
            continue
        # Two ordinary arrays into shared memory, and nothing else.
        assert copies(sys.executable, program) == [2, 0]
        assert copies(program, program) == [2, 0]
        tried += 1
    assert tried >= 1

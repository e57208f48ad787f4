"""A caller on one version of CPython, with workers on the others that are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interpreters import environment_of, other_pythons, version_of
from remotemedia import NodeError, Pipeline, Runtime
from version_nodes import Doubled, Failing, Version

OTHERS = other_pythons()

SCRIPT = """
import sys
from remotemedia import Node, Pipeline, Runtime

SCALE = 3


def scaled(x):
    return x * SCALE


class Mine(Node):
    def process(self, x):
        return scaled(x), list(sys.version_info[:2])


with Runtime(f'[python]\\ninterpreter = "{sys.argv[1]}"\\n') as runtime:
    print(Pipeline([Mine()], runtime=runtime).run(7))
"""


def _config(program: str) -> str:
    return f'[python]\ninterpreter = "{program}"\n'


@pytest.fixture(params=OTHERS)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A virtual environment of another Python with this package and nothing else."""
    return environment_of(request.param, tmp_path / "environment")


def test_there_is_another_version() -> None:
    """Where one Python alone is installed the tests below would say nothing."""
    assert len(OTHERS) >= 1


def test_a_pool_may_use_another_python(environment: str) -> None:
    node = Version(start=5)
    with Runtime(_config(environment)) as runtime:
        pipeline = Pipeline([node, Doubled()], runtime=runtime)
        assert version_of(environment) != version_of(sys.executable)
        told = pipeline.run(["a", {"k": [1, 2.5, None]}][:1])
        version = version_of(environment)
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
    major, minor = version_of(environment).split(".")
    assert done.stdout.strip() == f"(21, [{major}, {minor}])"


def test_errors_come_back_with_their_traceback(environment: str) -> None:
    with (
        Runtime(_config(environment)) as runtime,
        pytest.raises(NodeError) as caught,
    ):
        Pipeline([Failing()], runtime=runtime).run(0)
    assert caught.value.remote_type == "ZeroDivisionError"
    assert "return 1 / data" in (caught.value.remote_traceback or "")

"""Callers in an unusual state: closed standard streams, another user than at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from places import FIXTURES

INTERPRETERS = ["cpython", "rustpython"]
PROGRAM = """
import os, sys
sys.path.insert(0, {fixtures!r})
from remotemedia import Pipeline, Runtime, WorkerCrashed
from warm_nodes import Finds
settings = '[python]\\nruntime = "' + sys.argv[1] + '"\\n[fallback]\\nenabled = false\\n'
with open(sys.argv[2], "w") as found, Runtime(settings) as runtime:
    def run(statements):
        return Pipeline(Finds(), runtime=runtime).run(statements)
"""
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may change its user")


def found_by(statements: str, interpreter: str, folder: Path) -> str:
    """What a program of its own has written to its file `found`."""
    program = PROGRAM.format(fixtures=str(FIXTURES))
    program += "".join(f"    {line}\n" for line in statements.strip().splitlines())
    done = subprocess.run(
        [sys.executable, "-c", program, interpreter, str(folder / "found")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (folder / "found").read_text()


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("is_warm", [False, True])
def test_workers_start_though_the_caller_has_closed_its_streams(
    tmp_path: Path, interpreter: str, closed: tuple[int, ...], is_warm: bool
) -> None:
    """spec: CARD-02, CARD-08: what the workers get must not lie in the place of a stream."""
    statements = f"""
if {is_warm}: run("")
for stream in {closed}: os.close(stream)
for _ in range(3):
    try: run("os.kill(os.getpid(), 9)")
    except WorkerCrashed as error: found.write(error.signal + " ")
    found.write(str(run("print(1); found = 7")[1]) + " ")
"""
    assert found_by(statements, interpreter, tmp_path) == "SIGKILL 7 " * 3


@ROOT
@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_caller_that_changes_its_group_gets_workers_of_that_group(
    tmp_path: Path, interpreter: str
) -> None:
    """spec: CARD-02: nodes never have rights that their program has given up."""
    statements = """
look = "found = os.getegid(), os.getgid()"
found.write(f"{run(look)[1] == (os.getegid(), os.getgid())} ")
os.setgid(65534)
found.write(f"{run(look)[1]}")
"""
    assert found_by(statements, interpreter, tmp_path) == "True (65534, 65534)"


@ROOT
def test_a_home_that_the_user_may_not_enter_has_no_configuration(tmp_path: Path) -> None:
    """A program that changes its user keeps the variable HOME."""
    home = tmp_path / "home"
    (home / ".config" / "remotemedia").mkdir(parents=True)
    (home / ".config" / "remotemedia" / "config.toml").write_text("[workers]\nmax = 3\n")
    home.chmod(0o700)
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from remotemedia import AudioResampleNode, Pipeline, Runtime\n"
        "Runtime('')\n"
        "os.seteuid(65534)\n"
        "Runtime('')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(FIXTURES)],
        capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

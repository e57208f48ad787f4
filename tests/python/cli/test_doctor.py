"""`remotemedia doctor`: a finding a line, what to do, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interpreters import environment_of
from remotemedia.doctor.cgroups import Cgroups

pytestmark = pytest.mark.rustpython

COMMAND = [sys.executable, "-m", "remotemedia", "doctor"]
LOOKED_AT = {
    "version", "interpreter", "platform", "numpy", "cloudpickle", "RustPython", "configuration",
    "environment", "open files", "processes", "memory", "shared memory", "temporary files",
    "processors", "core dumps", "pidfd", "SIGCHLD", "cgroup v2", "pid namespaces", "/proc",
    "seccomp", "self-test on cpython",
}  # fmt: skip


def findings(*command: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit code and findings by name."""
    done = subprocess.run(
        [*(command or COMMAND), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    shown = json.loads(done.stdout)
    problems = [each for each in shown["findings"] if each["level"] == "problem"]
    assert (shown["problems"], done.returncode) == (len(problems), int(bool(problems)))
    return done.returncode, {each["name"]: each for each in shown["findings"]}


def test_a_machine_that_runs_the_tests_is_fit() -> None:
    code, found = findings()
    assert code == 0, [each for each in found.values() if each["level"] == "problem"]
    assert set(found) >= LOOKED_AT
    assert all(bool(each["advice"]) == (each["level"] != "ok") for each in found.values())
    assert "next result after" in found["self-test on cpython"]["text"]


def test_the_text_has_a_line_for_each_finding() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for name in LOOKED_AT:
        assert any(f"  {name}: " in line for line in lines), name
    assert lines[-1].endswith(" notes")
    assert " 0 problems" in lines[-1]
    notes = [number for number, line in enumerate(lines) if line.startswith("note ")]
    assert all("what to do: " in "".join(lines[number + 1 :]) for number in notes)


def test_a_wrong_configuration_is_a_problem(tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text("[workers]\nmaxx = 3\n")
    code, found = findings(REMOTEMEDIA_CONFIG=str(config))
    assert code == 1
    for text in (str(config), "maxx"):
        assert text in found["configuration"]["text"]


def test_variables_are_checked() -> None:
    code, found = findings(REMOTEMEDIA_PYTHON_RUNTIM="cpython")
    assert code == 0
    assert found["environment"]["level"] in ("note", "ok")
    text = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "REMOTEMEDIA_PYTHON_RUNTIM": "x",
            "REMOTEMEDIA_PYTHON_RUNTIME": "jython",
        },
    )
    assert text.returncode == 1
    assert "REMOTEMEDIA_PYTHON_RUNTIM is set and has no effect" in text.stdout
    assert "did you mean REMOTEMEDIA_PYTHON_RUNTIME?" in text.stdout
    assert "jython" in text.stdout


def test_few_open_files_are_a_problem() -> None:
    code, found = findings("sh", "-c", 'ulimit -n 100; exec "$0" "$@"', *COMMAND)
    assert code == 1
    assert found["open files"]["level"] == "problem"
    assert "ulimit -n" in found["open files"]["advice"]


def test_it_works_without_numpy(tmp_path: Path) -> None:
    python = environment_of(sys.executable, tmp_path / "bare")
    code, found = findings(python, "-m", "remotemedia", "doctor")
    assert code == 0
    assert found["numpy"]["level"] == "note"
    assert "pip install" in found["numpy"]["advice"]
    assert "numpy is missing" in found["self-test on cpython"]["text"]


# The package without its native module.
WITHOUT_NATIVE = """
import sys
sys.modules["remotemedia._native"] = None
from remotemedia.doctor.command import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_missing_native_module_is_a_problem() -> None:
    code, found = findings(sys.executable, "-c", WITHOUT_NATIVE)
    assert code == 1
    assert found["version"]["level"] == "problem"
    assert "pip install" in found["version"]["advice"]
    assert "self-test on cpython" not in found


def folder_of_proc(tmp_path: Path, mount: str, group: str) -> Path:
    """A folder like /proc, with one mount and the group of this process."""
    own = tmp_path / "proc" / "self"
    own.mkdir(parents=True)
    (own / "mountinfo").write_text(f"30 23 0:26 / {tmp_path}/cgroup rw - {mount}\n")
    (own / "cgroup").write_text(f"{group}\n")
    return own.parent


def test_limits_of_version_2_are_read(tmp_path: Path) -> None:
    group = tmp_path / "cgroup" / "app"
    group.mkdir(parents=True)
    numbers = {
        "memory.max": "1000",
        "memory.current": "400",
        "pids.max": "max",
        "cpu.max": "150000 100000",
        "cgroup.controllers": "cpu memory pids",
    }
    for name, number in numbers.items():
        (group / name).write_text(f"{number}\n")
    found = Cgroups(folder_of_proc(tmp_path, "cgroup2 cgroup rw", "0::/app"))
    assert (found.memory_left(), found.tasks_left()) == ((600, 1000), None)
    assert found.processors() == 1.5
    assert found.writable() == (group, ["cpu", "memory", "pids"])


def test_limits_of_version_1_are_read(tmp_path: Path) -> None:
    group = tmp_path / "cgroup" / "app"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1000\n")
    (group / "memory.usage_in_bytes").write_text("1500\n")
    found = Cgroups(folder_of_proc(tmp_path, "cgroup cgroup rw,memory", "4:memory:/app"))
    assert (found.memory_left(), found.tasks_left()) == ((0, 1000), None)
    assert (found.processors(), found.writable()) == (None, None)


def test_an_interrupted_matrix_leaves_nothing(tmp_path: Path) -> None:
    """spec: CARD-08: Ctrl-C removes the folder and ends the workers."""
    process = subprocess.Popen(
        [*COMMAND, "--chaos", "--runtime", "cpython", "--moment", "first"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    while process.poll() is None and not list(tmp_path.glob("*/cpython")):
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (128 + signal.SIGINT, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [["--moment", "never"], ["--runtime", "jython"], ["--what"]])
def test_unknown_arguments_name_the_known_ones(wrong: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, "--chaos", *wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert wrong[-1] in done.stderr


def test_a_closed_pipe_is_not_an_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([*COMMAND], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_the_help_lists_the_command() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "remotemedia", "--help"], capture_output=True, text=True, check=True
    )
    assert "\n  doctor " in listed.stdout

"""Databases that cannot be used for a while, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workflow_tasks as tasks
from databases import SCRIPT
from places import REPOSITORY
from processes import until
from remotemedia.workflows import DatabaseError, Run, Runner, Workflow, task
from workflow_tasks import notes

FROZEN = REPOSITORY / "tests" / "python" / "workflows" / "frozen"


def test_databases_of_released_schemas_open(tmp_path: Path) -> None:
    # spec: CLO-06
    found = sorted(FROZEN.glob("schema-*.db"))
    assert found, "no file was looked at"
    for file in found:
        copy = tmp_path / file.name
        shutil.copy(file, copy)
        with Runner(str(copy), workers=1) as runner:
            assert runner.get("done").result(60).checked().outputs["total"] == 30
            assert runner.get("begun").result(60).checked().outputs["total"] == 14
            assert runner.schedules() == ["nightly"]


def in_subprocess(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(Path(tasks.__file__).parent)!r})\n{code}"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


FULL = """
import resource, sys
import workflow_tasks as tasks
from remotemedia.workflows import DatabaseError, Runner, Workflow
runner = Runner(sys.argv[1], workers=1)
workflow = Workflow("w", [tasks.double])
assert runner.submit(workflow, {"number": "small"}).result(60).outputs["double"] == "smallsmall"
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
refused = None
for number in range(200):
    try:
        runner.submit(workflow, {"number": "x" * 20_000})
    except DatabaseError as error:
        refused = error
        break
assert refused is not None
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert runner.submit(workflow, {"number": "later"}, id="later").result(60).checked()
runner.close()
print(refused)
"""


def test_a_full_disk_refuses_new_runs_and_loses_none(tmp_path: Path) -> None:
    done = in_subprocess(FULL, f"{tmp_path}/runs.db")
    assert done.returncode == 0, done.stderr
    assert "the database refused it: SQLite" in done.stdout
    with Runner(f"{tmp_path}/runs.db", workers=1) as runner:
        for info in runner.runs():
            assert runner.get(info.id).result(60).status == "completed"


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "notes")
    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        run = runner.submit(Workflow("waits", [tasks.waits]), {"path": path})
        until(lambda: "waiting" in {step.status for step in run.steps()})
        # Another process holds the lock for writing for longer than a write waits.
        code = (
            "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
            "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "runs.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(DatabaseError, match="locked"):
            runner.submit(Workflow("d", [tasks.double]), {"number": 1})
        holder.communicate("")
        run.signal("go", 5)
        assert run.result(60).checked().outputs == {"waits": 5}
    assert notes(path) == ["before", "after"]


@task
def gives_large(count: int) -> Any:
    return np.arange(count)


@task
def sums(gives_large: Any) -> int:
    return int(gives_large.sum())


def test_large_values_wait_for_their_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CLO-20
    in_the_way = tmp_path / "runs.db.values"
    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        in_the_way.write_text("no folder")
        run = runner.submit(Workflow("w", [gives_large, sums]), {"count": 100_000})
        until(lambda: "cannot be written" in caplog.text)
        assert run.status == "running"
        in_the_way.unlink()
        assert run.result(60).checked().outputs["sums"] == sum(range(100_000))
        assert [attempt.result for attempt in run.attempts()] == ["completed"] * 2
        in_the_way.rename(tmp_path / "moved")
        in_the_way.write_text("no folder")
        again = runner.submit(Workflow("w", [gives_large, sums]), {"count": 100_001})
        until(lambda: caplog.text.count("cannot be written") > 2)
        again.cancel()
        assert again.result(60).status == "cancelled"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DatabaseError, match=r"runs\.db cannot be opened: .*[Pp]ermission"):
            Runner(str(tmp_path / "runs.db"))
    finally:
        tmp_path.chmod(0o700)


def test_a_server_that_dies_is_waited_for(
    postgres_server: str, postgres_folder: Path, tmp_path: Path
) -> None:
    # spec: CLO-05
    path = str(tmp_path / "notes")
    with Runner(f"{postgres_server}?schema=dies", workers=1) as runner:
        run = runner.submit(Workflow("waits", [tasks.waits]), {"path": path})
        until(lambda: bool(notes(path)))
        subprocess.run([SCRIPT, "kill", postgres_folder], check=True, capture_output=True)
        until(lambda: _signalled(run))
        assert run.result(60).checked().outputs == {"waits": 5}


def _signalled(run: Run) -> bool:
    try:
        run.signal("go", 5)
    except DatabaseError:
        return False
    return True


FORKS = """
import os, signal, sys
import workflow_tasks as tasks
from remotemedia.workflows import Runner, RunnerClosed, Workflow
runner = Runner(sys.argv[1], workers=0)
if os.fork() == 0:
    try:
        runner.submit(Workflow("w", [tasks.double]), {"number": 1})
    except RunnerClosed as error:
        sys.stderr.write(str(error))
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_does_not_hold_the_database(tmp_path: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(Path(tasks.__file__).parent)!r})\n{FORKS}"
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "runs.db")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.wait(60) == -signal.SIGKILL
    Runner(str(tmp_path / "runs.db"), workers=0).close()
    _, said = parent.communicate("")
    assert "belongs to the parent process" in said


def test_the_file_is_a_plain_database(tmp_path: Path) -> None:
    """Other programs can read it once the runner is closed."""
    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        runner.submit(Workflow("d", [tasks.double]), {"number": 1}, id="it's").wait()
    connection = sqlite3.connect(tmp_path / "runs.db")
    assert connection.execute("SELECT id, status FROM run").fetchall() == [("it's", "completed")]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

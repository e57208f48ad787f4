"""`remotemedia runs`, as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import workflow_tasks as tasks
from remotemedia.workflows import Runner, Workflow, task


def command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", "runs", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_runs_are_shown_and_changed(lasting_url: str, tmp_path: Path) -> None:
    # spec: CLO-16
    @task(after=[tasks.double])
    def fails(number: int) -> None:
        sys.stdout.write("on the way\n")
        raise ValueError(f"no {number}")

    workflow = Workflow("w", [tasks.double, fails])
    with Runner(lasting_url, workers=1) as runner:
        runner.submit(workflow, {"number": 3}, id="one").wait()
        code, text = command("list", lasting_url, "--status", "failed")
        assert code == 0
        assert "one  w  failed" in text
        assert "task 'fails': ValueError: no 3" in text
        code, text = command("cancel", lasting_url, "one")
        assert code == 1
        assert "in use by another engine" in text
    code, text = command("show", lasting_url, "one")
    assert "completed  double" in text
    assert "failed     fails" in text
    assert "attempt 1, pid " in text
    assert "        | on the way" in text
    assert command("retry", lasting_url, "one") == (
        0,
        "one goes on with the next runner on this database\n",
    )
    assert command("list", lasting_url, "--status", "running")[1].startswith("one  w  running")
    assert command("cancel", lasting_url, "one") == (0, "one is cancelled\n")
    code, text = command("fork", lasting_url, "one", "fails", "--id", "two")
    assert text.startswith("two begins with the next runner")
    with Runner(lasting_url, workflows=[workflow], workers=1) as runner:
        runner.get("two").wait()
    code, text = command("watch", lasting_url, "two")
    assert code == 1
    assert "fork of   one" in text
    assert command("prune", lasting_url, "--days", "0") == (0, "2 runs are removed\n")
    assert command("show", lasting_url, "one")[0] == 1
    assert command("list", str(tmp_path / "none.db"))[1].endswith("none.db\n")

"""Those who wait for runs, and runners that nothing refers to any more."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest

import workflow_tasks as tasks
from processes import until
from remotemedia.workflows import Runner, RunnerClosed, RunNotFound, RunRefused, Workflow, task
from workflow_tasks import note, notes


@task
def fails_first(path: str) -> str:
    note(path, "called")
    if len(notes(path)) == 1:
        raise ValueError("the first time")
    return "done"


def test_a_refused_retry_takes_nothing_from_those_who_wait(tmp_path: Path) -> None:
    # spec: CLO-15
    path = str(tmp_path / "notes")
    with Runner("sqlite://:memory:", workers=1) as runner:
        run = runner.submit(Workflow("idle", [tasks.idles]), {"path": path})
        ended = runner.ended(run.id)
        for from_step in (None, "idles", "nothing"):
            with pytest.raises(RunRefused):
                run.retry(from_step)
        run.signal("go", 1)
        ended.result(60)
        with pytest.raises(RunRefused, match="no step 'nothing'"):
            run.retry("nothing")
        assert run.result(60).outputs == {"idles": 1}
        with pytest.raises(RunNotFound):
            runner.ended("nothing")


def test_who_waits_after_a_retry_waits_for_the_next_end(tmp_path: Path) -> None:
    # spec: CLO-15
    with Runner("sqlite://:memory:", workers=1) as runner:
        for number in range(20):
            path = str(tmp_path / f"notes-{number}")
            run = runner.submit(Workflow("fails", [fails_first]), {"path": path})
            until(lambda: run.status == "failed")  # noqa: B023  # called here only
            assert run.retry().result(60).checked().outputs == {"fails_first": "done"}


def test_a_runner_that_nothing_refers_to_closes(lasting_url: str) -> None:
    # spec: CLO-06
    workflow = Workflow("double", [tasks.double])
    run = Runner(lasting_url, workers=1).submit(workflow, {"number": 1}, id="one")
    gc.collect()
    assert run.result(60).outputs == {"double": 2}, "the run refers to its runner"
    del run
    gc.collect()
    with Runner(lasting_url, workers=1) as runner:
        assert runner.get("one").status == "completed"
    until(lambda: "remotemedia-runs" not in {thread.name for thread in threading.enumerate()})


def test_what_such_a_runner_ran_goes_on_in_the_next(lasting_url: str, tmp_path: Path) -> None:
    # spec: CLO-20
    path = str(tmp_path / "notes")
    runner: Any = Runner(lasting_url, workers=1)
    runner.submit(Workflow("long", [tasks.long]), {"path": path}, id="long")
    until(lambda: bool(notes(path)))
    ended = runner.ended("long")
    del runner
    gc.collect()
    with pytest.raises(RunnerClosed, match="nothing refers to the runner"):
        ended.result(60)
    with Runner(lasting_url, workers=1) as runner:
        until(lambda: len(notes(path)) == 2)
        runner.get("long").cancel()
        assert runner.get("long").result(60).status == "cancelled"

"""Kills of workers, of the engine, of both and of the database, at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from databases import SCRIPT
from loops import Loop
from processes import children, until
from remotemedia.workflows import Runner, Workflow, task
from remotemedia.workflows.facts import run_info
from workflow_tasks import notes

ENGINE = Path(__file__).parents[1] / "fixtures" / "workflow_engine.py"
RUNS = 6


class Engine:
    """The program that runs workflows, started again after each kill."""

    def __init__(self, url: str, folder: Path, server: Path | None) -> None:
        self.server = server
        self.command = [sys.executable, str(ENGINE), url, str(folder), str(RUNS)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def kill(self, what: str) -> None:
        if what == "database":
            assert self.server is not None
            subprocess.run([SCRIPT, "kill", self.server], check=True, capture_output=True)
        if what in ("workers", "both"):
            for worker in children(self.process.pid):
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if what in ("engine", "both"):
            self.process.kill()
            self.process.communicate()
            self.start()


def check(url: str, folder: Path) -> None:
    """Every run has ended, with the results that it must have."""
    from remotemedia._native import look_at_runs

    rows = [run_info(row) for row in look_at_runs(url)]
    assert len(rows) == RUNS
    for row in rows:
        (found,) = look_at_runs(url, row.id)
        steps = {step["name"]: step for step in found["steps"]}
        failures = [step["failure"] for step in steps.values() if step["failure"]]
        assert steps["gather"]["status"] == "completed", failures
        once = steps["once"]
        uncertain = once["status"] == "failed" and once["failure"]["kind"] in (
            "uncertain",
            "crashed",
        )
        assert once["status"] == "completed" or uncertain
        assert row.status == ("failed" if uncertain else "completed")
    counts = Counter(notes(f"{folder}/once"))
    assert all(count == 1 for count in counts.values()), "started twice"
    # A step that has completed never runs again: what it did after its end is not seen twice, but
    # for the moment between its end and the commit, in which it may have been killed.
    assert set(notes(f"{folder}/ends")) == {f"run-{n}/begin" for n in range(RUNS)}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_survive_kills_at_any_moment(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, rounds: Callable[[Loop], int]
) -> None:
    # spec: CLO-20
    count = rounds(Loop(usual=5, stress=100))
    chance = random.Random()
    server = request.getfixturevalue("postgres_folder") if kind == "postgres" else None
    victims = ["workers", "engine", "both"] + ["database"] * (server is not None)
    killed = 0
    while killed < count:
        folder = tmp_path / f"round-{killed}"
        folder.mkdir()
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'runs.db'}"
        else:
            url = f"{request.getfixturevalue('postgres_server')}?schema=kills_{killed}"
        engine = Engine(url, folder, server)
        for _ in range(min(5, count - killed)):
            try:
                engine.process.wait(chance.random() * 0.4)
                break
            except subprocess.TimeoutExpired:
                engine.kill(chance.choice(victims))
                killed += 1
        assert engine.process.communicate(timeout=120)[0] == "done\n"
        killed += 1
        check(url, folder)


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    # spec: CLO-20
    program = """
import sys, time
sys.path.insert(0, "FIXTURES")
from workflow_tasks import note
from remotemedia.workflows import Runner, Workflow, task

@task
def first(folder):
    note(folder + "/first", "x")
    return 20

@task
def second(first, folder):
    note(folder + "/second", "x")
    time.sleep(60 if {slow} else 0)
    return first + 1

workflow = Workflow("w", [first, second])
with Runner("sqlite:///TMP/runs.db", workflows=[workflow]) as runner:
    run = runner.submit(workflow, {{"folder": "TMP"}}, id="r")
    print(run.result().checked().outputs, flush=True)
"""
    program = program.replace("TMP", str(tmp_path)).replace("FIXTURES", str(ENGINE.parent))
    slow = subprocess.Popen([sys.executable, "-c", program.format(slow=True)])
    until(lambda: bool(notes(f"{tmp_path}/second")))
    workers = children(slow.pid)
    slow.kill()
    slow.wait()
    done = subprocess.run(
        [sys.executable, "-c", program.format(slow=False)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{'first': 20, 'second': 21}\n"
    assert len(notes(f"{tmp_path}/first")) == 1
    assert len(notes(f"{tmp_path}/second")) == 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@task(retries=1, delay=3600)
def fails_now(path: str) -> None:
    raise ValueError("later")


def test_a_run_waits_for_its_code_and_its_time(tmp_path: Path) -> None:
    # spec: CLO-09
    # spec: CLO-12
    url = f"sqlite:///{tmp_path}/runs.db"

    def made(text: str, on_change: str) -> Workflow:
        scope: dict[str, Callable[[], str]] = {}
        exec(f"def says(): return {text!r}", scope)
        return Workflow("w", [task(scope["says"])], on_change=on_change)

    old = made("old", "pin")
    with Runner(url, workers=0) as runner:
        runner.submit(old, id="pinned")
        runner.submit(made("old", "continue"), id="goes on")
        runner.submit(Workflow("f", [fails_now]), {"path": ""}, id="later")
    with Runner(url, workflows=[made("new", "continue")], workers=1) as runner:
        assert runner.get("goes on").result(60).outputs == {"says": "new"}
        pinned = runner.get("pinned")
        assert pinned.status == "running"
        assert pinned.info().waits_for_code
        assert "code      is not kept: it goes on with a runner that" in pinned._repr_html_()
        with pytest.raises(TimeoutError, match=r"waits for its code, .*workflows=\[\.\.\.\]\)"):
            pinned.result(0.01)
        runner.register(old)
        assert not pinned.info().waits_for_code
        assert runner.get("pinned").result(60).outputs == {"says": "old"}
        runner.register(Workflow("f", [fails_now]))
        later = runner.get("later")
        until(lambda: later.steps()[0].due is not None if later.steps() else False)
        due = later.steps()[0].due
    with Runner(url, workers=1) as runner:
        (step,) = runner.get("later").steps()
        assert (step.due, step.raised, step.status) == (due, 1, "waiting")

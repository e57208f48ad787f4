"""Kills of workers, of the engine, of both and of the database, at random moments."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databases import SCRIPT
from loops import Loop
from processes import children, until, wait_until_gone
from remotemedia.workflows import Runner, Workflow, task
from remotemedia.workflows.facts import run_info
from workflow_tasks import note, notes

ENGINE = Path(__file__).parents[1] / "fixtures" / "workflow_engine.py"
RUNS = 12
KILLS = Loop(usual=5, stress=100)
"""On each database."""
TASKS = {"begin", "each", "large", "gather", "once"}


def children_of(pid: int) -> set[int]:
    try:
        return children(pid)
    except (FileNotFoundError, ProcessLookupError):
        return set()


class Engine:
    """The program that runs workflows, started again after each kill, and what was seen of it."""

    def __init__(self, url: str, folder: Path, server: Path | None) -> None:
        self.url, self.folder, self.server = url, folder, server
        self.command = [sys.executable, str(ENGINE), url, str(folder), str(RUNS)]
        self.processes = set[int]()
        # Steps that were seen completed, and how often each had been started until then.
        self.completed: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def kill(self, what: str) -> None:
        workers = self.workers()
        self.processes |= workers
        if what == "database":
            assert self.server is not None
            subprocess.run([SCRIPT, "kill", self.server], check=True, capture_output=True)
        if what in ("workers", "both"):
            for worker in workers:
                try:
                    os.kill(worker, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if what in ("engine", "both"):
            self.process.kill()
            self.process.communicate()
        self.look()
        if what in ("engine", "both"):
            self.start()

    def workers(self) -> set[int]:
        """Process ids of the workers, and of those that fork them."""
        own = children_of(self.process.pid)
        return own.union(*(children_of(pid) for pid in own))

    def look(self) -> None:
        """Note what has completed durably."""
        from remotemedia._native import look_at_runs

        rows = [look_at_runs(self.url, f"run-{number}") for number in range(RUNS)]
        starts = Counter(notes(f"{self.folder}/starts"))
        for row in (row for found in rows for row in found):
            for step in row["steps"]:
                name = f"{row['id']}/{step['name']}"
                if step["status"] == "completed":
                    self.completed.setdefault(name, starts[name])

    def check(self) -> None:
        """Every run has ended with its results, and no step has begun after it had completed."""
        from remotemedia._native import look_at_runs

        rows = [run_info(row) for row in look_at_runs(self.url)]
        assert len(rows) == RUNS
        for row in rows:
            (found,) = look_at_runs(self.url, row.id)
            steps = {step["name"]: step for step in found["steps"]}
            failures = [step["failure"] for step in steps.values() if step["failure"]]
            done = {name for name, step in steps.items() if step["status"] == "completed"}
            assert done >= TASKS - {"once"}, failures
            assert done >= {"each[0]", "each[1]", "each[2]", "gather/first", "gather/second"}
            once = steps["once"]
            is_uncertain = "once" not in done and once["failure"]["kind"] in (
                "uncertain",
                "crashed",
            )
            assert "once" in done or is_uncertain
            assert row.status == ("failed" if is_uncertain else "completed")
        starts = Counter(notes(f"{self.folder}/starts"))
        assert all(starts[f"run-{n}/once"] <= 1 for n in range(RUNS)), "started twice"
        again = {name for name, count in self.completed.items() if starts[name] != count}
        assert again == set(), "begun again although they had completed"

    def check_remains(self) -> None:
        """No process is left, no file of a value that was not written whole, and no lock."""
        wait_until_gone(self.processes)
        with Runner(self.url, workers=0) as runner:
            for number in range(RUNS):
                assert len(runner.get(f"run-{number}").result().outputs["large"]) > 64 << 10
            assert runner.prune() == RUNS
        left = {path.name for path in self.folder.rglob("*") if path.is_file()}
        assert left <= {"starts", "runs.db", "runs.db.lock"}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_survive_kills_at_any_moment(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    rounds: Callable[[Loop], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # spec: CLO-20
    count = rounds(KILLS)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    server = request.getfixturevalue("postgres_folder") if kind == "postgres" else None
    victims = ["workers", "engine", "both"] + ["database"] * (server is not None)
    killed = Counter[str]()
    seen = 0
    for number in itertools.count():  # a round may end before anything is killed
        if killed.total() >= count:
            break
        folder = tmp_path / f"round-{number}"
        folder.mkdir()
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'runs.db'}"
        else:
            name = f"kills_{number}"
            url = f"{request.getfixturevalue('postgres_server')}?schema={name}"
        engine = Engine(url, folder, server)
        for _ in range(min(5, count - killed.total())):
            try:
                engine.process.wait(chance.random() * 0.5)
                break
            except subprocess.TimeoutExpired:
                victim = chance.choice(victims)
                engine.kill(victim)
                killed[victim] += 1
        assert engine.process.communicate(timeout=120)[0] == "done\n"
        engine.check()
        engine.check_remains()
        seen += len(engine.completed)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{kind}, seed {seed}: {dict(killed)} killed; {seen} steps were seen completed at a "
            "kill, and none began again; nothing was left\n"
        )


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


@task
def kills_engine(ctx: Any, path: str, engine: int) -> Any:
    note(path, "begun")
    first = ctx.step("first", note, path, "first")
    if ctx.attempt == 1 and len(notes(path)) == 2:
        os.kill(engine, signal.SIGKILL)
        time.sleep(60)
    return first


def test_a_step_that_has_returned_is_durable(lasting_url: str, tmp_path: Path) -> None:
    # spec: CLO-20
    program = """
import os, sys
sys.path[:0] = sys.argv[3:]
from remotemedia.workflows import Runner, Workflow
from workflows.test_kills import kills_engine
workflow = Workflow("kills", [kills_engine])
with Runner(sys.argv[1], workers=1) as runner:
    given = {"path": sys.argv[2], "engine": os.getpid()}
    runner.submit(workflow, given, id="run").result().checked()
"""
    folders = [str(ENGINE.parents[1]), str(ENGINE.parent)]
    for number in range(5):
        url = lasting_url.replace("runs.db", f"runs-{number}.db")
        path = str(tmp_path / f"notes-{number}")
        command = [sys.executable, "-c", program, url, path, *folders]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert subprocess.run(command, check=False).returncode == 0
        assert notes(path) == ["begun", "first", "begun"]


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

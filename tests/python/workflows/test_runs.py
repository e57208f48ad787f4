"""Runs on each database, from submission to result."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workflow_tasks as tasks
from loops import Loop
from processes import until
from remotemedia.workflows import (
    RunFailed,
    Runner,
    RunNotFound,
    RunRefused,
    Workflow,
    always,
    failed,
    pipeline_task,
    task,
    value,
)
from workflow_tasks import notes


@pytest.fixture
def runner(url: str) -> Iterator[Runner]:
    with Runner(url, workers=2) as runner:
        yield runner


def test_a_graph_runs_and_its_values_come_back(runner: Runner) -> None:
    # spec: CLO-23
    # spec: CLO-05
    # spec: CLO-06
    # spec: CLO-14
    # spec: CLO-17
    workflow = Workflow("sums", [tasks.numbers, tasks.squared, tasks.total])
    run = runner.submit(workflow, {"count": 5}, id="first")
    result = run.result(60).checked()
    assert result.outputs == {
        "numbers": [0, 1, 2, 3, 4],
        "squared": [0, 1, 4, 9, 16],
        "total": 30,
    }
    assert result.context == {"count": 5}
    assert result.info.ended is not None
    assert result.info.ended >= result.info.created
    assert run.status == "completed"
    steps = {step.name: step.status for step in run.steps()}
    assert steps["squared[3]"] == steps["total"] == "completed"
    # spec: CLO-16
    attempts = {attempt.step: attempt for attempt in run.attempts()}
    assert attempts["total"].result == "completed"
    assert attempts["total"].pid not in (None, os.getpid())
    assert runner.submit(workflow, {"count": 7}, id="first").result(60).outputs["total"] == 30
    assert [info.id for info in runner.runs("sums", "completed")] == ["first"]
    with pytest.raises(RunNotFound, match="nothing"):
        runner.get("nothing")


def test_values_of_all_kinds_are_kept(runner: Runner) -> None:
    # spec: CLO-03
    given = {
        "nested": {"list": [1, (2.5, None), {"x"}], 3: b"\x00\xff", "big": 1 << 100},
        "text": "é\U0001f600",
        "small": np.arange(3, dtype=np.int16),
        "large": np.ones((4, 20_000), dtype=np.float32),
    }

    @task
    def passed(nested: Any, text: Any, small: Any, large: Any) -> Any:
        return [nested, text, small, large]

    outputs = runner.submit(Workflow("values", [passed]), given).result(60).checked().outputs
    nested, text, small, large = outputs["passed"]
    assert (nested, text) == (given["nested"], given["text"])
    assert isinstance(nested["list"][1], tuple)
    np.testing.assert_array_equal(small, given["small"])
    np.testing.assert_array_equal(large, given["large"])
    assert large.dtype == np.float32


def test_async_functions_closures_and_many_runs(runner: Runner) -> None:
    # spec: CLO-07
    # spec: CLO-17
    offset = 10

    @task
    async def later(awaited: Any) -> Any:
        await asyncio.sleep(0)
        return awaited + offset

    workflow = Workflow("later", [tasks.awaited, later])
    runs = runner.submit_many(workflow, [{"number": n} for n in range(30)])
    assert [run.result(60).outputs["later"] for run in runs] == [n + 11 for n in range(30)]

    async def both() -> Any:
        return await asyncio.gather(*runs[:2])

    assert [result.outputs["later"] for result in asyncio.run(both())] == [11, 12]


def test_failures_skip_what_follows_and_conditions_decide(runner: Runner) -> None:
    # spec: CLO-13
    @task
    def breaks(number: Any) -> Any:
        raise ValueError(f"no {number}")

    @task
    def after(breaks: Any) -> Any:
        return 1

    @task(when=failed(breaks))
    def mends() -> Any:
        return "mended"

    @task(when=(value("double") > 5) & (value("number") < 100), after=[tasks.double])
    def large() -> Any:
        return True

    @task(when="double[0] > 5 or not double <= 5", after=[tasks.double])
    def written() -> Any:
        return True

    @task(after=[after], when=always())
    def last() -> Any:
        return "last"

    workflow = Workflow("paths", [breaks, after, mends, tasks.double, large, written, last])
    result = runner.submit(workflow, {"number": 3}).result(60)
    assert result.outputs == {
        "mends": "mended",
        "double": 6,
        "large": True,
        "written": True,
        "last": "last",
    }
    with pytest.raises(RunFailed, match=r"has failed: task 'breaks': ValueError: no 3") as raised:
        result.checked()
    assert raised.value.failure is not None
    assert "raise ValueError" in raised.value.failure.traceback
    assert "_task_host" not in raised.value.failure.traceback
    small = runner.submit(workflow, {"number": 1}).result(60)
    assert "large" not in small.outputs


def test_retries_and_deaths_have_budgets_of_their_own(runner: Runner, tmp_path: Path) -> None:
    # spec: CLO-09
    # spec: CLO-19
    path = str(tmp_path / "notes")
    run = runner.submit(Workflow("back", [tasks.comes_back]), {"path": path})
    assert run.result(60).outputs == {"comes_back": 3}
    assert notes(path) == ["1", "2", "3"]
    died = str(tmp_path / "died")
    other = runner.submit(Workflow("double", [tasks.double]), {"number": 4})
    run = runner.submit(Workflow("dies", [tasks.dies_once]), {"path": died}, id="d")
    survivor = run.result(60).checked().outputs["dies_once"]
    first, second = (line.split(":") for line in notes(died))
    assert first[1] != second[1] == str(survivor), "in a fresh process"
    assert first[2] == second[2] == "d/dies_once", "the key is that of the step"
    assert other.result(60).outputs == {"double": 8}
    death, _ = run.attempts()
    assert (death.result, death.signal, str(death.pid)) == ("crashed", "SIGSEGV", first[1])
    path = str(tmp_path / "all")
    result = runner.submit(Workflow("dead", [tasks.always_dies]), {"path": path}).result(60)
    assert result.failure is not None
    assert (result.failure.kind, result.failure.type_name) == ("crashed", "SIGABRT")
    assert len(notes(path)) == 3
    path = str(tmp_path / "once")
    result = runner.submit(Workflow("pays", [tasks.pays]), {"path": path}).result(60)
    assert result.failure is not None
    assert result.failure.kind == "crashed"
    assert notes(path) == ["paid"]


def test_a_stuck_task_is_really_stopped(runner: Runner) -> None:
    # spec: CLO-10
    # spec: CLO-18
    begun = time.monotonic()
    stuck = Workflow("stuck", [tasks.stuck, tasks.stuck_in_c])
    run = runner.submit(stuck)
    result = run.result(60)
    assert time.monotonic() - begun < 30, "neither took its minute"
    assert result.failure is not None
    assert result.failure.kind == "timed_out"
    for attempt in run.attempts():
        assert attempt.result == "timed_out"
        until(partial(_is_gone, attempt.pid))


def _is_gone(pid: int | None) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_task_that_takes_too_much_memory_fails_alone(runner: Runner) -> None:
    # spec: CLO-18
    result = runner.submit(Workflow("greedy", [tasks.greedy, tasks.double]), {"number": 1}).result(
        60
    )
    assert result.failure is not None
    assert result.failure.task == "greedy"
    assert result.failure is not None
    assert result.failure.kind in ("limit_exceeded", "raised")
    assert result.outputs == {"double": 2}


def test_inner_steps_pauses_and_events_survive(runner: Runner, tmp_path: Path) -> None:
    path = str(tmp_path / "steps")
    run = runner.submit(Workflow("inner", [tasks.in_steps]), {"path": path})
    until(lambda: "in_steps/second" in {step.name for step in run.steps()})
    (tmp_path / "steps.go").touch()
    assert run.result(60).checked().outputs == {"in_steps": 2}
    assert notes(path) == ["first", "second"], "each ran once, in two attempts"
    path = str(tmp_path / "waits")
    run = runner.submit(Workflow("waits", [tasks.waits]), {"path": path})
    run.signal("go", {"answer": 42})
    assert run.result(60).checked().outputs == {"waits": {"answer": 42}}
    assert notes(path) == ["before", "after"]
    assert {attempt.result for attempt in run.attempts()} >= {"suspended", "completed"}


def engine_wakeups() -> list[int]:
    """How often each thread of the engine of this process has slept."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        if (thread / "comm").read_text().startswith(("remotemedia-eng", "remotemedia-sto")):
            status = (thread / "status").read_text()
            found.append(int(status.split("voluntary_ctxt_switches:")[1].split()[0]))
    return sorted(found)


def test_idle_runs_cost_nothing(
    runner: Runner, tmp_path: Path, rounds: Callable[[Loop], int]
) -> None:
    count = rounds(Loop(usual=200, stress=10_000))
    path = str(tmp_path / "notes")
    inputs = [{"path": path}] * count
    runs = runner.submit_many(Workflow("idle", [tasks.idles]), inputs)
    until(lambda: len(notes(path)) >= count)
    before = list[int]()
    # A second without any; one that polls is ended by the watchdog.
    while (after := engine_wakeups()) != before:
        before = after
        time.sleep(1)
    assert len(before) == 2
    runs[-1].signal("go", 5)
    assert runs[-1].result(60).checked().outputs == {"idles": 5}


def test_a_run_shows_how_far_it_is(
    lasting_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # spec: CLO-16
    with Runner(lasting_url, workers=2) as runner:
        seen: list[tuple[int, int | None]] = []
        run = runner.submit(
            Workflow("sums", [tasks.numbers, tasks.squared, tasks.total]), {"count": 5}
        )
        run.result(60, progress=lambda *step: seen.append(step)).checked()
        assert seen[-1] == (7, 7), "three tasks, of which one ran five times"
        path = str(tmp_path / "notes")
        waits = runner.submit(Workflow("idle", [tasks.idles]), {"path": path}, id="<idle>")
        until(lambda: bool(notes(path)))
        with pytest.raises(
            TimeoutError, match=r"run '<idle>' has not ended after 0\.8 s; it goes on"
        ):
            waits.wait(0.8, progress=True)
        with pytest.raises(TimeoutError, match=r"run '<idle>' has not ended after 0\.01 s"):
            waits.result(0.01)
        assert "run <idle>: 0/1 steps, 0:00" in capsys.readouterr().err
        assert waits._repr_html_().startswith("<pre>run &lt;idle&gt;: running\n")


def test_a_cancelled_run_ends_what_runs(runner: Runner, tmp_path: Path) -> None:
    path = str(tmp_path / "long")
    run = runner.submit(Workflow("long", [tasks.long]), {"path": path})
    until(lambda: bool(notes(path)))
    run.cancel()
    assert run.result(60).status == "cancelled"
    assert [attempt.result for attempt in run.attempts()] == ["cancelled"]
    assert len(notes(path)) == 1, "it has not slept to its end"
    with pytest.raises(RunFailed, match="was cancelled"):
        run.result(60).checked()
    with pytest.raises(RunRefused, match="has ended"):
        run.cancel()
    assert runner.submit(Workflow("d", [tasks.double]), {"number": 1}).result(60).outputs


def test_runs_go_on_and_fork(runner: Runner, tmp_path: Path) -> None:
    # spec: CLO-15
    flag = tmp_path / "flag"

    @task
    def first(number: Any) -> Any:
        return number

    @task
    def needs(first: Any, flag: Any) -> Any:
        with open(flag) as file:
            return file.read() + str(first)

    workflow = Workflow("needs", [first, needs])
    run = runner.submit(workflow, {"number": 1, "flag": str(flag)})
    failure = run.result(60).failure
    assert failure is not None
    assert failure.type_name == "FileNotFoundError"
    flag.write_text("there")
    assert run.retry().result(60).checked().outputs["needs"] == "there1"
    steps = [attempt.step for attempt in run.attempts()]
    assert steps == ["first", "needs", "needs"]
    fork = run.fork(needs, {"number": 5, "flag": str(flag)}, id=f"fork-{run.id}")
    assert fork.result(60).checked().outputs == {"first": 1, "needs": "there1"}
    assert fork.info().parent == run.id
    assert [attempt.step for attempt in fork.attempts()] == ["needs"]
    again = run.fork(first, {"number": 5, "flag": str(flag)})
    assert again.result(60).outputs["needs"] == "there5"
    with pytest.raises(RunRefused, match="no step 'x'"):
        run.retry("x")
    with pytest.raises(RunRefused, match="choose another id"):
        run.fork(first, id=fork.id)


def test_a_pipeline_is_a_task_and_arrays_are_kept_once(
    url: str, runner: Runner, tmp_path: Path
) -> None:
    from remotemedia import AudioResampleNode, Pipeline

    samples = np.sin(np.arange(96_000, dtype=np.float32) / 10)[None, :]
    pipeline = Pipeline(AudioResampleNode(target_rate=16_000))
    halve = pipeline_task("resampled", pipeline, takes="audio")

    @task
    def measured(resampled: Any) -> Any:
        samples, rate = resampled
        return {"rate": rate, "samples": samples.shape[-1]}

    runs = Workflow("audio", [halve, measured])
    outputs = runner.submit(runs, {"audio": (samples, 48_000)}).result(60).checked().outputs
    assert outputs["measured"]["rate"] == 16_000
    assert abs(outputs["measured"]["samples"] - 32_000) < 100

    chain = [tasks.passes_on.with_options(name="t0")]
    chain += [_passing(f"t{number}", f"t{number - 1}") for number in range(1, 10)]
    large = np.random.default_rng(1).random(1_310_720)  # 10 MB
    result = runner.submit(Workflow("chain", chain), {"audio": large}).result(120).checked()
    np.testing.assert_array_equal(result.outputs["t9"]["audio"], large)
    if "runs.db" in url:
        used = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
        assert used < 15 << 20, f"{used} bytes for one array of 10 MB in ten tasks"
    assert runner.prune() == 2
    assert runner.runs() == []


def _passing(name: str, before: str) -> Any:
    scope: dict[str, Any] = {}
    exec(f"def passing({before}): return {before}", scope)
    return task(name=name)(scope["passing"])

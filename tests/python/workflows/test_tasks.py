"""What a task finds in its context, and what it may do there."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processes import until
from remotemedia.workflows import Runner, Workflow, task
from workflow_tasks import note, notes


@pytest.fixture
def runner() -> Iterator[Runner]:
    with Runner("sqlite://:memory:", workers=1) as runner:
        yield runner


GIVEN: dict[str, Any] = {
    "flag": 1,
    "off": False,
    "zero": 0.0,
    "text": "a",
    "small": np.ones(3),
    "large": np.ones((100, 200)),
    "strided": np.asfortranarray(np.ones((2, 3))),
    "dates": np.zeros(2, dtype="M8[s]"),
    "nested": {"list": [1, {"array": np.zeros(2)}]},
    "set": {1, 2},
    "huge": 10**6000,
    "same": [1.5, float("nan"), {"a": (None, b"x")}],
}


def test_every_edit_of_the_context_is_kept(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def edits(context: dict[str, Any]) -> None:
        context["flag"] = True
        context["off"] = 0
        context["zero"] = -0.0
        context["small"] *= 2
        context["large"][-1, -1] = 5
        context["strided"][1, 2] = 7
        context["dates"][1] = np.datetime64(9, "s")
        context["nested"]["list"][1]["array"][0] = 3
        context["set"].add(3)
        context["huge"] += 1
        context["new"] = None

    @task(after=[edits])
    def sees(context: dict[str, Any]) -> Any:
        return repr([type(context["flag"]), context["off"], context["zero"]])

    result = runner.submit(Workflow("edits", [edits, sees]), GIVEN).result(60).checked()
    kept = result.outputs["edits"]
    assert kept.keys() == GIVEN.keys() - {"text", "same"} | {"new"}
    assert result.outputs["sees"] == "[<class 'bool'>, 0, -0.0]"
    assert kept["small"].tolist() == [2, 2, 2]
    assert (kept["large"][-1, -1], kept["strided"][1, 2]) == (5, 7)
    assert kept["dates"][1] == np.datetime64(9, "s")
    assert kept["nested"]["list"][1]["array"].tolist() == [3, 0]
    assert (kept["set"], kept["huge"]) == ({1, 2, 3}, GIVEN["huge"] + 1)


def test_a_context_that_is_only_read_is_not_kept_again(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def reads(context: dict[str, Any], ctx: Any) -> None:
        context["same"] = [1.5, context["same"][1], {"a": (None, b"x")}]
        context["small"] = context["small"].copy()
        assert len(ctx["large"]) == 100

    result = runner.submit(Workflow("reads", [reads]), GIVEN).result(60).checked()
    assert result.outputs["reads"] == {}


def test_an_edit_that_cannot_be_kept_is_named(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def edits(context: dict[str, Any]) -> None:
        context["text"] = [object()]

    failure = runner.submit(Workflow("edits", [edits]), GIVEN).result(60).failure
    assert failure is not None
    assert failure.kind == "not_kept"
    assert failure.message.startswith("result.text[0] is of type object")


def _page(path: str, number: int) -> str:
    note(path, f"page-{number}")
    return f"page {number}"


async def _later(path: str, number: int) -> int:
    note(path, f"later-{number}")
    await asyncio.sleep(0)
    return number * 2


def test_steps_of_one_name_are_numbered_in_their_order(tmp_path: Path) -> None:
    # spec: CLO-20
    path = str(tmp_path / "pages")

    @task
    def pages(ctx: Any, path: str) -> Any:
        found = [ctx.step("fetch", _page, path, number) for number in range(3)]
        if ctx.attempt == 1:
            while not os.path.exists(f"{path}.go"):
                time.sleep(0.005)
            os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(2):
            ctx.sleep(0.01, name="rest")
        return [*found, ctx.step("fetch", _page, path, 3)]

    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        run = runner.submit(Workflow("pages", [pages]), {"path": path})
        until(lambda: "pages/fetch#3" in {step.name for step in run.steps()})
        (tmp_path / "pages.go").touch()
        assert run.result(60).checked().outputs["pages"] == [f"page {n}" for n in range(4)]
        names = {step.name.removeprefix("pages/") for step in run.steps()} - {"pages"}
        results = [attempt.result for attempt in run.attempts()]
    assert notes(path) == [f"page-{n}" for n in range(4)], "each was called once"
    assert names == {"fetch", "fetch#2", "fetch#3", "fetch#4", "rest", "rest#2"}
    assert results == ["crashed", "suspended", "suspended", "completed"], "both pauses were made"


@task
def goes_on(ctx: Any, path: str) -> None:
    try:
        while True:
            ctx.step("wait", time.sleep, 0.01)
            note(path, "waited")
    finally:
        note(path, "ended")


@task
def hangs(ctx: Any, path: str) -> None:
    ctx.step("begin", note, path, "begun")
    while True:
        try:
            time.sleep(0.01)
            note(path, "on")
        except BaseException:
            continue


def _is_still(path: str) -> bool:
    before = notes(path)
    time.sleep(0.2)
    return notes(path) == before


def test_a_task_with_steps_is_really_stopped(runner: Runner, tmp_path: Path) -> None:
    # spec: CLO-10
    for made in (goes_on, hangs):
        path = str(tmp_path / made.name)
        run = runner.submit(Workflow("w", [made]), {"path": path})
        until(lambda: len(notes(path)) > 3)  # noqa: B023  # called here only
        run.cancel()
        assert run.result(60).status == "cancelled"
        until(lambda: _is_still(path))  # noqa: B023  # called here only
        path = str(tmp_path / f"{made.name}-limited")
        limited = made.with_options(timeout=0.5)
        result = runner.submit(Workflow("w", [limited]), {"path": path}).result(60)
        assert result.failure is not None
        assert result.failure.kind == "timed_out"
        assert "time limit of 500 ms" in result.failure.message
        until(lambda: _is_still(path))  # noqa: B023  # called here only
    assert notes(str(tmp_path / "goes_on"))[-1] == "ended", "it could clean up"


def test_a_name_that_a_number_has_taken_is_refused(runner: Runner) -> None:
    # spec: CLO-11
    @task
    def twice(ctx: Any) -> None:
        for name in ("a", "a", "a#2"):
            ctx.step(name, int)

    @task
    def unnamed(ctx: Any) -> None:
        ctx.step(int, 1)

    failure = runner.submit(Workflow("twice", [twice])).result(60).failure
    assert failure is not None
    assert failure.text.startswith("task 'twice': ValueError: two steps are named 'a#2'")
    failure = runner.submit(Workflow("unnamed", [unnamed])).result(60).failure
    assert failure is not None
    assert "the name of a step is a text, not <class 'int'>" in failure.message


def test_coroutines_have_steps(runner: Runner, tmp_path: Path) -> None:
    # spec: CLO-07
    path = str(tmp_path / "steps")

    @task(retries=1, delay=0)
    async def awaits(ctx: Any, path: str) -> Any:
        one = await ctx.step("one", _later, path, 1)
        both = await asyncio.gather(*(ctx.step("two", _later, path, n) for n in (2, 3)))
        partly = await ctx.step("partly", partial(_later, path), 4)
        plain = ctx.step("plain", _page, path, 5)
        if ctx.attempt == 1:
            raise ValueError("once more")
        return [one, both, partly, plain]

    @task
    async def forgets(ctx: Any, path: str) -> Any:
        return ctx.step("forgets", _later, path, 6)

    @task
    async def hides(ctx: Any, path: str) -> Any:
        return ctx.step("hides", lambda: _later(path, 7))

    run = runner.submit(Workflow("awaits", [awaits]), {"path": path})
    assert run.result(60).checked().outputs["awaits"] == [2, [4, 6], 8, "page 5"]
    assert notes(path) == ["later-1", "later-2", "later-3", "later-4", "page-5"]
    run = runner.submit(Workflow("forgets", [forgets]), {"path": path})
    assert run.result(60).checked().outputs["forgets"] == 12
    failure = runner.submit(Workflow("hides", [hides]), {"path": path}).result(60).failure
    assert failure is not None
    assert "give ctx.step the `async def` function itself" in failure.message

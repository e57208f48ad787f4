"""Names, texts and values that no user means, on each database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from remotemedia.workflows import Runner, Workflow, WorkflowError, task, value

NAMES = ["a b", "it's", 'a"b', "%s", "$1", "é\u4e2d\U0001f600", "a.b", "new\nline", "x" * 400]


@pytest.fixture
def runner(url: str) -> Iterator[Runner]:
    with Runner(url, workers=2) as runner:
        yield runner


def test_names_may_have_any_characters(runner: Runner) -> None:
    # spec: CLO-05
    @task
    def named(ctx: Any) -> Any:
        return [ctx.step(name, str.upper, name) for name in [*NAMES, "a/b", "a[0]"]]

    for name in NAMES:
        made = named.with_options(name=name, retries=1)
        after = task(name="after", after=[made])(lambda: 1)
        workflow = Workflow(name, [made, after], version=name)
        run = runner.submit(workflow, id=f"run {name}"[:500])
        outputs = run.result(60).checked().outputs
        assert outputs[name] == [name.upper() for name in [*NAMES, "a/b", "a[0]"]]
        assert {step.name for step in run.steps()} >= {name, f"{name}/a/b", f"{name}/a[0]"}
        assert [info.id for info in runner.runs(name)] == [run.id]
        fork = run.fork(after)
        assert fork.result(60).checked().outputs == outputs


def test_names_that_no_database_keeps_are_refused(runner: Runner) -> None:
    # spec: CLO-11
    @task
    def plain() -> int:
        return 1

    for name in ("", "a\0b", "\ud800"):
        if name:
            with pytest.raises(WorkflowError):
                plain.with_options(name=name)
        with pytest.raises(WorkflowError):
            Workflow(name, [plain])
        with pytest.raises(WorkflowError):
            runner.submit(Workflow("w", [plain]), id=name)
        with pytest.raises(WorkflowError):
            runner.schedule(name, Workflow("w", [plain]), "* * * * *")
    for version in ("a\0b", "\ud800"):
        with pytest.raises(WorkflowError):
            Workflow("w", [plain], version=version)
    run = runner.submit(Workflow("w", [plain]))
    with pytest.raises(WorkflowError):
        run.signal("a\0b")

    for name in ("a\0b", "\ud800"):

        @task
        def steps(ctx: Any, name: str = name) -> None:
            ctx.step(name, int)

        @task
        def waits(ctx: Any, name: str = name) -> None:
            ctx.event(name)

        for made in (steps, waits):
            failure = runner.submit(Workflow("odd", [made])).result(60).failure
            assert failure is not None
            assert "has characters that no database keeps" in failure.message


def test_messages_and_output_with_zeros_are_kept(runner: Runner) -> None:
    # spec: CLO-16
    @task
    def odd() -> None:
        sys.stdout.write("out\0put \ufffe\n")
        sys.stdout.flush()
        raise ValueError("mess\0age \ud800")

    run = runner.submit(Workflow("odd", [odd]))
    result = run.result(60)
    assert result.failure is not None
    assert result.failure.type_name == "ValueError"
    assert result.failure.message == "mess\0age \\ud800"
    (attempt,) = run.attempts()
    assert attempt.tail is not None
    assert "out\ufffdput" in attempt.tail
    assert attempt.error is not None
    assert "\0" not in attempt.error
    plain = task(name="plain")(lambda: 1)
    assert runner.submit(Workflow("p", [plain])).result(60).checked()


def test_large_texts_and_deep_values(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def gives() -> Any:
        return {"text": "é" * 100_000, "zeros": "\0" * 10, "deep": _deep(80)}

    @task(when=value("gives", "zeros") == "\0" * 10)
    def takes(gives: Any) -> Any:
        return gives

    outputs = runner.submit(Workflow("large", [gives, takes])).result(60).checked().outputs
    assert outputs["takes"] == outputs["gives"]
    assert outputs["takes"]["text"] == "é" * 100_000

    @task
    def too_deep() -> Any:
        return _deep(2_000)

    @task
    def in_itself() -> Any:
        made: list[Any] = []
        made.append(made)
        return made

    @task
    def not_kept() -> Any:
        return {"a": [1, open("/dev/null")]}  # it cannot be kept

    messages = []
    for made in (too_deep, in_itself, not_kept):
        failure = runner.submit(Workflow("w", [made])).result(60).failure
        assert failure is not None
        assert failure.kind == "not_kept", failure
        messages.append(failure.message)
    assert "result.a[1]" in messages[-1]


def _deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made

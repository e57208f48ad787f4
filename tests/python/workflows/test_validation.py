"""What is refused before anything runs."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import workflow_tasks as tasks
from remotemedia.workflows import (
    DatabaseError,
    DatabaseInUse,
    NotKept,
    Runner,
    RunnerClosed,
    Workflow,
    WorkflowCycle,
    WorkflowError,
    task,
    value,
)


def test_cycles_missing_tasks_and_duplicates_are_named() -> None:
    # spec: CLO-08
    # spec: CLO-11
    @task
    def a(c: Any) -> Any:
        pass

    @task
    def b(a: Any) -> Any:
        pass

    @task
    def c(b: Any) -> Any:
        pass

    with pytest.raises(WorkflowCycle, match="a -> b -> c -> a") as raised:
        Workflow("w", [a, b, c])
    assert raised.value.tasks == ["a", "b", "c", "a"]
    with pytest.raises(WorkflowError, match="'x' of workflow 'w' depends on 'nothing'"):
        Workflow("w", [task(name="x", after=["nothing"])(lambda: 1)])
    with pytest.raises(WorkflowError, match=r"named 'a': .*test_validation.py:\d+ and .*py:\d+"):
        Workflow("w", [a, task(name="a")(lambda: 1)])
    with pytest.raises(WorkflowError, match="has no tasks"):
        Workflow("w", [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retrys": 1}, "no option 'retrys'; did you mean 'retries'"),
        ({"retries": -1}, "retries is a number"),
        ({"backoff": "cubic"}, "backoff is one of fixed, linear, exponential"),
        ({"timeout": 0}, "longer than 0"),
        ({"timeout": "soon"}, "number of seconds"),
        ({"timeout": 1e30}, "timeout is a number of seconds below"),
        ({"cpu": float("nan")}, "cpu is a number of seconds"),
        ({"delay": -1}, "delay is a number of seconds"),
        ({"jitter": 2}, "from 0 to 1"),
        ({"retry_on": ["ValueError"]}, "classes of exceptions"),
        ({"retry_on": 5}, "classes of exceptions, not 5"),
        ({"memory": "5 XB"}, "memory: '5 XB' is not allowed: a size has a unit"),
        ({"memory": "5"}, "memory: '5' is not allowed: a size has a unit"),
        ({"memory": -5}, "memory is a number of bytes or a text such as"),
        ({"memory": 5}, "memory: .*32 MiB to 1 PiB"),
        ({"memory": True}, "memory is a number of bytes"),
        ({"memory": 1.5}, "memory is a number of bytes"),
        ({"output_size": "big"}, "output_size: 'big' is not allowed"),
        ({"output_size": -1}, "output_size is a number of bytes"),
        ({"cpu": 0}, "cpu must be longer than 0"),
        ({"after": 5}, "after= takes tasks or their names, not 5"),
        ({"after": "x"}, "depends on 'x', which is not among its tasks"),
        ({"map": 5}, "map is the name of a parameter, not 5"),
        ({"name": "\ud800"}, "a task's name is a text"),
        ({"once": True, "retries": 1}, "never started twice"),
        ({"name": "a/b"}, "text without /"),
        ({"when": 3}, "when= is a condition"),
        ({"when": "a +"}, "is no expression"),
        ({"when": "f(a) > 1"}, "cannot be tested"),
        ({"map": "x"}, "maps over 'x'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    # spec: CLO-11
    with pytest.raises(WorkflowError, match=words):
        Workflow("w", [task(**options)(lambda: 1)])


@pytest.mark.parametrize("timeout", [1e30, float("nan"), -1, 0, "soon", True])
def test_times_of_runs_are_checked(timeout: Any) -> None:
    # spec: CLO-11
    with pytest.raises(WorkflowError, match="the timeout of workflow 'w' "):
        Workflow("w", [tasks.double], timeout=timeout)


def test_limits_are_sizes_and_texts(lasting_url: str) -> None:
    # spec: CLO-18
    @task(memory=1 << 29, output_size=1000, cpu=60)
    def small() -> Any:
        return "x" * 500

    @task(after=small, memory="512 MB", output_size="1 KB")
    def large() -> Any:
        return "x" * 5000

    with Runner(lasting_url, workers=1) as runner:
        result = runner.submit(Workflow("limits", [small, large])).result(60)
    assert len(result.outputs["small"]) == 500
    assert result.failure is not None
    assert (result.failure.task, result.failure.kind) == ("large", "limit_exceeded")


def test_functions_that_no_worker_gets_are_refused() -> None:
    # spec: CLO-11
    lock = threading.Lock()

    @task
    def locked() -> Any:
        return lock

    with pytest.raises(WorkflowError, match=r"task 'locked' .*cannot be sent to a worker.*lock"):
        Workflow("w", [locked])

    with pytest.raises(WorkflowError, match="filled by their names"):
        Workflow("w", [task(lambda *args: 1)])
    assert tasks.double.import_name == "workflow_tasks:double"
    assert tasks.double(4) == 8, "a task is still a function"


def test_conditions_do_not_become_truths_by_mistake() -> None:
    with pytest.raises(TypeError, match="combine conditions with &"):
        bool(value("a") > 1)


def test_the_hash_follows_graph_and_code() -> None:
    # spec: CLO-12
    def made(number: Any, **options: Any) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def f(): return {number}", scope)
        return Workflow("w", [task(**options)(scope["f"])]).hash

    assert made(1) == made(1)
    assert len({made(1), made(2), made(1, retries=1)}) == 3


def test_inputs_are_checked(lasting_url: str) -> None:
    # spec: CLO-03
    # spec: CLO-11
    workflow = Workflow("w", [tasks.double])
    with Runner(lasting_url, workers=1) as runner:
        with pytest.raises(WorkflowError, match="has no 'number', which task 'double' takes"):
            runner.submit(workflow, {})
        with pytest.raises(WorkflowError, match="is a dict, not a list"):
            runner.submit(workflow, [1])
        with pytest.raises(NotKept, match=r"input\.number\.b\[1\] is of type .*date"):
            runner.submit(workflow, {"number": {"b": [1, datetime.date(2026, 1, 1)]}})
        with pytest.raises(TypeError, match=r"a.*lock"):
            runner.submit(workflow, {"number": {"a": threading.Lock()}})
        with pytest.raises(WorkflowError, match="the id of a run"):
            runner.submit(workflow, {"number": 1}, id="")

        @task
        def gives() -> Any:
            return {"a": {"b": object()}}

        result = runner.submit(Workflow("gives", [gives])).result(60)
        assert result.failure is not None
        assert result.failure.kind == "not_kept"
        assert "result.a.b" in result.failure.message
        _check_refused_results(runner)
        for wrong in ("double", tasks.double, None):
            with pytest.raises(WorkflowError, match="a runner runs a Workflow, not"):
                runner.submit(wrong, {})  # type: ignore[arg-type]
            with pytest.raises(WorkflowError, match="a runner runs a Workflow, not"):
                runner.schedule("s", wrong, "* * * * *")  # type: ignore[arg-type]
    with pytest.raises(RunnerClosed, match="has been closed"):
        runner.submit(workflow, {"number": 1})


def _check_refused_results(runner: Runner) -> None:
    @task
    def cyclic() -> Any:
        found: list[Any] = [1]
        found.append({"again": found})
        return {"a": found}

    @task
    def surrogate() -> Any:
        return ["a", "\ud800"]

    @task
    def generator() -> Any:
        return (number for number in range(3))

    @task
    def step(ctx: Any) -> Any:
        ctx.step("one", threading.Lock)

    expected = {
        cyclic: "result.a is a list that contains itself or is nested too deep",
        surrogate: "result[1] is a text with half of a surrogate pair",
        generator: "result of type generator cannot be",
        step: "result of type _thread.lock cannot be",
    }
    for made, words in expected.items():
        failure = runner.submit(Workflow(made.name, [made])).result(60).failure
        assert failure is not None
        assert failure.kind == "not_kept"
        assert failure.message.startswith(words)
    with pytest.raises(
        NotKept, match=r"input\.number\[1\] is a text with half of a surrogate pair"
    ):
        runner.submit(Workflow("w", [tasks.double]), {"number": [1, "\udfff"]})


def test_one_engine_at_a_time(lasting_url: str, tmp_path: Path) -> None:
    refused = pytest.raises(DatabaseInUse, match=r"runs\.db is in use by another engine \(process")
    with Runner(lasting_url, workers=1), refused:
        Runner(lasting_url)
    Runner(lasting_url, workers=1).close()
    (tmp_path / "text.db").write_text("no database" * 1000)
    with pytest.raises(DatabaseError, match="not a database"):
        Runner(str(tmp_path / "text.db"))
    with pytest.raises(DatabaseError, match=r"missing/x\.db cannot be opened"):
        Runner(str(tmp_path / "missing" / "x.db"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://user:secret@host/d",
        "sqlite:///x.db?mode=rwc",
        "postgresql://user:secret@host/d?pool=3",
        "postgresql://user:secret@127.0.0.1:1/d",
    ],
)
def test_urls_are_checked_and_no_password_is_shown(url: str) -> None:
    # spec: CLO-22
    with pytest.raises((ValueError, DatabaseError)) as raised:
        Runner(url)
    assert "secret" not in str(raised.value)


def test_importing_the_package_does_not_import_workflows() -> None:
    code = "import sys, remotemedia; print([m for m in sys.modules if 'workflows' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

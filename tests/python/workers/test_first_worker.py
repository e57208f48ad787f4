"""A program's first worker starts when it has made a pipeline that needs one, and not before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from e2e_nodes import Identity
from processes import is_alive, wait_until_gone
from remotemedia import PassThroughNode, Pipeline, Runtime, WorkerStartError
from remotemedia.nodes import DataSinkNode, DataSourceNode

SCRIPT = """
import os
import sys
import time

sys.path.insert(0, {fixtures!r})
from e2e_nodes import Identity
from remotemedia import Pipeline, Runtime
"""


def first_worker(runtime: Runtime) -> int:
    """The process of the only worker, once it is ready."""
    while [worker["state"] for worker in runtime.workers()] != ["ready"]:
        time.sleep(0.002)  # a watchdog of the test run ends a hang
    (worker,) = runtime.workers()
    pid: int = worker["pid"]
    return pid


def script(body: str) -> str:
    """What a program prints."""
    text = SCRIPT.format(fixtures=str(Path(__file__).parents[1] / "fixtures")) + body
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_first_run_has_the_worker_that_was_started_ahead() -> None:
    # spec: CARD-02, DSG-10
    with Runtime() as runtime:
        pipeline = Pipeline([Identity()], runtime=runtime)
        worker = first_worker(runtime)
        assert pipeline.run(3) == 3
        metrics: Any = pipeline.get_metrics()
        assert metrics["nodes"][0]["worker_pid"] == worker


def test_it_starts_when_a_node_is_added_and_only_once() -> None:
    with Runtime() as runtime:
        pipeline = Pipeline(runtime=runtime)
        assert runtime.workers() == []
        pipeline.add_node(Identity())
        worker = first_worker(runtime)
        Pipeline([Identity(), Identity()], runtime=runtime)
        assert first_worker(runtime) == worker
        os.kill(worker, 9)
        wait_until_gone({worker})
        while runtime.workers():
            time.sleep(0.002)
        Pipeline([Identity()], runtime=runtime)
        assert runtime.workers() == []


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_it_is_of_the_interpreter_that_is_asked_for(interpreter: str) -> None:
    with Runtime() as runtime:
        Pipeline([Identity(runtime_hint=interpreter)], runtime=runtime)
        assert [worker["runtime"] for worker in runtime.workers()] == [interpreter]
    with Runtime(f'python.runtime = "{interpreter}"') as runtime:
        Pipeline([Identity()], runtime=runtime)
        assert [worker["runtime"] for worker in runtime.workers()] == [interpreter]


def test_pipelines_that_need_none_start_none() -> None:
    with Runtime() as runtime:
        Pipeline([DataSourceNode(), PassThroughNode(), DataSinkNode()], runtime=runtime)
        assert runtime.workers() == []


def test_what_is_wrong_is_told_when_the_pipeline_runs() -> None:
    with Runtime('python.interpreter = "/not/there/python"') as runtime:
        pipeline = Pipeline([Identity()], runtime=runtime)
        with pytest.raises(WorkerStartError, match="/not/there/python"):
            pipeline.run(1)


def test_importing_starts_nothing() -> None:
    body = "import remotemedia._native as native\nprint(native.all_runtimes())"
    assert script(body) == "[]\n"


def test_a_program_that_ends_at_once_leaves_no_worker() -> None:
    body = "Pipeline([Identity()])"
    assert script(body) == ""
    body = """
runtime = Runtime()
Pipeline([Identity()], runtime=runtime)
while not (pids := [worker["pid"] for worker in runtime.workers() if worker["pid"]]):
    time.sleep(0.001)
print(*pids)
"""
    (worker,) = map(int, script(body).split())
    wait_until_gone({worker})
    assert not is_alive(worker)


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_starts_none_before_it_needs_one() -> None:
    body = """
import warnings
warnings.simplefilter("ignore")
runtime = Runtime()
before = Pipeline([Identity()], runtime=runtime)
child = os.fork()
if child == 0:
    own = Runtime()
    pipeline = Pipeline([Identity()], runtime=own)
    assert own.workers() == runtime.workers() == []
    assert (pipeline.run(5), before.run(6)) == (5, 6)
    assert len(own.workers()) == len(runtime.workers()) == 1
    own.shutdown()
    runtime.shutdown()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(before.run(7))
"""
    assert script(body) == "7\n"

"""What a run says about its cost, and about the processes that it used."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from typing import Any

import numpy as np
import pytest

from e2e_nodes import (
    WATCHDOG_SECONDS,
    Apply,
    Fails,
    Identity,
    Pid,
    WaitsForPipe,
    node_metrics,
)
from processes import children, started, wait_for_children
from remotemedia import AddNode, NodeError, PassThroughNode, Pipeline, PipelineError, Runtime
from remotemedia_runtime import execute_pipeline_with_input

OF_A_RUN = {
    # The first generation's, the later ones', and those of the interface document.
    "pipeline_id", "total_executions", "total_duration_us", "total_duration_ms",
    "peak_memory_bytes", "peak_memory_mb", "metrics_overhead_us", "late_count", "node_metrics",
    "total_time_ms", "total_memory_mb", "node_count", "nodes",
}  # fmt: skip
OF_A_NODE = {
    "node_id", "execution_count", "success_count", "error_count", "success_rate",
    "total_duration_us", "avg_duration_us", "min_duration_us", "max_duration_us",
    "node_type", "runtime", "execution_time_ms", "execution_time_us", "memory_mb", "status",
    "retry_count", "error", "worker_pid", "peak_memory_bytes", "peak_delta_bytes",
    "limits_exceeded", "log_dropped_bytes", "delta_private_bytes", "delta_shared_bytes",
    "array_private_bytes", "array_shared_bytes",
}  # fmt: skip


def test_the_keys_of_every_generation_are_there_and_agree() -> None:
    # spec: NRA-13
    pipeline = Pipeline("keys", [AddNode(addend=1, name="add"), Identity(name="same")])
    pipeline.run([1, 2, 3])
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert set(metrics) >= OF_A_RUN
    assert metrics == json.loads(json.dumps(metrics))
    assert metrics["pipeline_id"] == "keys"
    assert metrics["total_executions"] == 1
    assert metrics["node_count"] == 2
    assert metrics["total_time_ms"] == pytest.approx(metrics["total_duration_us"] / 1e3, abs=0.01)
    assert metrics["nodes"] == metrics["node_metrics"]
    for node in metrics["nodes"]:
        assert set(node) >= OF_A_NODE
        assert node["execution_time_us"] == node["total_duration_us"]
    assert [node["runtime"] for node in metrics["nodes"]] == ["rust_native", "cpython"]


def test_the_ffi_functions_give_the_same_metrics_as_a_dict() -> None:
    # spec: NRA-13, FFI-01
    manifest = {"version": "v1", "nodes": [{"id": "a", "node_type": "e2e_nodes:Identity"}]}
    metrics = execute_pipeline_with_input(json.dumps(manifest), 1)["metrics"]
    assert set(metrics) >= OF_A_RUN
    assert set(metrics["nodes"][0]) >= OF_A_NODE


def test_times_are_microseconds_of_each_node() -> None:
    # spec: NRA-11
    def spend(milliseconds: int) -> int:
        until = time.perf_counter_ns() + milliseconds * 1_000_000
        while time.perf_counter_ns() < until:
            pass
        return milliseconds

    pipeline = Pipeline([Apply(spend, name="busy"), Identity(name="idle"), AddNode(name="native")])
    pipeline.run([5, 10, 20])
    metrics = pipeline.get_metrics()
    busy, idle, native = node_metrics(metrics).values()
    assert metrics is not None
    # Lower bounds only: how much longer it takes is the machine's affair.
    assert busy["total_duration_us"] >= 35_000
    assert busy["max_duration_us"] >= 20_000
    assert busy["total_duration_us"] <= metrics["total_duration_us"]
    assert metrics["total_duration_us"] >= 35_000
    for node in (busy, idle, native):
        assert all(isinstance(node[key], int) for key in node if key.endswith("duration_us"))
        assert node["min_duration_us"] <= node["avg_duration_us"] <= node["max_duration_us"]
    # What a node costs is not put down to its neighbour.
    assert idle["total_duration_us"] < busy["total_duration_us"]
    assert native["total_duration_us"] < busy["total_duration_us"]


def test_calls_successes_and_errors_are_counted() -> None:
    # spec: NRA-11, NRA-13
    def divide(item: int) -> float:
        return 1 / item

    native = AddNode(addend=0, name="native")
    pipeline = Pipeline([native, Apply(divide, name="divide"), Identity(name="behind")])
    with pipeline.session() as session:
        for item in (1, 0, 2, 0, 4):
            if item:
                session.process(item)
            else:
                with pytest.raises(NodeError):
                    session.process(item)
    by_name = {
        node_id.split("_")[0]: m for node_id, m in node_metrics(pipeline.get_metrics()).items()
    }
    counts = {
        name: [m[key] for key in ("execution_count", "success_count", "error_count", "retry_count")]
        for name, m in by_name.items()
    }
    assert counts == {"native": [5, 5, 0, 0], "divide": [5, 3, 2, 0], "behind": [3, 3, 0, 0]}
    assert by_name["divide"]["success_rate"] == pytest.approx(0.6)


def test_a_failed_run_has_metrics_and_names_the_error() -> None:
    # spec: NRA-13
    pipeline = Pipeline([Identity(), Fails(lambda: ValueError("bad")), PassThroughNode()])
    with pytest.raises(NodeError):
        pipeline.run(1)
    first, second, third = node_metrics(pipeline.get_metrics()).values()
    assert [node["status"] for node in (first, second, third)] == ["success", "failed", "skipped"]
    assert "bad" in second["error"]
    assert first["error"] is None


def test_python_nodes_run_in_the_process_that_the_metrics_name() -> None:
    # spec: CARD-01, NRA-13
    pipeline = Pipeline([Pid(name="one"), Apply(lambda pid: (pid, os.getpid()), isolated=True)])
    pids = pipeline.run(1)
    named = [node["worker_pid"] for node in node_metrics(pipeline.get_metrics()).values()]
    assert list(pids) == named
    assert os.getpid() not in named
    assert len(set(named)) == 2
    assert set(named) <= started()


MB = 1_000_000


def allocate(item: int) -> int:
    """Touches that many megabytes for a moment."""
    return len(np.ones(item * MB, dtype=np.uint8)) if item else 0


def test_peak_memory_belongs_to_the_node_that_used_it() -> None:
    # spec: CARD-06, NRA-12
    pipeline = Pipeline([Apply(allocate, name="big"), Identity(name="small")])
    assert pipeline.run([0, 80, 0]) == [0, 80 * MB, 0]
    big, small = node_metrics(pipeline.get_metrics()).values()
    assert big["worker_pid"] == small["worker_pid"]
    assert big["peak_delta_bytes"] >= 75 * MB
    assert small["peak_delta_bytes"] <= 20 * MB
    assert big["peak_memory_bytes"] >= big["peak_delta_bytes"]
    assert big["peak_memory_bytes"] < 80 * MB + 400 * MB
    assert small["peak_memory_bytes"] > 0


def test_peak_memory_of_one_run_does_not_haunt_the_next() -> None:
    # spec: CARD-06, NRA-12
    deltas = []
    with Runtime("") as runtime:  # a worker that keeps no memory of earlier arrays for the next
        pipeline = Pipeline([Apply(allocate, name="big")], runtime=runtime)
        for item in (80, 0):
            pipeline.run(item)
            (node,) = node_metrics(pipeline.get_metrics()).values()
            deltas.append(node["peak_delta_bytes"])
    assert deltas[0] >= 75 * MB
    assert deltas[1] <= 20 * MB


def test_the_next_run_finds_its_worker_warm() -> None:
    # spec: CARD-02
    with Runtime() as runtime:
        pids = {Pipeline([Pid()], runtime=runtime).run(n) for n in range(5)}
        assert len(pids) == 1
        (worker,) = runtime.workers()
        assert (worker["pid"], worker["sessions"]) == (*pids, 5)
        assert pids <= started()
    wait_for_children(children() - pids)


def test_the_pool_is_bounded() -> None:
    # spec: CARD-02
    pids: list[int] = []
    with Runtime("[workers]\nmax = 2\n") as runtime:

        def run() -> None:
            pids.extend(Pipeline([Pid()], runtime=runtime).run([1, 2]))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(pids) == 16
        assert len(set(pids)) <= 2
        workers = {worker["pid"] for worker in runtime.workers()}
        assert set(pids) <= workers
        assert len(workers) <= 2


def test_a_session_waits_for_a_worker_and_is_told_when_none_comes() -> None:
    # spec: CARD-02
    config = '[workers]\nmax = 1\nacquire_timeout = "5 s"\n'
    with Runtime(config) as runtime, Pipeline([Pid()], runtime=runtime).session() as session:
        session.process(1)
        with pytest.raises(PipelineError, match="no worker was ready"):
            Pipeline([Pid()], runtime=runtime).run(1)
        assert session.process(1)


def test_workers_are_recycled_after_their_sessions() -> None:
    # spec: CARD-02
    with Runtime("[workers]\nmax = 1\nmax_sessions = 2\n") as runtime:
        pids = [Pipeline([Pid()], runtime=runtime).run(n) for n in range(6)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
    assert len(set(pids)) == 3


def ends(pidfd: int) -> bool:
    """Whether the process of that descriptor ends before the watchdog does."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(WATCHDOG_SECONDS * 1000))


def test_idle_workers_end() -> None:
    # spec: CARD-02
    with Runtime('[workers]\nidle_timeout = "50 ms"\n') as runtime:
        with Pipeline([Pid()], runtime=runtime).session() as session:
            (pid,) = session.process(1)
            pidfd = os.pidfd_open(pid)
        try:
            assert ends(pidfd)
        finally:
            os.close(pidfd)
        assert Pipeline([Pid()], runtime=runtime).run(1) != pid


def test_workers_end_with_their_runtime_even_when_they_are_busy(tmp_path: Any) -> None:
    # spec: CARD-02
    reports, goes_on = (tmp_path / name for name in ("reports", "goes_on"))
    os.mkfifo(reports)
    os.mkfifo(goes_on)
    before = children()
    runtime = Runtime()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            Pipeline([WaitsForPipe()], runtime=runtime).run((str(reports), str(goes_on)))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with reports.open() as waiting:
        assert waiting.readline() == "waiting\n"
    runtime.shutdown()
    thread.join()
    (error,) = errors
    assert "memory runs out" not in str(error)  # the runtime itself ended the worker
    wait_for_children(before)

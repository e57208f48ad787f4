"""Many Python threads at once, and the GIL while Rust computes or waits."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_nodes import WATCHDOG_SECONDS
from remotemedia._native import NativeNode
from remotemedia_runtime import (
    execute_pipeline,
    execute_pipeline_with_input,
    get_available_nodes,
    get_node_metadata,
    validate_manifest,
)

THREADS = 8


def one(node_type: str, **fields: Any) -> str:
    """A manifest of one node."""
    node = {"id": "n", "node_type": node_type, **fields}
    return json.dumps({"version": "v1", "nodes": [node]})


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)`, `work(1)`, ... give in threads that start together, errors included."""
    start = threading.Barrier(THREADS)
    results: list[Any] = [None] * THREADS

    def body(index: int) -> None:
        start.wait()
        try:
            results[index] = work(index)
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=body, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_native_runs_do_not_mix() -> None:
    # spec: FFI-19
    def work(index: int) -> list[Any]:
        manifest = one("AddNode", params={"addend": index})
        return [execute_pipeline_with_input(manifest, [n, n + 1])["result"] for n in range(50)]

    assert at_once(work) == [
        [[n + index, n + 1 + index] for n in range(50)] for index in range(THREADS)
    ]


def test_runs_in_workers_do_not_mix() -> None:
    # spec: FFI-19
    def work(index: int) -> list[Any]:
        scale = one("e2e_nodes:Scale", params={"factor": index})
        count = one("e2e_nodes:Numbers", params={"count": index + 2})
        return [
            execute_pipeline_with_input(scale, [1, 2, 3])["result"],
            execute_pipeline(count)["result"],
        ]

    assert at_once(work) == [
        [[index, 2 * index, 3 * index], list(range(index + 2))] for index in range(THREADS)
    ]


def test_questions_and_errors_do_not_mix() -> None:
    # spec: FFI-19
    names = get_available_nodes()
    metadata = get_node_metadata("VADNode")

    def work(index: int) -> list[Any]:
        answers: list[Any] = []
        for _ in range(50):
            assert get_available_nodes() == names
            assert get_node_metadata("VADNode") == metadata
            assert validate_manifest(one("AddNode"))
            with pytest.raises(ValueError, match=f"'Unknown{index}'"):
                validate_manifest(one(f"Unknown{index}"))
            with pytest.raises(RuntimeError) as caught:
                execute_pipeline_with_input(one("AddNode"), f"text {index}")
            answers.append(caught.value.args)
        return answers

    for answers in at_once(work):
        assert not isinstance(answers, BaseException), answers
        assert len(answers) == 50


def test_other_threads_run_while_a_call_waits_for_a_worker(tmp_path: Path) -> None:
    # spec: FFI-20
    # The node reports and then waits for this thread: with the GIL held it would wait in vain.
    paths = [tmp_path / "reports", tmp_path / "goes_on"]
    for path in paths:
        os.mkfifo(path)
    results: list[Any] = []
    manifest = one("e2e_nodes:WaitsForPipe", timeout_ms=WATCHDOG_SECONDS * 1000)

    def run(reports: int) -> None:
        try:
            item = [str(path) for path in paths]
            results.append(execute_pipeline_with_input(manifest, [item])["result"])
        finally:
            os.write(reports, b"over\n")

    # Open for both directions, so that neither side waits for the other to open.
    reports, goes_on = (os.open(path, os.O_RDWR) for path in paths)
    thread = threading.Thread(target=run, args=(reports,))
    thread.start()
    try:
        assert os.read(reports, 100) == b"waiting\n"
        counted = sum(1 for _ in range(100_000))
        assert not results
        os.write(goes_on, f"counted to {counted}\n".encode())
        thread.join()
    finally:
        os.close(reports)
        os.close(goes_on)
    assert results == ["counted to 100000\n"]


def test_other_threads_run_while_a_call_computes() -> None:
    # spec: FFI-20
    resample = NativeNode("ResampleNode", '{"target_rate": 16000, "quality": "high"}')
    seconds = 120
    item = (np.zeros((1, 48_000 * seconds), dtype=np.float32), 48_000)
    counted = 0
    counting, done = threading.Event(), threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            counting.set()
            time.sleep(0)  # hands the GIL over, which with this interval nothing else does

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=count)
    thread.start()
    counting.wait()
    try:
        sys.setswitchinterval(1_000)
        before = counted
        ((output, _),) = resample.process(item)
        after = counted
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()
    assert output.shape == (1, 16_000 * seconds)
    assert after > before

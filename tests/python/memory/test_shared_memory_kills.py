"""SIGKILL at any moment of a transfer, and shared memory that cannot be had."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loops import ORCHESTRATOR_KILLS, WORKER_KILLS, Loop
from places import FIXTURES
from processes import children, shared_memory_names, wait_until_gone
from remotemedia import Pipeline, Runtime, Session, WorkerCrashed, shared_memory_stats
from transfer_nodes import Blocks, PlusOne

KINDS = ["memfd", "named"]


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def busy_workers(runtime: Runtime, session: Session, item: Any) -> list[int]:
    """The workers of the open session. When all have died, the next call brings them back."""
    while True:
        busy = [worker["pid"] for worker in runtime.workers() if worker["state"] == "busy"]
        if busy:
            return sorted(busy)
        with contextlib.suppress(WorkerCrashed):
            session.process(item)


@pytest.mark.alone
@pytest.mark.parametrize("segment", KINDS)
def test_a_worker_killed_at_any_moment_costs_its_call_and_nothing_else(
    segment: str, rounds: Callable[[Loop], int]
) -> None:
    """spec: CARD-05, CARD-08, CARD-11"""
    kills = rounds(WORKER_KILLS)
    seed = 20_261_121
    rng = random.Random(seed)
    names_before = shared_memory_names()
    runtime = Runtime(f'[workers]\nmin = 1\nmax = 4\n[shared_memory]\nsegment = "{segment}"\n')
    pipeline = Pipeline(PlusOne(), Blocks(isolated=True), runtime=runtime)
    arrays = [np.arange(length, dtype=np.float32) for length in (100, 20_000, 600_000)]
    signals: list[str | None] = []
    kept = []
    with pipeline.session() as session:
        for array in arrays:
            session.process(array)
        descriptors_before = open_descriptors()
        round_number = 0
        # Kills that come between two calls show nothing.
        while round_number < kills or len(signals) <= kills // 3:
            round_number += 1
            array = arrays[round_number % len(arrays)]
            victim = rng.choice(busy_workers(runtime, session, array))
            killer = threading.Timer(rng.uniform(0, 0.004), os.kill, (victim, signal.SIGKILL))
            killer.start()
            is_over = False
            while not is_over:
                # One more call after the kill: a worker may die between two calls.
                is_over = not killer.is_alive()
                try:
                    outputs = session.process(array)
                except WorkerCrashed as error:
                    signals.append(error.signal)
                    continue
                for number, output in enumerate(outputs):
                    np.testing.assert_array_equal(output, array + 1 + number)
                if round_number % 10 == 0:
                    kept.append((array, outputs[2]))
            killer.join()
        for array, output in kept:
            np.testing.assert_array_equal(output, array + 3)
        assert set(signals) == {"SIGKILL"}
        assert open_descriptors() <= descriptors_before + 40, "descriptors are given back"
        del kept, outputs, output
    runtime.shutdown()
    assert shared_memory_names() == names_before
    assert shared_memory_stats(runtime)["workers"] == []


@pytest.mark.alone
@pytest.mark.parametrize("segment", KINDS)
def test_an_orchestrator_killed_at_any_moment_leaves_nothing(
    segment: str, rounds: Callable[[Loop], int]
) -> None:
    """spec: CARD-05, CARD-08, CARD-11"""
    rng = random.Random(4711)
    names_before = shared_memory_names()
    command = [sys.executable, str(FIXTURES / "transfer_nodes.py"), segment]
    for _ in range(rounds(ORCHESTRATOR_KILLS)):
        caller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert caller.stdout is not None
        assert caller.stdout.readline() == "running\n"
        workers = children(caller.pid)
        assert workers
        threading.Event().wait(rng.uniform(0, 0.03))
        caller.kill()
        caller.wait()
        caller.stdout.close()
        wait_until_gone(workers)
    if segment == "named":
        # A name that was being announced may be left; the next runtime removes it.
        pipeline = Pipeline(PlusOne(), runtime=Runtime('[shared_memory]\nsegment = "named"\n'))
        pipeline.run(np.zeros(20_000, np.float32))
        pipeline.native_runtime().shutdown()
    assert shared_memory_names() == names_before


LIMITED = textwrap.dedent(
    """
    import logging, sys
    import numpy as np
    sys.path.insert(0, {here!r})
    from remotemedia import Pipeline, Runtime
    from transfer_nodes import PlusOne

    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    runtime = Runtime('[shared_memory]\\nsegment = "{segment}"\\n')
    with Pipeline(PlusOne(), runtime=runtime).session() as session:
        for length in (100, 50_000, 2_500_000, 2_500_000):
            array = np.arange(length, dtype=np.float32)
            (output,) = session.process(array)
            assert (output == array + 1).all(), length
    print("fine")
    """
)


@pytest.mark.parametrize("segment", KINDS)
def test_a_full_dev_shm_makes_it_slower_and_nothing_else(segment: str) -> None:
    """spec: CARD-05, CARD-11"""
    mount = 'mount -t tmpfs -o size=1M tmpfs /dev/shm && exec "$@"'
    script = LIMITED.format(here=str(FIXTURES), segment=segment)
    isolate = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*isolate, "sh", "-c", mount, "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "fine"
    warnings = [line for line in lines if "no shared memory" in line]
    assert len(warnings) == (1 if segment == "named" else 0), done.stdout
    if warnings:
        assert "PlusOne_0" in warnings[0]
        assert "[shared_memory]" in warnings[0]

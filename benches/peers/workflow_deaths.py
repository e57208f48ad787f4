"""The part of `workflows.py` about deaths: of a worker, of a task that hangs, of the engine."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import collections
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remotemedia import Runtime
from remotemedia.workflows import Runner, Task, Workflow, task

Row = list[str]


@task(crash_retries=1)
def dies(path: str) -> float:
    """Notes when it dies; its second attempt returns when it began."""
    now = time.time()
    if not Path(path).exists():
        Path(path).write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGSEGV)
    return now


@task
def resumed(path: str) -> float:
    """The first attempt never ends; the second returns when it began."""
    now = time.time()
    if not Path(path).exists():
        Path(path).write_text("begun")
        time.sleep(600)
    return now


def note_process(path: str) -> None:
    """Say which process runs the task."""
    Path(f"{path}.new").write_text(str(os.getpid()))
    Path(f"{path}.new").rename(path)


@task
def sleeps(path: str) -> None:
    """Takes longer than it may."""
    note_process(path)
    time.sleep(60)


@task
def loops(path: str) -> None:
    """Loops in C code, which looks at no signal."""
    note_process(path)
    collections.deque(itertools.repeat(None, 10**14), maxlen=0)


@task
def ignores(path: str) -> None:
    """Catches what would stop it."""
    note_process(path)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


@task
async def awaits(path: str) -> None:
    """Waits in an event loop."""
    import asyncio

    note_process(path)
    await asyncio.sleep(60)


@task
def sleeps_by_ctx(ctx: Any, path: str) -> None:
    """Runs in a thread of its worker."""
    ctx.step("begun", note_process, path)
    time.sleep(60)


HANGS = (sleeps, loops, ignores, awaits, sleeps_by_ctx)


def is_gone(pid: int) -> bool:
    """Whether the process is gone, but for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    while not condition():
        time.sleep(0.0005)


def crashes(folder: Path, count: int = 100) -> Row:
    """From SIGSEGV of a worker to the retry."""
    took = []
    with Runner(f"sqlite:///{folder}/deaths.db", workers=1) as runner:
        workflow = Workflow("dies", [dies])
        for number in range(count):
            path = folder / f"died-{number}"
            began = runner.submit(workflow, {"path": str(path)}).result().checked().outputs["dies"]
            took.append((began - float(path.read_text())) * 1000)
    return [
        "SIGSEGV of a worker to the retry",
        f"p50 {statistics.median(took):.0f} ms",
        f"longest {max(took):.0f} ms",
    ]


def stop(folder: Path, hangs: Task, *, cancels: bool) -> tuple[float, float]:
    """How long a task takes that is stopped by its time limit of 1 s from its begin, or cancelled:
    until its run has ended, and until its process is gone. That of a cancelled one that obeys the
    interrupt may serve on. What does not obey is killed at once, without the grace of deadlines.
    """
    path = folder / f"{hangs.name}-{time.monotonic_ns()}"
    limited = hangs if cancels else hangs.with_options(timeout=1)
    with (
        Runtime(workers={"max": 2, "stop_grace": "0 s"}) as pool,
        Runner(f"sqlite:///{path}.db", workers=1, runtime=pool) as runner,
    ):
        run = runner.submit(Workflow("hangs", [limited]), {"path": str(path)})
        until(path.exists)
        pid = int(path.read_text())
        begun = time.perf_counter()
        if cancels:
            run.cancel()
        result = run.result()
        told = time.perf_counter() - begun
        until(lambda: cancels or is_gone(pid))
        gone = time.perf_counter() - begun
    assert result.status == ("cancelled" if cancels else "failed"), result
    assert cancels or (result.failure is not None and result.failure.kind == "timed_out")
    return told, gone


def engine_killed(folder: Path, program: str) -> Row:
    """SIGKILL of the engine: the next process begins the step that was running."""
    took = []
    for number in range(5):
        url, path = f"sqlite:///{folder}/killed-{number}.db", folder / f"resumed-{number}"
        command = [sys.executable, program, "--resume", url, str(path)]
        first = subprocess.Popen(command, stdout=subprocess.PIPE)
        until(path.exists)
        first.kill()
        first.communicate()
        started = time.time()
        second = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        took.append((float(second.stdout) - started) * 1000)
    return [
        "next process after SIGKILL to its first step",
        f"p50 {statistics.median(took):.0f} ms",
        f"longest {max(took):.0f} ms, with its start",
    ]


def resume(url: str, path: str) -> None:
    """The program that is killed, and the one after it."""
    workflow = Workflow("resumed", [resumed])
    with Runner(url, workflows=[workflow], workers=1) as runner:
        run = runner.submit(workflow, {"path": path}, id="run")
        sys.stdout.write(str(run.result().checked().outputs["resumed"]))


def deaths(folder: Path, program: str) -> list[Row]:
    """All of it."""
    rows = [crashes(folder)]
    for hangs in HANGS:
        told, gone = stop(folder, hangs, cancels=False)
        what = f"{hangs.name} under timeout=1, from its begin"
        rows.append([what, f"told after {told:.2f} s", f"process gone after {gone:.2f} s"])
    for hangs in HANGS:
        told, _ = stop(folder, hangs, cancels=True)
        rows.append([f"{hangs.name}, cancelled", f"told after {told:.2f} s", ""])
    return [*rows, engine_killed(folder, program)]

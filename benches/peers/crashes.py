"""A call that crashes its process, beside three that do not: what the caller and the others notice.

    python crashes.py [--rounds 10] [--only remotemedia,executor,loky,ray,dora]

Each round makes four calls at once: three that take 300 ms, and one that dies of SIGSEGV after
100 ms. Reported are the time from the signal to the caller's error, what the error says, how many
of the three others fail too, and the time from the error to the next right result, with whatever
the candidate's users do for it (a new pool). At the end the caller itself is killed by SIGKILL,
while its workers run programs: how many processes are left two seconds later.

Every candidate runs in a process of its own. No time is asserted.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from common import machine, markdown, show

WORKERS = 4
OTHERS = 3
MARK = "2718.28"
"""The seconds that programs of workers sleep, by which they are found."""


def job(order: tuple[str, str]) -> Any:
    """What a worker does."""
    what, note = order
    if what == "crash":
        time.sleep(0.1)
        Path(note).write_text(str(time.time_ns()))
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(5)
    if what == "slow":
        time.sleep(0.3)
    if what == "start":
        subprocess.Popen(["sleep", MARK])
    return note


class RemoteMedia:
    """A pipeline for each call, in one runtime."""

    def __init__(self) -> None:
        from remotemedia import Pipeline, Runtime

        logging.getLogger("remotemedia").setLevel(logging.CRITICAL)
        self._runtime = Runtime(f"[workers]\nmax = {WORKERS}\n")
        self._threads = ThreadPoolExecutor(WORKERS)
        self._pipelines = [Pipeline(job, runtime=self._runtime) for _ in range(WORKERS)]

    def call(self, number: int, order: tuple[str, str]) -> Future[Any]:
        """Begin a call."""
        return self._threads.submit(self._pipelines[number].run, order)

    def mend(self) -> None:
        """The next run gets a fresh worker."""

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown()
        self._runtime.shutdown()


class Executor:
    """`concurrent.futures.ProcessPoolExecutor`."""

    def __init__(self) -> None:
        self._pool = self._made()

    def _made(self) -> Any:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(max_workers=WORKERS, mp_context=spawn)

    def call(self, _number: int, order: tuple[str, str]) -> Future[Any]:
        """Begin a call."""
        future: Future[Any] = self._pool.submit(job, order)
        return future

    def mend(self) -> None:
        """A broken pool takes no further calls."""
        self._pool.shutdown(wait=False)
        self._pool = self._made()

    def close(self) -> None:
        """End all workers."""
        self._pool.shutdown()


class Loky(Executor):
    """loky's pool, which replaces itself when it is broken."""

    def _made(self) -> Any:
        from loky import get_reusable_executor

        return get_reusable_executor(max_workers=WORKERS, timeout=None)

    def mend(self) -> None:
        """Ask for the pool again."""
        self._pool = self._made()

    def close(self) -> None:
        """End all workers."""
        self._pool.shutdown(wait=True, kill_workers=True)


class Ray:
    """Tasks of a cluster of this machine; each call in a process of Ray's pool."""

    def __init__(self) -> None:
        import ray

        self._folder = tempfile.mkdtemp(prefix="peers-")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AUTH_TOKEN", "0" * 64)
        ray.init(
            num_cpus=WORKERS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=256 * 1024 * 1024,
            _temp_dir=self._folder,
        )
        self._ray = ray
        self._job = ray.remote(max_retries=0)(job)
        self._threads = ThreadPoolExecutor(WORKERS)

    def call(self, _number: int, order: tuple[str, str]) -> Future[Any]:
        """Begin a call."""
        return self._threads.submit(lambda: self._ray.get(self._job.remote(order), timeout=60))

    def mend(self) -> None:
        """Ray starts another process by itself."""

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown()
        self._ray.shutdown()


class Dora:
    """A dataflow with a node for each call."""

    def __init__(self) -> None:
        from candidates.dora_jobs import Dora as Dataflow

        dataflow = Dataflow(WORKERS)
        self.call, self.mend, self.close = dataflow.call, dataflow.mend, dataflow.close


CANDIDATES: dict[str, Callable[[], Any]] = {
    "remotemedia": RemoteMedia,
    "executor": Executor,
    "loky": Loky,
    "ray": Ray,
    "dora": Dora,
}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """All rounds of one candidate."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        candidate = CANDIDATES[name]()
        for future in [candidate.call(number, ("slow", "warm")) for number in range(WORKERS)]:
            future.result(120)
        errors, recoveries, lost, text = [], [], 0, ""
        for number in range(rounds):
            note = Path(folder) / f"crash-{number}"
            futures = [candidate.call(other, ("slow", "right")) for other in range(OTHERS)]
            crash = candidate.call(OTHERS, ("crash", str(note)))
            problem = crash.exception(60)
            noticed = time.time_ns()
            errors.append((noticed - int(note.read_text())) / 1e6)
            text = "".join(traceback.format_exception_only(problem))
            candidate.mend()
            if candidate.call(OTHERS, ("quick", "right")).result(60) != "right":
                raise AssertionError("a wrong result")
            recoveries.append((time.time_ns() - noticed) / 1e6)
            lost += sum(future.exception(60) is not None for future in futures)
        candidate.close()
    return {
        "errors": sorted(errors),
        "recoveries": sorted(recoveries),
        "lost": lost,
        "says": text,
    }


def leave(name: str) -> None:
    """Have workers start programs, say so, and wait to be killed."""
    candidate = CANDIDATES[name]()
    futures = [candidate.call(number, ("start", "")) for number in range(WORKERS)]
    for future in futures:
        future.result(120)
    time.sleep(0.5)
    show("ready")
    time.sleep(600)


def leftovers(name: str) -> tuple[int, int]:
    """Kill the caller: workers, and programs of workers, that are alive two seconds later."""
    command = [sys.executable, __file__, "--leave", name]
    caller = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert caller.stdout is not None
    line = caller.stdout.readline()
    if line != "ready\n":
        raise AssertionError(f"{name} said {line!r}")
    members = psutil.Process(caller.pid).children(recursive=True)
    caller.kill()
    caller.wait()
    time.sleep(2)
    alive = [member for member in members if is_alive(member)]
    programs = [member for member in alive if is_program(member)]
    for member in alive:
        member.kill()
    return len(alive) - len(programs), len(programs)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process exists and is more than a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_program(process: psutil.Process) -> bool:
    """Whether a worker has started it."""
    try:
        return MARK in process.cmdline()
    except psutil.Error:
        return False


def row(name: str, rounds: int) -> tuple[list[str], str]:
    """The row of a candidate, and what its error says."""
    command = [sys.executable, __file__, "--measure", name, "--rounds", str(rounds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    done = subprocess.run(command, text=True, check=False, **pipes)
    if done.returncode != 0:
        return [name, *["cannot run here"] * 6], ""
    found = json.loads(done.stdout.splitlines()[-1])
    errors, recoveries = found["errors"], found["recoveries"]
    workers, programs = leftovers(name)
    cells = [
        f"{errors[len(errors) // 2]:.1f}",
        f"{errors[-1]:.1f}",
        f"{recoveries[len(recoveries) // 2]:.1f}",
        f"{recoveries[-1]:.1f}",
        f"{found['lost']} of {OTHERS * rounds}",
        f"{workers} and {programs}",
    ]
    return [name, *cells], found["says"]


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default=",".join(CANDIDATES))
    parser.add_argument("--measure", choices=CANDIDATES, help=argparse.SUPPRESS)
    parser.add_argument("--leave", choices=CANDIDATES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        show(json.dumps(measure(options.measure, options.rounds)))
        return
    if options.leave:
        leave(options.leave)
        return
    show(machine())
    rows = [row(name, options.rounds) for name in options.only.split(",")]
    header = (
        "candidate",
        "error, p50 ms",
        "longest",
        "next result, p50 ms",
        "longest",
        "calls of others lost",
        "workers and programs left",
    )
    show(markdown(header, [cells for cells, _ in rows]))
    for cells, says in rows:
        show(f"\n{cells[0]} says:\n\n    " + "\n    ".join(says.splitlines()[:16]))


if __name__ == "__main__":
    main()

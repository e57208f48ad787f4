"""Durable workflows: what a step costs, what a chain takes, and how long a death is noticed.

    .venvs/peers/bin/python benches/peers/workflows.py [--only chain,steps,...] [--postgres URL]

DBOS is measured beside it where it is installed (`pip install dbos`), on SQLite as well. Each
figure has its level of durability: `full` survives a power cut, `normal` loses its last moments
then; both survive the end of any process. No time is asserted; that every result is right is.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import machine, markdown, show

from remotemedia.workflows import Runner, Workflow, task

Row = list[str]


def fibo(n: int) -> int:
    """The function of the public benchmark of chains."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


@task
def work() -> int:
    """A step of the chain of 40 steps: `fibo(10)`."""
    return fibo(10)


@task
def nothing() -> None:
    """A step that does nothing."""


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


@task(timeout=1)
def stuck() -> None:
    """Takes longer than it may."""
    time.sleep(60)


@task
def begins() -> int:
    """When it began, in nanoseconds of the clock that all processes share."""
    return time.monotonic_ns()


def chain_of(step: Callable[..., object], count: int) -> Workflow:
    """Steps one after another."""
    made = task(step)
    later = [
        made.with_options(name=f"s{number}", after=[f"s{number - 1}"]) for number in range(1, count)
    ]
    return Workflow("chain", [made.with_options(name="s0"), *later])


def databases(folder: Path, postgres: str | None) -> dict[str, str]:
    """URLs of empty databases, by what they are called."""
    found = {
        f"SQLite, {level}": f"sqlite:///{folder}/{level}-{time.monotonic_ns()}.db?sync={level}"
        for level in ("full", "normal")
    }
    if postgres:
        for level in ("full", "normal"):
            schema = f"b{time.monotonic_ns()}"
            found[f"PostgreSQL, {level}"] = f"{postgres}?schema={schema}&sync={level}"
    return found


def chain(name: str, url: str) -> list[Row]:
    """The chain of 40 steps, and what a step costs in it."""
    with Runner(url, workers=1) as runner:
        workflow = chain_of(work, 40)
        runner.submit(workflow).result().checked()
        times = []
        for _ in range(10):
            begun = time.perf_counter()
            result = runner.submit(workflow).result()
            times.append(time.perf_counter() - begun)
            assert result.outputs["s39"] == 55
    best = statistics.median(times) * 1000
    return [[f"fibo(10) x 40, {name}", f"{best:.1f} ms", f"{best / 40:.2f} ms a step"]]


def steps(name: str, url: str) -> list[Row]:
    """No-op steps a second, and a run of one step from submission to result."""
    count, length = 100, 20
    workflow = chain_of(nothing, length)
    with Runner(url, workers=2) as runner:
        runner.submit(workflow).result().checked()
        begun = time.perf_counter()
        for run in runner.submit_many(workflow, [{}] * count):
            run.wait()
        rate = count * length / (time.perf_counter() - begun)
        stamped = chain_of(begins, 100)
        gaps = []
        for _ in range(10):
            begun_ns = list(runner.submit(stamped).result().outputs.values())
            gaps += [(b - a) / 1e6 for a, b in itertools.pairwise(begun_ns)]
        gaps.sort()
        single = chain_of(nothing, 1)
        times = []
        for _ in range(300):
            begun = time.perf_counter()
            runner.submit(single).wait()
            times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return [
        [f"no-op steps, {name}", f"{rate:,.0f} a second", ""],
        [
            f"from a step's begin to that of the next, {name}",
            f"p50 {gaps[len(gaps) // 2]:.2f} ms",
            f"p99 {gaps[len(gaps) * 99 // 100]:.2f} ms",
        ],
        [f"a run of one step, {name}", f"p50 {times[150]:.2f} ms", f"p99 {times[297]:.2f} ms"],
    ]


def deaths(folder: Path) -> list[Row]:
    """From the death of a worker to the retry, from that of an engine to the next attempt."""
    took = []
    with Runner(f"sqlite:///{folder}/deaths.db", workers=1) as runner:
        workflow = Workflow("dies", [dies])
        for number in range(10):
            path = folder / f"died-{number}"
            began = runner.submit(workflow, {"path": str(path)}).result().checked().outputs["dies"]
            took.append((began - float(path.read_text())) * 1000)
        begun = time.perf_counter()
        stopped = runner.submit(Workflow("stuck", [stuck])).result()
        stop = time.perf_counter() - begun
        assert stopped.failure is not None
        assert stopped.failure.kind == "timed_out"
    rows = [
        ["SIGSEGV of a worker to the retry", f"median {statistics.median(took):.0f} ms", ""],
        ["time.sleep(60) under timeout=1", f"{stop:.2f} s", ""],
    ]
    return [*rows, engine_killed(folder)]


def engine_killed(folder: Path) -> Row:
    """SIGKILL of the engine: the next process begins the step that was running."""
    url, path = f"sqlite:///{folder}/killed.db", folder / "resumed"
    command = [sys.executable, __file__, "--resume", url, str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    while not path.exists():
        time.sleep(0.01)
    first.kill()
    first.communicate()
    started = time.time()
    second = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    took = (float(second.stdout) - started) * 1000
    return ["next process after SIGKILL to its first step", f"{took:.0f} ms", "with its start"]


def resume(url: str, path: str) -> None:
    """The program that is killed, and the one after it."""
    workflow = Workflow("resumed", [resumed])
    with Runner(url, workflows=[workflow], workers=1) as runner:
        run = runner.submit(workflow, {"path": path}, id="run")
        sys.stdout.write(str(run.result().checked().outputs["resumed"]))


def many(folder: Path) -> list[Row]:
    """A database with many runs: how long it takes to add them and to open it."""
    url = f"sqlite:///{folder}/many.db?sync=normal"
    workflow = chain_of(nothing, 1)
    with Runner(url, workers=0) as runner:
        begun = time.perf_counter()
        runner.submit_many(workflow, [{}] * 100_000)
        rate = 100_000 / (time.perf_counter() - begun)
    begun = time.perf_counter()
    Runner(url, workers=0).close()
    opened = (time.perf_counter() - begun) * 1000
    return [
        ["submissions in one transaction, SQLite, normal", f"{rate:,.0f} a second", ""],
        ["opening a database with 100,000 runs at work", f"{opened:.0f} ms", ""],
    ]


DBOS = """
import statistics, sys, time
from dbos import DBOS
def fibo(n): return n if n < 2 else fibo(n - 1) + fibo(n - 2)
@DBOS.step()
def step(): return fibo(10)
@DBOS.workflow()
def chain():
    for _ in range(40): result = step()
    return result
if __name__ == "__main__":
    url = "sqlite:///" + sys.argv[1]
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    chain()
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        assert chain() == 55
        times.append(time.perf_counter() - begun)
    print("median", statistics.median(times) * 1000)
    DBOS.destroy()
"""


def peer(folder: Path, python: str) -> list[Row]:
    """The same chain with DBOS on SQLite, whose steps run in the process of the engine."""
    program = folder / "peer.py"
    program.write_text(DBOS)
    done = subprocess.run(
        [python, str(program), str(folder / "dbos.sqlite")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("median")]
    if not found:
        return [["fibo(10) x 40, DBOS", "did not run", done.stderr.strip().splitlines()[-1][:60]]]
    took = float(found[0])
    return [["fibo(10) x 40, DBOS on SQLite", f"{took:.1f} ms", f"{took / 40:.2f} ms a step"]]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="chain,steps,deaths,many,dbos")
    parser.add_argument("--postgres", help="URL of a server to measure as well")
    parser.add_argument("--dbos-python", help="an interpreter with DBOS; by default this one")
    parser.add_argument("--resume", nargs=2, metavar=("URL", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resume:
        resume(*options.resume)
        return
    chosen = options.only.split(",")
    show(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        for measure in (chain, steps):
            if measure.__name__ in chosen:
                for title, url in databases(folder, options.postgres).items():
                    rows += measure(title, url)
        if "deaths" in chosen:
            rows += deaths(folder)
        if "many" in chosen:
            rows += many(folder)
        has_peer = options.dbos_python or importlib.util.find_spec("dbos")
        if "dbos" in chosen and has_peer:
            rows += peer(folder, options.dbos_python or sys.executable)
        show(markdown(["what", "figure", ""], rows))


if __name__ == "__main__":
    main()

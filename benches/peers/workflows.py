"""Durable workflows: what a step costs, what a chain takes, how long a death is noticed, what many
runs and large values cost.

    .venvs/peers/bin/python benches/peers/workflows.py [--only chain,steps,...] [--postgres URL]

Each figure has its level of durability: `full` survives a power cut, `normal` loses its last
moments then; both survive the end of any process. No time is asserted; that every result is right
is. Other engines do the same chain in `workflow_engines.py`.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import workflow_deaths
from common import machine, markdown, show

from remotemedia.workflows import Runner, Workflow, task

Row = list[str]
LARGE = 10 << 20
"""Bytes of a large value."""


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


@task
def begins() -> int:
    """When it began, in nanoseconds of the clock that all processes share."""
    return time.monotonic_ns()


@task
def in_steps(ctx: Any, count: int) -> list[float]:
    """How long each of its inner steps took, in milliseconds."""
    took = []
    for number in range(count):
        begun = time.perf_counter()
        ctx.step("inner", int, number)
        took.append((time.perf_counter() - begun) * 1000)
    return took


@task
def idles(ctx: Any) -> Any:
    """Waits for an event."""
    return ctx.event("go")


@task(map="numbers")
def each(numbers: int) -> int:
    """A step for each number."""
    return numbers


@task
def reads(context: dict[str, Any], key: str) -> float:
    """Looks at an entry of its context."""
    return float(context[key][0]) if key else 0.0


@task
def reads_by_ctx(ctx: Any, key: str) -> float:
    """The same by `ctx`."""
    return float(ctx[key][0]) if key else 0.0


@task
def takes_nothing(key: str) -> float:
    """The same without a context."""
    return 0.0


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


def ranks(times: list[float]) -> tuple[str, str]:
    """The median and the 99th percentile of milliseconds."""
    times = sorted(times)
    return f"p50 {times[len(times) // 2]:.2f} ms", f"p99 {times[len(times) * 99 // 100]:.2f} ms"


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
    """No-op steps a second, what is between steps, a run of one step, and steps inside a task."""
    count, length = 200, 20
    workflow = chain_of(nothing, length)
    with Runner(url, workers=2) as runner:
        runner.submit(workflow).result().checked()
        begun = time.perf_counter()
        for run in runner.submit_many(workflow, [{}] * count):
            run.wait()
        rate = count * length / (time.perf_counter() - begun)
        stamped = chain_of(begins, 100)
        gaps = []
        for _ in range(20):
            begun_ns = list(runner.submit(stamped).result().outputs.values())
            gaps += [(b - a) / 1e6 for a, b in itertools.pairwise(begun_ns)]
        single = chain_of(nothing, 1)
        times = []
        for _ in range(300):
            begun = time.perf_counter()
            runner.submit(single).wait()
            times.append((time.perf_counter() - begun) * 1000)
        inner = runner.submit(Workflow("in_steps", [in_steps]), {"count": 500}).result().checked()
    return [
        [f"no-op steps, {name}", f"{rate:,.0f} a second", ""],
        [f"from a step's begin to that of the next, {name}", *ranks(gaps)],
        [f"a run of one step, {name}", *ranks(times)],
        [f"ctx.step, until it is durable, {name}", *ranks(inner.outputs["in_steps"])],
    ]


def switches() -> int:
    """How often the engine's threads and the database's have slept and been woken."""
    total = 0
    for thread in Path("/proc/self/task").iterdir():
        name = (thread / "comm").read_text()
        if name.startswith(("remotemedia-eng", "remotemedia-sto", "remotemedia-log")):
            status = (thread / "status").read_text()
            total += int(status.split("voluntary_ctxt_switches:")[1].split()[0])
    return total


def written() -> int:
    """How many calls to write this process has made."""
    return int(Path("/proc/self/io").read_text().split("syscw:")[1].split()[0])


def idle(name: str, url: str, seconds: float = 10) -> list[Row]:
    """What 10,000 runs cost that wait for an event: the threads that make queries sleep on."""
    count = 10_000
    with Runner(url, workers=2) as runner:
        runs = runner.submit_many(Workflow("idle", [idles]), [{}] * count)
        while any(step.event is None for step in runs[-1].steps()) or not runs[-1].steps():
            time.sleep(0.1)
        time.sleep(2)
        before = switches(), written()
        time.sleep(seconds)
        woken, wrote = (
            now - then for now, then in zip((switches(), written()), before, strict=True)
        )
        for run in (runs[0], runs[-1]):
            run.signal("go", 5)
            assert run.result().checked().outputs == {"idles": 5}
    return [
        [
            f"{count:,} idle runs for {seconds:.0f} s, {name}",
            f"{woken} wake-ups of the threads of engine and database",
            f"{wrote} writes",
        ]
    ]


def mapped(name: str, url: str) -> list[Row]:
    """A task that is mapped over 10,000 numbers."""
    count = 10_000
    with Runner(url, workers=2) as runner:
        workflow = Workflow("mapped", [each])
        runner.submit(workflow, {"numbers": [1]}).result().checked()
        begun = time.perf_counter()
        run = runner.submit(workflow, {"numbers": list(range(count))})
        run.wait()
        rate = count / (time.perf_counter() - begun)
        assert run.result().outputs["each"] == list(range(count))
    return [[f"a task mapped over {count:,} numbers, {name}", f"{rate:,.0f} a second", ""]]


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


def large_values() -> dict[str, Any]:
    """Values of 10 MB, by what they are."""
    import numpy as np

    numbers = np.random.default_rng(1).random(LARGE // 8)
    return {
        "array": numbers,
        "bytes": numbers.tobytes(),
        "text": numbers.tobytes().hex()[:LARGE],
    }


def storage(folder: Path) -> list[Row]:
    """How much a database grows by a value of 10 MB that passes through ten tasks."""
    rows = []
    for kind, given in large_values().items():
        database = folder / f"storage-{kind}.db"
        chain = [task(name="t0")(_passing("given"))]
        chain += [task(name=f"t{n}")(_passing(f"t{n - 1}")) for n in range(1, 10)]
        with Runner(str(database), workers=1) as runner:
            result = runner.submit(Workflow("chain", chain), {"given": given}).result().checked()
            assert len(result.outputs["t9"]) == len(given)
        grown = sum(file.stat().st_size for file in folder.rglob(f"{database.name}*/**/*"))
        grown += database.stat().st_size
        rows.append([f"{kind} of 10 MB through 10 tasks", f"{grown / 1e6:.1f} MB", "of storage"])
    return rows


def _passing(parameter: str) -> Any:
    scope: dict[str, Any] = {}
    exec(f"def passing({parameter}): return {parameter}", scope)
    return scope["passing"]


def contexts(name: str, url: str) -> list[Row]:
    """What a context costs, with an array of 10 MB and a list of 100,000 numbers in it."""
    given = {"array": large_values()["array"], "numbers": list(range(100_000))}
    rows = []
    with Runner(url, workers=1) as runner:
        for made in (takes_nothing, reads, reads_by_ctx):
            workflow = Workflow(made.name, [made])
            for key in ("", "array", "numbers"):
                times = []
                for _ in range(20):
                    run = runner.submit(workflow, {**given, "key": key})
                    run.result().checked()
                    (attempt,) = run.attempts()
                    times.append((attempt.ended - attempt.started).total_seconds() * 1000)
                what = f"reads {key or 'nothing'}"
                rows.append([f"{made.name}, {what}, {name}", *ranks(times[1:])])
    return rows


EACH = {"chain": chain, "steps": steps, "idle": idle, "mapped": mapped, "contexts": contexts}
"""What is measured on each database."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="chain,steps,idle,mapped,deaths,many,storage")
    parser.add_argument("--postgres", help="URL of a server to measure as well")
    parser.add_argument("--level", help="measure only databases whose names have this word")
    parser.add_argument("--resume", nargs=2, metavar=("URL", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resume:
        workflow_deaths.resume(*options.resume)
        return
    chosen = options.only.split(",")
    show(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        for measure in (EACH[word] for word in chosen if word in EACH):
            for title, url in databases(folder, options.postgres).items():
                if not options.level or options.level in title:
                    rows += measure(title, url)
        if "deaths" in chosen:
            rows += workflow_deaths.deaths(folder, __file__)
        if "many" in chosen:
            rows += many(folder)
        if "storage" in chosen:
            rows += storage(folder)
        show(markdown(["what", "figure", ""], rows))


if __name__ == "__main__":
    main()

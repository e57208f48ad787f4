"""The effects of `[calls]`."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from effect_nodes import Counts, Fails, Held, Saves
from effects.common import Bench, effect, pool
from pool_nodes import Pid, Slow
from processes import until
from remotemedia import NodeError, NodeTimeout, Pipeline, Runtime


@effect("calls.timeout")
def _timeout(bench: Bench) -> None:
    with (
        Runtime(calls={"timeout": "200 ms"}) as runtime,
        pytest.raises(NodeTimeout, match="within 200 ms"),
    ):
        Pipeline(Slow(), runtime=runtime).run(30.0)


@effect("calls.window")
def _window(bench: Bench) -> None:
    def ahead(window: int, at_least: int) -> int:
        """How far a generator gets while its consumer holds the first output."""
        path = Path(bench.file(f"window {window}"))
        with Runtime(calls={"window": window}) as runtime:
            stream: Any = Pipeline(Counts(), runtime=runtime).stream([str(path)])
            with contextlib.closing(stream):
                next(stream)
                until(lambda: path.stat().st_size > at_least)
                time.sleep(0.2)  # for one that goes on
                return path.stat().st_size

    assert ahead(2, 1) <= 5
    ahead(64, 10)


@effect("calls.queue")
def _queue(bench: Bench) -> None:
    def taken(queue: int, at_least: int) -> int:
        """How many items a run takes while its node is at work on the first."""
        count, at_first, gate = 0, 0, bench.folder / f"queue {queue}"

        def items() -> Iterator[str]:
            nonlocal count
            for _ in range(100):
                count += 1
                yield str(gate) if count == 1 else ""

        def look() -> None:
            nonlocal at_first
            until(lambda: count >= at_least)
            time.sleep(0.2)  # for one that goes on
            at_first = count
            gate.touch()

        with Runtime(calls={"queue": queue}) as runtime:
            looks = threading.Thread(target=look)
            looks.start()
            Pipeline(Held(), runtime=runtime).run(items())
            looks.join()
        return at_first

    assert taken(2, 1) < 10
    taken(64, 20)


@effect("calls.spin")
def _spin(bench: Bench) -> None:
    with (
        Runtime(calls={"spin": "0"}) as runtime,
        Pipeline(Pid(), runtime=runtime).session() as session,
    ):
        session.process(0)
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        for number in range(200):
            session.process(number)
        slept = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before
        # An answer that is there before the caller waits needs no sleep.
        assert slept > 100


def _tries(bench: Bench, name: str, kind: str = "ConnectionError", **calls: object) -> int:
    """How often a failing item is tried."""
    path = bench.file(name)
    with Runtime(calls={"retry_delay": "1 ms", **calls}) as runtime, pytest.raises(NodeError):
        Pipeline(Fails(path, kind), runtime=runtime).run(1)
    return len(Path(path).read_text())


@effect("calls.retry", "calls.retries")
def _retry(bench: Bench) -> None:
    assert _tries(bench, "default") == 4
    assert _tries(bench, "never", retry=False) == 1
    assert _tries(bench, "once", retries=1) == 2


@effect("calls.retry_delay")
def _retry_delay(bench: Bench) -> None:
    _tries(bench, "slow", retry_delay="300 ms", retries=1)
    (told,) = [line for line in bench.logged.messages if "tried again in" in line]
    wait = float(told.split("tried again in ")[1].split(" ms")[0])
    assert 100 < wait <= 300


@effect("calls.retry_on")
def _retry_on(bench: Bench) -> None:
    assert _tries(bench, "unknown", "Odd") == 1
    assert _tries(bench, "named", "Odd", retry_on=["Odd"]) == 4


@effect("calls.deadline")
def _deadline(bench: Bench) -> None:
    with (
        Runtime(calls={"deadline": "200 ms"}) as runtime,
        pytest.raises(NodeTimeout, match="200 ms"),
    ):
        Pipeline(Slow(), runtime=runtime).run(30.0)


def _after_failures(bench: Bench, **calls: object) -> object:
    """What comes of a good item after three that failed."""
    with Runtime(calls={"retry": False, **calls}) as runtime:
        node = Fails(bench.file(str(len(calls))))
        with Pipeline(node, runtime=runtime).session() as session:
            for _ in range(3):
                with pytest.raises(NodeError):
                    session.process(1)
            time.sleep(0.05)
            return session.process(-5)


@effect("calls.breaker", "calls.breaker_pause", "calls.on_open")
def _breaker(bench: Bench) -> None:
    assert _after_failures(bench) == [-5], "there is none by default"
    with pytest.raises(NodeError, match="is skipped"):
        _after_failures(bench, breaker=3)
    assert _after_failures(bench, breaker=3, breaker_pause="1 ms") == [-5]
    assert _after_failures(bench, breaker=3, on_open="drop", retries=3) == []


@effect("calls.checkpoint_every")
def _checkpoint_every(bench: Bench) -> None:
    saved = []
    for every in (1, 100):
        path = bench.file(f"every {every}")
        with (
            Runtime(calls={"checkpoint_every": every}) as runtime,
            Pipeline(Saves(path), runtime=runtime).session() as session,
        ):
            for number in range(10):
                session.process(number)
            saved.append(len(Path(path).read_text()))
    assert saved[0] >= 8
    assert saved[1] <= 1


@effect("calls.standby")
def _standby(bench: Bench) -> None:
    with (
        Runtime(calls={"standby": 1}) as runtime,
        Pipeline(Saves(bench.file()), runtime=runtime).session() as session,
    ):
        session.process(1)
        until(lambda: len(pool(runtime)["workers"]) == 2)

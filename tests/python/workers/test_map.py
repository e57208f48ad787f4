"""`Pipeline.map`: items side by side, results in order, errors at their place, left early."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from live_nodes import wait_for
from loops import Loop
from map_nodes import (
    Counts,
    Flaky,
    Locked,
    Meets,
    Mortal,
    Odd,
    Picky,
    Sleeps,
    Square,
    Waits,
    Weights,
)
from remotemedia import (
    Capture,
    ConfigurationError,
    DataSinkNode,
    MarshalingError,
    MultiplyNode,
    NodeError,
    NodeTimeout,
    Pipeline,
    Runtime,
    WorkerCrashed,
)
from saved_nodes import Sums
from worker_programs import PROGRAMS, runtime


@pytest.fixture(scope="module")
def where() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 3\n") as made:
        yield made


@pytest.fixture
def one() -> Iterator[Runtime]:
    """One worker, which has run another pipeline, seen an error and been left early."""
    with Runtime("[workers]\nmax = 1\n") as made:
        assert Pipeline(Picky(), runtime=made).run(1) == 1
        with pytest.raises(NodeError):
            Pipeline(Picky(), runtime=made).run(7)
        with Pipeline(Picky(), runtime=made).map(itertools.count(1)) as left:
            assert next(left) == 1
        yield made


def squares(results: Any) -> list[int]:
    return [result[0] for result in results]


# Order, forms of results, workers.


def test_results_come_in_the_order_of_the_items_from_several_workers(where: Runtime) -> None:
    # spec: CARD-02, IOP-02
    results = list(Pipeline(Square(), runtime=where).map(range(200), workers=3))
    assert squares(results) == [number**2 for number in range(200)]
    assert squares(Pipeline(Square(), runtime=where).map(range(3), batch=2)) == [0, 1, 4]


def test_as_many_items_as_workers_run_at_the_same_time(tmp_path: Path) -> None:
    # spec: CARD-02
    with Runtime("[workers]\nmax = 3\n") as where:
        pipeline = Pipeline(Meets(str(tmp_path), 3), runtime=where)
        assert list(pipeline.map(range(3), workers=3)) == [0, 1, 2]


def test_a_map_takes_workers_that_come_free_while_it_runs(tmp_path: Path) -> None:
    # spec: CARD-02
    with Runtime("[workers]\nmax = 2\n") as where:
        results = Pipeline(Square(), runtime=where).map(itertools.count(), workers=2, batch=1)
        with Pipeline(Square(), runtime=where).session():
            pids = {next(results)[1] for _ in range(10)}
            assert len(pids) == 1
        while len(pids) < 2:
            pids.add(next(results)[1])
        results.close()


@pytest.mark.parametrize("batch", [None, 1, 16])
def test_a_result_is_what_run_returns_for_the_item(where: Runtime, batch: int | None) -> None:
    # spec: IOP-02
    pipeline = Pipeline(Odd(), lambda number: number + 1, runtime=where)
    items = [*range(60), 101, 103]
    assert list(pipeline.map(items, batch=batch)) == [pipeline.run(item) for item in items]


def test_results_come_as_they_are_made(where: Runtime, tmp_path: Path) -> None:
    # spec: IOP-02
    barrier = tmp_path / "released"
    results = Pipeline(Waits(), runtime=where).map([str(barrier), 1, 2], workers=2, ordered=False)
    assert [next(results), next(results)] == [1, 2]
    barrier.touch()
    assert list(results) == [str(barrier)]


def test_one_worker_is_enough(one: Runtime) -> None:
    # spec: CARD-02
    pipeline = Pipeline(Square(), runtime=one)
    for _ in range(2):
        results = list(pipeline.map(range(50), workers=8))
        assert squares(results) == [number**2 for number in range(50)]
        assert len({pid for _, pid in results}) == 1


def test_graphs_and_native_nodes_map_too(where: Runtime) -> None:
    # spec: CARD-01
    pipeline = Pipeline(runtime=where)
    pipeline.add_node("triple", MultiplyNode(3))
    pipeline.add_node("up", lambda x: x + 1, after="triple")
    pipeline.add_node("down", lambda x: x - 1, after="triple")
    assert list(pipeline.map([1, 2], workers=2)) == [{"up": 4, "down": 2}, {"up": 7, "down": 5}]
    assert list(Pipeline(MultiplyNode(2)).map([1, 2, 3])) == [2, 4, 6]


def test_an_array_that_is_filled_again_counts_as_it_was(where: Runtime) -> None:
    # spec: IOP-05
    frame = np.zeros(50_000, np.float32)

    def frames() -> Iterator[Any]:
        for number in range(12):
            frame[:] = number
            yield frame

    sums = list(Pipeline(lambda x: float(x.mean()), runtime=where).map(frames(), workers=3))
    assert sums == list(map(float, range(12)))


def test_no_item_and_no_length(where: Runtime) -> None:
    assert list(Pipeline(Square(), runtime=where).map([])) == []
    assert list(Pipeline(Square(), runtime=where).map(iter(()))) == []


def test_progress_is_told_with_the_number_of_all_items(where: Runtime) -> None:
    told: list[Any] = []
    pipeline = Pipeline(Square(), runtime=where)
    mapped = pipeline.map(range(20), workers=2, progress=lambda *how: told.append(how))
    assert mapped.total == 20
    list(mapped)
    assert told[-1] == (20, 20)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    list(pipeline.map(iter(range(3)), progress=lambda *how: told.append(how)))
    assert told[-1] == (3, None)


def test_metrics_count_all_workers(where: Runtime) -> None:
    # spec: NRA-13
    pipeline = Pipeline(Square(), runtime=where)
    list(pipeline.map(range(100), workers=3))
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert metrics["nodes"][0]["execution_count"] == 100


def test_node_objects_stay_as_they_are(where: Runtime) -> None:
    # spec: IOP-20
    node = Counts()
    assert list(Pipeline(node, runtime=where).map(range(10))) == list(range(10))
    assert node.seen == 0


# Errors.


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_errors_stand_in_the_place_of_results(where: Runtime, batch: int | None) -> None:
    # spec: IOP-25, IOP-23
    pipeline = Pipeline(lambda x: x, Picky(name="picky"), runtime=where)
    results = list(pipeline.map(range(1, 30), workers=2, batch=batch, errors="return"))
    for number, result in enumerate(results, 1):
        if number % 7:
            assert result == number
        else:
            assert isinstance(result, NodeError)
            assert result.remote_message == f"not {number}"
            assert result.node_id == "picky_1"
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert [node["error_count"] for node in metrics["nodes"]] == [0, 4]
    assert [node["execution_count"] for node in metrics["nodes"]] == [29, 29]


def test_the_first_error_ends_the_map(where: Runtime) -> None:
    # spec: IOP-25
    results = Pipeline(Picky(), runtime=where).map(itertools.count(1), workers=2)
    assert [next(results) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(NodeError, match="not 7"):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("batch", [None, 8])
def test_a_worker_that_dies_takes_one_item_with_it(
    where: Runtime, tmp_path: Path, batch: int | None
) -> None:
    # spec: CARD-08
    node = Mortal(13, str(tmp_path / "log"))
    pipeline = Pipeline(node, runtime=where)
    results = list(pipeline.map(range(40), workers=2, batch=batch, errors="return"))
    failed = [number for number, result in enumerate(results) if result != number]
    assert failed == [13]
    assert isinstance(results[13], WorkerCrashed)


@pytest.mark.parametrize("batch", [1, 8, 40])
def test_after_a_death_nothing_is_called_twice(where: Runtime, tmp_path: Path, batch: int) -> None:
    # spec: CARD-08
    log = tmp_path / "log"
    pipeline = Pipeline(Mortal(13, str(log)), runtime=where)
    results = list(pipeline.map(range(40), workers=2, batch=batch, errors="return"))
    assert [number for number, result in enumerate(results) if result != number] == [13]
    assert sorted(map(int, log.read_text().split())) == list(range(40))


def test_a_death_between_two_calls_of_a_batch_belongs_to_the_second(
    where: Runtime, tmp_path: Path, rounds: Callable[[Loop], int]
) -> None:
    # spec: CARD-08
    for number in range(rounds(Loop(usual=20, stress=500))):
        pipeline = Pipeline(Mortal(13, str(tmp_path / f"log {number}")), runtime=where)
        results = list(pipeline.map(range(20), workers=2, batch=8, errors="return"))
        assert [number for number, result in enumerate(results) if result != number] == [13]


@pytest.mark.parametrize("batch", [1, 8, 40])
def test_a_retry_concerns_its_item_alone(where: Runtime, tmp_path: Path, batch: int) -> None:
    """spec: NRA-08"""
    log = tmp_path / "log"
    retried = Pipeline(Flaky(str(log)), runtime=where)
    assert list(retried.map(range(1, 21), workers=1, batch=batch)) == list(range(1, 21))
    calls = [int(line) for line in log.read_text().split()]
    assert calls == [n for number in range(1, 21) for n in [number] * (1 + (number % 5 == 0))]


def test_a_deadline_is_that_of_an_item(where: Runtime, tmp_path: Path) -> None:
    pipeline = Pipeline(Sleeps(timeout_ms=300), runtime=where)
    items: list[Any] = [1, 2, str(tmp_path / "slow"), 4, 5]
    results = list(pipeline.map(items, workers=1, batch=5, errors="return"))
    assert isinstance(results.pop(2), NodeTimeout)
    assert results == [1, 2, 4, 5]


@pytest.mark.parametrize("program", PROGRAMS)
def test_batches_work_in_both_interpreters(program: str) -> None:
    with runtime(program, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        mapped = Pipeline(Odd(), runtime=where).map(range(90, 120), workers=1, batch=16)
        assert list(mapped) == [
            [number, number] if number > 100 else number if number % 2 else None
            for number in range(90, 120)
        ]
        refused = Pipeline(Picky(), runtime=where).map(range(1, 20), batch=16, errors="return")
        assert [result for result in refused if isinstance(result, int)] == [
            number for number in range(1, 20) if number % 7
        ]


def test_each_item_of_a_batch_is_captured_and_told(
    where: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline(Picky(name="picky"), runtime=where)
    how: dict[str, Any] = {"capture": Capture(tmp_path), "debug": True}
    results = list(pipeline.map(range(1, 20), workers=1, batch=19, errors="return", **how))
    assert [number for number, result in enumerate(results, 1) if result != number] == [7, 14]
    calls = [line for line in caplog.text.splitlines() if line.startswith("call picky_0 in worker")]
    assert [line.partition(" with ")[2].partition(":")[0] for line in calls] == [
        str(number) for number in range(1, 20)
    ]


def test_items_that_cannot_travel_are_errors_of_their_place(where: Runtime) -> None:
    # spec: IOP-07
    pipeline = Pipeline(lambda x: x, runtime=where)
    results = list(pipeline.map([1, threading.Lock(), 3], errors="return"))
    assert [results[0], results[2]] == [1, 3]
    assert isinstance(results[1], MarshalingError)


def test_an_error_of_the_source_is_the_callers(where: Runtime) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    results = Pipeline(Square(), runtime=where).map(items())
    with pytest.raises(LookupError):
        list(results)


def test_what_cannot_be_mapped_is_refused_before_anything_runs() -> None:
    for pipeline in (
        Pipeline(Sums()),
        Pipeline(_streaming()),
        Pipeline(lambda x: x, DataSinkNode()),
    ):
        with pytest.raises(ConfigurationError, match=r"map\(\) calls nodes in several workers"):
            pipeline.map([1])
    for how in ({"workers": 0}, {"batch": 0}, {"errors": "skip"}, {"workers": 1.5}):
        with pytest.raises(ConfigurationError):
            Pipeline(Square()).map([1], **how)
    with pytest.raises(TypeError, match="iterable"):
        Pipeline(Square()).map(5)


def _streaming() -> Any:
    node = Square()
    node.is_streaming = True
    return node


# Leaving early, bounds.


def test_an_endless_source_is_taken_as_far_as_results_are(where: Runtime) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = Pipeline(Square(), runtime=where).map(items(), workers=2, batch=3)
    for number in range(100):
        assert next(results)[0] == number**2
        assert len(taken) <= number + 2 * 2 * 3 + 1
    results.close()
    assert list(results) == []


@pytest.mark.parametrize("how", ["close", "drop", "with"])
def test_leaving_interrupts_what_runs_and_workers_stay_warm(tmp_path: Path, how: str) -> None:
    # spec: CARD-02
    mark = tmp_path / "sleeps"
    with Runtime("[workers]\nmax = 2\n") as where:
        list(Pipeline(Square(), runtime=where).map(range(8), workers=2, batch=1))
        pids = {worker["pid"] for worker in where.workers()}
        results = Pipeline(Sleeps(), runtime=where).map([5, str(mark)], workers=2)
        assert next(results) == 5
        wait_for(mark)
        if how == "close":
            results.close()
        elif how == "with":
            with results:
                pass
        else:
            del results
            gc.collect()
        again = list(Pipeline(Square(), runtime=where).map(range(8), workers=2))
        assert {pid for _, pid in again} <= pids


# Coroutines.


def test_coroutines_map_plain_and_async_items(where: Runtime) -> None:
    async def later() -> AsyncIterator[int]:
        for number in range(20):
            await asyncio.sleep(0)
            yield number

    async def mapped(items: Any) -> list[int]:
        return [
            result[0] async for result in Pipeline(Square(), runtime=where).map(items, workers=2)
        ]

    expected = [number**2 for number in range(20)]
    assert asyncio.run(mapped(range(20))) == expected
    assert asyncio.run(mapped(later())) == expected
    with pytest.raises(TypeError, match="async for"):
        iter(Pipeline(Square(), runtime=where).map(later()))


def test_a_task_that_is_cancelled_ends_the_map(where: Runtime, tmp_path: Path) -> None:
    # spec: CARD-02
    async def main() -> None:
        mark = tmp_path / "sleeps"

        async def take() -> None:
            async with aclosing(Pipeline(Sleeps(), runtime=where).map([str(mark)])) as results:
                async for _ in results:
                    pass

        task = asyncio.create_task(take())
        await asyncio.to_thread(wait_for, mark)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert squares(Pipeline(Square(), runtime=where).map([3])) == [9]


# What is large exists once.


def test_preload_is_called_once_and_no_worker_sees_writes_of_another(
    where: Runtime, tmp_path: Path
) -> None:
    # spec: CARD-05, IOP-20
    pipeline = Pipeline(Weights(str(tmp_path), 1_000_000), runtime=where)
    results = list(pipeline.map(range(20), workers=3, batch=1))
    assert [total for total, _ in results] == [number + 2.0 for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 1


def test_preload_comes_before_initialize_in_plain_runs(where: Runtime, tmp_path: Path) -> None:
    # spec: IOP-20
    pipeline = Pipeline(Weights(str(tmp_path), 100), runtime=where)
    assert pipeline.run(5.0)[0] == 7.0
    assert pipeline.run(6.0, use_rust=False)[0] == 8.0
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_travel_is_preloaded_by_each_worker(
    where: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: IOP-07
    assert list(Pipeline(Locked(), runtime=where).map([1, 2], workers=2)) == [6, 7]
    assert "cannot be shared" in caplog.text


def test_an_error_of_preload_names_the_node(where: Runtime) -> None:
    # spec: IOP-24
    class Broken(Square):
        def preload(self) -> None:
            raise OSError("no file")

    with pytest.raises(NodeError, match="no file") as raised:
        list(Pipeline(Broken(name="broken"), runtime=where).map([1]))
    assert raised.value.node_id == "broken_0"

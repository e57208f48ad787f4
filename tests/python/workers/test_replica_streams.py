"""Nodes with replicas in streams: several items of one session at work, one after the other for the
caller.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from remotemedia import (
    MultiplyNode,
    NodeError,
    Pipeline,
    PipelineError,
    RunCancelled,
    Runtime,
    WorkerCrashed,
)
from remotemedia.shared_memory import shared_memory_stats
from replica_nodes import (
    Choosy,
    Counting,
    DiesAt,
    Flushing,
    Meeting,
    OneMoves,
    Sleeper,
    Turns,
    Where,
    await_path,
    split,
)

BOTH = pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])

Stream = Callable[..., Iterator[Any]]


@pytest.fixture(scope="module")
def where() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 4\n[rustpython]\nmax = 4\n") as made:
        yield made


async def later(items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def take_all(outputs: AsyncIterator[Any], taken: list[Any]) -> None:
    """Take outputs up to an error."""
    async for output in outputs:
        taken.append(output)  # noqa: PERF401  # those before an error count


def plainly(pipeline: Pipeline, items: Any, **how: Any) -> Iterator[Any]:
    """`for output in pipeline.stream(...)`."""
    yield from pipeline.stream(items, **how)


def as_coroutine(pipeline: Pipeline, items: Any, **how: Any) -> Iterator[Any]:
    """`async for output in pipeline.process(...)`, over an async iterable."""

    async def collect() -> tuple[list[Any], Exception | None]:
        outputs: list[Any] = []
        try:
            await take_all(pipeline.process(later(items), **how), outputs)
        except Exception as error:  # raised at its place below
            return outputs, error
        return outputs, None

    outputs, error = asyncio.run(collect())
    yield from outputs
    if error is not None:
        raise error


def fed(pipeline: Pipeline, items: Any, **how: Any) -> Iterator[Any]:
    """`feed` in one thread, `results` in another."""
    with pipeline.session() as session:

        def produce() -> None:
            try:
                for item in items:
                    session.feed(item)
                session.end_input()
            except PipelineError:  # the consumer has left
                pass

        producer = threading.Thread(target=produce)
        producer.start()
        yield from session.results(**how)
        producer.join()


def fed_by_task(pipeline: Pipeline, items: Any, **how: Any) -> Iterator[Any]:
    """The same as tasks."""

    async def collect() -> tuple[list[Any], Exception | None]:
        outputs: list[Any] = []
        async with pipeline.session() as session:

            async def produce() -> None:
                for item in items:
                    await session.feed(item)
                session.end_input()

            producing = asyncio.create_task(produce())
            try:
                await take_all(session.results(**how), outputs)
            except Exception as error:
                session.end_input()
                await asyncio.gather(producing, return_exceptions=True)
                return outputs, error
            await producing
        return outputs, None

    outputs, error = asyncio.run(collect())
    yield from outputs
    if error is not None:
        raise error


ALL = pytest.mark.parametrize("stream", [plainly, as_coroutine, fed, fed_by_task])


# Order, and workers.


@ALL
@BOTH
def test_items_are_at_work_side_by_side_and_outputs_in_their_order(
    where: Runtime, tmp_path: Path, interpreter: str, stream: Stream
) -> None:
    """spec: IOP-22, CARD-02"""
    pipeline = Pipeline(Meeting(str(tmp_path), 3, replicas=3), runtime=where)
    pipeline.interpreter = interpreter
    assert list(stream(pipeline, list(range(60)))) == list(range(60))
    assert len(list(tmp_path.iterdir())) == 3
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert metrics["nodes"][0]["runtime"] == interpreter


@ALL
def test_the_outputs_of_an_item_stay_together_and_nodes_around_see_all(
    where: Runtime, stream: Stream
) -> None:
    """spec: IOP-22"""
    numbers = [200, 3, 150, 0, 70, 1, 130]
    pipeline = Pipeline(MultiplyNode(1), Counting(replicas=3), lambda pair: pair, runtime=where)
    expected = [(number, part) for number in numbers for part in range(number)]
    assert list(stream(pipeline, numbers)) == expected


def test_where_order_does_not_count_it_does_among_items(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-22"""
    mark = str(tmp_path / "made")
    items = [[("await", mark), ("plain", ""), ("make", mark)], [("plain", "")]]
    pipeline = Pipeline(split, Turns(replicas=2, replicas_ordered=False), runtime=where)
    outputs = list(pipeline.stream(items))
    assert sorted(outputs[:3]) == ["await", "make", "plain"]
    assert outputs[0] == "plain"
    assert outputs[3:] == ["plain"]


@ALL
def test_several_sinks_give_one_item_after_the_other(where: Runtime, stream: Stream) -> None:
    """spec: IOP-22"""
    pipeline = Pipeline(runtime=where)
    pipeline.add_node("counts", Counting(replicas=2))
    pipeline.add_node("where", Where(replicas=2), after=[])
    seen = [value[0] for _, value in stream(pipeline, [3, 40, 5, 2]) if not isinstance(value, str)]
    assert seen == [3] * 4 + [40] * 41 + [5] * 6 + [2] * 3


def test_sources_before_replicas_stream_too(where: Runtime) -> None:
    """spec: IOP-22"""

    def numbers() -> Iterator[int]:
        yield from range(50)

    outputs = list(Pipeline(numbers, Where(replicas=2), runtime=where).stream())
    assert [number for number, _ in outputs] == list(range(50))


# Bounds.


def test_items_are_taken_when_replicas_are_free_for_them(where: Runtime) -> None:
    """spec: IOP-22"""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    outputs = Pipeline(Where(replicas=2), runtime=where).stream(items())
    assert taken == []
    for number in range(200):
        assert next(outputs)[0] == number
        # Two for each replica, and outputs that are ready.
        assert len(taken) <= number + 1 + 4 + 64
    outputs.close()  # type: ignore[attr-defined]  # it is a generator


def test_an_endless_stream_of_arrays_needs_the_memory_of_a_few(where: Runtime) -> None:
    """spec: IOP-22"""
    import numpy as np

    def frames() -> Iterator[Any]:
        for number in itertools.count():
            yield np.full(250_000, number, np.float32)

    pipeline = Pipeline(MultiplyNode(2), lambda data: data + 1, runtime=where)
    pipeline.nodes[1].replicas = 2
    outputs = pipeline.stream(frames())
    for number in range(60):
        assert next(outputs)[0] == 2 * number + 1
        used = [worker["made_bytes"] for worker in shared_memory_stats()["workers"]]
        assert sum(used) <= 96 << 20
    outputs.close()  # type: ignore[attr-defined]


def test_an_output_does_not_wait_for_the_next_item_that_is_fed(where: Runtime) -> None:
    """spec: IOP-22"""
    with Pipeline(Where(replicas=2), runtime=where).session() as session:
        results = session.results()
        for number in range(20):
            session.feed(number)
            assert next(results)[0] == number

    async def echo() -> None:
        given: asyncio.Queue[int] = asyncio.Queue()

        async def items() -> AsyncIterator[int]:
            while True:
                yield await given.get()

        async with aclosing(Pipeline(Where(replicas=2), runtime=where).process(items())) as outputs:  # type: ignore[type-var]
            for number in range(20):
                given.put_nowait(number)
                assert (await anext(outputs))[0] == number

    asyncio.run(echo())


# The end.


@ALL
def test_the_flush_reaches_each_replica_and_comes_last(
    where: Runtime, tmp_path: Path, stream: Stream
) -> None:
    """spec: IOP-22"""
    pipeline = Pipeline(Flushing(str(tmp_path), 2, replicas=2), runtime=where)
    outputs = list(stream(pipeline, [1, 2, 3]))
    assert outputs[:3] == [1, 2, 3]
    assert sorted(outputs[3:]) == sorted(f"end of {mark.name}" for mark in tmp_path.iterdir())


@BOTH
def test_leaving_early_ends_all_replicas_and_workers_stay_warm(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: IOP-22, CARD-02"""
    marks = [tmp_path / "a", tmp_path / "b"]
    pipeline = Pipeline(Sleeper(replicas=2), runtime=where)
    items: list[Any] = [1, 2, 3, 4, *map(str, marks)]
    with pipeline.session(runtime=interpreter) as session:
        outputs = session.stream(items)
        assert [next(outputs) for _ in range(4)] == [1, 2, 3, 4]
        workers = {worker["pid"] for worker in where.workers()}
        outputs.close()  # type: ignore[attr-defined]
        assert session.process(5) == [5]
        assert {worker["pid"] for worker in where.workers()} == workers


def test_leaving_a_stream_whose_replicas_compute_ends_them(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-22"""
    marks = [tmp_path / "a", tmp_path / "b"]

    async def leave(pipeline: Pipeline) -> None:
        async with aclosing(pipeline.process(later([1, *map(str, marks)]))) as outputs:  # type: ignore[type-var]
            assert await anext(outputs) == 1
            waiting = asyncio.ensure_future(anext(outputs))
            for mark in marks:
                await asyncio.to_thread(await_path, mark)
            waiting.cancel()
            with pytest.raises((asyncio.CancelledError, StopAsyncIteration)):
                await waiting

    pipeline = Pipeline(Sleeper(replicas=2), runtime=where)
    asyncio.run(leave(pipeline))
    assert pipeline.run([1, 2, 3]) == [1, 2, 3]


# Errors.


@ALL
@BOTH
def test_an_error_is_raised_at_its_place(where: Runtime, interpreter: str, stream: Stream) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(Choosy(replicas=3), lambda number: number, runtime=where)
    pipeline.interpreter = interpreter
    outputs: list[int] = []
    with pytest.raises(NodeError, match="not 7"):
        outputs.extend(stream(pipeline, range(1, 30)))
    assert outputs == [1, 2, 3, 4, 5, 6]
    iterator = stream(pipeline, range(1, 30))
    assert [next(iterator) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(NodeError, match="not 7"):
        next(iterator)


@ALL
@BOTH
def test_a_stream_goes_on_after_errors_and_tells_each(
    where: Runtime, interpreter: str, stream: Stream
) -> None:
    """spec: IOP-25"""
    expected = [number for number in range(60) if number % 7]
    for pipeline in (
        Pipeline(Choosy(replicas=3), runtime=where),
        Pipeline(lambda number: number, Choosy(), Where(replicas=2), runtime=where),
    ):
        pipeline.interpreter = interpreter
        seen: list[str] = []
        outputs = list(
            stream(pipeline, range(60), on_error=lambda error: seen.append(error.remote_message))  # noqa: B023
        )
        assert [getattr(o, "__getitem__", [o].__getitem__)(0) for o in outputs] == expected
        assert seen == [f"not {number}" for number in range(0, 60, 7)]


def test_an_error_between_outputs_is_seen_between_them(where: Runtime) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(Choosy(), Where(replicas=3), lambda pair: pair[0], runtime=where)
    seen: list[Any] = []
    outputs = pipeline.stream(range(1, 40), on_error=lambda _: seen.append("error"))
    while (output := next(outputs, None)) is not None:
        seen.append(output)
    assert seen == [number if number % 7 else "error" for number in range(1, 40)]


def test_an_error_drops_the_rest_of_its_item_only(where: Runtime) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(split, Choosy(replicas=3), runtime=where)
    items = [[1, 2], [6, 7, 8], [3], [7], [4, 5]]
    assert list(pipeline.stream(items, on_error="skip")) == [1, 2, 6, 3, 4, 5]


@ALL
def test_items_that_cannot_travel_are_errors_of_their_place(where: Runtime, stream: Stream) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(Where(replicas=2), runtime=where)
    items = [1, 2, threading.Lock(), 3]
    outputs = list(stream(pipeline, items, on_error="skip"))
    assert [number for number, _ in outputs] == [1, 2, 3]
    iterator = stream(pipeline, items)
    assert [next(iterator)[0], next(iterator)[0]] == [1, 2]
    with pytest.raises(TypeError, match="lock"):
        next(iterator)


@pytest.mark.parametrize("stream", [plainly, as_coroutine])
def test_an_error_of_the_source_comes_after_the_outputs_before_it(
    where: Runtime, stream: Stream
) -> None:
    """spec: IOP-25"""

    def items() -> Iterator[int]:
        yield from range(5)
        raise KeyError("source")

    iterator = stream(Pipeline(Where(replicas=2), runtime=where), items(), on_error="skip")
    assert [next(iterator)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="source"):
        next(iterator)


@BOTH
def test_a_replica_that_dies_fails_one_item_at_its_place(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: CARD-08, IOP-25"""
    pipeline = Pipeline(DiesAt(13, str(tmp_path), 1, replicas=2), runtime=where)
    seen: list[Any] = []
    outputs = pipeline.stream(range(40), on_error=seen.append, runtime=interpreter)
    for number, output in enumerate(outputs):
        seen.append(output)
        assert len(seen) == number + 1 + (output > 13)
    assert seen[:13] == list(range(13))
    assert isinstance(seen[13], WorkerCrashed)
    assert seen[14:] == list(range(14, 40))


# Interrupts.


@BOTH
def test_an_interrupt_drops_what_all_replicas_do_and_the_next_item_is_served(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: IOP-22"""
    marks = [tmp_path / "a", tmp_path / "b"]
    with Pipeline(Sleeper(replicas=2), runtime=where).session(runtime=interpreter) as session:
        results = session.results()
        session.feed(1)
        assert next(results) == 1
        for mark in marks:
            session.feed(str(mark))
        session.feed(2)
        taken: list[Any] = []
        consumer = threading.Thread(target=lambda: taken.append(next(results)))
        consumer.start()
        for mark in marks:
            await_path(mark)
        session.interrupt()
        session.feed(3)
        consumer.join()
        assert taken == [3]
        session.feed(4)
        session.end_input()
        assert list(results) == [4]


def test_an_interrupt_drops_outputs_that_are_ready(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-22"""
    with Pipeline(split, Where(replicas=2), runtime=where).session() as session:
        outputs = session.stream([list(range(10)), [10], [11]])
        assert next(outputs)[0] == 0
        session.interrupt()
        left = [number for number, _ in outputs]
        assert left in ([10, 11], [11], [])


def test_cancelling_ends_a_stream(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-22"""
    mark = tmp_path / "a"
    session = Pipeline(Sleeper(replicas=2), runtime=where).session()
    raised: list[BaseException] = []

    def consume() -> None:
        try:
            list(session.stream([str(mark)]))
        except RunCancelled as error:
            raised.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    await_path(mark)
    session.cancel()
    consumer.join()
    session.close()
    assert len(raised) == 1


def test_a_session_goes_on_after_a_stream(where: Runtime) -> None:
    """spec: IOP-22"""
    with Pipeline(Where(replicas=2), runtime=where).session() as session:
        for _ in range(3):
            assert [number for number, _ in session.stream(range(10))] == list(range(10))
            assert session.process(5)[0][0] == 5
            outputs = session.stream(itertools.count())
            assert next(outputs)[0] == 0
            with pytest.raises(PipelineError, match="not all outputs"):
                session.process(1)
            outputs.close()  # type: ignore[attr-defined]
            assert session.process(6)[0][0] == 6


@pytest.mark.rustpython
def test_a_further_replica_moves_to_cpython_alone(where: Runtime, tmp_path: Path) -> None:
    # spec: IOP-25
    node = OneMoves(str(tmp_path), replicas=2)
    pipeline = Pipeline(node, runtime=where)
    pipeline.interpreter = "rustpython"
    assert list(pipeline.stream(range(4))) == ["here", "numpy", "here", "here"]

"""Streams: outputs one by one for items that are taken one by one, live, bounded, left,
interrupted.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from live_nodes import InTurns, wait_for
from remotemedia import (
    ConfigurationError,
    DataSourceNode,
    MultiplyNode,
    NodeError,
    PassThroughNode,
    Pipeline,
    PipelineError,
    Runtime,
)
from remotemedia.core.session import ROOM
from remotemedia.shared_memory import shared_memory_stats
from stream_nodes import Deaf, Fails, Pairs, Steps, Twice
from worker_programs import PROGRAMS, runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"
CLOSES = "max = 1\nclose_timeout = '50 ms'"


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline before."""
    with runtime(request.param, ONE) as where:
        assert Pipeline(Twice(), runtime=where).run(2) == [2, 4]
        yield where


async def collect(outputs: AsyncIterator[Any]) -> list[Any]:
    return [output async for output in outputs]


async def later(items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


# Order, liveness, bounds.


def test_outputs_come_in_order_and_the_flush_at_the_end(one: Runtime) -> None:
    pipeline = Pipeline(Pairs(), runtime=one)
    expected = [1, 1, 2, 2, "2 items"]
    assert list(pipeline.stream([1, 2])) == expected
    assert pipeline.nodes[0].count == 2
    pipeline = Pipeline(Pairs(), runtime=one)
    assert asyncio.run(collect(pipeline.process([1, 2]))) == expected
    pipeline = Pipeline(Pairs(), runtime=one)
    assert asyncio.run(collect(pipeline.process(later([1, 2])))) == expected
    with Pipeline(Pairs(), runtime=one).session() as session:
        assert list(session.stream(iter((1, 2)))) == expected
        assert session.process(3) == [3, 3]


def test_nothing_begins_before_the_first_output_is_asked_for() -> None:
    taken = []

    def items() -> Iterator[int]:
        taken.append("begun")
        yield 1

    outputs = Pipeline(MultiplyNode(2)).stream(items())
    assert taken == []
    assert next(outputs) == 2
    assert taken == ["begun"]


def test_an_item_is_taken_when_the_one_before_is_through(one: Runtime) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    outputs = Pipeline(Pairs(), runtime=one).stream(items())
    for number in range(50):
        assert [next(outputs), next(outputs)] == [number, number]
        assert taken[-1] == number
    outputs.close()  # type: ignore[attr-defined]  # it is a generator


def test_an_output_comes_while_its_item_is_worked_on(tmp_path: Path) -> None:
    seen = []
    for output in Pipeline(InTurns()).stream([str(tmp_path)]):
        seen.append(output)
        (tmp_path / "seen").touch()
    assert seen == ["first", "second"]


def test_several_sinks_give_pairs() -> None:
    pipeline = Pipeline()
    pipeline.add_node("double", MultiplyNode(2)).add_node("triple", MultiplyNode(3), after=[])
    assert sorted(pipeline.stream([1])) == [("double", 2), ("triple", 3)]


def test_sources_stream_too(one: Runtime) -> None:
    def numbers() -> Iterator[int]:
        yield from itertools.count()

    outputs = Pipeline(numbers, runtime=one).stream()
    assert [next(outputs) for _ in range(100)] == list(range(100))
    outputs.close()  # type: ignore[attr-defined]
    source = DataSourceNode()
    source.push_data(1)
    source.close()
    assert list(Pipeline(source, MultiplyNode(2)).stream()) == [2]


# Leaving.


def test_who_leaves_early_ends_the_run_and_gets_the_state(one: Runtime) -> None:
    node = Steps()
    for _ in range(2):
        for output in Pipeline(node, runtime=one).stream(itertools.repeat(-1)):
            if output[2] == 5:
                break
    assert (node.calls, node.closed) == (2, 2)
    assert Pipeline(Steps(), runtime=one).run(1) == (1, 0, 0)


def test_coroutines_that_leave_early_end_the_run(one: Runtime) -> None:
    node = Steps()

    async def leave() -> None:
        async with aclosing(Pipeline(node, runtime=one).process(later([3, -1]))) as outputs:  # type: ignore[type-var]
            async for output in outputs:
                if output[0] == 2:
                    return

    asyncio.run(leave())
    assert (node.calls, node.closed) == (2, 2)


def test_a_stream_of_a_session_can_be_left(one: Runtime) -> None:
    with Pipeline(Steps(), runtime=one).session() as session:
        assert next(session.stream([-1])) == (1, 0, 0)
        assert session.process(1) == [(2, 1, 0)]

    async def leave() -> Any:
        async with Pipeline(Steps(), runtime=one).session() as session:
            async with aclosing(session.stream([-1])) as outputs:
                assert await anext(outputs) == (1, 0, 0)
            return await session.process(1)

    assert asyncio.run(leave()) == [(2, 1, 0)]


# Errors.


def test_an_error_is_raised_at_its_place(one: Runtime) -> None:
    outputs = Pipeline(Fails(), runtime=one).stream([2, 3, 4])
    assert [next(outputs), next(outputs), next(outputs)] == [2, -2, 3]
    with pytest.raises(NodeError, match="no 3"):
        next(outputs)
    with pytest.raises(StopIteration):
        next(outputs)


def test_a_stream_may_go_on_after_errors(one: Runtime) -> None:
    # spec: IOP-25
    pipeline = Pipeline(Fails(), runtime=one)
    assert list(pipeline.stream([2, 3, 4], on_error="skip")) == [2, -2, 3, 4, -4]
    seen: list[str] = []
    outputs = pipeline.stream([1, 2], on_error=lambda error: seen.append(error.remote_message))  # type: ignore[attr-defined]
    assert list(outputs) == [1, 2, -2]
    assert seen == ["no 1"]
    assert asyncio.run(collect(pipeline.process([1, 2], on_error="skip"))) == [1, 2, -2]


def test_items_that_cannot_travel_are_errors_of_their_place() -> None:
    items = [1, threading.Lock(), 2]
    pipeline = Pipeline(Twice())
    assert list(pipeline.stream(items, on_error="skip")) == [1, 2, 2, 4]
    with pytest.raises(TypeError, match="lock"):
        list(pipeline.stream(items))


def test_wrong_arguments_are_refused_before_anything_runs() -> None:
    pipeline = Pipeline(PassThroughNode())
    with pytest.raises(ConfigurationError, match="on_error"):
        pipeline.stream([1], on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="process"):
        pipeline.stream(later([1]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a source"):
        next(pipeline.stream())


# Producer and consumer.


def test_a_producer_and_a_consumer_on_different_threads(one: Runtime) -> None:
    with Pipeline(Pairs(), runtime=one).session() as session:

        def produce() -> None:
            for number in range(100):
                session.feed(number)
            session.end_input()

        producer = threading.Thread(target=produce)
        producer.start()
        outputs = list(session.results())
        producer.join()
    assert outputs == [n for n in range(100) for _ in "ab"] + ["100 items"]


def test_a_producer_waits_for_room() -> None:
    fed = 0
    with Pipeline(PassThroughNode()).session() as session:

        def produce() -> None:
            nonlocal fed
            for number in range(3 * ROOM):
                session.feed(number)
                fed = number + 1
            session.end_input()

        producer = threading.Thread(target=produce)
        producer.start()
        results = session.results()
        for number in range(2 * ROOM):
            assert next(results) == number
            assert fed <= number + ROOM + 2
        producer.join()
        assert list(results) == list(range(2 * ROOM, 3 * ROOM))
        with pytest.raises(PipelineError, match="ended"):
            session.feed(1)


def test_a_producer_and_a_consumer_as_tasks(one: Runtime) -> None:
    async def main() -> list[Any]:
        async with Pipeline(Pairs(), runtime=one).session() as session:

            async def produce() -> None:
                for number in range(2 * ROOM):
                    await session.feed(number)
                session.end_input()

            producing = asyncio.create_task(produce())
            outputs = await collect(session.results())
            await producing
            return outputs

    outputs = asyncio.run(main())
    assert outputs[:4] == [0, 0, 1, 1]
    assert outputs[-1] == f"{2 * ROOM} items"


def test_closing_a_session_ends_the_wait_for_items() -> None:
    with Pipeline(PassThroughNode()).session() as session:
        results = session.results()
        session.feed(1)
        assert next(results) == 1
        closing = threading.Thread(target=session.close)
        closing.start()
        with pytest.raises((StopIteration, PipelineError)):
            next(results)
        closing.join()


# Interrupts.


def test_an_interrupt_drops_what_is_at_work_and_keeps_the_state(one: Runtime) -> None:
    with Pipeline(Steps(), runtime=one).session() as session:
        outputs = session.stream([-1, 2, -1, 1])
        assert next(outputs) == (1, 0, 0)
        session.interrupt()
        assert [next(outputs), next(outputs)] == [(2, 1, 0), (2, 1, 1)]
        assert next(outputs) == (3, 2, 0)
        session.interrupt()
        assert list(outputs) == [(4, 3, 0)]
        assert session.process(1) == [(5, 4, 0)]
    assert Pipeline(Steps(), runtime=one).run(1) == (1, 0, 0)


def test_an_interrupt_ends_code_that_computes(one: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "computes"
    with Pipeline(Steps(), runtime=one).session() as session:
        for turn in range(1, 6):
            file.unlink(missing_ok=True)
            taken: list[Any] = []
            consumer = threading.Thread(target=lambda: taken.extend(session.process(str(file))))  # noqa: B023
            consumer.start()
            wait_for(file)
            session.interrupt()
            consumer.join()
            assert taken in ([], ["computes"])  # it may be on its way, and is dropped then
            assert session.process(1) == [(2 * turn, 2 * turn - 1, 0)]


def test_an_interrupt_drops_what_was_fed(one: Runtime) -> None:
    with Pipeline(Steps(), runtime=one).session() as session:
        for _ in range(3):
            session.feed(-1)
        results = session.results()
        assert next(results) == (1, 0, 0)
        session.interrupt()
        session.feed(1)
        session.end_input()
        assert list(results) == [(2, 1, 0)]


def test_an_interrupt_reaches_an_item_that_was_taken_but_not_begun(one: Runtime) -> None:
    with Pipeline(Steps(), runtime=one).session() as session:
        seen = session.interrupts
        session.interrupt()
        session.begin(lambda execution: execution.begin(-1), seen)
        session.drain()
        # The endless call ended, or never reached the node.
        ((calls, closed, _),) = session.process(1)
        assert (calls, closed) in ((1, 0), (2, 1))
        session.begin(lambda execution: execution.begin(2), session.interrupts)
        session.drain()
        assert session.process(1) == [(calls + 2, closed + 2, 0)]


def test_an_endless_stream_of_arrays_needs_the_memory_of_a_few(one: Runtime) -> None:
    def frames() -> Iterator[Any]:
        for number in itertools.count():
            yield np.full(250_000, number, np.float32)

    outputs = Pipeline(Twice(), runtime=one).stream(frames())
    for number in range(60):
        assert next(outputs)[0] == number
        assert next(outputs)[-1] == 2 * number
        used = [worker["made_bytes"] for worker in shared_memory_stats()["workers"]]
        assert sum(used) <= 64 << 20
    outputs.close()  # type: ignore[attr-defined]


def test_an_interrupt_without_work_does_nothing(one: Runtime) -> None:
    session = Pipeline(Steps(), runtime=one).session()
    session.interrupt()
    with session:
        session.interrupt()
        assert session.process(1) == [(1, 0, 0)]
        session.interrupt()
        assert session.process(2) == [(2, 1, 0), (2, 1, 1)]

    async def main() -> list[Any]:
        async with Pipeline(Steps(), runtime=one).session() as session:
            outputs = session.stream([-1, 1])
            assert await anext(outputs) == (1, 0, 0)
            session.interrupt()
            return await collect(outputs)

    assert asyncio.run(main()) == [(2, 1, 0)]


def test_a_node_that_ignores_interrupts_is_replaced_and_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "computes"
    with (
        Runtime(f"{ONE.replace('max = 1', CLOSES, 1)}") as where,
        Pipeline(Deaf(), runtime=where).session() as session,
    ):
        assert session.process(1) == [1]
        consumer = threading.Thread(target=lambda: session.process(str(file)))
        consumer.start()
        wait_for(file)
        session.interrupt()
        consumer.join()
        with pytest.raises(NodeError):
            session.process(2)
        assert session.process(3) == [3]

"""Every form that a Python node may have: how it is called, begun, flushed and ended."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e_nodes import Apply, Echoes, Identity, Journal, Numbers, Pid, RunningSum, WritesLater
from remotemedia import BufferNode, Node, NodeError, PassThroughNode, Pipeline, Runtime


class Plain(Node):
    def process(self, data: Any, /) -> Any:
        return data * 2


class Coroutine(Node):
    async def process(self, data: Any, /) -> Any:
        await asyncio.sleep(0)
        return data * 2


class Generator(Node):
    def process(self, data: Any, /) -> Iterator[Any]:
        yield data
        yield data * 2


class AsyncGenerator(Node):
    async def process(self, data: Any, /) -> AsyncIterator[Any]:
        yield data
        await asyncio.sleep(0)
        yield data * 2


class ReturnsAwaitable(Node):
    """A plain function that gives something to await: a coroutine, a task."""

    def process(self, data: Any, /) -> Awaitable[Any]:
        doubled = Coroutine().process(data)
        return doubled if data % 2 else asyncio.ensure_future(doubled)


class ReturnsGenerator(Node):
    def process(self, data: Any, /) -> Iterator[Any]:
        return (data * factor for factor in (1, 2))


class NoSubclass:
    """Any object with `process` is a node."""

    def process(self, data: Any) -> Any:
        return data * 2


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (Plain(), [2, 4]),
        (Coroutine(), [2, 4]),
        (Generator(), [1, 2, 2, 4]),
        (AsyncGenerator(), [1, 2, 2, 4]),
        (ReturnsAwaitable(), [2, 4]),
        (ReturnsGenerator(), [1, 2, 2, 4]),
        (NoSubclass(), [2, 4]),
        (RunningSum(), [1, 3, "sum 3"]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("around", [False, True], ids=["alone", "between"])
def test_forms_of_process(node: Any, expected: list[Any], around: bool) -> None:
    # spec: IOP-02, IOP-22
    nodes = [PassThroughNode(), node, Identity()] if around else [node]
    assert Pipeline(nodes).run([1, 2]) == expected


def test_a_streaming_node_is_called_once_and_answers_at_once() -> None:
    # spec: IOP-22
    with Pipeline([RunningSum()]).session() as session:
        assert session.process(1) == [1]
        assert session.process(10) == [11]
        assert session.flush() == ["sum 11"]


def test_a_list_that_a_node_returns_is_one_output() -> None:
    assert Pipeline([Apply(lambda item: [item, item])]).run([1, 2]) == [[1, 1], [2, 2]]


def test_none_drops_the_item_and_nothing_else_does() -> None:
    kept: dict[int, Any] = {1: None, 2: 0, 3: "", 4: [], 5: False}
    assert Pipeline([Apply(kept.get), Identity()]).run([1, 2, 3, 4, 5]) == [0, "", [], False]

    def yields(item: Any) -> Iterator[Any]:
        yield None
        yield item

    assert Pipeline([Apply(yields)]).run([1, 2]) == [1, 2]


class Plain2(Journal):
    """With the base's plain `initialize`, `flush` and `cleanup`, and something to flush."""

    def flush(self) -> Any:
        super().flush()
        return "rest"


class Async2(Journal):
    async def initialize(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().initialize()

    async def process(self, data: Any, /) -> Any:
        await asyncio.sleep(0)
        return super().process(data)

    async def flush(self) -> Any:
        super().flush()
        return "rest"

    async def cleanup(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().cleanup()


@pytest.mark.parametrize("kind", [Plain2, Async2])
def test_life_of_a_node(kind: Any, tmp_path: Path) -> None:
    # spec: IOP-20
    journal = tmp_path / "journal"
    nodes = [kind(str(journal), name="a"), kind(str(journal), name="b")]
    assert Pipeline(nodes).run([1, 2]) == [1, 2, "rest", "rest"]
    lines = journal.read_text().splitlines()
    for name in ("a", "b"):
        own = [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]
        rest = ["process rest"] if name == "b" else []
        assert own == ["initialize", "process 1", "process 2", *rest, "flush", "cleanup"]


class FlushesFromInitialize(Node):
    """Has its `flush` only once it is initialized."""

    def initialize(self) -> None:
        self.flush = lambda: "late"  # type: ignore[method-assign]

    def process(self, data: Any, /) -> Any:
        return data


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_a_flush_that_initialize_sets_is_called(interpreter: str) -> None:
    # spec: IOP-20
    nodes = [Identity(), FlushesFromInitialize(), Identity()]
    with Runtime(f'[python]\nruntime = "{interpreter}"') as runtime:
        assert Pipeline(nodes, runtime=runtime).run([1]) == [1, "late"]


class Historic(Node):
    """Awaits the base's methods, as code for the first releases does."""

    ready = False

    async def initialize(self) -> None:
        await super().initialize()
        self.ready = self.is_initialized

    async def process(self, data: Any, /) -> Any:
        return self.ready, data

    async def cleanup(self) -> None:
        await super().cleanup()


def test_coroutines_may_await_the_base() -> None:
    # spec: NRA-16
    assert Pipeline([Historic()]).run(1) == (True, 1)


def test_a_background_task_serves_every_item() -> None:
    with Pipeline([Echoes()]).session() as session:
        assert [session.process(item) for item in "ab"] == [[("a", 1)], [("b", 2)]]


def test_a_background_task_runs_while_the_worker_waits_for_the_next_item(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        with Pipeline([WritesLater()]).session() as session:
            assert session.process(str(pipe)) == ["scheduled"]
            # No further call: the worker is idle.
            assert os.read(reader, 100) == b"written\n"
    finally:
        os.close(reader)


def test_all_async_nodes_of_a_worker_share_one_loop() -> None:
    class Loop(Node):
        async def process(self, data: Any, /) -> Any:
            return [*data, id(asyncio.get_running_loop()), threading.get_ident()]

    first, second = Loop(), Loop()
    with Pipeline([first, second]).session() as session:
        seen = session.process([])[0] + session.process([])[0]
    assert len(set(seen)) == 2


def test_a_failing_background_task_does_not_end_the_worker() -> None:
    class Careless(Node):
        async def process(self, data: Any, /) -> Any:
            async def fail() -> None:
                raise ValueError("in the background")

            self.task = asyncio.create_task(fail())
            return os.getpid()

    with Pipeline([Careless()]).session() as session:
        (first,), (second,) = session.process(1), session.process(2)
    assert first == second


def test_buffers_give_the_rest_when_the_input_ends() -> None:
    assert Pipeline([BufferNode(buffer_size=2)]).run([1, 2, 3]) == [[1, 2], [3]]
    # As ever, an empty buffer gives an empty list.
    assert Pipeline([BufferNode(buffer_size=2)]).run([1, 2]) == [[1, 2], []]
    # What a flush gives passes the nodes behind.
    assert Pipeline([BufferNode(buffer_size=3), Apply(len)]).run(list("abcd")) == [3, 1]
    with Pipeline([BufferNode(buffer_size=2)]).session() as session:
        assert session.process(1) == []
        assert session.process(2) == [[1, 2]]
        assert session.process(3) == []
        assert session.flush() == [[3]]


class YieldsNumbers(Node):
    """A source by its form: a generator that needs no item."""

    async def process(self) -> AsyncIterator[int]:  # type: ignore[override]
        for number in range(3):
            yield number


@pytest.mark.parametrize("source", [Numbers(), YieldsNumbers()], ids=["marked", "by its form"])
def test_sources_need_no_input(source: Any) -> None:
    assert Pipeline([source]).run() == [0, 1, 2]
    assert Pipeline([source, Plain()]).run() == [0, 2, 4]
    with pytest.raises(ValueError, match="no input"):
        Pipeline([Plain()]).run()


def test_a_fan_out_gives_every_branch_the_same_and_a_zip_joins_them() -> None:
    # spec: NRA-03
    pipeline = Pipeline("branches")
    pipeline.add_node(Plain(name="root"))
    pipeline.add_node(Apply(lambda item: item + 1, name="left"), after="root")
    pipeline.add_node(Apply(lambda item: -item, name="right"), after="root")
    pipeline.add_node(Identity(name="both", join="zip"), after=["left", "right"])
    assert pipeline.run([1, 10]) == [(3, -2), (21, -20)]


def test_an_isolated_node_has_a_process_of_its_own() -> None:
    # spec: CARD-01
    pids = Pipeline([Pid(name="a"), Apply(lambda pid: (pid, os.getpid()), isolated=True)]).run(1)
    assert len({*pids, os.getpid()}) == 3


def test_a_node_that_takes_too_long_is_stopped() -> None:
    def forever(item: Any) -> Any:
        while item == "long":
            pass
        return item

    with Pipeline([Apply(forever, timeout_ms=200)]).session() as session:
        assert session.process("short") == ["short"]
        with pytest.raises(NodeError, match="200 ms"):
            session.process("long")
        assert session.process("short") == ["short"]

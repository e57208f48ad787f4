"""How runs and sessions meet the native session; a stand-in plays its part."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from remotemedia import (
    DataSinkNode,
    DataSourceNode,
    MarshalingError,
    Node,
    NodeError,
    PassThroughNode,
    Pipeline,
    PipelineError,
    RunCancelled,
)
from remotemedia.core import execution
from remotemedia.core.caller import Caller


class FakeCancelToken:
    """Shared by one open and its session, as the native one is."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture(autouse=True)
def _fake_native(monkeypatch: pytest.MonkeyPatch) -> None:
    module = cast("ModuleType", SimpleNamespace(CancelToken=FakeCancelToken, Breakers=object))
    monkeypatch.setattr(execution, "native", lambda: module)


class FakeSession:
    """Sends every item, through `work`, to each sink."""

    def __init__(self, opened: dict[str, Any], work: Callable[[Any], Any]) -> None:
        self.opened = opened
        self.work = work
        self.calls: list[str] = []
        self.cancelled: threading.Event = opened["cancel"].cancelled
        manifest = json.loads(opened["manifest"])
        sources = {c["from"] for c in manifest["connections"]}
        self.sinks = [n["id"] for n in manifest["nodes"] if n["id"] not in sources]
        self.write_back: list[tuple[str, bytes]] = []
        self.cleanup_failure: BaseException | None = None

    def run(self, items: Iterable[object] | None) -> list[tuple[str, Any]]:
        self.calls.append("run")
        outputs: list[tuple[str, Any]] = []
        for item in ["made by the source"] if items is None else items:
            try:
                outputs += self.process(item)
            except NodeError as error:
                error.partial_results = outputs
                raise
        return outputs

    def process(self, item: object) -> list[tuple[str, Any]]:
        self.calls.append("process")
        value = self.work(item)
        if self.cancelled.is_set():
            raise RunCancelled("cancelled")
        return [] if value is None else [(sink, value) for sink in self.sinks]

    def flush(self) -> list[tuple[str, Any]]:
        self.calls.append("flush")
        return []

    def begin_run(self, items: Iterable[object] | None) -> None:
        self.calls.append("run")
        self.pending: Iterator[object] = iter(["made by the source"] if items is None else items)

    def begin(self, item: object) -> None:
        self.pending = iter([item])

    def begin_flush(self) -> None:
        self.calls.append("flush")
        self.pending = iter(())

    def next(self) -> tuple[list[tuple[str, Any]], bool]:
        for item in self.pending:
            return self.process(item), False
        return [], True

    def close(self) -> tuple[list[tuple[str, bytes]], BaseException | None]:
        self.calls.append("close")
        return self.write_back, self.cleanup_failure

    def metrics(self) -> str:
        return json.dumps({"nodes": [{"node_id": "a"}]})

    kept_metrics = metrics

    def replicas(self) -> int:
        return 1


class FakeRuntime:
    def __init__(self, work: Callable[[Any], Any] = lambda item: item) -> None:
        self.work = work
        self.sessions: list[FakeSession] = []
        self.write_back: list[tuple[str, bytes]] = []
        self.cleanup_failure: BaseException | None = None
        self.opening: Callable[[FakeCancelToken], None] = lambda _: None
        """What opening waits for."""

    @property
    def native(self) -> Any:
        return self

    def open(
        self,
        manifest_json: str,
        *,
        objects: Any = None,
        runtime: str | None = None,
        fallback: bool | None = None,
        caller: Caller,
        is_run: bool,
        wait: bool,
        breakers: Any,
        cancel: FakeCancelToken,
        copy: bool = False,
        profile: bool,
        debug: bool,
        capture: None,
    ) -> FakeSession:
        self.opening(cancel)
        if objects is not None:
            own = f"{sys.version_info.major}.{sys.version_info.minor}"
            nodes = json.loads(manifest_json)["nodes"]
            wanted = [node["instance"] for node in nodes if "instance" in node]
            objects.ship(sys.implementation.name, own, wanted)
        if cancel.cancelled.is_set():
            raise RunCancelled("cancelled while opening")
        options = {
            "objects": objects,
            "runtime": runtime,
            "fallback": fallback,
            "caller": caller,
            "cancel": cancel,
            "copy": copy,
        }
        session = FakeSession({"manifest": manifest_json, **options}, self.work)
        session.write_back = self.write_back
        session.cleanup_failure = self.cleanup_failure
        self.sessions.append(session)
        return session


class Count(Node):
    """Stateful, so that write-back shows."""

    def __init__(self) -> None:
        self.seen = 0

    def process(self, data: Any, /) -> Any:
        return data


def _pipeline(work: Callable[[Any], Any] = lambda item: item, *nodes: Any) -> Any:
    """A pipeline on a stand-in runtime; `pipeline.runtime.sessions` has what it opened."""
    runtime: Any = FakeRuntime(work)
    return Pipeline(*(nodes or (PassThroughNode(),)), runtime=runtime)


def test_a_list_is_one_item_per_element_and_all_else_is_one() -> None:
    pipeline = _pipeline(lambda item: None if item == "drop" else item)
    assert pipeline.run([1, 2]) == [1, 2]
    assert pipeline.run([1]) == 1
    assert pipeline.run([]) is None
    assert pipeline.run("drop") is None
    assert pipeline.run((1, 2)) == (1, 2)
    assert pipeline.run({"a": 1}) == {"a": 1}
    assert pipeline.run(n for n in range(3)) == [0, 1, 2]


def test_an_iterator_is_taken_item_by_item() -> None:
    taken: list[str] = []

    def items() -> Any:
        for n in range(2):
            taken.append(f"give {n}")
            yield n

    _pipeline(lambda item: taken.append(f"work {item}")).run(items())
    assert taken == ["give 0", "work 0", "give 1", "work 1"]


def test_several_sinks_give_a_dict_by_id_and_by_name() -> None:
    pipeline = _pipeline(lambda item: item, PassThroughNode(name="a"))
    pipeline.add_node(PassThroughNode(name="b"), after="a")
    pipeline.add_node(PassThroughNode(name="c"), after="a")
    result = pipeline.run(5)
    assert result == {"b_1": 5, "c_2": 5}
    assert result["b"] == 5
    with pipeline.session() as session:
        assert session.process(5) == {"b_1": [5], "c_2": [5]}
    with pytest.raises(KeyError):
        result["a"]


def test_no_input_needs_a_source() -> None:
    class Source(Node):
        def process(self, data: Any = None, /) -> Any:
            yield 1

    with pytest.raises(ValueError, match=r"no input.*pass the input as in run\(data\)"):
        _pipeline().run()
    assert _pipeline(lambda item: item, Source()).run() == "made by the source"
    node = PassThroughNode(is_source=True)
    assert _pipeline(lambda item: item, node).run() == "made by the source"


def test_an_async_iterator_is_no_input() -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="managed_execution"):
        _pipeline().run(stream())


def test_partial_results_are_outputs() -> None:
    def work(item: Any) -> Any:
        if item == 3:
            raise NodeError("three", node_id="n")
        return item

    with pytest.raises(NodeError) as caught:
        _pipeline(work).run([1, 2, 3, 4])
    assert caught.value.partial_results == [1, 2]


def test_a_failed_run_is_closed_and_measured() -> None:
    def work(item: Any) -> Any:
        raise NodeError("no", node_id="n")

    pipeline = _pipeline(work)
    assert pipeline.get_metrics() is None
    with pytest.raises(NodeError):
        pipeline.run(1)
    assert pipeline.runtime.sessions[0].calls[-1] == "close"
    assert pipeline.get_metrics()["nodes"][0]["node_id"] == "a"


def test_ctrl_c_cancels_and_closes() -> None:
    def work(item: Any) -> Any:
        raise KeyboardInterrupt

    pipeline = _pipeline(work)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(1)
    (session,) = pipeline.runtime.sessions
    assert session.cancelled.is_set()
    assert session.calls[-1] == "close"


def test_changed_attributes_come_back() -> None:
    # spec: IOP-20
    node = Count()
    pipeline = _pipeline(lambda item: item, node)
    pipeline.runtime.write_back = [("Count_0", pickle.dumps({"Count_0": ({"seen": 3}, [])}))]
    pipeline.run(1)
    assert node.seen == 3


def test_state_that_cannot_be_read_is_reported() -> None:
    pipeline = _pipeline(lambda item: item, Count())
    pipeline.runtime.write_back = [("Count_0", b"rubbish")]
    with pytest.warns(RuntimeWarning, match="'Count_0'.*could not be put back"):
        pipeline.run(1)


def test_an_attribute_that_cannot_be_pickled_is_named() -> None:
    # spec: IOP-07
    node = Count()
    node.config["locks"] = [threading.Lock()]
    with pytest.raises(MarshalingError, match=r"self\.config\['locks'\]\[0\]") as caught:
        _pipeline(lambda item: item, PassThroughNode(), node).run(1)
    assert caught.value.node_id == "Count_1"
    assert "Count_1" in str(caught.value)
    assert caught.value.type_name == "_thread.lock"


def test_run_is_awaitable_where_a_loop_runs() -> None:
    async def scenario() -> Any:
        pipeline = _pipeline(lambda item: (item, threading.current_thread().name))
        task = asyncio.create_task(pipeline.run(1))
        both = await asyncio.gather(pipeline.run(2), task)
        return [*both, pipeline.run_sync(3)]

    (two, thread), (one, _), (three, own) = asyncio.run(scenario())
    assert (one, two, three) == (1, 2, 3)
    assert thread != threading.current_thread().name
    assert own == threading.current_thread().name


def test_a_dropped_awaitable_warns_with_advice() -> None:
    async def scenario() -> None:
        pipeline = _pipeline()
        with pytest.warns(RuntimeWarning, match="run_sync"):
            pipeline.run(1)
        assert not pipeline.runtime.sessions

    asyncio.run(scenario())


def test_cancelling_the_task_stops_the_run_before_it_returns() -> None:
    working = threading.Event()
    pipeline = _pipeline()
    opened = pipeline.runtime.sessions

    def work(item: Any) -> Any:
        working.set()
        opened[0].cancelled.wait()

    pipeline.runtime.work = work

    async def scenario() -> None:
        task = asyncio.ensure_future(pipeline.run(1))
        await asyncio.to_thread(working.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert opened[0].calls[-1] == "close"

    asyncio.run(scenario())


def test_cancelling_the_task_stops_the_opening_too() -> None:
    opening = threading.Event()
    pipeline = _pipeline()

    def wait_for_worker(token: FakeCancelToken) -> None:
        opening.set()
        token.cancelled.wait()

    pipeline.runtime.opening = wait_for_worker

    async def scenario() -> None:
        task = asyncio.ensure_future(pipeline.run(1))
        await asyncio.to_thread(opening.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert not pipeline.runtime.sessions


def test_a_session_can_be_cancelled_before_it_opens_and_while_it_works() -> None:
    working = threading.Event()
    pipeline = _pipeline()
    early = pipeline.session()
    early.cancel()
    with pytest.raises(RunCancelled):
        early.open()

    def work(item: Any) -> Any:
        working.set()
        pipeline.runtime.sessions[0].cancelled.wait()

    pipeline.runtime.work = work
    with pipeline.session() as session:

        def cancel() -> None:
            working.wait()
            session.cancel()

        threading.Thread(target=cancel).start()
        with pytest.raises(RunCancelled):
            session.process(1)
    assert pipeline.runtime.sessions[0].calls[-1] == "close"


def test_inputs_are_copied_only_for_callers_who_go_on_meanwhile() -> None:
    async def scenario() -> None:
        await pipeline.run(2)
        async with pipeline.session() as session:
            await session.process(3)

    pipeline = _pipeline()
    pipeline.run(1)
    asyncio.run(scenario())
    assert [session.opened["copy"] for session in pipeline.runtime.sessions] == [False, True, True]


def test_a_failing_cleanup_does_not_take_the_outputs_with_it() -> None:
    # spec: IOP-24
    pipeline = _pipeline()
    pipeline.runtime.cleanup_failure = NodeError("no", node_id="n", operation="cleanup")
    with pytest.raises(NodeError) as caught:
        pipeline.run([1, 2])
    assert caught.value.partial_results == [1, 2]
    with pytest.raises(NodeError), pipeline.session() as session:
        assert session.process(1) == [1]


def test_state_of_slots_comes_back() -> None:
    # spec: IOP-20
    class Slotted:
        __slots__ = ("seen",)
        seen: int

        def process(self, data: Any) -> Any:
            return data

    node = Slotted()
    pipeline = _pipeline(lambda item: item, node)
    pipeline.runtime.write_back = [("Slotted_0", pickle.dumps({"Slotted_0": ({"seen": 3}, [])}))]
    pipeline.run(1)
    assert node.seen == 3


def test_a_session_keeps_going_after_an_error() -> None:
    def work(item: Any) -> Any:
        if item == 2:
            raise NodeError("two", node_id="n")
        return item

    pipeline = _pipeline(work)
    session = pipeline.session()
    with session:
        assert session.process(1) == [1]
        with pytest.raises(NodeError):
            session.process(2)
        assert session.process([3]) == [[3]]
        assert session.flush() == []
        assert session.is_open
    assert len(pipeline.runtime.sessions) == 1
    assert pipeline.runtime.sessions[0].calls[-1] == "close"
    session.close()
    with pytest.raises(PipelineError, match="closed"):
        session.process(4)


def test_a_session_without_with_opens_at_first_use() -> None:
    pipeline = _pipeline()
    session = pipeline.session()
    assert not pipeline.runtime.sessions
    assert session.process(1) == [1]
    session.close()
    assert pipeline.runtime.sessions[0].calls == ["process", "flush", "close"]
    assert session.tail == []


def test_async_sessions_and_streams() -> None:
    async def stream() -> AsyncIterator[int]:
        for n in (1, 2):
            yield n

    async def scenario() -> None:
        pipeline = _pipeline()
        async with pipeline.session() as session:
            assert await session.process(1) == [1]
            assert await session.flush() == []
        assert [output async for output in pipeline.process(stream())] == [1, 2]
        assert not pipeline.is_initialized
        async with pipeline.managed_execution() as same:
            assert same is pipeline
            assert pipeline.is_initialized
            with pytest.raises(PipelineError, match="initialised"):
                pipeline.add_node(PassThroughNode())
            assert [output async for output in pipeline.process(stream())] == [1, 2]
            assert [output async for output in pipeline.process([3])] == [3]
        assert not pipeline.is_initialized

    asyncio.run(scenario())


def test_source_and_sink_at_the_caller() -> None:
    got: list[Any] = []
    source, sink = DataSourceNode(), DataSinkNode(callback=got.append, buffer_output=True)
    pipeline = _pipeline(lambda item: item * 10, source, PassThroughNode(), sink)
    source.push_data(1)
    source.push_data(2)
    source.close()
    assert pipeline.run() == [10, 20]
    assert got == sink.get_buffered_output() == [10, 20]
    sink.clear_buffer()
    assert sink.get_buffered_output() == []
    assert not source.push_data(3)
    types = [
        n["node_type"] for n in json.loads(pipeline.runtime.sessions[0].opened["manifest"])["nodes"]
    ]
    assert types == ["PassThroughNode"] * 3


def test_a_sink_sees_each_output_before_the_next_item() -> None:
    seen: list[str] = []

    def work(item: Any) -> Any:
        seen.append(f"work {item}")
        return item

    sink = DataSinkNode(callback=lambda value: seen.append(f"out {value}"))
    pipeline = _pipeline(work, PassThroughNode(), sink)
    pipeline.run([1, 2])
    assert seen == ["work 1", "out 1", "work 2", "out 2"]


def test_the_worker_gets_the_callers_environment() -> None:
    pipeline = _pipeline(lambda item: item, Count())
    pipeline.run(1)
    opened = pipeline.runtime.sessions[0].opened
    assert opened["caller"].interpreter
    assert all(isinstance(entry, str) and entry for entry in opened["caller"].sys_path)
    shipper = opened["objects"]
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    pickle, arrays = shipper.ship(sys.implementation.name, own, [0])
    assert isinstance(pickle, bytes)
    assert arrays == []
    assert callable(shipper.dumps)
    assert shipper.code_digest(0).startswith(f"{__name__}:Count:")


def test_each_thread_has_a_session_of_its_own() -> None:
    pipeline = _pipeline()
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(pipeline.run(n))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(8))
    assert len(pipeline.runtime.sessions) == 8

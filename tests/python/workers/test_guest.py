"""What calls nodes in a worker, without a worker: order, streams, failures, what is printed."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import select
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import pytest

from remotemedia import Node, _pickle, _tokens
from remotemedia._guest import DONE, LAST, OUTPUT, Fault, Guest, interrupts
from remotemedia._guest.spec import NodeSpec, SessionSpec
from remotemedia._guest.surroundings import Surroundings

Record = tuple[str, str, bool, int, str]
EVENTS: list[Any] = []


class CountingMeter:
    """Checks that stretches of nodes do not nest."""

    def __init__(self) -> None:
        self.inside: int | None = None
        self.calls: list[int] = []
        self.errors: list[int] = []

    def enter(self, node: int, operation: int) -> None:
        assert self.inside is None, "stretches nest"
        self.inside = node

    def leave(self) -> None:
        assert self.inside is not None
        self.inside = None

    def runs_on(self, node: int) -> None:
        pass

    def call_next(self, node: int) -> None:
        self.inside = node
        self.calls.append(node)

    def count_call(self, node: int) -> None:
        self.calls.append(node)

    def count_error(self, node: int) -> None:
        self.errors.append(node)


def around(sys_path: list[str] | None) -> Surroundings | None:
    """This process with more entries on its search path."""
    if sys_path is None:
        return None
    path = [os.fsencode(entry) for entry in sys_path]
    variables = (name + b"=" + value + b"\0" for name, value in os.environb.items())
    argv, here = [os.fsencode(word) for word in sys.argv], os.getcwdb()
    return Surroundings(b"".join(variables), None, path, False, argv, here, None)


class Worker:
    """A guest with one session of classes of this module, as stages of chains."""

    def __init__(self) -> None:
        self.meter = CountingMeter()
        self.records: list[Record] = []

    @cached_property
    def guest(self) -> Guest:
        # Made inside the test: pytest puts its own streams in place between a test's phases.
        return Guest(self.meter, lambda *record: self.records.append(record))

    def open(self, *stages: list[type], sys_path: list[str] | None = None) -> Any:
        specs = [
            (
                number,
                [NodeSpec(k.__name__, __name__, k.__qualname__, None, {}, False) for k in kinds],
            )
            for number, kinds in enumerate(stages)
        ]
        return self.guest.open(SessionSpec(specs, None, around(sys_path), 1 << 20))

    def rest(self, stage: int = 0) -> list[Any]:
        """Steps a call to its end."""
        return self.outputs(stage, self.guest.step(stage))

    def outputs(self, stage: int, step: tuple[int, Any]) -> list[Any]:
        """What this step and those after it give."""
        outputs = []
        while True:
            kind, value = step
            if kind != DONE:
                outputs.append(value)
            if kind != OUTPUT:
                return outputs
            step = self.guest.step(stage)

    def item(self, value: Any, stage: int = 0) -> list[Any]:
        return self.outputs(stage, self.guest.first_step(stage, value))

    def flush(self, stage: int = 0) -> list[Any]:
        self.guest.begin_flush(stage)
        return self.rest(stage)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    EVENTS.clear()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    worker = Worker()
    yield worker
    worker.guest.close()
    root.handlers[:] = handlers
    root.setLevel(level)


class Echo:
    def process(self, data: Any) -> Any:
        EVENTS.append(("echo", data))
        return data


class Twice:
    def process(self, data: Any) -> Iterator[Any]:
        for place in "ab":
            EVENTS.append(("twice", data, place))
            yield f"{data}{place}"


class TwiceAsync:
    async def process(self, data: Any) -> AsyncIterator[Any]:
        for place in "xy":
            EVENTS.append(("async", data, place))
            await asyncio.sleep(0)
            yield f"{data}{place}"


class Stream:
    is_streaming = True

    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            EVENTS.append(("stream", item))
            yield f"{item}1"
            yield f"{item}2"
        yield "end"


class PlainStream:
    is_streaming = True

    def process(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            EVENTS.append(("plain", item, threading.current_thread() is threading.main_thread()))
            yield f"{item}1"
            yield f"{item}2"
        yield "end"


def test_a_single_plain_node_answers_in_one_step(worker: Worker) -> None:
    worker.open([Echo])
    assert worker.guest.first_step(0, 5) == (LAST, 5)
    assert worker.guest.first_step(0, None) == (DONE, None)


def test_a_chain_runs_depth_first_and_only_as_far_as_it_is_asked(worker: Worker) -> None:
    # spec: IOP-22
    worker.open([Twice, TwiceAsync, Echo])
    assert worker.guest.first_step(0, "") == (OUTPUT, "ax")
    assert EVENTS == [("twice", "", "a"), ("async", "a", "x"), ("echo", "ax")]
    assert worker.rest() == ["ay", "bx", "by"]
    assert worker.meter.calls == [0, 1, 2, 2, 1, 2, 2]


@pytest.mark.parametrize("kind", [Stream, PlainStream])
def test_a_stream_goes_on_only_when_its_output_has_passed(worker: Worker, kind: type) -> None:
    # spec: IOP-22
    worker.open([kind, Echo])
    assert worker.guest.first_step(0, "a") == (OUTPUT, "a1")
    assert [event[0] for event in EVENTS] == [EVENTS[0][0], "echo"]
    assert worker.rest() == ["a2"]
    assert worker.item("b") == ["b1", "b2"]
    assert worker.flush() == ["end"]
    assert worker.item("c") == ["c1", "c2"], "after a flush a new stream begins"
    assert worker.flush() == ["end"]


def test_an_interrupt_of_an_ended_session_does_not_reach_the_next(worker: Worker) -> None:
    # spec: IOP-25
    worker.open([Echo])
    worker.guest.close()
    interrupts._on_signal(0, None)
    worker.open([Echo])
    assert worker.item(1) == [1]


class YieldsLater(Node):
    async def process(self, data: Any) -> AsyncIterator[Any]:
        yield data
        yield data


def test_an_interrupt_before_the_next_output_leaves_no_coroutine_that_was_never_awaited(
    worker: Worker,
) -> None:
    # spec: IOP-25
    worker.open([YieldsLater])
    assert worker.guest.first_step(0, 1) == (OUTPUT, 1)
    interrupts._on_signal(0, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Fault):
            worker.guest.step(0)
        gc.collect()
    worker.guest.end_interrupt()
    assert caught == []


class InheritsFlush(Node):
    def process(self, data: Any) -> Any:
        return data


class FlushesFromInitialize(InheritsFlush):
    def initialize(self) -> None:
        self.flush = lambda: "late"  # type: ignore[method-assign]


class FailingFlush(Echo):
    @property
    def flush(self) -> Any:
        raise ValueError("no flush")


def test_a_worker_knows_which_nodes_flush(worker: Worker) -> None:
    # spec: IOP-20
    opened = worker.open([Echo, InheritsFlush, FlushesFromInitialize, FailingFlush, Stream])
    flushes = {node_id: flushes for node_id, *_, flushes, _ in opened}
    assert flushes == {
        "Echo": False,
        "InheritsFlush": False,
        "FlushesFromInitialize": True,
        "FailingFlush": True,
        "Stream": True,
    }


@pytest.mark.parametrize("kind", [Stream, PlainStream])
def test_a_stream_without_items_is_a_stream(worker: Worker, kind: type) -> None:
    worker.open([kind])
    assert worker.flush() == ["end"]
    assert worker.flush() == []


class ReadsAhead:
    is_streaming = True

    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def read() -> None:
            async for item in items:
                await queue.put(item)
            await queue.put(None)

        reader = asyncio.create_task(read())
        while (item := await queue.get()) is not None:
            yield item
        await reader


def test_a_stream_that_reads_in_a_task_answers_the_item_it_got(worker: Worker) -> None:
    worker.open([ReadsAhead])
    assert worker.item(1) == [1]
    assert worker.item(2) == [2]
    assert worker.flush() == []


class LateClean:
    is_streaming = True

    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for item in items:
                yield item
                await asyncio.sleep(0)
        finally:
            EVENTS.append("stream closed")

    def cleanup(self) -> None:
        EVENTS.append("cleanup")


def test_a_stream_that_nobody_ends_is_closed_before_the_cleanup(worker: Worker) -> None:
    worker.open([LateClean])
    assert worker.item(1) == [1]
    worker.guest.close()
    assert EVENTS == ["stream closed", "cleanup"]


class StartsTask:
    """The plain hooks of an async node may use the loop."""

    def initialize(self) -> None:
        self.results: asyncio.Queue[str] = asyncio.Queue()
        self.task = asyncio.get_running_loop().create_task(self.work())

    async def work(self) -> None:
        await self.results.put("worked")

    async def process(self, data: Any) -> Any:
        return await self.results.get()

    def flush(self) -> str:
        return "running" if asyncio.get_running_loop().is_running() else "idle"


def test_plain_hooks_of_an_async_node_find_its_loop(worker: Worker) -> None:
    worker.open([StartsTask])
    assert worker.item(0) == ["worked"]
    assert worker.flush() == ["running"]


class FailsOnClose:
    def process(self, data: Any) -> Iterator[Any]:
        try:
            yield data
        finally:
            raise ValueError("while closing")


class Fails:
    def process(self, data: Any) -> Any:
        raise KeyError("first")


def test_the_first_failure_is_the_one_that_is_told(worker: Worker) -> None:
    # spec: IOP-25
    worker.open([FailsOnClose, Fails])
    with pytest.raises(Fault) as caught:
        worker.item(1)
    assert (caught.value.node_id, caught.value.remote_type) == ("Fails", "KeyError")
    worker.guest.begin_flush(0)
    worker.guest.abort(0)


class Exits:
    def process(self, data: Any) -> Any:
        raise data


class ExitsAsync:
    async def process(self, data: Any) -> Any:
        await asyncio.sleep(0)
        raise data


class ExitsInGenerator:
    def process(self, data: Any) -> Iterator[Any]:
        yield 1
        raise data


class ExitsInStream:
    is_streaming = True

    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            raise item
        yield


class ExitsInPlainStream:
    is_streaming = True

    def process(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            raise item
        yield


@pytest.mark.parametrize(
    "kind", [Exits, ExitsAsync, ExitsInGenerator, ExitsInStream, ExitsInPlainStream]
)
@pytest.mark.parametrize(
    "make", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, MemoryError]
)
def test_nothing_that_a_node_raises_ends_the_worker(
    worker: Worker, kind: type, make: Callable[[str], BaseException]
) -> None:
    # spec: IOP-23
    worker.open([kind], [Echo])
    for _ in range(2):
        error = make("gone")
        with pytest.raises(Fault) as caught:
            worker.item(error)
        assert caught.value.node_id == kind.__name__
        assert caught.value.remote_type.endswith(type(error).__name__)
        assert worker.item(7, stage=1) == [7]


class Deep:
    def process(self, data: Any) -> Any:
        return self.inner(data)

    def inner(self, data: Any) -> Any:
        try:
            return 1 / data
        except ZeroDivisionError as error:
            error.add_note("a note")
            raise RuntimeError("outer") from error


def test_a_traceback_begins_in_the_node(worker: Worker) -> None:
    # spec: IOP-24
    worker.open([Deep])
    with pytest.raises(Fault) as caught:
        worker.item(0)
    text = caught.value.traceback
    assert "_guest/" not in text
    assert "return 1 / data" in text
    assert "return self.inner(data)" in text
    assert "a note" in text
    assert text.endswith("RuntimeError: outer")
    assert "direct cause" in text


class Prints:
    def process(self, data: Any) -> Any:
        sys.stdout.write(f"half of {data}")
        return data


class PrintsMore:
    def process(self, data: Any) -> Any:
        sys.stdout.write("a line\nanother\n")
        logging.getLogger("mine").warning("logged %d", 3)
        return data


class PrintsInStream:
    is_streaming = True

    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            sys.stdout.write("streamed\n")
            yield item


class PrintsInThread:
    def process(self, data: Any) -> Any:
        thread = threading.Thread(target=print, args=("threaded",))
        thread.start()
        thread.join()
        return data


def test_whatever_is_printed_has_the_name_of_its_node(worker: Worker) -> None:
    worker.open([Prints, PrintsMore, PrintsInStream, PrintsInThread, Echo])
    worker.item(1)
    assert [(r[0], r[1], r[4]) for r in worker.records] == [
        ("Prints", "stdout", "half of 1"),
        ("PrintsMore", "stdout", "a line\nanother"),
        ("PrintsMore", "mine", "logged 3"),
        ("PrintsInStream", "stdout", "streamed"),
        ("PrintsInThread", "stdout", "threaded"),
    ]


class BadCleanup:
    def cleanup(self) -> None:
        EVENTS.append("bad cleanup")
        raise ValueError("cannot")

    def process(self, data: Any) -> Any:
        return data


class GoodCleanup:
    async def cleanup(self) -> None:
        EVENTS.append("good cleanup")

    def process(self, data: Any) -> Any:
        return data


class BadInitialize:
    def initialize(self) -> None:
        raise SystemExit(3)

    def process(self, data: Any) -> Any:
        return data


def test_every_node_is_cleaned_up_even_if_one_fails(worker: Worker) -> None:
    worker.open([BadCleanup, GoodCleanup])
    _, faults, _ = worker.guest.close()
    assert EVENTS == ["bad cleanup", "good cleanup"]
    (fault,) = faults
    assert (fault["kind"], fault["node_id"]) == ("cleanup", "BadCleanup")
    assert (fault["remote_type"], fault["message"]) == ("ValueError", "cannot")
    assert "cannot" in fault["traceback"]
    assert fault["import_info"] is None


def test_nodes_that_stood_are_cleaned_up_when_a_later_one_cannot_start(worker: Worker) -> None:
    with pytest.raises(Fault) as caught:
        worker.open([GoodCleanup, BadInitialize])
    assert (caught.value.kind, caught.value.remote_type) == ("initialize", "SystemExit")
    assert EVENTS == ["good cleanup"]
    worker.open([Echo])
    assert worker.item(1) == [1], "the next session is as good as new"


def test_a_module_that_was_written_a_moment_ago_is_found(worker: Worker, tmp_path: Path) -> None:
    spec = NodeSpec("n", "just_written", "N", None, {}, False)
    session = SessionSpec([(0, [spec])], None, around([str(tmp_path)]), 0)
    before = list(sys.path)
    try:
        with pytest.raises(Fault, match="not found"):
            worker.guest.open(session)
        (tmp_path / "just_written.py").write_text(
            "class N:\n    def process(self, data):\n        return data + 1\n"
        )
        worker.guest.open(session)
        assert worker.item(1) == [2]
        assert sys.path.count(str(tmp_path)) == 1
    finally:
        sys.path[:] = before
        sys.modules.pop("just_written", None)


class TakesGain:
    def __init__(self, gain: float, *, offset: float = 0) -> None: ...

    def process(self, data: Any) -> Any:
        return data


@pytest.mark.parametrize(
    ("module", "name", "params", "kind", "parts"),
    [
        (
            "remotemedia.nodez",
            "X",
            {},
            "not found",
            ["No module named 'remotemedia.nodez'", "did you mean 'remotemedia.nodes'"],
        ),
        (
            __name__,
            "TakesGian",
            {},
            "not found",
            ["no class or function 'TakesGian'", "'TakesGain'"],
        ),
        (__name__, "TakesGain", {"gian": 1}, "construct", ["'gian'", "'gain'", "gain, offset"]),
        (__name__, "TakesGain", {}, "construct", ["missing", "gain"]),
        (__name__, "EVENTS", {}, "construct", ["is neither a class nor a function but list"]),
        (__name__, "Worker", {}, "construct", ["has no method process(data)"]),
    ],
)
def test_what_cannot_be_made_is_named_with_the_nearest_that_can(
    worker: Worker, module: str, name: str, params: dict[str, Any], kind: str, parts: list[str]
) -> None:
    spec = NodeSpec("n", module, name, None, params, False)
    with pytest.raises(Fault) as caught:
        worker.guest.open(SessionSpec([(0, [spec])], None, None, 0))
    assert (caught.value.kind, caught.value.node_id) == (kind, "n")
    told = f"{caught.value.message} {(caught.value.import_info or {}).get('suggestion')}"
    for part in parts:
        assert part in told
    wanted = {"remotemedia.nodez": "remotemedia.nodes", "TakesGian": "TakesGain"}
    nearest = wanted.get(name, wanted.get(module))
    assert caught.value.detail == (nearest and ("nearest", nearest))


def opened(worker: Worker, *nodes: Any, log_levels: dict[str, int] | None = None) -> None:
    """A session with objects of the caller, all in one stage."""
    specs = [NodeSpec(f"n{k}", "", "", k, {}, False) for k in range(len(nodes))]
    shipment = _pickle.Shipment(nodes, log_levels or {})
    worker.guest.open(SessionSpec([(0, specs)], shipment.instances, None, 1 << 20))


@pytest.fixture
def as_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives this process back what a worker's session takes."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    tokens = ("_by_token", "_tokens", "_bundles", "_shipped")
    for name in ("is_worker", "kept", "stand_ins", "writes_portable", *tokens):
        monkeypatch.setattr(_tokens.registry, name, getattr(_tokens.registry, name))


@pytest.mark.usefixtures("as_worker")
def test_nothing_of_a_session_is_left_for_the_next(worker: Worker) -> None:
    quiet = logging.getLogger("tests.quiet")
    opened(worker, Echo(), log_levels={"tests.quiet": logging.DEBUG})
    stand_in = sys.modules["__main__"]
    stand_in.left = "behind"  # type: ignore[attr-defined]
    root = logging.getLogger()
    root.handlers.clear()
    sys.path.insert(0, "/left/behind")
    sys.stdout = sys.__stdout__
    assert quiet.level == logging.DEBUG
    worker.guest.close()
    assert quiet.level == logging.NOTSET
    assert not hasattr(sys.modules["__main__"], "left")

    print("between sessions")  # noqa: T201
    worker.open([PrintsMore], sys_path=[])
    assert "/left/behind" not in sys.path
    worker.item(1)
    assert [record[4] for record in worker.records] == ["a line\nanother", "logged 3"]


@pytest.mark.usefixtures("as_worker")
def test_records_come_from_the_level_that_the_caller_wants(worker: Worker) -> None:
    loud, quiet = logging.getLogger("tests.loud"), logging.getLogger("tests.quiet")
    opened(worker, Echo(), log_levels={"tests.loud": logging.DEBUG, "tests.quiet": logging.ERROR})
    for logger in (loud, quiet):
        logger.debug("debug")
        logger.info("info")
    assert [(r[1], r[4]) for r in worker.records] == [
        ("tests.loud", "debug"),
        ("tests.loud", "info"),
        ("tests.quiet", "info"),
    ]


def test_the_callers_search_path_keeps_its_order(worker: Worker) -> None:
    before = list(sys.path)
    try:
        worker.open([Echo], sys_path=["/first", before[-1], "/last"])
        assert sys.path == [*before[:-1], "/first", before[-1], "/last"]
        worker.guest.close()
        worker.open([Echo], sys_path=["/last"])
        assert sys.path == [*before, "/last"]
    finally:
        sys.path[:] = before


def test_output_between_sessions_has_no_nodes_name(worker: Worker) -> None:
    worker.open([Prints])
    worker.item(1)
    worker.guest.close()
    print("later")  # noqa: T201
    assert [(r[0], r[4]) for r in worker.records] == [("Prints", "half of 1"), ("", "later")]


class Odd:
    def process(self, data: Any) -> Any:
        logging.getLogger("odd \ud800").error("logged \udfff")
        raise ValueError("lone \udfff surrogate")


class Exiting(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


class RaisesExiting:
    def process(self, data: Any) -> Any:
        raise Exiting


def test_text_without_utf8_arrives_escaped(worker: Worker) -> None:
    # spec: IOP-24
    worker.open([Odd])
    with pytest.raises(Fault) as caught:
        worker.item(1)
    assert caught.value.message == r"lone \udfff surrogate"
    assert r"lone \udfff surrogate" in caught.value.traceback
    assert [(r[1], r[4]) for r in worker.records] == [(r"odd \ud800", r"logged \udfff")]


def test_an_exception_that_cannot_be_shown_is_a_failure_like_others(worker: Worker) -> None:
    # spec: IOP-23
    worker.open([RaisesExiting])
    with pytest.raises(Fault) as caught:
        worker.item(1)
    assert caught.value.remote_type == f"{__name__}.Exiting"
    assert "SystemExit in __str__" in caught.value.message


class RunningTask:
    async def initialize(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.answer())

    async def answer(self) -> str:
        await asyncio.sleep(0)
        return "answered"

    def process(self, data: Any) -> Any:
        return self.task


def test_a_task_that_runs_already_is_awaited(worker: Worker) -> None:
    worker.open([RunningTask, Echo])
    assert worker.item(1) == ["answered"]
    assert worker.item(2) == ["answered"]


class EndsTheLoop:
    async def process(self, data: Any) -> Any:
        async def leave() -> None:
            raise SystemExit(data)

        self.task = asyncio.get_running_loop().create_task(leave())
        self.task.add_done_callback(asyncio.Task.exception)  # it is known, and not told again
        if data == "now":
            await asyncio.Event().wait()
        return data


def test_a_task_that_exits_ends_neither_the_waiting_nor_the_loop(worker: Worker) -> None:
    # spec: IOP-23
    worker.open([EndsTheLoop], [Stream])
    with pytest.raises(Fault) as caught:
        worker.item("now")
    assert caught.value.remote_type == "SystemExit"
    assert worker.item("later") == ["later"]
    descriptor, after, is_quiet = worker.guest.attend(False)
    assert select.select([descriptor], [], [], 0) == ([], [], []), "nothing is left to do"
    assert (after, is_quiet) == (None, True)
    assert worker.item("a", stage=1) == ["a1", "a2"]


def logged_calls(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*arguments: Any) -> Any:
        EVENTS.append("called")
        return function(*arguments)

    return wrapper


class WrappedStream:
    is_streaming = True

    @logged_calls
    async def process(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            yield item


class WrappedPlainStream:
    is_streaming = True

    @logged_calls
    def process(self, items: Iterator[Any]) -> Iterator[Any]:
        yield from items


class PerItem:
    is_streaming = True

    async def process(self, data: Any) -> Any:
        return data


@pytest.mark.parametrize("kind", [WrappedStream, WrappedPlainStream])
def test_a_decorated_stream_is_a_stream(worker: Worker, kind: type) -> None:
    ((_, _, is_streaming, _, _, _),) = worker.open([kind])
    assert is_streaming
    assert worker.item(1) + worker.item(2) + worker.flush() == [1, 2]
    assert EVENTS == ["called"]


def test_what_generates_nothing_takes_items_one_by_one(worker: Worker) -> None:
    ((_, _, is_streaming, _, _, _),) = worker.open([PerItem])
    assert not is_streaming
    assert worker.item(1) == [1]


class Cursor:
    """An iterator with a `close`, which the node goes on using."""

    def __init__(self) -> None:
        self.rows = iter(range(10))
        self.in_page = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.in_page += 1
        if self.in_page > 2:
            self.in_page = 0
            raise StopIteration
        return next(self.rows)

    def close(self) -> None:
        raise AssertionError("it is the node's")


class Pages:
    def initialize(self) -> None:
        self.cursor = Cursor()

    def process(self, data: Any) -> Any:
        return self.cursor


def test_an_iterator_of_the_nodes_own_is_not_closed(worker: Worker) -> None:
    worker.open([Pages])
    assert worker.item("page") == [0, 1]
    assert worker.item("page") == [2, 3]


class BadProperty:
    @property
    def is_source(self) -> bool:
        raise OSError("no device")

    def process(self, data: Any) -> Any:
        return data


def test_a_node_that_cannot_be_asked_is_a_failed_construction(worker: Worker) -> None:
    with pytest.raises(Fault) as caught:
        worker.open([Echo, BadProperty])
    assert (caught.value.kind, caught.value.node_id) == ("construct", "BadProperty")
    worker.open([Echo])
    assert worker.item(1) == [1]


class ForksAndPrints:
    def process(self, data: Any) -> Any:
        sys.stdout.write("before ")
        child = os.fork()
        if child == 0:
            try:
                print("from the child")  # noqa: T201
                logging.getLogger("child").error("logged in the child")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        print("after")  # noqa: T201
        return data


def test_a_forked_child_leaves_the_connection_alone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "pipe").open("w", encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "__stdout__", pipe)
        monkeypatch.setattr(sys, "__stderr__", pipe)
        worker.open([ForksAndPrints])
        worker.item(1)
    assert [record[4] for record in worker.records] == ["before after"]
    assert (tmp_path / "pipe").read_text() == "from the child\nlogged in the child\n"


class Slotted:
    __slots__ = ("__private", "absent", "seen")

    def __init__(self) -> None:
        self.seen, self.__private = 0, 0

    def process(self, data: Any) -> Any:
        self.seen += data
        self.__private += 1
        return data


class RefusesState:
    def __init__(self) -> None:
        self.fine, self.bad = 0, None

    def process(self, data: Any) -> Any:
        self.fine, self.bad = 1, Unpicklable()  # type: ignore[assignment]
        return data


class Unpicklable:
    def __reduce__(self) -> Any:
        raise SystemExit("not here")


@pytest.mark.usefixtures("as_worker")
def test_slots_are_state_too_and_what_cannot_travel_is_told(worker: Worker) -> None:
    # spec: IOP-20
    opened(worker, Slotted(), RefusesState())
    worker.item(5)
    states, faults, left = worker.guest.close()
    assert (faults, left) == ([], [])
    (slotted, _), (refuses, kept) = ((_pickle.loads(data), kept) for _, data, kept in states)
    assert slotted == {"n0": ({"seen": 5, "_Slotted__private": 1}, [])}
    assert refuses == {"n1": ({"fine": 1}, [])}
    assert [(name, reason) for name, reason in kept] == [("bad", "SystemExit: not here")]

"""Callbacks of the caller's program: sinks in any place, and sessions used from within a call."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from remotemedia import DataSinkNode, Node, NodeError, Pipeline, PipelineError


class Twice(Node):
    def process(self, item: Any) -> Any:
        return item * 2


class Breaks(Node):
    def process(self, item: Any) -> Any:
        if item == 3:
            raise ValueError("three")
        return item


@pytest.mark.parametrize("native", [True, False])
def test_a_sink_that_others_follow_delivers_in_this_process(native: bool) -> None:
    """spec: IOP-02"""
    got: list[tuple[int, Any]] = []
    sink = DataSinkNode(lambda value: got.append((os.getpid(), value)))
    pipeline = Pipeline(Twice(), sink, Twice())
    for _ in range(2):
        got.clear()
        assert pipeline.run([1, 2], use_rust=native) == [4, 8]
        assert got == [(os.getpid(), 2), (os.getpid(), 4)]


def test_it_delivers_in_sessions_and_streams_and_before_an_error() -> None:
    """spec: IOP-02"""
    got: list[Any] = []
    pipeline = Pipeline(DataSinkNode(got.append), Breaks())
    with pipeline.session() as session:
        assert session.process(1) == [1]
        with pytest.raises(NodeError, match="three"):
            session.process(3)
    assert list(pipeline.stream([1, 2])) == [1, 2]
    with pytest.raises(NodeError, match="three") as caught:
        pipeline.run([2, 3])
    assert caught.value.partial_results == [2]
    assert got == [1, 3, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.process(2),
        lambda s: s.flush(),
        lambda s: s.close(),
        lambda s: list(s.stream([1])),
    ],
    ids=["process", "flush", "close", "stream"],
)
def test_a_callback_cannot_use_the_session_that_waits_for_it(use: Callable[[Any], Any]) -> None:
    """spec: IOP-03"""
    pipeline = Pipeline(Twice())
    session = pipeline.session()
    refused: list[str] = []

    def callback(value: Any) -> None:
        if not refused:
            with pytest.raises(PipelineError) as caught:
                use(session)
            refused.append(str(caught.value))

    pipeline.add_node(DataSinkNode(callback))
    with session:
        session.process(1)
        assert "session of its own" in refused[0]
        assert session.process(1), "the session goes on"


def test_a_signal_handler_cannot_use_the_session_that_is_interrupted() -> None:
    """spec: IOP-03"""
    refused: list[BaseException] = []
    is_at_work = threading.Event()

    class Waits(Node):
        def process(self, pid: int) -> str:
            os.kill(pid, signal.SIGUSR1)
            import time

            time.sleep(0.2)
            return "done"

    with Pipeline(Waits()).session() as session:

        def handler(*_: Any) -> None:
            try:
                session.process(0)
            except PipelineError as error:
                refused.append(error)
            is_at_work.set()

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            assert session.process(os.getpid()) == ["done"]
        finally:
            signal.signal(signal.SIGUSR1, before)
    assert len(refused) == 1

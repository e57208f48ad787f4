"""Where the time of a run goes: its table, its trace, and metrics of sessions that are open."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia import AddNode, NodeError, Pipeline, RunCancelled, Runtime
from remotemedia.core.profiling import Profile
from seen_nodes import Many, Sleeps, Third
from stream_nodes import Steps
from worker_programs import PROGRAMS, runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline and an error before."""
    with runtime(request.param, ONE) as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        with pytest.raises(NodeError):
            Pipeline(Third(1), runtime=where).run(0)
        yield where


def test_the_time_of_a_run_is_split_by_node(one: Runtime) -> None:
    """spec: IOP-35"""
    pipeline = Pipeline(
        [AddNode(addend=1, name="add"), Sleeps(name="slow"), Many(name="many")], runtime=one
    )
    profile = pipeline.profile([1, 2])
    assert profile.result == [0, 1, 0, 1, 2]
    assert [node.node_id for node in profile.nodes] == ["add_0", "slow_1", "many_2"]
    add, slow, many = profile.nodes
    assert (add.runtime, add.worker_pid) == ("rust_native", None)
    assert slow.runtime in PROGRAMS
    assert slow.worker_pid == many.worker_pid is not None
    assert [node.calls for node in profile.nodes] == [2, 2, 2]
    assert slow.node_ms >= 40 > add.node_ms
    assert profile["slow_1"].node_ms > profile["many_2"].node_ms > 0
    assert slow.marshalling_ms > 0
    assert slow.transport_ms > 0
    assert many.transport_ms == 0, "the nodes of a stage travel together"
    everything = [(node.node_ms, node.marshalling_ms, node.transport_ms) for node in profile.nodes]
    assert sum(map(sum, everything)) <= profile.total_ms * 1.01
    assert profile.opening_ms > 0 < profile.closing_ms
    table = str(profile).splitlines()
    assert table[0].split()[:4] == ["node", "where", "calls", "node"]
    assert table[2].startswith("slow_1")
    assert len(table) == 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_item_that_waits_for_the_one_before_it_is_waiting(program: str) -> None:
    with runtime(program) as where:
        slow, slower = Sleeps(name="a"), Sleeps(name="b", isolated=True)
        profile = Pipeline([slow, slower], runtime=where).profile([1, 2, 3])
    assert profile.result == [1, 2, 3]
    # The items are fed at once; the second waits 20 ms, and the third twice as long.
    assert profile["a_0"].waiting_ms >= 30


def test_a_trace_has_the_spans_of_each_call(one: Runtime, tmp_path: Path) -> None:
    """spec: IOP-35"""
    path = tmp_path / "run.json"
    pipeline = Pipeline([AddNode(addend=1), Sleeps(name="slow")], runtime=one)
    profile = pipeline.profile([1, 2], trace=path)
    trace = json.loads(path.read_text())
    assert trace == profile.trace()
    events = trace["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    worker = profile["slow_1"].worker_pid
    called = [span for span in spans if span["pid"] == worker and "outputs" in span["args"]]
    inner = [span for span in spans if span["pid"] == worker and "outputs" not in span["args"]]
    assert [span["args"]["outputs"] for span in called if span["args"]["outputs"]] == [1, 1]
    for span, within in zip(called, inner, strict=True):
        assert span["ts"] <= within["ts"]
        assert within["ts"] + within["dur"] <= span["ts"] + span["dur"] + 1e-6
    assert max(span["dur"] for span in inner) >= 20_000
    converted = [span["name"] for span in spans if span["name"].startswith("convert")]
    assert converted.count("convert input") == converted.count("convert output") == 2
    named = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {"caller", "session", "slow_1"} <= named
    begun = [event["id"] for event in events if event["ph"] == "b"]
    assert begun == [event["id"] for event in events if event["ph"] == "e"]
    assert {event["pid"] for event in events} == {os.getpid(), worker}


def test_a_profiled_run_raises_as_any_other(one: Runtime) -> None:
    pipeline = Pipeline([Third()], runtime=one)
    with pytest.raises(NodeError, match="3 is too much") as failed:
        pipeline.profile([1, 2, 3])
    assert failed.value.partial_results == [1, 2]
    assert pipeline.profile([4]).result == 4, "the worker is warm, and profiles again"


def test_a_profile_can_be_awaited() -> None:
    async def profiled() -> Any:
        return await Pipeline([Many()]).profile([2])

    profile = asyncio.run(profiled())
    assert isinstance(profile, Profile)
    assert profile.result == [0, 1]


def test_a_session_is_profiled_while_it_is_open(one: Runtime) -> None:
    with Pipeline([Sleeps()], runtime=one).session(profile=True) as session:
        session.process(1)
        first = session.profile()
        session.process(2)
        second = session.profile()
    assert first is not None
    assert second is not None
    assert [first.nodes[0].calls, second.nodes[0].calls] == [1, 2]
    assert first.closing_ms == 0
    with Pipeline([Many()], runtime=one).session() as session:
        assert session.profile() is None


def test_arrays_come_through_a_profiled_run_as_they_are(one: Runtime) -> None:
    audio = np.random.default_rng(1).random(100_000, np.float32)
    profile = Pipeline([Sleeps()], runtime=one).profile(audio)
    assert np.array_equal(profile.result, audio)
    assert profile.converting_ms > 0


def test_metrics_of_an_open_session_can_be_read_at_any_time(one: Runtime, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    session = Pipeline([Steps()], runtime=one).session()
    assert session.get_metrics() is None
    with session:
        session.process(1)
        metrics = session.get_metrics()
        assert metrics is not None
        assert metrics["nodes"][0]["execution_count"] == 1
        thread = threading.Thread(target=_is_cancelled, args=(session, str(begun)))
        thread.start()
        while not begun.exists():
            thread.join(0.001)
        running = session.get_metrics()
        assert running is not None
        assert running["nodes"][0]["execution_count"] == 1, "its second call still runs"
        session.cancel()
        thread.join()


def _is_cancelled(session: Any, item: str) -> None:
    with pytest.raises(RunCancelled):
        session.process(item)

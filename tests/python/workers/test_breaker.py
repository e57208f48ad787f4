"""Nodes that are skipped because they keep failing."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from remotemedia import NodeError, NodeSkipped, Pipeline
from tried_nodes import Flaky, Numbered
from worker_programs import PROGRAMS, runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n[calls]\n"
each = pytest.mark.parametrize("program", PROGRAMS)


def broken(**options: Any) -> Flaky:
    return Flaky("value", fails=3, breaker=3, **options)


@each
def test_after_so_many_failures_in_a_row_a_node_is_skipped(program: str) -> None:
    # spec: NRA-10
    with runtime(program, ONE) as where:
        pipeline = Pipeline(broken(), runtime=where)
        with pipeline.session() as session:
            for _ in range(3):
                with pytest.raises(NodeError) as failed:
                    session.process(1)
                assert not isinstance(failed.value, NodeSkipped)
            for _ in range(2):
                with pytest.raises(NodeSkipped) as skipped:
                    session.process(1)
        assert skipped.value.pause_ms == 30_000
        assert len(skipped.value.causes) == 3
        assert all("ValueError: not now" in cause for cause in skipped.value.causes)
        metrics = pipeline.get_metrics()
        assert metrics is not None
        assert metrics["nodes"][0]["skipped_count"] == 2
        assert metrics["nodes"][0]["execution_count"] == 3


@each
@pytest.mark.parametrize(("on_open", "expected"), [("drop", []), ("pass", [701])])
def test_its_items_are_dropped_or_passed_on(
    program: str, on_open: str, expected: list[Any]
) -> None:
    # spec: NRA-10
    with runtime(program, ONE) as where:
        pipeline = Pipeline(broken(on_open=on_open), Numbered(), runtime=where)
        with pipeline.session() as session:
            for _ in range(3):
                with pytest.raises(NodeError):
                    session.process(7)
            assert session.process(7) == expected


@each
def test_after_a_pause_one_item_is_tried(program: str) -> None:
    # spec: NRA-10
    with (
        runtime(program, ONE + 'breaker_pause = "1 ms"\n') as where,
        Pipeline(broken(), runtime=where).session() as session,
    ):
        results: list[Any] = []
        while not results:
            with contextlib.suppress(NodeError):
                results = session.process(1)
        assert results == [2]
        assert session.process(2) == [4]


@each
def test_a_success_begins_the_row_again(program: str) -> None:
    # spec: NRA-10
    with (
        runtime(program, ONE) as where,
        Pipeline(Flaky("value", fails=2, breaker=3), runtime=where).session() as session,
    ):
        for _ in range(2):
            with pytest.raises(NodeError):
                session.process(1)
        assert session.process(1) == [2]
        assert session.process(2) == [4]


@each
def test_the_runs_of_a_pipeline_share_its_breakers_and_those_of_another_do_not(
    program: str,
) -> None:
    # spec: NRA-10
    with runtime(program, ONE) as where:
        one, other = (Pipeline(Flaky("value", fails=9, breaker=2), runtime=where) for _ in "ab")
        for _ in range(2):
            with pytest.raises(NodeError) as failed:
                one.run([1])
            assert not isinstance(failed.value, NodeSkipped)
        with pytest.raises(NodeSkipped):
            one.run([1])
        with pytest.raises(NodeError) as failed:
            other.run([1])
        assert not isinstance(failed.value, NodeSkipped)

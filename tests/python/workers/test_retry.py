"""Failed calls that are tried again: which, where, how often, and what the caller learns of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remotemedia import NodeError, NodeTimeout, Pipeline, Runtime, WorkerCrashed
from tried_nodes import (
    Dies,
    Flaky,
    FlakyAsync,
    FlakyFlush,
    FlakyGenerator,
    FlakySource,
    Numbered,
    Refused,
    Twice,
)
from worker_programs import PROGRAMS, node_of, runtime

QUICK = '[workers]\nmax = 1\n[rustpython]\nmax = 1\n[calls]\nretry_delay = "5 ms"\n'
each = pytest.mark.parametrize("program", PROGRAMS)


@each
@pytest.mark.parametrize("error", ["reset", "timeout", "interrupted", "blocking", "own"])
def test_an_error_that_passes_is_tried_again(program: str, error: str) -> None:
    # spec: NRA-08, DSG-15
    with runtime(program, QUICK) as where:
        pipeline = Pipeline(Flaky(error, fails=3), runtime=where)
        assert pipeline.run([1, 2]) == [2, 4]
        assert node_of(pipeline, "Flaky")["retry_count"] == 3


@each
def test_the_fourth_failure_reaches_the_caller(program: str) -> None:
    # spec: NRA-08
    with runtime(program, QUICK) as where, pytest.raises(NodeError) as failed:
        Pipeline(Flaky(fails=4), runtime=where).run([1])
    assert failed.value.tries == 4
    assert "failed in process 4 times: ConnectionResetError: not now" in str(failed.value)


@each
@pytest.mark.parametrize("error", ["value", "os", "named"])
def test_any_other_error_reaches_the_caller_at_once(program: str, error: str) -> None:
    # spec: NRA-09
    with runtime(program, QUICK) as where:
        pipeline = Pipeline(Flaky(error), runtime=where)
        with pytest.raises(NodeError) as failed:
            pipeline.run([1])
        assert failed.value.tries == 1
        assert node_of(pipeline, "Flaky")["execution_count"] == 1


@each
@pytest.mark.parametrize("name", [Refused, "Refused", "tried_nodes.Refused"])
def test_an_error_that_the_user_names_is_tried_again(program: str, name: Any) -> None:
    # spec: NRA-08
    with runtime(program, QUICK) as where:
        node = Flaky("named", retry_on=[name])
        assert Pipeline(node, runtime=where).run(1) == 2


@each
def test_nodes_before_the_failed_one_do_not_run_again_for_the_item(program: str) -> None:
    # spec: NRA-08
    with runtime(program, QUICK) as where:
        pipeline = Pipeline(Numbered(), Twice(), Flaky(fails=2), Numbered(), runtime=where)
        assert pipeline.run([1, 2]) == [20201, 20202, 40403, 40404]
        assert node_of(pipeline, "Numbered")["execution_count"] == 2


@each
@pytest.mark.parametrize(
    ("make", "items", "expected"),
    [
        (lambda: FlakyGenerator(fails=2), [1], [2, 3]),
        (lambda: FlakyAsync(fails=2), [1], [2]),
        (lambda: FlakyFlush(fails=2), [1], [1, "restrest"]),
        (lambda: FlakySource(fails=2), None, [1, 2]),
    ],
    ids=["generator", "coroutine", "flush", "source"],
)
def test_every_form_of_a_call_is_tried_again(
    program: str, make: Callable[[], Any], items: Any, expected: list[Any]
) -> None:
    # spec: NRA-08
    with runtime(program, QUICK) as where:
        assert Pipeline(make(), Twice(), runtime=where).run(items) == [
            value for value in expected for _ in range(2)
        ]


@each
def test_what_has_given_an_output_is_not_called_again_for_the_item(program: str) -> None:
    # spec: NRA-09
    with runtime(program, QUICK) as where, pytest.raises(NodeError) as failed:
        Pipeline(FlakyGenerator(gives_first=True), runtime=where).run([1])
    assert failed.value.tries == 1
    assert failed.value.partial_results == [1]


@each
def test_a_session_tries_again_only_where_that_is_asked_for(program: str) -> None:
    # spec: NRA-08
    with runtime(program, QUICK) as where:
        with Pipeline(Flaky(), runtime=where).session() as session:
            with pytest.raises(NodeError):
                session.process(1)
            assert session.process(1) == [2]
        with Pipeline(Flaky(retry=True), runtime=where).session() as session:
            assert session.process(1) == [2]


def test_the_configuration_decides_where_the_node_does_not() -> None:
    # spec: NRA-08
    with Runtime(QUICK + "retry = true\n") as where:
        with Pipeline(Flaky(), runtime=where).session() as session:
            assert session.process(1) == [2]
        with pytest.raises(NodeError):
            Pipeline(Flaky(retry=False), runtime=where).run([1])
    with Runtime(QUICK + "retry = false\n") as where:
        with pytest.raises(NodeError):
            Pipeline(Flaky(), runtime=where).run([1])
        assert Pipeline(Flaky(retry="auto"), runtime=where).run(1) == 2


@each
@pytest.mark.parametrize("how", ["exit", "abort", "hang"])
def test_a_lost_worker_is_tried_again_where_no_node_keeps_state(
    program: str, how: str, tmp_path: Path
) -> None:
    # spec: CARD-08
    limits: dict[str, Any] = {"timeout_ms": 300} if how == "hang" else {}
    with runtime(program, QUICK) as where:
        for stateless in (False, True):
            file = tmp_path / f"{stateless}"
            node = Dies(str(file), how, retry=True, stateless=stateless, **limits)
            with Pipeline(node, runtime=where).session() as session:
                if stateless:
                    assert session.process(1) == [2]
                else:
                    with pytest.raises((NodeTimeout, WorkerCrashed)) as failed:
                        session.process(1)
                    assert failed.value.tries == 1
                    assert session.process(1) == [2]


@each
def test_a_neighbour_that_keeps_state_forbids_it(program: str, tmp_path: Path) -> None:
    # spec: CARD-08
    node = Dies(str(tmp_path / "tries"), "exit", retry=True, stateless=True)
    with runtime(program, QUICK) as where:
        pipeline = Pipeline(Numbered(), node, runtime=where)
        with pipeline.session() as session, pytest.raises(WorkerCrashed) as failed:
            session.process(1)
    assert any(lost.startswith("Numbered") for lost in failed.value.also_lost)


@each
def test_the_deadline_of_an_item_ends_its_tries(program: str) -> None:
    # spec: CARD-02
    with runtime(program, QUICK.replace("5 ms", "200 ms")) as where:
        with pytest.raises(NodeError) as failed:
            Pipeline(Flaky(fails=9, deadline_ms=500), runtime=where).run([1])
        # The first wait is 200 ms; after the second, of 400 ms, no time would be left.
        assert failed.value.tries == 2


@each
def test_the_deadline_of_an_item_ends_its_last_try(program: str, tmp_path: Path) -> None:
    # spec: CARD-02
    with runtime(program, QUICK) as where:
        node = Dies(str(tmp_path / "tries"), "hang", deadline_ms=300)
        with pytest.raises(NodeTimeout) as failed:
            Pipeline(Numbered(), node, runtime=where).run([1])
        assert failed.value.timeout_ms == 300
        assert "was not done with an item within 300 ms (deadline_ms)" in str(failed.value)


def test_each_try_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    # spec: NRA-08
    with Runtime(QUICK) as where, caplog.at_level(logging.WARNING, "remotemedia"):
        Pipeline(Flaky(fails=2), runtime=where).run([1])
    tried = [record.message for record in caplog.records if "tried again" in record.message]
    assert len(tried) == 2
    assert all("ConnectionResetError: not now" in message for message in tried)


@each
def test_a_warm_worker_keeps_nothing_of_calls_that_were_given_up(program: str) -> None:
    # spec: NRA-08, CARD-02
    with runtime(program, QUICK) as where:
        for _ in range(3):
            with pytest.raises(NodeError):
                Pipeline(Twice(), Flaky(fails=9), runtime=where).run([1])
            assert Pipeline(Twice(), Flaky(fails=1), runtime=where).run([1]) == [2, 2]
            node = Flaky(fails=9, retry=True)
            with Pipeline(node, runtime=where).session() as session, pytest.raises(NodeError):
                session.process(1)
        assert len(where.workers()) == 1


@each
@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"retry": "often"}, "retry"),
        ({"retry": 3}, "retry"),
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"breaker": -1}, "breaker"),
        ({"on_open": "close"}, "on_open"),
        ({"retry_on": [3]}, "retry_on[0]"),
        ({"stateless": "yes"}, "stateless"),
    ],
)
def test_a_wrong_option_is_named(program: str, options: dict[str, Any], part: str) -> None:
    # spec: DSG-01
    with runtime(program, QUICK) as where, pytest.raises(ValueError, match="nodes") as failed:
        Pipeline(Flaky(**options), runtime=where).run([1])
    assert part in str(failed.value)


@each
def test_an_operator_decides_for_nodes_by_name(program: str) -> None:
    # spec: NRA-08, CARD-07
    settings = QUICK + '[nodes."Flaky*"]\nretry = true\nretry_on = ["Refused"]\n'
    with runtime(program, settings) as where:
        node = Flaky("named", fails=2, retry=False)
        with Pipeline(node, runtime=where).session() as session:
            assert session.process(1) == [2]
        with pytest.raises(NodeError):
            Pipeline(FlakyAsync("named", fails=1, name="Other"), runtime=where).run([1])

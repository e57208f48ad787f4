"""One suite for the guest of every interpreter: making nodes, calls, failures, costs and state."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from guest_nodes import Opens, Remembers
from remotemedia import NodeError, Pipeline, Runtime
from worker_programs import PROGRAMS, runtime, session


@pytest.fixture(scope="module", params=PROGRAMS)
def workers(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime whose workers have one interpreter."""
    with runtime(request.param) as made:
        yield made


def values(outputs: list[tuple[str, Any]]) -> list[Any]:
    """The outputs of a session without the ids of their nodes."""
    return [value for _, value in outputs]


def test_parameters_arrive_as_keyword_arguments(workers: Runtime) -> None:
    """spec: CARD-03"""
    sent = {
        "text": "ä",
        "number": -(2**63),
        "half": 0.5,
        "none": None,
        "nested": [{"deep": [True]}],
    }
    with session(workers, "guest_nodes:Configured", params=sent) as opened:
        assert values(opened.process(1)) == [sent]


@pytest.mark.parametrize(
    ("where", "operation"),
    [("__init__", "construction"), *[(name, name) for name in ("initialize", "process", "flush")]],
)
def test_a_failure_names_node_operation_and_line(
    workers: Runtime, where: str, operation: str
) -> None:
    """spec: IOP-24"""

    def run() -> None:
        with session(workers, "guest_nodes:FailsIn", params={"where": where}) as opened:
            opened.process("item")
            opened.flush()

    with pytest.raises(NodeError) as caught:
        run()
    error = caught.value
    assert (error.node_id, error.operation, error.remote_type) == ("node0", operation, "OSError")
    assert f"failed in {where}" in str(error)
    assert f'self.fail("{where}")' in (error.remote_traceback or "")


def test_a_failing_cleanup_is_reported_when_the_session_closes(workers: Runtime) -> None:
    """spec: IOP-24: and every other node is cleaned up."""
    nodes = ["guest_nodes:FailsIn"] * 2
    with session(workers, *nodes, params={"where": "cleanup"}) as opened:
        assert values(opened.process("item")) == ["item"]
        _, failure = opened.close()
    assert (failure.node_id, failure.operation) == ("node0", "cleanup")
    assert any("node1" in note and "failed in cleanup" in note for note in failure.__notes__)


def test_a_worker_serves_on_after_a_failure(workers: Runtime) -> None:
    """spec: IOP-25: the session in which a call failed, and the next session."""
    with session(workers, "guest_nodes:FailsIn") as opened:
        before = values(opened.process("pid"))
        for _ in range(2):
            with pytest.raises(NodeError):
                opened.process("item")
            assert values(opened.process("pid")) == before
    with (
        pytest.raises(NodeError),
        session(workers, "guest_nodes:FailsIn", params={"where": "initialize"}),
    ):
        pass
    with session(workers, "guest_nodes:Configured", params={}) as opened:
        assert values(opened.process(1)) == [{}]


def test_a_missing_module_is_explained(workers: Runtime) -> None:
    """spec: IOP-14, IOP-24"""
    with (
        pytest.raises(NodeError, match="no_such_module") as caught,
        session(workers, "no_such_module:Node"),
    ):
        pass
    assert (caught.value.node_id, caught.value.remote_type) == ("node0", "ModuleNotFoundError")


def test_an_output_that_cannot_travel_closes_its_generator(workers: Runtime) -> None:
    """spec: IOP-22, IOP-25"""
    with session(workers, "guest_nodes:Yields") as opened:
        assert values(opened.process("item")) == ["not begun", "item"]
        with pytest.raises(NodeError, match="lock") as caught:
            opened.process("lock")
        assert caught.value.node_id == "node0"
        assert values(opened.process("item")) == ["closed", "item"]
        assert values(opened.process("item")) == ["exhausted", "item"]


def test_an_input_that_cannot_be_opened_fails_at_the_first_node(workers: Runtime) -> None:
    """spec: IOP-25"""
    with session(workers, *["stdlib_nodes:Identity"] * 2) as opened:
        with pytest.raises(NodeError) as caught:
            opened.process(Opens())
        assert caught.value.node_id == "node0"
        assert values(opened.process("item")) == ["item"]


def test_calls_and_failures_are_counted_by_node(workers: Runtime) -> None:
    """spec: NRA-11, NRA-13"""
    nodes = ("stdlib_nodes:Identity", "guest_nodes:FailsIn")
    with session(workers, *nodes) as opened:
        for _ in range(2):
            opened.process("pid")
        with pytest.raises(NodeError):
            opened.process("item")
        metrics = json.loads(opened.metrics())
    counts = [(node["execution_count"], node["error_count"]) for node in metrics["nodes"]]
    assert counts == [(3, 0), (3, 1)]


def test_changed_attributes_come_back(workers: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """spec: IOP-20: and the log names those that cannot."""
    node = Remembers()
    untouched = node.untouched
    with caplog.at_level(logging.INFO, "remotemedia"):
        assert Pipeline([node], runtime=workers).run(["a", "b"]) == [1, 2]
    assert (node.seen, node.names) == (2, ["first", "a", "b"])
    assert node.untouched is untouched
    assert not hasattr(node, "removed")
    assert not hasattr(node, "lock")
    assert "lock" in caplog.text

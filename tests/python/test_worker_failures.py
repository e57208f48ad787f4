"""Whatever a node does, the caller gets one typed error and the next run a worker that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import children, wait_until_gone
from remotemedia import NodeError, NodeTimeout, Runtime, WorkerCrashed
from worker_programs import PROGRAMS, runtime, session

FAILURES: dict[str, tuple[type[Exception], ...]] = {
    "deep_recursion": (NodeError,),
    "deep_keywords": (NodeError, WorkerCrashed),
    "long_expression": (NodeError, WorkerCrashed),
    "nested_expression": (NodeError, WorkerCrashed),
    "endless_loop": (NodeTimeout,),
    "endless_native": (NodeTimeout,),
    "stubborn": (NodeTimeout,),
    "out_of_memory": (NodeError, WorkerCrashed),
    "exit_at_once": (WorkerCrashed,),
    "abort": (WorkerCrashed,),
    "segfault": (WorkerCrashed,),
    "exit_politely": (NodeError,),
    "flood": (NodeError,),
}
"""What each way to fail may come to. Where interpreters differ, a caught error and a death are both
right; a hang or a wrong result is not."""

ROUNDS = 500


@pytest.fixture(scope="module", params=PROGRAMS)
def workers(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with workers of an interpreter."""
    with runtime(request.param) as made:
        yield made


def fail(workers: Runtime, way: str) -> Exception:
    """The error of a node that fails in this way."""
    limit = 200 if FAILURES[way] == (NodeTimeout,) else 20_000
    with (
        session(workers, "both_failures:Break", timeout_ms=limit) as opened,
        pytest.raises(FAILURES[way]) as caught,
    ):
        opened.process(way)
    assert "node0" in str(caught.value)
    return caught.value


def test_the_others_are_untouched(workers: Runtime) -> None:
    """spec: CARD-03: a session goes on while nodes beside it fail in every way."""
    with session(workers, "both_nodes:Count") as beside:
        for way in FAILURES:
            fail(workers, way)
            assert [value for _, value in beside.process(3)] == [0, 1, 2], way


def test_a_deadline_names_the_code_that_ran(workers: Runtime) -> None:
    """spec: CARD-03: the stack of the node is in the error, whoever ran it."""
    error = fail(workers, "endless_loop")
    assert "endless_loop" in f"{error}{getattr(error, 'remote_traceback', '')}"


def test_a_deadline_lets_python_code_clean_up(tmp_path: Path) -> None:
    """spec: CARD-03: RustPython runs a node's `finally` first. CPython ends at once, in the handler
    of the signal; see `worker-shim/rustpython/src/deadline.rs`."""
    left = tmp_path / "left"
    with (
        runtime("rustpython") as workers,
        session(workers, "both_failures:Tidy", timeout_ms=200) as opened,
        pytest.raises(NodeTimeout),
    ):
        opened.process(str(left))
    assert left.read_text() == "cleaned up"


def test_failures_in_turn_leave_nothing_behind() -> None:
    """spec: CARD-03: 500 failures of RustPython workers, in turn."""
    before = children()
    ways = [way for way in FAILURES if way != "flood"]
    with runtime("rustpython") as workers:
        for number in range(ROUNDS):
            fail(workers, ways[number % len(ways)])
        with session(workers, "both_nodes:Count") as opened:
            assert [value for _, value in opened.process(3)] == [0, 1, 2]
    left = children() - before
    wait_until_gone(left)
    assert children() <= before

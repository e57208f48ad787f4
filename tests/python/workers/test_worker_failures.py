"""Whatever a node does, the caller gets one typed error and the next run a worker that works."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loops import FAILURES, Loop
from processes import children, until, wait_for_children
from remotemedia import NodeError, NodeTimeout, Runtime, WorkerCrashed
from worker_programs import PROGRAMS, runtime, session

WAYS: dict[str, tuple[type[Exception], ...]] = {
    "deep_recursion": (NodeError,),
    "deep_keywords": (NodeError, WorkerCrashed),
    "long_expression": (NodeError, WorkerCrashed),
    "nested_expression": (NodeError, WorkerCrashed),
    "endless_loop": (NodeTimeout,),
    "endless_native": (NodeTimeout,),
    "stubborn": (NodeTimeout,),
    "out_of_memory": (NodeError, WorkerCrashed),
    "exit_at_once": (WorkerCrashed,),
    "panic": (WorkerCrashed,),
    "abort": (WorkerCrashed,),
    "segfault": (WorkerCrashed,),
    "exit_politely": (NodeError,),
    "flood": (NodeError,),
    "flood_and_exit": (WorkerCrashed,),
}
"""What each way to fail may come to. Where interpreters differ, a caught error and a death are both
right; a hang or a wrong result is not."""

MAX_TOLD_BYTES = 100_000
"""More than what an error tells of a worker's output: 40 lines, 2 000 bytes of each."""


@pytest.fixture(scope="module", params=PROGRAMS)
def workers(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with workers of an interpreter."""
    with runtime(request.param, "[workers]\nstack_grace = '10 s'\n") as made:
        yield made


def fail(workers: Runtime, way: str) -> Exception:
    """The error of a node that fails in this way."""
    limit = 200 if WAYS[way] == (NodeTimeout,) else 20_000
    with (
        session(workers, "failing_nodes:Break", timeout_ms=limit) as opened,
        pytest.raises(WAYS[way]) as caught,
    ):
        opened.process(way)
    assert "node0" in str(caught.value)
    assert len(told(caught.value)) < MAX_TOLD_BYTES
    return caught.value


def told(error: Exception) -> str:
    """All that a traceback shows of an error."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


def test_the_others_are_untouched(workers: Runtime) -> None:
    """spec: CARD-03: a session goes on while nodes beside it fail in every way."""
    with session(workers, "stdlib_nodes:Count") as beside:
        for way in WAYS:
            fail(workers, way)
            assert [value for _, value in beside.process(3)] == [0, 1, 2], way


def test_a_deadline_names_the_code_that_ran(workers: Runtime) -> None:
    """spec: CARD-03: the stack of the node is in the error, whoever ran it."""
    error = fail(workers, "endless_loop")
    assert "endless_loop" in f"{error}{getattr(error, 'remote_traceback', '')}"


@pytest.mark.rustpython
def test_a_panic_is_told_in_its_own_words() -> None:
    """spec: CARD-03: where in the interpreter it was, and in which code of the node."""
    with runtime("rustpython") as workers:
        error = fail(workers, "panic")
    for text in ("panicked at", "failing_nodes.py", "in panic"):
        assert text in told(error)


def test_what_a_flood_leaves_of_the_output_is_bounded(
    workers: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    """spec: CARD-03: all that nodes print is there; of lines past Python, the dropped are told."""
    error = fail(workers, "flood_and_exit")
    assert isinstance(error, WorkerCrashed)
    assert len(error.stderr_tail.splitlines()) <= 40
    shown = capfd.readouterr()
    for text in (shown.out, shown.err):
        assert text.count("[node0] " + "x" * 100 + "\n") == 2_000
    dropped = sum(map(int, re.findall(r"(\d+) lines of output were dropped", shown.err)))
    assert (shown.out + shown.err).count("raw line\n") + dropped >= 2 * 8_000


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_deadline_lets_python_code_clean_up(tmp_path: Path, program: str) -> None:
    """spec: CARD-03: a node's `finally` runs before its worker ends."""
    left = tmp_path / "left"
    with (
        runtime(program, "[workers]\nstop_grace = '1 min'\n") as workers,
        session(workers, "failing_nodes:Tidy", timeout_ms=200) as opened,
        pytest.raises(NodeTimeout),
    ):
        opened.process(str(left))
    # The worker ends when the caller has its error already.
    until(lambda: left.exists() and left.read_text() == "cleaned up")


@pytest.mark.rustpython
def test_failures_in_turn_leave_nothing_behind(rounds: Callable[[Loop], int]) -> None:
    """spec: CARD-03: RustPython workers fail in every way, in turn and more than once."""
    before = children()
    ways = list(WAYS)
    with runtime("rustpython", "[output]\nforward_output = false\n") as workers:
        for number in range(rounds(FAILURES)):
            fail(workers, ways[number % len(ways)])
        with session(workers, "stdlib_nodes:Count") as opened:
            assert [value for _, value in opened.process(3)] == [0, 1, 2]
    wait_for_children(before)

"""`breakpoint()` in a node says how to debug it, and the node goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remotemedia import NodeError, Pipeline, Runtime
from seen_nodes import Many, Stops
from worker_programs import PROGRAMS, runtime


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline before."""
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        yield where


def test_a_breakpoint_is_told_once_in_each_session(
    one: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline = Pipeline([Stops(name="stops")], runtime=one)
    for _ in range(2):
        assert pipeline.run([1, 2, 3]) == [1, 2, 3]
        told = [line for line in capfd.readouterr().err.splitlines() if "breakpoint()" in line]
        assert len(told) == 1
        assert told[0].startswith("[stops_0] ")
        assert "seen_nodes.py:" in told[0]
        assert "use_rust=False" in told[0]
        assert "remotemedia replay FILE --pdb" in told[0]


def test_a_debugger_that_the_user_has_chosen_is_called(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")  # none
    with runtime("cpython", "[workers]\nmax = 1\n") as where:
        assert Pipeline([Stops()], runtime=where).run(1) == 1
    assert "breakpoint()" not in capfd.readouterr().err


def test_a_debugger_in_a_worker_says_how_to_debug() -> None:
    """spec: IOP-34"""

    def stops(item: int) -> int:
        import pdb

        pdb.set_trace()
        return item

    with pytest.raises(NodeError, match=r"a debugger does not stop in a worker: run\(\.\.\., use"):
        Pipeline(stops).run(1)

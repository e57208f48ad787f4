"""Limits of workers: a node that exceeds one gets an error or loses its worker, one that stays
below does not, the next run and everything beside are as usual.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from limit_nodes import Use
from processes import wait_until_gone
from remotemedia import (
    FunctionNode,
    LimitExceeded,
    ManifestError,
    NodeError,
    Pipeline,
    Runtime,
    WorkerCrashed,
)
from worker_programs import PROGRAMS, runtime, session

NODE = "limit_nodes:Use"


class Case(NamedTuple):
    """A limit, with an item below it and one above.

    Attributes:
        limits: as a node sets them.
        below: an amount that is allowed.
        above: one that is not.
        use: the method of the node; that of the limit's name by default.
    """

    limits: dict[str, Any]
    below: int
    above: int
    use: str = ""

    @property
    def name(self) -> str:
        """The limit."""
        return next(iter(self.limits))

    @property
    def what(self) -> str:
        """What the node uses."""
        return self.use or self.name


KILLED = {
    "memory_hard": Case({"memory_hard": "256 MiB"}, 64, 400),
    "cpu_time": Case({"cpu_time": "500 ms"}, 200, 60_000),
    "cpu_time_in_threads": Case({"cpu_time": "500 ms"}, 100, 60_000, "cpu_time_in_threads"),
    "output_size": Case({"output_size": "1 MiB"}, 1 << 20, (1 << 20) + 1),
    "child_processes": Case({"child_processes": 3}, 3, 6),
}
REFUSED = {
    "memory": Case({"memory": "512 MiB"}, 64, 700),
    "open_files": Case({"open_files": 100}, 30, 200),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def workers(program: str) -> Iterator[Runtime]:
    """A runtime without limits for all."""
    with runtime(program) as made:
        yield made


def only(outputs: list[tuple[str, Any]]) -> Any:
    ((_, value),) = outputs
    return value


@pytest.mark.parametrize("name", KILLED)
def test_a_worker_that_exceeds_a_limit_is_killed_and_nothing_else_happens(
    workers: Runtime, program: str, name: str
) -> None:
    # spec: CARD-08
    # spec: CARD-06
    case = KILLED[name]
    with (
        session(workers, "limit_nodes:Counts") as beside,
        session(workers, NODE, isolated=True, limits=case.limits) as opened,
    ):
        assert only(beside.process(0)) == 1
        allowed = only(opened.process((case.what, case.below)))
        assert allowed in (case.below, bytes(case.below))
        with pytest.raises(LimitExceeded) as caught:
            opened.process((case.what, case.above))
        error = caught.value
        assert (error.limit, error.node_id) == (case.name, "node0")
        assert isinstance(error, WorkerCrashed)
        assert error.used is not None
        assert error.allowed is not None
        assert error.used > error.allowed
        assert f"{case.name} is" in str(error)
        # The session goes on with a fresh worker, under the same limits.
        assert only(opened.process(("number", 7))) == 7
        with pytest.raises(LimitExceeded):
            opened.process((case.what, case.above))
        assert only(beside.process(0)) == 2
    with session(workers, NODE) as opened:
        assert only(opened.process(("number", 8))) == 8


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_kernel_refuses_is_an_exception_in_the_node(workers: Runtime, name: str) -> None:
    # spec: CARD-08
    case = REFUSED[name]
    with session(workers, NODE, isolated=True, limits=case.limits) as opened:
        before = only(opened.process(("pid", 0)))
        only(opened.process((case.what, case.below)))
        # RustPython aborts where it cannot allocate.
        with pytest.raises((NodeError, WorkerCrashed)) as caught:
            opened.process((case.what, case.above))
        error = caught.value
        if not isinstance(error, WorkerCrashed):
            assert error.remote_type == ("MemoryError" if name == "memory" else "OSError")
            assert "limit_nodes.py" in str(error.remote_traceback)
            assert error.limit == ("memory" if name == "memory" else None)
            assert ("raise memory in [limits]" in str(error)) == (name == "memory")
            assert only(opened.process(("pid", 0))) == before
        assert only(opened.process(("number", 7))) == 7


def test_a_warm_worker_is_unlimited_again_after_its_session(program: str) -> None:
    # spec: CARD-08
    limits = {"memory": "1 GiB", "open_files": 128}
    with runtime(program, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as workers:

        def look(**options: Any) -> Any:
            with session(workers, NODE, **options) as opened:
                return only(opened.process(("kernel_limits", 0)))

        # The first session imports the node's module: what imports change about a process is kept.
        worker, limited = look(isolated=True, limits=limits)
        assert [soft for soft, _ in limited] == [1 << 30, 128]
        same, free = look()
        assert same == worker
        assert all(soft not in (1 << 30, 128) for soft, _ in free)
        assert [hard for _, hard in free] == [hard for _, hard in limited]
        assert look(isolated=True, limits=limits) == (worker, limited)
        assert look() == (worker, free)


def test_limits_of_the_configuration_hold_for_every_worker_and_a_node_may_lift_one(
    program: str,
) -> None:
    # spec: CARD-08
    case = KILLED["output_size"]
    with runtime(program, '[limits]\noutput_size = "1 MiB"\n') as workers:
        with session(workers, NODE) as opened, pytest.raises(LimitExceeded):
            opened.process((case.what, case.above))
        with session(workers, NODE, isolated=True, limits={"output_size": "0"}) as opened:
            assert len(only(opened.process((case.what, case.above)))) == case.above


@pytest.mark.parametrize("name", ["memory_hard", "cpu_time", "child_processes"])
def test_the_making_of_nodes_is_limited_too(workers: Runtime, name: str) -> None:
    # spec: CARD-08
    case = KILLED[name]
    params = {"what": case.what, "amount": case.above}
    with (
        pytest.raises(LimitExceeded) as caught,
        session(workers, "limit_nodes:Begins", isolated=True, limits=case.limits, params=params),
    ):
        pass
    assert (caught.value.limit, caught.value.operation) == (name, "initialize")


@pytest.mark.parametrize(
    "item", [b"z" * 300_000_000, "z" * 300_000_000, ["z" * 1_000_000 for _ in range(300)]]
)
def test_an_item_that_does_not_fit_is_an_error_that_names_the_limit(item: Any) -> None:
    """spec: CARD-08"""
    with Runtime(workers={"max": 1}) as runtime:
        node = FunctionNode(len, isolated=True, limits={"memory": "200 MB"})
        pipeline = Pipeline(node, runtime=runtime)
        for _ in range(2):
            with pytest.raises(NodeError, match=r"190.8 MiB of private memory: raise memory"):
                pipeline.run([item])
            assert pipeline.run(["small"]) == 5


def test_programs_of_a_worker_that_has_too_many_end_with_it() -> None:
    # spec: CARD-08
    case = KILLED["child_processes"]
    with runtime("cpython") as workers:
        with session(workers, NODE, isolated=True, limits=case.limits) as opened:
            pid = only(opened.process(("pid", 0)))
            with pytest.raises(LimitExceeded) as caught:
                opened.process((case.what, case.above))
        assert caught.value.worker_pid == pid
        wait_until_gone(group(pid))


def group(leader: int) -> set[int]:
    """The processes of a group."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == leader:
                found.add(int(entry.name))
    return found


def test_the_error_has_the_stack_of_the_node() -> None:
    # spec: CARD-08
    case = KILLED["cpu_time"]
    node = Use(name="spins", isolated=True, limits=case.limits)
    # On a busy machine the stack may not be there within the usual 5 ms.
    pipeline = Pipeline([node], runtime=Runtime('[workers]\nstack_grace = "10 s"\n'))
    with pytest.raises(LimitExceeded) as caught:
        pipeline.run([(case.what, case.above)])
    assert "in cpu_time" in str(caught.value.python_stack)
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert [of["limits_exceeded"] for of in metrics["nodes"]] == [1]
    assert pipeline.run([("number", 7)]) == 7


def test_a_node_that_shares_its_worker_cannot_have_limits() -> None:
    # spec: FFI-07
    with pytest.raises(ManifestError, match="set isolated to true"):
        Pipeline([Use(limits={"memory": "1 GiB"})]).run([("number", 1)])
    with pytest.raises(ManifestError, match="did you mean 'memory'"):
        Pipeline([Use(limits={"memroy": "1 GiB"}, isolated=True)]).run([("number", 1)])


@pytest.mark.parametrize("way", ["log_rate", "log_rate_past_python"])
def test_what_is_printed_above_the_rate_is_dropped_with_one_warning(
    way: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CARD-08
    pipeline = Pipeline([Use(name="floods", isolated=True, limits={"log_rate": "16 KiB"})])
    with pipeline.session() as opened:
        opened.process((way, 2))
        opened.process((way, 1000))
        opened.process((way, 100))
    shown = capfd.readouterr().out.count("x" * 1019)
    assert 2 < shown < 1102
    warnings = [record for record in caplog.records if "bytes a second" in record.getMessage()]
    assert len(warnings) == 1
    metrics = pipeline.get_metrics()
    assert metrics is not None
    (dropped,) = (of["log_dropped_bytes"] for of in metrics["nodes"])
    assert dropped == (1102 - shown) * 1024


def pids(workers: Runtime, item: tuple[str, int], sessions: int) -> list[int]:
    """The worker of each of some sessions, which have two calls each."""
    found = []
    for _ in range(sessions):
        with session(workers, NODE) as opened:
            opened.process(("number", 0))
            found.append(only(opened.process(item)))
    return found


@pytest.mark.parametrize(
    ("bound", "item"),
    [("recycle_after_calls = 3", ("pid", 0)), ('recycle_above_growth = "8 MiB"', ("leak", 16))],
)
def test_a_worker_is_replaced_between_sessions_when_it_has_served_enough(
    program: str, bound: str, item: tuple[str, int]
) -> None:
    # spec: CARD-02
    pool = "rustpython" if program == "rustpython" else "workers"
    with runtime(program, f"[{pool}]\nmax = 1\n{bound}\n") as workers:
        first, second, third, fourth = pids(workers, item, 4)
    assert first == second != third == fourth

"""Deadlines of opening, of each method of a node, and of one branch while another opens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from places import FIXTURES
from remotemedia import NodeError, NodeTimeout, Pipeline, Runtime
from remotemedia.core.caller import this_process
from slow_nodes import Quick, Slow
from worker_programs import PROGRAMS, runtime

ONE = "[workers]\nmax = 1\nstack_grace = '10 s'\n[rustpython]\nmax = 1\n"
each = pytest.mark.parametrize("program", PROGRAMS)


def one_worker(program: str, workers: str = "", calls: str = "") -> Runtime:
    return runtime(
        program, ONE.replace("[workers]\n", f"[workers]\n{workers}") + f"[calls]\n{calls}"
    )


@contextmanager
def warm(where: Runtime) -> Iterator[None]:
    """A worker that is up, whose start is no part of what is measured; it serves again after."""
    assert Pipeline(Quick(), runtime=where).run(1) == 1
    yield
    assert Pipeline(Quick(), runtime=where).run(2) == 2


@each
@pytest.mark.parametrize("method", ["initialize", "process", "flush", "cleanup"])
def test_each_method_has_the_time_of_its_node(program: str, method: str) -> None:
    # spec: CARD-02
    with (
        one_worker(program, calls='timeout = "300 ms"') as where,
        warm(where),
        pytest.raises(NodeTimeout) as failed,
    ):
        Pipeline(Quick(), Slow(method), runtime=where).run([1])
    assert failed.value.operation == method
    assert failed.value.timeout_ms == 300
    assert str(failed.value.node_id).startswith("Slow")
    assert "_rest" in str(failed.value.remote_traceback)


@each
def test_the_time_of_one_node_is_not_that_of_its_neighbour(program: str) -> None:
    nodes: list[dict[str, Any]] = [
        {
            "id": "free",
            "node_type": "slow_nodes:Slow",
            "params": {"where": "process", "seconds": 0.6},
        },
        {"id": "short", "node_type": "slow_nodes:Quick", "timeout_ms": 200},
        {
            "id": "long",
            "node_type": "slow_nodes:Slow",
            "params": {"where": "process", "seconds": 0.4},
            "timeout_ms": 5000,
        },
    ]
    with one_worker(program) as where:
        assert run(where, nodes, [("free", "short"), ("short", "long")], 7) == [("long", 7)]
        nodes[1] = {**nodes[0], "id": "short", "timeout_ms": 200}
        with pytest.raises(NodeTimeout) as failed:
            run(where, nodes, [("free", "short"), ("short", "long")], 7)
        assert (failed.value.node_id, failed.value.timeout_ms) == ("short", 200)


def run(where: Runtime, nodes: list[Any], edges: list[tuple[str, str]], item: Any) -> Any:
    with opened(where, nodes, edges) as session:
        return session.process(item)


@contextmanager
def opened(
    where: Runtime, nodes: list[Any], edges: list[tuple[str, str]], *path: str
) -> Iterator[Any]:
    """A session over a graph of classes, found in these folders and that of the fixtures."""
    connections = [{"from": one, "to": other} for one, other in edges]
    manifest = {"version": "v1", "nodes": nodes, "connections": connections}
    caller = this_process()._replace(sys_path=[*path, str(FIXTURES), *sys.path])
    session = where.native.open(json.dumps(manifest), caller=caller)
    try:
        yield session
    finally:
        session.close()


@each
@pytest.mark.parametrize("moment", ["import", "__init__", "initialize"])
def test_opening_has_a_deadline(tmp_path: Path, program: str, moment: str) -> None:
    # spec: CARD-02
    (tmp_path / "late_module.py").write_text(
        "import time\nfrom slow_nodes import Slow\n"
        + ("while True:\n    time.sleep(0.01)\n" if moment == "import" else "")
    )
    node = {"id": "late", "node_type": "late_module:Slow", "params": {"where": moment}}
    with (
        one_worker(program, 'open_timeout = "700 ms"\n') as where,
        pytest.raises(NodeTimeout, match="open_timeout") as failed,
        opened(where, [node], [], str(tmp_path)),
    ):
        pass
    assert failed.value.node_id == "late"
    assert failed.value.timeout_ms == 700
    assert failed.value.operation == ("initialize" if moment == "initialize" else "import")


@each
def test_closing_has_a_deadline(program: str) -> None:
    # spec: CARD-02
    with (
        one_worker(program, 'close_timeout = "300 ms"\n') as where,
        warm(where),
        pytest.raises(NodeTimeout, match="close_timeout") as failed,
    ):
        Pipeline(Quick(), Slow("cleanup"), runtime=where).run([1])
    assert (failed.value.operation, failed.value.timeout_ms) == ("cleanup", 300)
    assert str(failed.value.node_id).startswith("Slow")


def test_a_deadline_of_one_branch_does_not_wait_for_the_start_of_another(tmp_path: Path) -> None:
    """The other branch starts again only when this one's failure has been told."""
    nodes = [
        {"id": "source", "node_type": "PassThroughNode"},
        {"id": "dies", "node_type": "slow_nodes:DiesOnce", "params": {"folder": str(tmp_path)}},
        {"id": "hangs", "node_type": "slow_nodes:HangsOnSecond", "timeout_ms": 300},
    ]
    edges = [("source", "dies"), ("source", "hangs")]
    with (
        Runtime("[workers]\nmax = 4\n") as where,
        opened(where, nodes, edges) as session,
    ):
        with pytest.raises(NodeError):
            session.process(1)  # a worker dies, and starts again with the next item
        with pytest.raises(NodeTimeout) as failed:
            session.process(2)
        assert failed.value.node_id == "hangs"
        (tmp_path / "told").write_text("")

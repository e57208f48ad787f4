"""Runs over several items whose nodes work at the same time, and when they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import overlap_nodes
from overlap_nodes import (
    Caches,
    CachesToo,
    Draws,
    DrawsToo,
    Environment,
    EnvironmentToo,
    Fast,
    Follows,
    Holds,
    Leads,
    Logs,
    LogsToo,
    OfClass,
    OfClassToo,
    Plain,
    PlainToo,
    Reads,
    Replaces,
    Slow,
    counters,
)
from remotemedia import NodeError, Pipeline, Runtime
from remotemedia.core.overlap import choose
from remotemedia.core.sharing import groups


@pytest.fixture(scope="module")
def where() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 3\n") as made:
        yield made


def a_list() -> tuple[Any, Any]:
    held: list[int] = []
    return Holds(held), Holds(held)


def a_list_in_a_dict() -> tuple[Any, Any]:
    held: dict[str, list[int]] = {"inner": []}
    return Holds(held), Holds(held["inner"])


SHARING: list[Callable[[], tuple[Any, Any]]] = [
    a_list,
    a_list_in_a_dict,
    lambda: (Logs(), LogsToo()),
    lambda: (Replaces(), Reads()),
    lambda: (OfClass(), OfClassToo()),
    lambda: (Draws(), DrawsToo()),
    lambda: (Environment(), EnvironmentToo()),
    lambda: (Caches(), CachesToo()),
    counters,
]
APART: list[Callable[[], tuple[Any, Any]]] = [
    lambda: (Plain(), PlainToo()),
    lambda: (Fast("one"), Slow("two", 0.0)),
    lambda: (Holds([]), Holds([])),
    lambda: (Logs(), Plain()),
    lambda: (lambda x: x, lambda x: [x, overlap_nodes.LIMIT]),
]


def placed(pipeline: Pipeline, items: int = 6, **how: Any) -> bool:
    """Whether the two nodes of a run had different workers."""
    result = pipeline.run([[number] for number in range(items)], **how)
    assert [number for number, *_ in result] == list(range(items))
    return len({pid for _, *pids in result for pid in pids}) > 1


def test_slow_nodes_overlap_from_the_second_run_on_and_that_is_told(where: Runtime) -> None:
    # spec: NRA-11
    pipeline = Pipeline(Slow("first"), Slow("second"), runtime=where)
    assert pipeline.explain().overlap == {}
    assert not placed(pipeline)
    explained = pipeline.explain()
    assert next(iter(explained.overlap.values())).startswith("overlaps: ")
    assert explained.workers == 2
    assert "ms an item in the run before" in str(explained)
    assert placed(pipeline)
    assert not placed(pipeline, overlap=False)
    assert placed(pipeline)


def test_quick_nodes_and_single_items_do_not_overlap(where: Runtime) -> None:
    pipeline = Pipeline(Fast("first"), Fast("second"), runtime=where)
    assert not placed(pipeline)
    assert not placed(pipeline)
    assert pipeline.explain().overlap == {}
    pipeline = Pipeline(Slow("first"), Slow("second"), runtime=where)
    for _ in range(2):
        _, one, other = pipeline.run([[1]])
        assert one == other


def test_two_nodes_work_at_the_same_time(where: Runtime, tmp_path: Path) -> None:
    # spec: CARD-01
    pipeline = Pipeline(Leads(str(tmp_path)), Follows(str(tmp_path)), runtime=where)
    assert pipeline.run([0, 1, 2, 3], overlap=True) == [0, 1, 2, 3]


@pytest.mark.parametrize("nodes", SHARING)
def test_nodes_that_share_something_stay_together(
    where: Runtime, nodes: Callable[[], tuple[Any, Any]]
) -> None:
    # spec: IOP-20
    first, second = nodes()
    assert groups({"first": first, "second": second}) == {"first": {"second"}, "second": {"first"}}
    results = [
        Pipeline(*nodes(), runtime=where).run([1, 2, 3, 4], overlap=overlap)
        for overlap in (False, True)
    ]
    # Workers are warm, so globals of modules go on; what the two nodes see of each other does not.
    assert [_tied(result) for result in results[0]] == [_tied(result) for result in results[1]]


def _tied(result: Any) -> Any:
    """What the second node has seen of the first one's changes."""
    first, other, *_ = result if isinstance(result[0], list) else ([0, 0], 0)
    one = first[1]
    if isinstance(other, list) and isinstance(one, list):
        return len(other) - len(one), other[: len(one)] == one
    return other - one if isinstance(other, int) and isinstance(one, int) else other


@pytest.mark.parametrize("nodes", APART)
def test_nodes_that_share_nothing_can_be_taken_apart(
    where: Runtime, nodes: Callable[[], tuple[Any, Any]]
) -> None:
    first, second = nodes()
    assert groups({"first": first, "second": second}) == {"first": set(), "second": set()}
    results = [
        Pipeline(*nodes(), runtime=where).run([[1], [2], [3]], overlap=overlap)
        for overlap in (False, True)
    ]
    if not isinstance(first, Slow | Logs):
        assert results[0] == results[1]


def test_arrays_over_the_same_memory_are_shared() -> None:
    table = np.zeros(10)
    assert groups({"a": Holds(table[:5]), "b": Holds(table[5:])})["a"] == {"b"}
    table.flags.writeable = False
    assert groups({"a": Holds(table), "b": Holds(table)})["a"] == set()


def test_code_that_cannot_be_seen_stays_with_all() -> None:
    assert groups({"a": _evaluates, "b": Plain()})["b"] == {"a"}


def _evaluates(item: Any) -> Any:
    return eval("item")


def test_an_error_has_the_outputs_before_it_and_the_next_run_is_as_ever(where: Runtime) -> None:
    # spec: IOP-25
    def refuses(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    pipeline = Pipeline(lambda x: x, refuses, runtime=where)
    for overlap in (True, False, True):
        with pytest.raises(NodeError, match="three") as raised:
            pipeline.run([1, 2, 3, 4], overlap=overlap)
        assert raised.value.partial_results == [1, 2]
        assert pipeline.run([1, 2], overlap=overlap) == [1, 2]


def test_state_comes_back_from_all_workers(where: Runtime) -> None:
    # spec: IOP-20
    nodes = Holds([]), Holds([])
    pipeline = Pipeline(*nodes, runtime=where)
    pipeline.run([1, 2, 3], overlap=True)
    assert [node.held for node in nodes] == [[0, 1, 2], [0, 1, 2]]


def test_as_many_nodes_are_taken_apart_as_workers_are_free() -> None:
    seconds = {"a": 0.2, "b": 0.3, "c": 0.1, "d": 0.001}
    free: dict[str, set[str]] = {node: set() for node in seconds}
    assert choose(seconds, free, workers=4, items=10).nodes == ("b", "a", "c")
    assert choose(seconds, free, workers=2, items=10).nodes == ("b",)
    assert choose(seconds, free, workers=1, items=10).nodes == ()
    assert choose({"a": 0.2, "b": 0.2}, free, workers=4, items=10).nodes == ("a",)
    tied = {**free, "b": {"a"}, "a": {"b"}}
    chosen = choose(seconds, tied, workers=4, items=10)
    assert chosen.nodes == ("c",)
    assert chosen.reasons["b"] == "stays with a: they may share an object or a global"
    assert choose({"a": 0.02, "b": 0.02}, free, workers=4, items=3).nodes == ()

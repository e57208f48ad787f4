"""Objects that a node shares with itself, or with other nodes, stay shared from run to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import worker_programs
from remotemedia import Node, Pipeline, Runtime


@pytest.fixture(scope="module", params=["cpython", "rustpython"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    with worker_programs.runtime(
        request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"
    ) as made:
        yield made


class Counts(Node):
    """Has ways to itself, of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0
        self.ways: Any = None

    def count(self) -> None:
        self.n += 1

    def process(self, data: Any, /) -> Any:
        self.count()
        return self.n


class Table(Counts):
    """A table of bound methods."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = {"count": self.count}

    def process(self, data: Any, /) -> Any:
        self.ways["count"]()
        return self.n


class Lambda(Table):
    """A closure over itself."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = {"count": lambda: setattr(self, "n", self.n + 1)}


class Part:
    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.seen: list[Any] = []


class Owner(Counts):
    """Its parts know it, and more of them come with each item."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = [Part(self)]

    def process(self, data: Any, /) -> Any:
        self.n += 1
        self.ways.append(Part(self))
        self.ways[0].seen.append(data)
        (n,) = {part.owner.n for part in self.ways}
        return n


class Itself(Counts):
    def __init__(self) -> None:
        super().__init__()
        self.ways = self

    def process(self, data: Any, /) -> Any:
        self.n += 1
        return self.ways.n


def _between(runtime: Runtime) -> None:
    """Another pipeline, so that the worker opens the next run afresh."""
    assert Pipeline(Counts(), runtime=runtime).run(0) == 1


@pytest.mark.parametrize("kind", [Table, Lambda, Owner, Itself])
def test_ways_of_a_node_to_itself_lead_to_itself_after_runs(
    kind: Callable[[], Any], runtime: Runtime
) -> None:
    # spec: IOP-20, IOP-21
    node = kind()
    pipeline = Pipeline(node, runtime=runtime)
    for run in (1, 2, 3):
        assert pipeline.run(0) == run
        assert node.n == run
        _between(runtime)
    ways = node.ways
    if kind is Owner:
        assert all(part.owner is node for part in ways)
        assert ways[0].seen == [0, 0, 0]
    elif kind is Itself:
        assert ways is node
    elif kind is Table:
        assert ways["count"].__self__ is node
    else:
        ways["count"]()
        assert node.n == 4


class Holds(Node):
    def __init__(self, box: Any) -> None:
        super().__init__()
        self.box = box

    def process(self, data: Any, /) -> Any:
        self.box["n"] = self.box.get("n", 0) + 1
        return self.box["n"]


def test_an_object_of_two_nodes_stays_one(runtime: Runtime) -> None:
    # spec: IOP-20
    box: dict[str, int] = {}
    first, second = Holds(box), Holds(box)
    pipeline = Pipeline(first, second, runtime=runtime)
    for run in (1, 2, 3):
        assert pipeline.run(0) == 2 * run
        assert first.box is second.box
        _between(runtime)


class Controls(Node):
    def __init__(self, gain: Any) -> None:
        super().__init__()
        self.gain = gain

    def process(self, data: Any, /) -> Any:
        self.gain.value = data
        return data


class Gain(Node):
    def __init__(self) -> None:
        super().__init__()
        self.value = 0

    def process(self, data: Any, /) -> Any:
        return data, self.value


def test_a_node_that_knows_the_next_one(runtime: Runtime) -> None:
    # spec: IOP-20
    gain = Gain()
    control = Controls(gain)
    pipeline = Pipeline(control, gain, runtime=runtime)
    for last in (2, 3, 4):
        assert pipeline.run([1, last]) == [(1, 1), (last, last)]
        assert control.gain is gain
        assert gain.value == last
        _between(runtime)


@pytest.mark.rustpython
@pytest.mark.parametrize("other", ["cpython", "rustpython"])
def test_a_node_in_another_worker_is_still_the_callers_object(other: str) -> None:
    # spec: IOP-20
    gain = Gain()
    gain.runtime_hint = other
    control = Controls(gain)
    control.runtime_hint = "rustpython"
    pipeline = Pipeline(control, lambda item: item, gain)
    for _ in range(2):
        pipeline.run([1, 2])
        assert control.gain is gain


class Appends(Node):
    """Puts an object that does not change itself under a second name."""

    def __init__(self) -> None:
        super().__init__()
        self.known = {"a": [1]}
        self.chosen: list[Any] = []

    def process(self, data: Any, /) -> Any:
        if data == "choose":
            self.chosen.append(self.known["a"])
        else:
            self.chosen[0].append(data)
        return self.known["a"]


def test_what_a_changed_attribute_shares_with_an_unchanged_one_stays_shared(
    runtime: Runtime,
) -> None:
    # spec: IOP-20
    node = Appends()
    pipeline = Pipeline(node, runtime=runtime)
    assert pipeline.run("choose") == [1]
    assert node.chosen[0] is node.known["a"]
    _between(runtime)
    assert pipeline.run("more") == [1, "more"]


class Adds(Node):
    def __init__(self, array: Any) -> None:
        super().__init__()
        self.array = array

    def process(self, data: Any, /) -> Any:
        self.array[0] += 1
        return float(self.array[0])


def _beside(array: Any) -> tuple[Any, Any]:
    return array, array[:2]


def _of_a_third(array: Any) -> tuple[Any, Any]:
    return array[:6][::-1][::-1], array.reshape(2, -1)[0, :3]


def _large(array: Any) -> tuple[Any, Any]:
    large = np.zeros(100_000)
    return large[:-1], large


@pytest.mark.parametrize("views", [_beside, _of_a_third, _large])
def test_arrays_over_the_same_memory_stay_so(views: Callable[[Any], Any]) -> None:
    # spec: IOP-05, IOP-20
    first, second = (Adds(array) for array in views(np.zeros(8)))
    with Runtime("workers.max = 1") as runtime:
        pipeline = Pipeline(first, second, runtime=runtime)
        for run in (1, 2, 3):
            assert pipeline.run(0) == 2 * run
            assert np.shares_memory(first.array, second.array)
            _between(runtime)


def test_what_two_functions_share_stays_shared(runtime: Runtime) -> None:
    # spec: IOP-21
    seen: list[int] = []
    n = 0

    def count(item: Any) -> Any:
        nonlocal n
        n += 1
        seen.append(n)
        return item

    def told(item: Any) -> Any:
        return n, len(seen)

    pipeline = Pipeline(count, told, runtime=runtime)
    for run in (1, 2, 3):
        assert pipeline.run(0) == (run, run)
        _between(runtime)
    assert n == 3

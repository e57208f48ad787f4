"""State of nodes: attributes, closures and generators, between calls and back at the caller."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_nodes import Apply, Counter, Identity, run_script
from remotemedia import Node, Pipeline
from remotemedia_runtime import execute_pipeline_with_input


def test_attributes_live_from_call_to_call() -> None:
    # spec: IOP-20
    node = Counter(start=10)
    with Pipeline([node]).session() as session:
        assert [session.process(item) for item in "abc"] == [[11], [12], [13]]
        assert node.seen == 10  # the worker has its own
    assert node.seen == 13
    assert node.history == ["a", "b", "c"]


def test_a_run_goes_on_where_the_last_one_stopped() -> None:
    # spec: IOP-20
    node = Counter()
    pipeline = Pipeline([node])
    assert pipeline.run(["a", "b"]) == [1, 2]
    assert pipeline.run("c") == 3
    assert (node.seen, node.history) == (3, ["a", "b", "c"])


def test_instances_of_one_class_do_not_share_state() -> None:
    # spec: IOP-20
    first, second = Counter(), Counter(start=100)
    assert Pipeline([first, second]).run(["x", "y"]) == [101, 102]
    assert (first.history, second.history) == (["x", "y"], [1, 2])


def test_a_manifest_starts_afresh_each_time() -> None:
    # spec: IOP-20
    manifest = json.dumps(
        {"version": "v1", "nodes": [{"id": "n", "node_type": "e2e_nodes:Counter"}]}
    )
    for _ in range(2):
        assert execute_pipeline_with_input(manifest, ["a", "b"])["result"] == [1, 2]


class Rich(Node):
    """Attributes of many kinds; some cannot travel back."""

    untouched = "of the class"

    def __init__(self) -> None:
        self.array = np.zeros(3)
        self.name_of = {1: "one"}
        self.config = {"gain": 2}
        self.removed = True

    def initialize(self) -> None:
        self.lock = threading.Lock()

    def process(self, data: Any, /) -> Any:
        with self.lock:
            self.array += data
            self.name_of[data] = "new"
            self.added = {"deep": [data]}
            del self.removed
        return self.array.sum()


def test_changed_attributes_come_back_and_others_stay() -> None:
    # spec: IOP-20
    node = Rich()
    config = node.config
    assert Pipeline([node]).run(2) == 6
    np.testing.assert_array_equal(node.array, [2, 2, 2])
    assert node.name_of == {1: "one", 2: "new"}
    assert node.added == {"deep": [2]}
    assert node.config is config  # unchanged, so not touched
    assert "lock" not in vars(node)


def test_state_comes_back_after_an_error_too() -> None:
    # spec: IOP-20
    class Picky(Node):
        seen = 0

        def process(self, data: Any, /) -> Any:
            self.seen += 1
            return 1 / data

    node = Picky()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Pipeline([node]).run([1, 0, 1])
    assert node.seen == 2


def make_adder(amount: int) -> Callable[[int], int]:
    calls = 0

    def add(value: int) -> int:
        nonlocal calls
        calls += 1
        return value + amount * calls

    return add


def test_closures_and_lambdas_are_kept() -> None:
    # spec: IOP-21
    offset = 1_000
    assert Pipeline([Apply(lambda value: value + offset)]).run([1, 2]) == [1001, 1002]
    # A closure's own variable is state too.
    assert Pipeline([Apply(make_adder(10))]).run([0, 0, 0]) == [10, 20, 30]


def test_closures_that_share_a_variable_share_it_in_the_worker() -> None:
    # spec: IOP-21
    class Till(Node):
        def __init__(self) -> None:
            total = 0

            def put(amount: int) -> None:
                nonlocal total
                total += amount

            self.put: Callable[[int], None] = put
            self.look: Callable[[], int] = lambda: total

        def process(self, data: Any, /) -> Any:
            self.put(data)
            return self.look()

    assert Pipeline([Till()]).run([1, 2, 3]) == [1, 3, 6]


def test_a_class_in_a_closure(tmp_path: Path) -> None:
    # spec: IOP-21
    printed = run_script(
        tmp_path,
        """
        from remotemedia import Node, Pipeline
        FACTOR = 3

        def scaled(value):
            return value * FACTOR

        def make(offset):
            class Shift(Node):
                steps = [lambda value: scaled(value), lambda value: value + offset]

                def process(self, data):
                    for step in type(self).steps:
                        data = step(data)
                    return data

            return Shift()

        print(Pipeline([make(100), make(1)]).run([1, 2]))
        """,
    )
    assert printed == "[310, 319]\n"


class Countdown(Node):
    """A generator with local state, and one that lives across items."""

    def initialize(self) -> None:
        self.ids = iter(range(100))

    def process(self, data: Any, /) -> Iterator[tuple[int, int]]:
        left = data
        while left:
            yield next(self.ids), left
            left -= 1


def test_a_generator_keeps_its_place_between_yields_and_across_items() -> None:
    # spec: IOP-22
    expected = [(0, 2), (1, 1), (2, 3), (3, 2), (4, 1)]
    assert Pipeline([Countdown()]).run([2, 0, 3]) == expected
    with Pipeline([Countdown()]).session() as session:
        assert session.process(2) == expected[:2]
        assert session.process(0) == []
        assert session.process(3) == expected[2:]


def test_generators_in_a_row_multiply() -> None:
    # spec: IOP-22
    def twice(item: Any) -> Iterator[Any]:
        yield f"{item}a"
        yield f"{item}b"

    assert Pipeline([Apply(twice), Apply(twice)]).run(["x", "y"]) == [
        "xaa", "xab", "xba", "xbb", "yaa", "yab", "yba", "ybb"
    ]  # fmt: skip


def test_a_generator_longer_than_any_window() -> None:
    # spec: IOP-22
    def many(count: int) -> Iterator[int]:
        total = 0
        for number in range(count):
            total += number
            yield total

    expected = [number * (number + 1) // 2 for number in range(5_000)]
    assert Pipeline([Apply(many)]).run(5_000) == expected
    # With a consumer in another worker, which holds it back.
    assert Pipeline([Apply(many), Identity(isolated=True)]).run(5_000) == expected


def test_a_generator_that_nobody_finishes_is_closed(tmp_path: Path) -> None:
    # spec: IOP-22
    journal = tmp_path / "journal"

    def yields(item: Any) -> Iterator[Any]:
        try:
            yield 1
            yield 0
            yield 2
        finally:
            with journal.open("a") as file:
                file.write("closed\n")

    def divide(item: int) -> float:
        return 1 / item

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Pipeline([Apply(yields), Apply(divide)]).run("go")
    # The error does not wait for the generator.
    while not journal.exists() or not journal.read_text():
        time.sleep(0.01)
    assert journal.read_text() == "closed\n"

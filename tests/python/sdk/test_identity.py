"""Objects that an item contains twice."""

from __future__ import annotations

import datetime
import enum
from typing import Any

import numpy as np
import pytest

from remotemedia import Node, Pipeline


class Box:
    def __init__(self, inner: Any = None) -> None:
        self.inner = inner


class Color(enum.Enum):
    RED = 1


class Changes(Node):
    """Changes the first part, and gives the second."""

    def process(self, item: Any) -> Any:
        first, second = item.values() if isinstance(item, dict) else item
        if isinstance(first, Box):
            first.inner = "changed"
            return second.inner
        first = first[0] if isinstance(first, tuple) else first
        first.update({"changed": 1}) if isinstance(first, dict) else first.append("changed")
        return second


def twice(part: Any) -> list[Any]:
    return [(part, part), [part, part], {"a": part, "b": part}]


@pytest.mark.parametrize("program", ["cpython", "rustpython"])
@pytest.mark.parametrize("make", [lambda: [1], lambda: {"n": 1}, lambda: Box(1)])
def test_are_one_object_for_the_node(make: Any, program: str) -> None:
    """spec: IOP-06"""
    pipeline = Pipeline(Changes(), runtime=program)
    for number in range(3):
        item, oracle = twice(make())[number], twice(make())[number]
        assert pipeline.run([item]) == pipeline.run([oracle], use_rust=False)


def test_deep_in_the_item() -> None:
    """spec: IOP-06"""
    row = [1]
    inner = (row,)
    found = Pipeline(lambda item: item[0]["x"][1][0] is item[1][0]).run(({"x": [0, inner]}, inner))
    assert found is True


def test_what_cannot_change_does_not_count() -> None:
    """spec: IOP-06: such items keep their form, which native nodes read."""
    day = datetime.date(2026, 1, 1)
    samples = np.zeros(8, np.float32)
    for part in (day, (1, 2), Color.RED, Box, "text", samples):
        assert len(Pipeline(lambda item: item).run([[part, part]])) == 2

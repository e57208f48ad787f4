"""What a map takes as items."""

from __future__ import annotations

from remotemedia import Pipeline


def test_the_results_of_a_map_are_items_like_others() -> None:
    """spec: DSG-03"""
    doubles, adds = Pipeline(lambda x: x * 2), Pipeline(lambda x: x + 1)
    assert list(adds.map(doubles.map(range(5)))) == [1, 3, 5, 7, 9]
    assert list(adds.stream(doubles.map(range(5)))) == [1, 3, 5, 7, 9]
    assert adds.run(doubles.map(range(5))) == [1, 3, 5, 7, 9]

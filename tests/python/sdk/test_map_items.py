"""What a map takes as items."""

from __future__ import annotations

import numpy as np
import pytest

from remotemedia import ChunkerNode, ConfigurationError, Node, Pipeline


class Sums(Node):
    def initialize(self) -> None:
        self.sum = 0

    def process(self, item: int) -> None:
        self.sum += item

    def flush(self) -> int:
        return self.sum


def test_the_results_of_a_map_are_items_like_others() -> None:
    """spec: DSG-03"""
    doubles, adds = Pipeline(lambda x: x * 2), Pipeline(lambda x: x + 1)
    assert list(adds.map(doubles.map(range(5)))) == [1, 3, 5, 7, 9]
    assert list(adds.stream(doubles.map(range(5)))) == [1, 3, 5, 7, 9]
    assert adds.run(doubles.map(range(5))) == [1, 3, 5, 7, 9]


def test_what_native_nodes_keep_belongs_to_its_item() -> None:
    """spec: DSG-03"""
    pipeline = Pipeline(ChunkerNode(chunk_samples=4), lambda piece: piece[0].tolist())
    items = [(np.arange(count, dtype=np.float32), 16_000) for count in (3, 6, 9)]
    mapped = list(pipeline.map(items, workers=2))
    assert mapped == [pipeline.run(item) for item in items]
    assert [len(np.hstack(pieces)) for pieces in mapped] == [3, 6, 9]


def test_what_other_nodes_keep_cannot_be_mapped() -> None:
    """spec: DSG-03"""
    with pytest.raises(ConfigurationError, match=r"flush\(\).*use run\(\) or stream\(\)"):
        Pipeline(Sums()).map([1, 2])

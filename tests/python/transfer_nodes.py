"""Nodes for the tests of what happens in the middle of a transfer, and a program that transfers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from remotemedia import Node, Pipeline, Runtime


class PlusOne(Node):
    """Gives a fresh array, one more than its input."""

    def process(self, data: Any) -> Any:
        """Add."""
        return data + 1


class Blocks(Node):
    """Yields a number of arrays."""

    def process(self, data: Any) -> Any:
        """Yield."""
        for number in range(5):
            yield data + number


def transfer_for_ever(segment: str) -> None:
    """Pass arrays of all size classes back and forth; say so once it runs."""
    runtime = Runtime(f'[shared_memory]\nsegment = "{segment}"\n')
    pipeline = Pipeline(PlusOne(), Blocks(isolated=True), PlusOne(isolated=True), runtime=runtime)
    arrays = [np.zeros(length, np.float32) for length in (100, 20_000, 600_000)]
    with pipeline.session() as session:
        session.process(arrays[0])
        sys.stdout.write("running\n")
        sys.stdout.flush()
        while True:
            for array in arrays:
                session.process(array)


if __name__ == "__main__":
    transfer_for_ever(sys.argv[1])

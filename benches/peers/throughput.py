"""How many bytes a second one connection carries: there, through a node, and back.

python throughput.py [--seconds 2] [--bytes 10000000]
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from remotemedia import Node, Pipeline


class PlusOne(Node):
    """A fresh array, one more everywhere."""

    def process(self, data: Any) -> Any:
        """The work."""
        return data + 1


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--bytes", type=int, default=10_000_000, help="of each array")
    options = parser.parse_args()
    array = np.random.default_rng(1).random(options.bytes // 4, dtype=np.float32)
    expected = array + 1
    pipeline = Pipeline("throughput")
    pipeline.add_node(PlusOne())
    calls = 0
    with pipeline.session() as session:
        session.process(array)
        began = time.perf_counter()
        while calls == 0 or time.perf_counter() - began < options.seconds:
            (output,) = session.process(array)
            calls += 1
        elapsed = time.perf_counter() - began
        if not np.array_equal(output, expected):
            raise AssertionError("the result is wrong")
    moved = calls * array.nbytes
    rate = moved / elapsed / 1e6
    sys.stdout.write(f"{calls} calls, {moved} bytes each way, {rate:.0f} MB/s each way\n")


if __name__ == "__main__":
    main()

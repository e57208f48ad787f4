"""Where arrays of which size should lie: the sweep behind the defaults of `[shared_memory]`.

    python thresholds.py [--rounds 5] [--seconds 0.3]

Each size goes through a pipeline of one node under every setting, all of them open at the same
time and taking turns: inside the message, in the ring, in a segment of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

from common import Array, distinct_inputs, machine, markdown, microseconds, percentile, show
from nodes import PlusOne
from turns import turn

from remotemedia import Pipeline, Runtime

PLACES = {
    "in the message": 'segment = "off"',
    "in the ring": 'inline_max = "1 KiB"\nring = "64 MiB"\nring_block_max = "16 MiB"',
    "segment of its own": 'inline_max = "1 KiB"\nring_block_max = "4 KiB"',
    "as by default": "",
}
KIBIBYTES = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


def opened(settings: str, alive: ExitStack) -> Callable[[Array], Array]:
    """The call of a node whose arrays lie where the settings say."""
    runtime = alive.enter_context(Runtime(f"[shared_memory]\n{settings}\n"))
    pipeline = Pipeline("place", runtime=runtime)
    pipeline.add_node(PlusOne())
    session = alive.enter_context(pipeline.session())

    def call(x: Array) -> Array:
        (y,) = session.process(x)
        result: Array = y
        return result

    return call


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each place and size")
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn")
    options = parser.parse_args()
    show(machine())
    rows = []
    with ExitStack() as alive:
        calls = {place: opened(settings, alive) for place, settings in PLACES.items()}
        for kibibytes in KIBIBYTES:
            inputs = distinct_inputs(kibibytes * 256)
            expected = [x + 1 for x in inputs]
            times: dict[str, list[int]] = {place: [] for place in PLACES}
            for _ in range(options.rounds):
                for place, call in calls.items():
                    times[place] += turn(call, inputs, expected, options.seconds)
            p50 = {place: percentile(sorted(times[place]), 50) for place in PLACES}
            rows.append([f"{kibibytes} KiB", *(microseconds(p50[place]) for place in PLACES)])
    show(f"\np50 of a call in µs, {options.rounds} rounds of {options.seconds:g} s\n")
    show(markdown(("array", *PLACES), rows))


if __name__ == "__main__":
    main()

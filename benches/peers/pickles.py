"""What would a cache of equal pickles save? An item that must be pickled, passed again and again.

    python pickles.py [--rounds 5] [--seconds 0.5]

To find an equal pickle one has to pickle first, and the node must get an object of its own, so a
cache could only save the way of the bytes. The columns say what that is worth.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import time
from collections.abc import Callable

from common import machine, markdown, microseconds, percentile, show

from remotemedia import Node, Pipeline


@dataclasses.dataclass(frozen=True)
class Settings:
    """An object that only a pickle can carry."""

    name: str
    labels: tuple[str, ...]


class Length(Node):
    """Looks at the object, and answers with next to nothing."""

    def process(self, data: Settings | bytes) -> int:
        """Its length."""
        return len(data if isinstance(data, bytes) else data.labels)


def timed(call: Callable[[], object], seconds: float) -> list[int]:
    """Nanoseconds of each call."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return times


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn")
    options = parser.parse_args()
    show(machine())
    pipeline = Pipeline("pickles")
    pipeline.add_node(Length())
    rows = []
    with pipeline.session() as session:
        for count in (1, 100, 1000):
            item = Settings("settings", tuple(f"label {n}" for n in range(count)))
            data = pickle.dumps(item, protocol=5)
            calls: dict[str, Callable[[], object]] = {
                "object": lambda item=item: session.process(item),  # type: ignore[misc]
                "bytes": lambda data=data: session.process(data),  # type: ignore[misc]
                "nothing": lambda: session.process(b""),
                "dump": lambda item=item: pickle.dumps(item, protocol=5),  # type: ignore[misc]
                "load": lambda data=data: pickle.loads(data),  # type: ignore[misc]
            }
            times: dict[str, list[int]] = {name: [] for name in calls}
            for _ in range(options.rounds):
                for name, call in calls.items():
                    times[name] += timed(call, options.seconds)
            p50 = {name: percentile(sorted(values), 50) for name, values in times.items()}
            way = max(0.0, p50["bytes"] - p50["nothing"])
            columns = [p50[name] for name in ("object", "dump", "load")]
            share = f"{100 * way / p50['object']:.0f} %"
            rows.append([f"{len(data):,}", *map(microseconds, columns), microseconds(way), share])
    header = ("bytes", "call µs", "dumps µs", "loads µs", "way of the bytes µs", "of the call")
    show(markdown(header, rows))


if __name__ == "__main__":
    main()

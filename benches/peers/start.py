"""What does it cost to begin: the first result of a program, and `run()` on a warm pool?

    python start.py [--programs 15] [--runs 200] [--large-runs 20]

Programs take turns: `import numpy` and nothing else, which is the measure; the same in a second
process after the first, which is what two Pythons with numpy take at least; and pipelines of one
Python node up to their result and end. The runs are those of one pipeline in one program, each
opening and closing its session: of a small item, and of a node with 100 MB among its attributes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from common import machine, markdown, show

import remotemedia
from remotemedia import Node, Pipeline

NODE = """
from remotemedia import Node, Pipeline

class Double(Node):
    def process(self, data):
        return data * 2

"""
SECOND = """
import numpy, os, sys
told = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
child = os.posix_spawn(sys.executable, [sys.executable, "-c", "import numpy"], told)
assert os.waitpid(child, 0)[1] == 0
"""
PROGRAMS = {
    "import numpy": "import numpy",
    "import numpy, then in a second process": SECOND,
    "a number": NODE + "assert Pipeline([Double()]).run(3) == 6",
    "an array": "import numpy as np" + NODE + "assert Pipeline([Double()]).run(np.ones(9))[8] == 2",
}
LARGE_BYTES = 100_000_000


class Least(Node):
    """Gives the item, or one element of its large attribute."""

    def __init__(self, table: Any = None) -> None:
        super().__init__()
        self.table = table

    def process(self, data: Any) -> Any:
        """The item or the element."""
        return data if self.table is None else float(self.table[data])


def program_ms(program: str) -> float:
    """From start to end of a program, in milliseconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (time.perf_counter() - start) * 1000


def timed_ms(call: Callable[[], Any], count: int) -> list[float]:
    """How long each call takes, in milliseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return times


def tables() -> dict[str, Any]:
    """100 MB in each of the ways that a program may hold them."""
    plain = np.random.default_rng(1).random(LARGE_BYTES // 8)
    frozen = plain.copy()
    frozen.flags.writeable = False
    return {
        "ordinary array": plain,
        "read-only array": frozen,
        "in shared memory": remotemedia.asarray_shared(plain.copy()),
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warning that changes of 100 MB do not come back."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def row(name: str, times: list[float], measure: float | None = None) -> list[str]:
    """Median and longest, and the ratio to a measure."""
    median = statistics.median(times)
    ratio = "" if measure is None else f"{median / measure:.2f}"
    return [name, f"{median:.2f}", f"{min(times):.2f}", f"{max(times):.2f}", ratio]


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--programs", type=int, default=15, help="turns of each program")
    parser.add_argument("--runs", type=int, default=200, help="runs of a small item")
    parser.add_argument("--large-runs", type=int, default=20, help="runs with 100 MB")
    options = parser.parse_args()
    show(machine())
    programs: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():
        program_ms(program)
    for _ in range(options.programs):
        for name, program in PROGRAMS.items():
            programs[name].append(program_ms(program))
    measure = statistics.median(programs["import numpy"])
    rows = [row(name, times, measure) for name, times in programs.items()]
    head = ("whole program", "median ms", "shortest", "longest", "ratio")
    show("\n" + markdown(head, rows) + "\n")

    small = Pipeline([Least()])
    assert small.run(1) == 1
    timed_ms(partial(small.run, 1), 20)
    rows = [row("small item", timed_ms(partial(small.run, 1), options.runs))]
    with quiet():
        for name, table in tables().items():
            pipeline = Pipeline([Least(table)])
            expected = float(table[5])
            first = timed_ms(partial(pipeline.run, 5), 1)
            rows.append(row(f"100 MB, {name}, first", first))
            again = timed_ms(partial(pipeline.run, 5), options.large_runs)
            assert pipeline.run(5) == expected
            rows.append(row(f"100 MB, {name}", again))
    head = ("run() on a warm pool", "median ms", "shortest", "longest", "")
    show(markdown(head, rows))
    show(f"\nload {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()

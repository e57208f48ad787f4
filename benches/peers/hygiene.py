"""What the end of a session costs in which nothing changed: comparing the process with what it
was, on both interpreters; with few modules loaded, and with all that have a row.

    python hygiene.py [--rounds 2000]
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from remotemedia import Node, Pipeline, Runtime

MODULES = "asyncio decimal locale multiprocessing numpy.random random socket tempfile"


class Compares(Node):
    """Imports modules, and compares the process that often."""

    def process(self, order: tuple[str, int]) -> Any:
        """Minimum, median and ninth decile in microseconds, and how many rows there are."""
        import contextlib
        import importlib
        import time

        from remotemedia._guest import process

        names, rounds = order
        for name in names.split():
            with contextlib.suppress(ImportError):  # RustPython has no numpy
                importlib.import_module(name)
        process.state.put_back()
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            left = process.state.put_back()
            times.append(time.perf_counter() - started)
            assert not left
        times.sort()
        found = [times[0], times[rounds // 2], times[rounds * 9 // 10]]
        return [round(seconds * 1e6, 1) for seconds in found]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    sys.stdout.write("| interpreter | modules | minimum us | median us | p90 us |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for interpreter in ("cpython", "rustpython"):
        settings = f'[python]\nruntime = "{interpreter}"\n[fallback]\nenabled = false\n'
        with Runtime(settings) as runtime:
            for title, names in (("few", ""), ("all", MODULES)):
                found = Pipeline(Compares(), runtime=runtime).run((names, rounds))
                cells = [interpreter, title, *map(str, found)]
                sys.stdout.write(f"| {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()

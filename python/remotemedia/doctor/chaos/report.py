"""Runs the matrix and shows the results: `remotemedia doctor --chaos`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remotemedia.core.pipeline import Pipeline
from remotemedia.doctor.chaos.lab import HUNG, Cell, Lab, Seen, Verdict
from remotemedia.doctor.chaos.moments import Counting
from remotemedia.doctor.chaos.table import LETTERS, MOMENTS, NAMES, expected
from remotemedia.doctor.chaos.traces import Traces, await_threads, count_threads
from remotemedia.runtime import Runtime

_SEED = 8
_LONGEST_CELL = 90.0
"""Seconds after which a thread that runs a cell is given up."""
_AT_ONCE_SECONDS = 0.5
"""Seconds that workers have to end after Ctrl-C before they are killed."""
_END_SECONDS = 10.0
"""Seconds in which the threads must end once the lab is closed."""


@dataclass
class Results:
    """What the matrix came to.

    Attributes:
        skipped: how many cells were not run because the time was over.
        left: what is left behind.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    skipped: int = 0
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def unexpected(self) -> list[Verdict]:
        """The cells that were not as expected."""
        return [verdict for verdict in self.verdicts if verdict.problems]

    @property
    def is_right(self) -> bool:
        """Whether all was as expected, and nothing is left."""
        return not self.unexpected and not self.left

    def as_json(self) -> dict[str, Any]:
        """The results as data for JSON."""
        return {
            "cells": [verdict.as_json() for verdict in self.verdicts],
            "skipped": self.skipped,
            "left": self.left,
            "seconds": round(self.seconds, 1),
        }


def run(
    interpreters: Sequence[str],
    *,
    moments: Sequence[str] | None,
    misbehaviours: Sequence[str] | None,
    seconds: float,
    as_json: bool,
) -> int:
    """Run the matrix, or a part of it, and print the results. Returns the exit code."""
    cells = [
        Cell(interpreter, moment, misbehaviour)
        for interpreter in interpreters
        for moment in _chosen(moments, MOMENTS)
        for misbehaviour in _chosen(misbehaviours, NAMES)
    ]
    progress = _progress if sys.stdout.isatty() and not as_json else None
    results = run_cells(cells, seconds, progress)
    if as_json:
        print(json.dumps(results.as_json(), indent=2))  # noqa: T201
    else:
        print(_text(results))  # noqa: T201
    return 0 if results.is_right else 1


def _chosen(given: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        print(f"error: unknown: {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    return given or known


def run_cells(
    cells: Sequence[Cell], seconds: float, progress: Callable[[str], None] | None = None
) -> Results:
    """Run cells, several at a time; begin none after this many seconds.

    The order is a random one, the same each time, so that a run that is cut short has seen
    some of every moment and misbehaviour.
    """
    _warm_up()
    traces = Traces()
    results = Results()
    began = time.monotonic()
    prefix = f"remotemedia-chaos-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, _quiet():
        try:
            for interpreter in dict.fromkeys(cell.interpreter for cell in cells):
                own = [cell for cell in cells if cell.interpreter == interpreter]
                random.Random(_SEED).shuffle(own)
                until = began + seconds * (len(results.verdicts) + len(own)) / len(cells)
                _Runner(Path(folder), own, until, results, progress).run()
        except BaseException:  # Ctrl-C
            traces.left(_AT_ONCE_SECONDS)
            raise
        results.left = traces.left()
        results.left += [f"temporary file: {name}" for name in Lab.temporary_files(Path(folder))]
    results.seconds = time.monotonic() - began
    order = {cell: number for number, cell in enumerate(cells)}
    results.verdicts.sort(key=lambda verdict: order[verdict.cell])
    return results


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without log records about workers that are replaced, and warnings about attributes."""
    logger = logging.getLogger("remotemedia")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _warm_up() -> None:
    """Have this process open what it opens only once, which is no trace."""
    before = count_threads()
    with Runtime() as runtime:
        Pipeline({"node_type": f"{Counting.__module__}:Counting"}, runtime=runtime).run(0)
    await_threads(before)


class _Runner:
    """Runs the cells of one interpreter in several threads."""

    def __init__(
        self,
        folder: Path,
        cells: list[Cell],
        until: float,
        results: Results,
        progress: Callable[[str], None] | None,
    ) -> None:
        self._folder = folder
        self._waiting = deque(cells)
        self._running: set[Cell] = set()
        self._until = until
        self._results = results
        self._progress = progress
        self._turn = threading.Lock()

    def run(self) -> None:
        """Run all cells that there is time for."""
        interpreter = self._waiting[0].interpreter
        count = min(8, max(2, 2 * len(os.sched_getaffinity(0))), len(self._waiting))
        threads: list[threading.Thread] = []
        try:
            with Lab(interpreter, self._folder, count) as lab:
                for _ in range(count):
                    threads.append(threading.Thread(target=self._work, args=(lab,), daemon=True))
                    threads[-1].start()
                try:
                    for thread in threads:
                        thread.join(max(0.0, self._until - time.monotonic()) + _LONGEST_CELL)
                finally:
                    self._until = 0.0  # after Ctrl-C no more cells begin
                self._count_unfinished()
        finally:
            # Sessions of cells that still run have failed with the lab's runtimes.
            for thread in threads:
                thread.join(_END_SECONDS)
        if self._progress is not None:
            self._progress("")

    def _count_unfinished(self) -> None:
        with self._turn:
            for cell in self._running:
                seen = Seen(HUNG, f"the cell did not end within {_LONGEST_CELL:.0f} s")
                self._results.verdicts.append(Verdict(cell, expected(*cell), seen, [seen[1]]))
            self._results.skipped += len(self._waiting)

    def _work(self, lab: Lab) -> None:
        while True:
            with self._turn:
                if not self._waiting or time.monotonic() > self._until:
                    return
                cell = self._waiting.popleft()
                self._running.add(cell)
            verdict = lab.run(cell)
            with self._turn:
                self._running.discard(cell)
                self._results.verdicts.append(verdict)
                self._show(cell)

    def _show(self, last: Cell) -> None:
        if self._progress is not None:
            done, wrong = len(self._results.verdicts), len(self._results.unexpected)
            self._progress(f"{done} cells, {wrong} unexpected; last: {last}")


def _progress(text: str) -> None:
    """Write over the last line of the terminal."""
    sys.stdout.write(f"\r\033[K{text[:100]}")
    sys.stdout.flush()


def _text(results: Results) -> str:
    lines = [f"{'moment':12}{'cells':>7}" + "".join(f"{word:>9}" for word in LETTERS.values())]
    for moment in MOMENTS:
        own = [verdict for verdict in results.verdicts if verdict.cell.moment == moment]
        counts = Counter(verdict.seen.letter for verdict in own)
        if own:
            numbers = "".join(f"{counts[letter] or '':>9}" for letter in LETTERS)
            lines.append(f"{moment:12}{len(own):7}{numbers}")
    for verdict in results.unexpected:
        lines += ["", f"unexpected: {verdict.cell}"]
        lines += [f"    {problem}" for problem in verdict.problems]
        lines += [f"    {verdict.seen.details}"] if verdict.seen.details else []
    lines += ["", *(f"left behind: {what}" for what in results.left)]
    right = len(results.verdicts) - len(results.unexpected)
    lines.append(
        f"{right} of {len(results.verdicts)} cells as expected in {results.seconds:.0f} s"
        + (f"; {results.skipped} not run: the time was over" if results.skipped else "")
        + ("" if results.left else "; nothing left behind")
    )
    return "\n".join(lines)


__all__ = ["Results", "run", "run_cells"]

"""The same work through every candidate: `y = x + 1`, a fresh array, in a process of its own.

    python table.py [--only pipe,remotemedia] [--rounds 5] [--seconds 1]
    python table.py --regimes 7 --only pipe,remotemedia

Prints one Markdown table for each size; with `--regimes` for each regime too, of the medians of
so many runs in turns. Every result is checked; no time is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import cast

from candidates import ALL, Candidate
from candidates.face import Call, Turn, Unavailable
from common import (
    FRAME,
    LARGE,
    Array,
    distinct_inputs,
    machine,
    markdown,
    microseconds,
    percentile,
    show,
)
from regimes import measure as measure_regime
from regimes import regimes, show_all, wake_up
from turns import turn

SIZES = ((FRAME, "3,840 bytes (20 ms of audio)"), (LARGE, "10 MB"))
PEERS = ("remotemedia", "iceoryx2", "pyzmq", "loky", "dora-rs", "ray")
# Measured again beside each candidate that has daemons, because these take CPU time all along.
BESIDE_DAEMONS = ("pipe", "remotemedia")
WARM_UP = 0.5  # seconds
HEADER = (
    "candidate",
    "p50 µs",
    "p95 µs",
    "p99 µs",
    "p50 / hand-made",
    "p99 / hand-made",
    "p50 / echo",
    "calls",
)


@dataclass
class Seat:
    """A candidate that is alive, and what was measured of it."""

    turn: Turn
    times: list[int] = field(default_factory=list)


def seated(candidate: Candidate, alive: ExitStack, originals: list[Array]) -> Seat:
    """Start a candidate and warm it up; `alive` ends it."""
    inputs = candidate.prepare(originals)
    expected = [candidate.expected(x) for x in originals]
    entered = alive.enter_context(candidate.start(originals[0]))
    if candidate.times_itself:
        seat = Seat(cast(Turn, entered))
    else:
        call = cast(Call, entered)
        seat = Seat(lambda seconds: turn(call, inputs, expected, seconds))
    seat.turn(WARM_UP)
    return seat


def reason(error: BaseException) -> str:
    """One line of an error."""
    text = " ".join(str(error).split())
    if isinstance(error, Unavailable):
        return text
    return f"{type(error).__name__}: {text[:300]}"


def measure(
    group: Sequence[Candidate], samples: int, rounds: int, seconds: float
) -> dict[str, Seat | str]:
    """The candidates of a group, all alive, in turns. A text instead says why there is nothing."""
    originals = distinct_inputs(samples)
    results: dict[str, Seat | str] = {}
    with ExitStack() as alive:
        for candidate in group:
            try:
                results[candidate.name] = seated(candidate, alive, originals)
            except Exception as error:
                results[candidate.name] = reason(error)
        for _ in range(rounds):
            for name, result in list(results.items()):
                if isinstance(result, Seat):
                    try:
                        result.times += result.turn(seconds)
                    except Exception as error:
                        results[name] = reason(error)
    return results


def groups(only: Sequence[str]) -> list[tuple[str, list[Candidate]]]:
    """What is measured together: all that need no daemon, then each daemon with two beside it."""
    wanted = [candidate for candidate in ALL if candidate.name in only]
    plain = [candidate for candidate in wanted if not candidate.daemon]
    found = [("", plain)] if plain else []
    for heavy in wanted:
        if heavy.daemon:
            beside = [candidate for candidate in plain if candidate.name in BESIDE_DAEMONS]
            found.append((heavy.title, [heavy, *beside]))
    return found


def rows(
    only: Sequence[str], samples: int, rounds: int, seconds: float
) -> tuple[list[list[str]], list[str]]:
    """The rows of the table of one size, and why some are empty."""
    lines: list[list[str]] = []
    notes: list[str] = []
    echo: float | None = None
    for beside, group in groups(only):
        results = measure(group, samples, rounds, seconds)
        ordered = {
            name: sorted(seat.times) for name, seat in results.items() if isinstance(seat, Seat)
        }
        if "echo" in ordered:
            echo = percentile(ordered["echo"], 50)
        hand = ordered.get("pipe")
        for candidate in group:
            title = candidate.title
            if beside and not candidate.daemon:
                title += f" (beside {beside})"
            times = ordered.get(candidate.name)
            if times is None:
                lines.append([title, *["-"] * (len(HEADER) - 1)])
                notes.append(f"{title}: not measured: {results[candidate.name]}")
                continue
            p50, p95, p99 = (percentile(times, percent) for percent in (50, 95, 99))
            lines.append(
                [
                    title,
                    *(microseconds(value) for value in (p50, p95, p99)),
                    f"{p50 / percentile(hand, 50):.2f}" if hand else "-",
                    f"{p99 / percentile(hand, 99):.2f}" if hand else "-",
                    f"{p50 / echo:.2f}" if echo else "-",
                    f"{len(times):,}",
                ]
            )
    return lines, notes


def figures(only: Sequence[str], rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    """The percentiles 50 and 99 of those that need no daemon, by size and candidate."""
    group = [candidate for candidate in ALL if candidate.name in only and not candidate.daemon]
    found: dict[str, dict[str, list[float]]] = {}
    for samples, title in SIZES:
        results = measure(group, samples, rounds, seconds)
        ordered = {n: sorted(seat.times) for n, seat in results.items() if isinstance(seat, Seat)}
        found[title] = {
            name: [percentile(times, percent) for percent in (50, 99)]
            for name, times in ordered.items()
        }
    return found


def in_regimes(only: Sequence[str], runs: int, rounds: int, seconds: float) -> None:
    """All regimes, in turns."""
    show(f"A wake-up on another processor takes {wake_up():.0f} µs")
    found = regimes()
    options = ["--only", ",".join(only), "--rounds", str(rounds), "--seconds", str(seconds)]
    for _ in range(runs):
        for regime in found:
            measure_regime(regime, __file__, options)
    titles = {candidate.name: candidate.title for candidate in ALL if candidate.name in only}
    show_all(found, titles)


def versions() -> str:
    """What the peers are."""
    found = []
    for name in PEERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)


def main() -> None:
    """Read the options, measure, print."""
    names = [candidate.name for candidate in ALL]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each candidate")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--regimes", type=int, default=0, help="runs in each regime")
    parser.add_argument("--json", action="store_true", help="one line with p50 and p99 in µs")
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := sorted(set(only) - set(names)):
        parser.error(f"no such candidate: {', '.join(unknown)}; there are {', '.join(names)}")

    # So that everything is ended when this is told to end.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if options.json:
        show(json.dumps(figures(only, options.rounds, options.seconds)))
        return
    show(machine())
    show(versions())
    if options.regimes:
        in_regimes(only, options.regimes, options.rounds, options.seconds)
        return
    for samples, title in SIZES:
        show(f"\n{title}, {options.rounds} rounds of {options.seconds:g} s\n")
        lines, notes = rows(only, samples, options.rounds, options.seconds)
        show(markdown(HEADER, lines))
        if notes:
            show("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()

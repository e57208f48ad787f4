"""Many live sessions at once: each gets a frame of 20 ms every 20 ms, from a thread of its own.

    python streams.py [--sessions 50] [--minutes 10] [--processes 1] [--pin] [--by-hand]
                      [--retune 10]

Every frame carries its number and its session's. Asserted: each frame comes back once, in order,
with the right samples, and the node has seen it in order. The times are only reported.

The sessions' frames are spread evenly over the 20 ms. One process calls for all of them; with more
the threads wait less for each other's interpreter, which pays where processors are free.

With `--by-hand` each stream has a process of its own behind a hand-made pipe with shared memory
(`candidates/by_hand.py`) instead of a session: the same frames, checks and threads.

With `--retune` an operator is at work in the second half of the time: sizes, time limits and limits
of workers change so many times a second, and pools are recycled, drained and resumed in turns. The
frames of both halves are reported apart.

With `--pin` the thread of a session and its worker run on one processor, the sessions on each in
turn: what a wake-up costs that does not cross processors.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection

import numpy as np
from candidates import by_hand
from common import FRAME, cpu_ns, family, machine, markdown, microseconds, percentile, show
from nodes import Ordered
from numpy.typing import NDArray

from remotemedia import Pipeline, Runtime, Session

PERIOD_NS = 20_000_000
CONFIG = "[workers]\nmax = 64\n"
Times = NDArray[np.int64]
Process = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]


class Stream(threading.Thread):
    """One session and the thread that feeds it."""

    def __init__(
        self, number: int, process: Process, pids: list[int], frames: int, is_pinned: bool
    ) -> None:
        super().__init__(daemon=True)
        self.number = number
        processors = sorted(os.sched_getaffinity(0))
        self.processors = {processors[number % len(processors)]} if is_pinned else set(processors)
        self.frames = frames
        self.process = process
        for pid in pids:
            os.sched_setaffinity(pid, self.processors)
        self.first_due = 0
        self.calls = np.zeros(frames, np.int64)
        self.lateness = np.zeros(frames, np.int64)
        self.problem: str | None = None

    def run(self) -> None:
        """Feed in real time."""
        os.sched_setaffinity(0, self.processors)  # of this thread
        try:
            self._feed()
        except BaseException as error:
            self.problem = f"session {self.number}: {type(error).__name__}: {error}"

    def _feed(self) -> None:
        voice = np.random.default_rng(self.number).random(FRAME, dtype=np.float32)
        for number in range(self.frames):
            # The number first, the session second; both are exact in float32.
            frame = voice + np.float32(number % 7)
            frame[0], frame[1] = number, self.number
            due = self.first_due + number * PERIOD_NS
            wait = due - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / 1e9)
            start = time.monotonic_ns()
            outputs = self.process(frame)
            end = time.monotonic_ns()
            self.calls[number] = end - start
            self.lateness[number] = end - due
            if len(outputs) != 1 or not np.array_equal(outputs[0], frame + 1):
                raise AssertionError(f"frame {number}: {[y[:2] for y in outputs]} came back")


def opened(number: int, runtime: Runtime, alive: ExitStack) -> tuple[Process, list[int]]:
    """A session, and the processes that it has got."""
    pipeline = Pipeline(f"stream {number}", runtime=runtime)
    pipeline.add_node(Ordered())
    others = {worker["pid"] for worker in runtime.workers()}
    session = alive.enter_context(pipeline.session())
    alive.callback(no_tail, number, session)
    pids = {worker["pid"] for worker in runtime.workers()} - others
    if len(pids) != 1:
        raise AssertionError(f"session {number} has {len(pids)} workers of its own")
    return session.process, list(pids)


def no_tail(number: int, session: Session) -> None:
    """Close a session, which has nothing left."""
    session.close()
    if session.tail:
        raise AssertionError(f"session {number}: more came at the end")


def made_by_hand(alive: ExitStack) -> tuple[Process, list[int]]:
    """A process behind a hand-made pipe."""
    others = set(family())
    call = alive.enter_context(by_hand.pipe(np.zeros(FRAME, np.float32)))
    return lambda frame: [call(frame)], list(set(family()) - others)


def operate(runtime: Runtime, changes: float, stop: threading.Event) -> None:
    """Change what can be changed, so many times a second, until it stops."""
    turn = 0
    while not stop.wait(1 / changes):
        turn += 1
        runtime.reconfigure(
            workers={"max": 50 + turn % 15, "min": turn % 3, "close_timeout": f"{5 + turn % 2} s"},
            calls={"timeout": f"{2 + turn % 3} s"},
            limits={"memory_hard": f"{2 + turn % 2} GiB", "open_files": 200 + turn % 5},
        )
        steps = (runtime.recycle, runtime.drain, runtime.resume)
        steps[turn % 3]("cpython")


def caller(
    orders: Connection,
    numbers: list[int],
    sessions: int,
    frames: int,
    options: argparse.Namespace,
) -> None:
    """One process of callers: report ready, get the time to start, report the times."""
    # A thread that wakes up waits less for the one that has the interpreter.
    sys.setswitchinterval(0.0005)
    with Runtime(CONFIG) as runtime, ExitStack() as alive:
        streams = []
        for number in numbers:
            made = made_by_hand(alive) if options.by_hand else opened(number, runtime, alive)
            streams.append(Stream(number, *made, frames, options.pin))
        orders.send(family())
        start = orders.recv()
        cpu = -cpu_ns(family())
        for stream in streams:
            stream.first_due = start + PERIOD_NS * stream.number // sessions
            stream.start()
        stop = threading.Event()
        if options.retune:
            half = (start - time.monotonic_ns() + frames * PERIOD_NS // 2) / 1e9
            threading.Timer(half, operate, (runtime, options.retune, stop)).start()
        for stream in streams:
            stream.join()
        stop.set()
        cpu += cpu_ns(family())
        problems = [stream.problem for stream in streams if stream.problem is not None]
        orders.send(
            (
                problems,
                cpu,
                np.stack([stream.calls for stream in streams]),
                np.stack([stream.lateness for stream in streams]),
            )
        )


def run(options: argparse.Namespace, frames: int) -> tuple[Times, Times, float, float]:
    """All streams: times of calls, times since each frame was due, CPU seconds, seconds."""
    sessions, processes = options.sessions, options.processes
    spawn = multiprocessing.get_context("spawn")
    pairs, children = [], []
    try:
        for which in range(processes):
            numbers = list(range(which, sessions, processes))
            ours, theirs = spawn.Pipe()
            child = spawn.Process(target=caller, args=(theirs, numbers, sessions, frames, options))
            child.start()
            theirs.close()
            pairs.append(ours)
            children.append(child)
        workers = sum(len(pair.recv()) - 1 for pair in pairs)
        show(f"{sessions} sessions are open; {workers} processes besides the callers'")
        start = time.monotonic_ns() + 200_000_000
        for pair in pairs:
            pair.send(start)
        reports = [pair.recv() for pair in pairs]
        seconds = (time.monotonic_ns() - start) / 1e9
        if problems := [problem for report in reports for problem in report[0]]:
            raise AssertionError("\n".join(problems))
        calls, lateness = (np.concatenate([report[i] for report in reports]) for i in (2, 3))
        return calls, lateness, sum(report[1] for report in reports) / 1e9, seconds
    finally:
        for pair in pairs:
            pair.close()
        for child in children:
            child.join(30)
            child.terminate()
            child.join()


def main() -> None:
    """Read the options, stream, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=50, help="at once, a worker each")
    parser.add_argument("--minutes", type=float, default=10.0, help="of audio in each session")
    parser.add_argument("--processes", type=int, default=1, help="that the callers are spread over")
    parser.add_argument("--pin", action="store_true", help="a session's two ends to one processor")
    parser.add_argument("--retune", type=float, help="changes a second in the 2nd half")
    parser.add_argument("--by-hand", action="store_true", help="hand-made pipes, for comparison")
    options = parser.parse_args()
    if not 1 <= options.processes <= options.sessions <= 64 * options.processes:
        parser.error("a process of callers takes 1 to 64 sessions")
    frames = max(1, round(options.minutes * 60 * 1e9 / PERIOD_NS))
    show(machine())
    calls, lateness, cpu, seconds = run(options, frames)
    if calls.size != options.sessions * frames:
        raise AssertionError(f"{calls.size} of {options.sessions * frames} frames")
    show(f"{calls.size:,} frames in {seconds:.1f} s: none lost, repeated or out of order\n")
    rows = []
    titles = [("of the call", calls), ("since the frame was due", lateness)]
    if options.retune:
        halves = [
            (f"{title}, {which}", half)
            for title, times in titles
            for which, half in zip(
                ("first half", "second half, retuned"),
                np.array_split(times, 2, axis=1),
                strict=True,
            )
        ]
        titles = halves
    for title, times in titles:
        ordered = np.sort(times, axis=None).tolist()
        rows.append(
            [
                title,
                *(microseconds(percentile(ordered, percent)) for percent in (50, 95, 99, 99.9)),
                microseconds(ordered[-1] / 1000),
                f"{int((times > PERIOD_NS).sum()):,}",
            ]
        )
    header = ("time", "p50 µs", "p95 µs", "p99 µs", "p99.9 µs", "max µs", "over 20 ms")
    show(markdown(header, rows))
    show(
        f"\nCPU: {100 * cpu / seconds:.0f} % of one processor for callers and workers together, "
        f"{cpu / calls.size * 1e6:.0f} µs for each frame"
    )


if __name__ == "__main__":
    main()

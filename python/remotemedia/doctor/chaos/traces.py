"""What the matrix could leave behind: processes, threads, descriptors, names in shared memory.

The process adopts orphans, so that every process that nodes have started is among its descendants.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_SHARED_NAMES = "remotemedia-"
"""Beginning of the names of shared memory; see `ipc-protocol/src/memory/named.rs`."""
_END_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


class Traces:
    """What was there before; `left` finds what has been added."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._processes = set(_descendants())
        self._threads = count_threads()
        self._descriptors = _descriptors()
        self._names = _names()

    def left(self, seconds: float = _END_SECONDS) -> list[str]:
        """A line for each thing that is left after this time, which processes and threads have to
        end. Processes that are left are killed.
        """
        found = []
        for pid in self._left_processes(seconds):
            found.append(f"process {pid}: {_command(pid)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not await_threads(self._threads, seconds):
            found.append(f"threads: {count_threads() - self._threads}")
        gc.collect()  # errors refer to sessions, by frames in a circle; a session has a descriptor
        added = _descriptors() - self._descriptors
        found += [f"descriptor: {count} x {what}" for what, count in sorted(added.items())]
        return found + [f"shared memory: {name}" for name in sorted(_names() - self._names)]

    def _left_processes(self, seconds: float) -> list[int]:
        until = time.monotonic() + seconds
        while True:
            _reap()
            alive = [pid for pid in _descendants() if pid not in self._processes]
            remaining = until - time.monotonic()
            if not alive or remaining <= 0:
                return alive
            _wait_for(alive[0], remaining)


def await_threads(count: int, seconds: float = _END_SECONDS) -> bool:
    """Wait until this process has no more threads than this; returns whether it has. A runtime's
    supervisor closes its descriptors and ends after `shutdown` has returned; nothing tells when.
    """
    until = time.monotonic() + seconds
    while count_threads() > count:
        if time.monotonic() > until:
            return False
        threading.Event().wait(_PAUSE_SECONDS)
    return True


def count_threads() -> int:
    """The threads of this process, also those that Python does not know."""
    return len(list(Path("/proc/self/task").iterdir()))


def _wait_for(pid: int, seconds: float) -> None:
    """Wait until a process has ended."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        select.select([descriptor], [], [], seconds)
        os.close(descriptor)


def _reap() -> None:
    """Take the exit codes of adopted orphans."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _descendants() -> Iterator[int]:
    """All processes below this one that are alive."""
    parents = dict(_parents())
    own = os.getpid()
    for pid in parents:
        above = pid
        while above in parents:
            above = parents[above]
            if above == own:
                yield pid
                break


def _parents() -> Iterator[tuple[int, int]]:
    """Each process that is alive, with its parent."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state not in ("Z", "X"):
            yield int(entry.name), int(parent)


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return "ended just now"


def _descriptors() -> Counter[str]:
    """What the open descriptors are, without the numbers of sockets and pipes."""
    found: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(entry.readlink())
            if not target.startswith("/proc/"):  # the descriptor of this listing
                found[target.partition(":[")[0]] += 1
    return found


def _names() -> set[str]:
    """Shared memory with a name of this package, but for that of other processes that run."""
    try:
        names = [entry.name for entry in Path("/dev/shm").iterdir()]
    except OSError:
        return set()
    own = (name for name in names if name.startswith(_SHARED_NAMES))
    return {name for name in own if not _is_of_other(name.split("-")[1])}


def _is_of_other(pid: str) -> bool:
    return pid != str(os.getpid()) and Path("/proc", pid).exists()


__all__ = ["Traces", "await_threads", "count_threads"]

"""What the operating system says about processes; for tests of what is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path


def children(pid: int | None = None) -> set[int]:
    """Process ids of the direct children."""
    pid = os.getpid() if pid is None else pid
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.update(map(int, (task / "children").read_text().split()))
    return found


def is_alive(pid: int) -> bool:
    """Whether the process exists and is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def wait_until_gone(pids: set[int]) -> None:
    """Block until none of the processes is alive. A watchdog of the test run ends a hang."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        import select

        select.select([descriptor], [], [])
        os.close(descriptor)


def wait_for_children(at_most: set[int]) -> None:
    """Block until this process has no other children than these, zombies included. A runtime that
    was shut down waits for none of its workers.
    """
    while not children() <= at_most:
        time.sleep(0.002)


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def shared_memory_names() -> set[str]:
    """Everything that has a name in shared memory."""
    return {entry.name for entry in Path("/dev/shm").iterdir()}

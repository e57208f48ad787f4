"""The reaper of a runtime: outlives the orchestrator for a moment, and kills what nodes started.

The supervisor starts it as `python -I -S -c SOURCE ORCHESTRATOR FAMILY` on an interpreter of
workers, RustPython too. It finds processes by their marks, which `ipc-protocol/src/kin.rs`
describes. Workers that end in good order, which their marks say, come to their own end first. The
orchestrator gives the reaper a mark too when it ends the runtime itself.
"""

import os
import select
import signal
import sys
import time

ENDING = 1 << 61
NUMBER_BITS = 24
END_GRACE = 6.0
"""Seconds after the end of an orchestrator that has ended the runtime, in which workers may end in
good order. They take five at most, unless they are stopped."""
GRACE = 0.5
"""The same after any other end, and for resource trackers of `multiprocessing`, which end when they
have cleaned up."""


def main(orchestrator: int, family: int) -> None:
    """Wait for the orchestrator's end, then for that of all processes of a family."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they may be sent to all processes of a service
    await_any([orchestrator])
    began = time.monotonic()
    own = {os.getpid(), os.getppid()}  # its interpreter may be a script that runs another
    end_grace = END_GRACE if any(mark_of(pid, family) for pid in own) else GRACE
    killed = set(own)
    while True:
        marks = marks_of(family)
        lasts = time.monotonic() - began
        awaited = [pid for pid, mark in marks.items() if is_awaited(pid, mark, lasts, end_grace)]
        # While a worker ends, it may need what its nodes have started.
        ending = {marks[pid] & ~ENDING for pid in awaited if marks[pid] & ENDING}
        spared = killed.union(awaited)
        fresh = [p for p, mark in marks.items() if p not in spared and mark & ~ENDING not in ending]
        for pid in fresh:
            kill(pid, family)
        killed.update(fresh)
        if fresh:
            continue  # they may have started others before
        if not awaited:
            return
        await_any(awaited, (GRACE if lasts < GRACE else end_grace) - lasts)


def marks_of(family: int) -> dict[int, int]:
    """The marks of all processes of a family, by process id."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    return {pid: mark for pid in pids if (mark := mark_of(pid, family)) is not None}


def mark_of(pid: int, family: int) -> int | None:
    """The mark of a process, a resource limit; None if it is gone or not of the family."""
    for line in read(pid, "limits").splitlines():
        if line.startswith(b"Max file locks"):
            limit = line.split()[3]
            mark = int(limit) if limit.isdigit() else 0
            return mark if (mark & ~ENDING) >> NUMBER_BITS == family else None
    return None


def is_awaited(pid: int, mark: int, lasts: float, end_grace: float) -> bool:
    """Whether a process may come to its own end, `lasts` seconds after the orchestrator's."""
    if mark & ENDING:
        return lasts < end_grace and is_running(pid)
    is_tracker = b"resource_tracker import main" in read(pid, "cmdline")
    return is_tracker and lasts < GRACE and is_running(pid)


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    state = read(pid, "stat").rpartition(b")")[2].split()[:1]
    return bool(state) and state[0] not in (b"Z", b"X")


def read(pid: int, name: str) -> bytes:
    """A file of a process in `/proc`; empty if the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def kill(pid: int, family: int) -> None:
    """Kill a process. Another one that has got its number since has no such mark."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if mark_of(pid, family) is not None:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def await_any(pids: list[int], seconds: float | None = None) -> None:
    """Wait for the end of one of these processes."""
    ends = select.poll()
    descriptors = []
    try:
        for pid in pids:
            descriptors.append(os.pidfd_open(pid))
            ends.register(descriptors[-1], select.POLLIN)
        ends.poll(None if seconds is None else max(0, int(seconds * 1000)) + 1)
    except OSError:
        pass  # one has ended
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    os._exit(0)

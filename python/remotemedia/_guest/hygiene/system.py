"""Rows for kernel state of the process: timers, signals, limits, identity, threads, children."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from typing import Any

from remotemedia._guest.hygiene.row import Attributes, Row

_GRACE = 0.03
"""Seconds for which threads and child processes are awaited. Some are about to end, such as those
of a thread pool that was shut down without waiting."""

_TIMERS = (0, 1, 2)
"""`ITIMER_REAL` (also used by `signal.alarm`), `ITIMER_VIRTUAL` and `ITIMER_PROF`."""
_SIGNALS = range(1, getattr(signal, "NSIG", 65))
_LIMITS = [number for number in range(16) if number != 5]
"""All resource limits but `RLIMIT_RSS`, which Linux does not enforce."""
_LOCKS = 10
"""`RLIMIT_LOCKS`, which it does not enforce either: see `set_mark`."""
_SIGNAL: Any = getattr(signal, "_signal", signal)
"""The C module behind `signal`. The wrappers in `signal` make enums and take ten times as long."""


def rows(attributes: Attributes | None = None) -> list[Row]:
    """The rows of this module.

    Args:
        attributes: see `rows_of_worker`.
    """
    return [
        *([] if attributes is None else [Row("attributes of the process", *attributes)]),
        Row("timers", _timers, _stop_timers),
        Row("signal handlers", _handlers, _put_back_handlers),
        Row("wake-up descriptor of signals", None, lambda _: signal.set_wakeup_fd(-1)),
        Row("blocked signals", _mask, _put_back_mask, in_glance=True),
        Row("resource limits", _limits, _put_back_limits, in_glance=True, merged=_without_lowered),
        Row(
            "nice value",
            lambda: os.nice(0),
            lambda before: os.nice(before - os.nice(0)),
            in_glance=True,
        ),
        Row(
            "CPU affinity",
            lambda: os.sched_getaffinity(0),
            lambda before: os.sched_setaffinity(0, before),
            in_glance=True,
        ),
        Row("scheduling policy", _policy, _put_back_policy),
        Row("user and group", _identity, _put_back_identity, in_glance=True),
        Row("supplementary groups", os.getgroups, os.setgroups),
        Row("root folder", _root),
        Row("process group", os.getpgrp, lambda pgid: os.setpgid(0, pgid), in_glance=True),
        Row("threads", _threads, _await_threads, set.issubset),
        Row("child processes", _children, _await_children, set.issubset, in_glance=True),
        Row(
            "free descriptors",
            _has_free_descriptors,
            is_same=lambda has_some, _before: has_some,
            in_glance=True,
        ),
    ]


def _timers() -> list[float]:
    return [_SIGNAL.getitimer(timer)[0] for timer in _TIMERS]


def _stop_timers(_before: list[float]) -> None:
    for timer in _TIMERS:
        signal.setitimer(timer, 0)


def _handlers() -> tuple[Any, ...]:
    # RustPython compares tuples in a third of the time of lists.
    return tuple(map(_SIGNAL.getsignal, _SIGNALS))


def _put_back_handlers(before: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, before, strict=True):
        # None stands for a handler that was set by C code; Python cannot restore it.
        if handler is not None and _SIGNAL.getsignal(number) != handler:
            signal.signal(number, handler)


def _mask() -> set[int]:
    blocked: set[int] = _SIGNAL.pthread_sigmask(signal.SIG_BLOCK, ())
    return blocked


def load() -> None:
    """Load what the rows need, so that no forked process has to."""
    _resource()


def set_mark(mark: int) -> None:
    """Set the number by which programs of this worker's nodes are found: see
    `ipc-protocol/src/kin.rs`. Where a process cannot have it, it does without.
    """
    resource = _resource()
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(_LOCKS, (mark, resource.getrlimit(_LOCKS)[1]))


@functools.cache
def _resource() -> Any:
    """The module `resource`. It is removed from `sys.modules`, since the caller may have a module
    of the same name.
    """
    is_new = "resource" not in sys.modules
    import resource

    if is_new:
        del sys.modules["resource"]
    return resource


def _put_back_mask(before: set[int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _limits() -> list[tuple[int, int]]:
    return list(map(_resource().getrlimit, _LIMITS))


def _put_back_limits(before: list[tuple[int, int]]) -> None:
    resource = _resource()
    for limit, wanted in zip(_LIMITS, before, strict=True):
        if resource.getrlimit(limit) != wanted:
            resource.setrlimit(limit, wanted)


def _without_lowered(
    now: list[tuple[int, int]], before: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The limits that imports have changed, but not those that the orchestrator has lowered for
    this session: it lowers soft limits only, and raises them again.
    """
    resource = _resource()
    lowered = (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)

    def is_lowered(limit: int, new: tuple[int, int], old: tuple[int, int]) -> bool:
        return limit in lowered and new[1] == old[1] and (old[0] < 0 or 0 <= new[0] < old[0])

    pairs = zip(_LIMITS, now, before, strict=True)
    return [old if is_lowered(limit, new, old) else new for limit, new, old in pairs]


def _policy() -> tuple[int, int]:
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def _put_back_policy(before: tuple[int, int]) -> None:
    policy, priority = before
    os.sched_setscheduler(0, policy, os.sched_param(priority))


def _identity() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return os.getresuid(), os.getresgid()


def _put_back_identity(before: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    users, groups = before
    os.setresuid(*users)  # first: this user may be allowed to change the group
    os.setresgid(*groups)


def _root() -> tuple[int, int]:
    """The root folder, which `os.chroot` changes, as its device and inode."""
    found = os.stat("/")  # noqa: PTH116  (workers start without pathlib)
    return found.st_dev, found.st_ino


def _threads() -> set[threading.Thread]:
    """The threads that Python knows, without those of a thread class that an installed library
    defines. Such a thread, for instance the monitor of a progress bar, may outlive a session.
    """
    return {
        thread
        for thread in threading.enumerate()
        if type(thread).__module__ == "threading" or not _is_of_library(type(thread))
    }


def _is_of_library(kind: type) -> bool:
    path = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return "/site-packages/" in path or "/dist-packages/" in path


def _children() -> set[int]:
    """The running child processes, without the resource tracker of `multiprocessing`. Reaps
    children that have ended, since their nodes are gone.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return set()
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208  (workers start without pathlib)
        # The file is missing if the thread has just ended.
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/self/task/{task}/children", encoding="ascii") as listed,  # noqa: PTH123
        ):
            found.update(map(int, listed.read().split()))
    tracker = getattr(
        sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None
    )
    # An empty set means that this kernel does not list children; 0 stands for an unknown child.
    return found - {getattr(tracker, "_pid", None)} if found else {0}


def _await_threads(before: set[threading.Thread]) -> None:
    until = time.monotonic() + _GRACE
    for thread in _threads() - before:
        thread.join(max(0.0, until - time.monotonic()))


def _await_children(before: set[int]) -> None:
    """Wait for new child processes. Raises if the kernel cannot wait for one of them."""
    import select

    until = time.monotonic() + _GRACE
    ends = [os.pidfd_open(child) for child in _children() - before]
    try:
        for end in ends:
            ended = select.poll()
            ended.register(end, select.POLLIN)
            ended.poll(max(0.0, until - time.monotonic()) * 1000)
    finally:
        for end in ends:
            os.close(end)


def _has_free_descriptors() -> bool:
    """Whether the lowest free descriptor is below seven eighths of the limit. Descriptors that
    libraries keep open do no harm, but a node that leaks some in each session would use up all of
    them one day. Shared memory itself leaves a quarter of them free.
    """
    try:
        lowest_free = os.dup(0)
    except OSError:
        return False
    os.close(lowest_free)
    resource = _resource()
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit < 0 or lowest_free < limit - limit // 8

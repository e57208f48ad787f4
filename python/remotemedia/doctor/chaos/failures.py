"""Misbehaviours that fail: nodes that raise, end their process, or hang.

Like all misbehaviours they run in workers of both interpreters.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from remotemedia.doctor.chaos.fuse import HOUR, Fuse, note

_IS_CPYTHON = sys.implementation.name == "cpython"
_EXTENDED = 1  # REG_EXTENDED
_HEADROOM = 64 << 20
"""Bytes of address space that a node may still take before its allocations fail."""


# Exceptions.


def raises(_: Fuse) -> None:
    """Raise an ordinary exception."""
    raise ValueError("a node of the matrix raises")


class Alien(BaseException):
    """An exception that `except Exception` does not catch."""


def raises_base(_: Fuse) -> None:
    """Raise an exception that is no `Exception`."""
    raise Alien("a node of the matrix raises")


def raises_interrupt(_: Fuse) -> None:
    """Raise the exception of Ctrl-C."""
    raise KeyboardInterrupt


def raises_stop(_: Fuse) -> None:
    """Raise the exception that ends iterations."""
    raise StopIteration


class Unprintable(Exception):
    """An exception that raises when it is shown."""

    def __str__(self) -> str:
        """Raise."""
        raise ValueError("this exception has no text")

    __repr__ = __str__


def raises_unprintable(_: Fuse) -> None:
    """Raise an exception that has no text."""
    raise Unprintable


def sys_exit(_: Fuse) -> None:
    """Leave as a script does."""
    sys.exit(3)


def recursion(_: Fuse) -> None:
    """Recurse without end."""

    def deeper() -> Any:
        return deeper()

    deeper()


def memory(_: Fuse) -> None:
    """Take memory until there is no more."""
    import resource

    with open("/proc/self/statm") as sizes:  # noqa: PTH123
        size = int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size + _HEADROOM, hard))
    hoard = []
    while True:
        hoard.append(bytearray(1 << 20))


# The end of the process.


def exits_0(_: Fuse) -> None:
    """End the process as if all were well."""
    os._exit(0)


def exits_3(_: Fuse) -> None:
    """End the process with a code."""
    os._exit(3)


def segfault(_: Fuse) -> None:
    """Read address 0, as a bug in an extension might."""
    if _IS_CPYTHON:
        import ctypes

        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGSEGV)


def abort(_: Fuse) -> None:
    """End as a failed assertion of native code does."""
    os.abort()


def sigkill(_: Fuse) -> None:
    """End as the kernel's out-of-memory killer ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def sigterm(_: Fuse) -> None:
    """Ask the process to end."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(HOUR)


def c_stack(_: Fuse) -> None:
    """Overflow the native stack."""
    if _IS_CPYTHON:
        import ctypes

        pattern = ctypes.create_string_buffer(256)
        ctypes.CDLL(None).regcomp(pattern, b"(" * 1_000_000, _EXTENDED)
    else:
        eval("-" * 50_000 + "1")


def execs(fuse: Fuse) -> None:
    """Become another program."""
    note(fuse, os.getpid(), "started")
    os.execvp("sleep", ["sleep", str(HOUR)])


# Hangs.


def sleeps(_: Fuse) -> None:
    """Sleep for an hour."""
    time.sleep(HOUR)


def spins(_: Fuse) -> None:
    """Compute in Python for ever."""
    while True:
        pass


def stubborn(_: Fuse) -> None:
    """Compute for ever and catch everything."""
    while True:
        try:
            spins(_)
        except BaseException:
            continue


def holds_gil(_: Fuse) -> None:
    """Hang in a native call that holds the interpreter's lock."""
    if _IS_CPYTHON:
        import ctypes

        ctypes.PyDLL(None).sleep(HOUR)
    sum(range(10**13))


def regex(_: Fuse) -> None:
    """Search with a pattern that takes exponential time."""
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")


def deaf(_: Fuse) -> None:
    """Ignore all signals that can be ignored, and hang."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGURG", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        try:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        except (OSError, ValueError):  # ValueError: not on the main thread
            continue
    while True:
        time.sleep(1)


def stops(_: Fuse) -> None:
    """Stop the whole process."""
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(HOUR)  # this thread may be the last to stop

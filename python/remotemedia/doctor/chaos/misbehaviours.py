"""What the nodes of the matrix do wrong: a function for each misbehaviour.

This runs in workers of both interpreters, so it uses the standard library only. Each function does
its harm once: the first `act` with a fuse removes the fuse's file, all later ones return at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

IS_CPYTHON = sys.implementation.name == "cpython"
_HOUR = 3600
_EXTENDED = 1  # REG_EXTENDED
_FEW_DESCRIPTORS = 512
_HEADROOM = 64 << 20
"""Bytes of address space that a node may still take before its allocations fail."""

kept: list[Any] = []
"""What misbehaviours leave open."""

Fuse = dict[str, Any]
"""`file`: path of a file that exists until the misbehaviour begins; `how`: its name; `caller`: id
of the process that runs the matrix, in which nothing misbehaves."""


def act(fuse: Fuse) -> None:
    """Misbehave, unless this fuse has been used or this is the caller's process."""
    if os.getpid() == fuse["caller"]:
        return
    try:
        os.unlink(fuse["file"])  # noqa: PTH108  (pathlib is slow to import on RustPython)
    except FileNotFoundError:
        return
    _note(fuse, os.getpid(), "worker")
    MISBEHAVIOURS[fuse["how"]](fuse)


def _note(fuse: Fuse, pid: int, kind: str) -> None:
    """Record a process: the `worker`, one that it `started`, which must not outlive the session, or
    one that has `detached` itself, which must not outlive the worker.
    """
    with open(f"{fuse['file']}.{kind}", "a") as noted:  # noqa: PTH123
        noted.write(f"{pid}\n")


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
    if IS_CPYTHON:
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
    time.sleep(_HOUR)


def c_stack(_: Fuse) -> None:
    """Overflow the native stack."""
    if IS_CPYTHON:
        import ctypes

        pattern = ctypes.create_string_buffer(256)
        ctypes.CDLL(None).regcomp(pattern, b"(" * 1_000_000, _EXTENDED)
    else:
        eval("-" * 50_000 + "1")


def execs(fuse: Fuse) -> None:
    """Become another program."""
    _note(fuse, os.getpid(), "started")
    os.execvp("sleep", ["sleep", str(_HOUR)])


# Hangs.


def sleeps(_: Fuse) -> None:
    """Sleep for an hour."""
    time.sleep(_HOUR)


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
    if IS_CPYTHON:
        import ctypes

        ctypes.PyDLL(None).sleep(_HOUR)
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
    time.sleep(_HOUR)  # this thread may be the last to stop


# What is left running.


def forks(fuse: Fuse) -> None:
    """Fork a child that lives on."""
    child = os.fork()
    if child == 0:
        time.sleep(_HOUR)
        os._exit(0)
    _note(fuse, child, "started")


def starts_program(fuse: Fuse) -> None:
    """Start a program that lives on."""
    started = subprocess.Popen(["sleep", str(_HOUR)])
    kept.append(started)
    _note(fuse, started.pid, "started")


def starts_daemon(fuse: Fuse) -> None:
    """Start a program that leaves the session, the process group and its parent."""
    command = ["sh", "-c", f"sleep {_HOUR} >/dev/null 2>&1 & echo $!"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdout is not None
        _note(fuse, int(shell.stdout.read()), "detached")


def leaves_thread(_: Fuse) -> None:
    """Start a thread that never ends."""
    threading.Thread(target=time.sleep, args=(_HOUR,), daemon=False).start()


# Descriptors and streams.


def closes_stdin(_: Fuse) -> None:
    """Close descriptor 0."""
    os.close(0)


def closes_link(_: Fuse) -> None:
    """Close every socket, among them the connection to the orchestrator."""
    for descriptor in _sockets():
        os.close(descriptor)


def closes_all(_: Fuse) -> None:
    """Close every descriptor."""
    os.closerange(0, 4096)


def writes_garbage(_: Fuse) -> None:
    """Write to the connection to the orchestrator."""
    for descriptor in _sockets():
        try:
            os.write(descriptor, b"this is no frame" * 10)
        except OSError:  # a socket without a peer
            continue


def _sockets() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):  # noqa: PTH115
                found.append(int(name))
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def floods(_: Fuse) -> None:
    """Print some megabytes."""
    line = "x" * 200 + "\n"
    for stream in (sys.stdout, sys.stderr):
        stream.write(line * 5_000)
    for descriptor in (1, 2):
        os.write(descriptor, line.encode() * 5_000)


def uses_up_descriptors(_: Fuse) -> None:
    """Open files until there are no more descriptors."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FEW_DESCRIPTORS, hard), hard))
    try:
        while True:
            kept.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return


def closes_streams(_: Fuse) -> None:
    """Close the standard streams of Python."""
    for stream in (sys.stdout, sys.stderr):
        stream.close()
    sys.stdin = None


# The surroundings.


def spoils_surroundings(_: Fuse) -> None:
    """Change the working directory, umask, environment, search path and arguments."""
    os.chdir("/")
    os.umask(0o777)
    os.environ.clear()
    sys.path.clear()
    sys.argv.clear()


def loses_folder(_: Fuse) -> None:
    """Delete the working directory."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)  # noqa: PTH106


def spoils_builtins(_: Fuse) -> None:
    """Replace builtins that every program uses."""
    import builtins

    def nothing(*_: object) -> None:
        return None

    for name in ("len", "isinstance", "next", "type", "hasattr", "getattr", "callable"):
        setattr(builtins, name, nothing)


MISBEHAVIOURS: dict[str, Callable[[Fuse], None]] = {
    "raises": raises,
    "raises-base": raises_base,
    "raises-interrupt": raises_interrupt,
    "raises-stop": raises_stop,
    "raises-unprintable": raises_unprintable,
    "sys-exit": sys_exit,
    "recursion": recursion,
    "memory": memory,
    "exits-0": exits_0,
    "exits-3": exits_3,
    "segfault": segfault,
    "abort": abort,
    "sigkill": sigkill,
    "sigterm": sigterm,
    "c-stack": c_stack,
    "execs": execs,
    "sleeps": sleeps,
    "spins": spins,
    "stubborn": stubborn,
    "holds-gil": holds_gil,
    "regex": regex,
    "deaf": deaf,
    "stops": stops,
    "forks": forks,
    "program": starts_program,
    "daemon": starts_daemon,
    "thread": leaves_thread,
    "closes-stdin": closes_stdin,
    "closes-link": closes_link,
    "closes-all": closes_all,
    "garbage": writes_garbage,
    "floods": floods,
    "descriptors": uses_up_descriptors,
    "streams": closes_streams,
    "surroundings": spoils_surroundings,
    "folder": loses_folder,
    "builtins": spoils_builtins,
}
"""By the name in the table."""

HANGING = frozenset(
    {"sleeps", "spins", "stubborn", "holds-gil", "regex", "deaf", "stops", "builtins"}
)
"""Those that end only by a deadline, or may."""

ENDINGS: dict[str, tuple[str | None, int | None]] = {
    "exits-0": (None, 0),
    "exits-3": (None, 3),
    "segfault": ("SIGSEGV", None),
    "abort": ("SIGABRT", None),
    "sigkill": ("SIGKILL", None),
    "sigterm": ("SIGTERM", None),
}
"""Signal or exit code that an error about a crash must name."""

"""What the nodes of the matrix do wrong: a function for each misbehaviour.

`failures` has those that fail, here are those that leave or spoil something. This runs in workers
of both interpreters, so it uses the standard library only. Each function does its harm once: the
first `act` with a fuse removes the fuse's file, all later ones return at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from remotemedia.doctor.chaos import failures
from remotemedia.doctor.chaos.fuse import HOUR, Fuse, note

_FEW_DESCRIPTORS = 512

kept: list[Any] = []
"""What misbehaviours leave open."""


def act(fuse: Fuse) -> None:
    """Misbehave, unless this fuse has been used or this is the caller's process."""
    if os.getpid() == fuse["caller"]:
        return
    try:
        os.unlink(fuse["file"])  # noqa: PTH108  (pathlib is slow to import on RustPython)
    except FileNotFoundError:
        return
    note(fuse, os.getpid(), "worker")
    MISBEHAVIOURS[fuse["how"]](fuse)


# What is left running.


def forks(fuse: Fuse) -> None:
    """Fork a child that lives on."""
    child = os.fork()
    if child == 0:
        time.sleep(HOUR)
        os._exit(0)
    note(fuse, child, "started")


def starts_program(fuse: Fuse) -> None:
    """Start a program that lives on."""
    started = subprocess.Popen(["sleep", str(HOUR)])
    kept.append(started)
    note(fuse, started.pid, "started")


def starts_daemon(fuse: Fuse) -> None:
    """Start a program that leaves the session, the process group and its parent."""
    command = ["sh", "-c", f"sleep {HOUR} >/dev/null 2>&1 & echo $!"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdout is not None
        note(fuse, int(shell.stdout.read()), "detached")


def leaves_thread(_: Fuse) -> None:
    """Start a thread that never ends."""
    threading.Thread(target=time.sleep, args=(HOUR,), daemon=False).start()


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
    "raises": failures.raises,
    "raises-base": failures.raises_base,
    "raises-interrupt": failures.raises_interrupt,
    "raises-stop": failures.raises_stop,
    "raises-unprintable": failures.raises_unprintable,
    "sys-exit": failures.sys_exit,
    "recursion": failures.recursion,
    "memory": failures.memory,
    "exits-0": failures.exits_0,
    "exits-3": failures.exits_3,
    "segfault": failures.segfault,
    "abort": failures.abort,
    "sigkill": failures.sigkill,
    "sigterm": failures.sigterm,
    "c-stack": failures.c_stack,
    "execs": failures.execs,
    "sleeps": failures.sleeps,
    "spins": failures.spins,
    "stubborn": failures.stubborn,
    "holds-gil": failures.holds_gil,
    "regex": failures.regex,
    "deaf": failures.deaf,
    "stops": failures.stops,
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

"""Nodes that leave something to do for the end of their worker, on every interpreter: standard
library only, no numpy.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import get_context, shared_memory
from pathlib import Path
from typing import Any

LINES = 5_000  # more than a pipe holds

kept: list[Any] = []


class Leaves:
    """Registers an `atexit` function, and keeps a temporary folder: once in a process."""

    def process(self, data: str) -> int:
        """The process; `data` is a folder for its traces."""
        if not kept:
            kept.append(tempfile.TemporaryDirectory(dir=data, prefix=f"temporary{os.getpid()}-"))
            atexit.register(finish, Path(data), os.getppid())
        return os.getpid()


def finish(folder: Path, caller: int) -> None:
    """Print more than a pipe without a reader takes, and leave a trace of having come to the end.

    Where the folder says so, the caller has to be gone first.
    """
    while (folder / "outlives").exists() and os.getppid() == caller:
        time.sleep(0.001)
    for stream, descriptor in (sys.stdout, 1), (sys.stderr, 2), (sys.__stdout__, 1):
        assert stream is not None
        for number in range(LINES):
            print("line", number, file=stream)
        stream.flush()
        os.write(descriptor, b"below Python\n" * LINES)
    (folder / f"{os.getpid()}.ended").touch()


class Shares:
    """Leaves shared memory and a semaphore with names, which outlive the node's session."""

    def process(self, data: str) -> int:
        """The process; `data` is a folder, where the names go, and which may say how to end."""
        block: Any = shared_memory.SharedMemory(create=True, size=1000)
        semaphore: Any = get_context("spawn").Semaphore()
        kept.append((block, semaphore))
        with (Path(data) / "names").open("a") as names:
            # As they stand in /dev/shm.
            semaphore_name = semaphore._semlock.name.lstrip("/")
            names.write(f"{block.name} sem.{semaphore_name}\n")
        how = Path(data) / "how"
        if how.exists() and how.read_text() == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how.exists():
            time.sleep(1000)
        return os.getpid()


class Starts:
    """Leaves two processes of its group behind; one of them ignores SIGTERM."""

    def process(self, _data: Any) -> int:
        """The process of the node."""
        stubborn = "trap '' TERM; echo ready; while :; do sleep 1000; done"
        with subprocess.Popen(["sh", "-c", "sleep 1000 & exit"]):
            pass
        child = subprocess.Popen(["sh", "-c", stubborn], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        kept.append(child)
        return os.getpid()


class Waits:
    """Leaves a thread that the interpreter's end waits for."""

    def process(self, _data: Any) -> int:
        """The process."""
        threading.Thread(target=threading.Event().wait).start()
        return os.getpid()

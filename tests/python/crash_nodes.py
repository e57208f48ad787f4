"""Nodes that misbehave, for the tests of isolation."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import Any

from remotemedia import Node


class Doubler(Node):
    """Gives back twice its input; remembers how often it was called."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = 0

    def process(self, data: Any) -> Any:
        """Double."""
        self.calls += 1
        return data * 2


class PassOn(Node):
    """Gives back its input; counts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen = 0

    def process(self, data: Any) -> Any:
        """Count."""
        self.seen += 1
        return data


class Crasher(Node):
    """Dies in the way that its input names; passes any other input on."""

    def process(self, data: Any) -> Any:
        """Die."""
        if data == "SIGSEGV":
            ctypes.string_at(0)
        elif data == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        elif data == "exit":
            os._exit(7)
        elif data == "SIGABRT":
            os.abort()
        return data


class PidNode(Node):
    """Gives its process id."""

    def process(self, data: Any) -> int:
        """Process id."""
        return os.getpid()


class Sleeper(Node):
    """Sleeps for ever in C when told to."""

    def process(self, data: Any) -> Any:
        """Sleep."""
        if data == "sleep":
            time.sleep(3600)
        return data


class Spinner(Node):
    """Never leaves a Python loop when told to."""

    def process(self, data: Any) -> Any:
        """Spin."""
        while data == "spin":
            pass
        return data


class Flooder(Node):
    """Writes this many MiB to its standard output, past Python's own streams."""

    def process(self, mebibytes: int) -> int:
        """Write."""
        line = b"x" * 1023 + b"\n"
        for _ in range(mebibytes * 1024):
            os.write(1, line)
        return mebibytes


class Parent(Node):
    """Starts a child process that would live for an hour, and says which."""

    def process(self, data: Any) -> int:
        """Start."""
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]).pid


class Vandal(Node):
    """Finds the worker's own connection and writes to it, or closes it."""

    def process(self, data: Any) -> Any:
        """Spoil."""
        for entry in os.listdir("/proc/self/fd"):
            try:
                is_socket = os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
            except OSError:
                continue
            if is_socket and data == "garbage":
                os.write(int(entry), b"this is no frame" * 10)
            elif is_socket and data == "close":
                os.close(int(entry))
        return data

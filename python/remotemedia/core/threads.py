"""Threads that make blocking calls, kept for the next call."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

KEPT_S = 5.0
"""How long a thread waits for another call."""


class _Server(threading.Thread):
    """Makes one call after another."""

    def __init__(self) -> None:
        super().__init__(name="remotemedia-run", daemon=True)
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                call = self.calls.get(timeout=KEPT_S)
            except queue.Empty:
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                continue  # a call is on its way
            call()
            del call  # what it refers to is not kept while the thread waits
            with _lock:
                _idle.append(self)


_lock = threading.Lock()
_idle: list[_Server] = []


def in_thread(call: Callable[[], None]) -> None:
    """Make a call, which must not raise, in another thread.

    A thread that waits takes it: to start one blocks the caller until it runs, which takes long
    where many threads want the interpreter.
    """
    with _lock:
        server = _idle.pop() if _idle else None
    if server is None:
        server = _Server()
        server.start()
    server.calls.put(call)


def _forget() -> None:
    """Forget the threads, which a forked process does not have."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


os.register_at_fork(after_in_child=_forget)

__all__ = ["in_thread"]

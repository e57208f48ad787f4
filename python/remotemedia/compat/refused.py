"""Modules that a RustPython worker refuses by default although they work in part: why, and what
to use instead.
"""

from __future__ import annotations

REFUSED: dict[str, tuple[str, str]] = {
    "ctypes": (
        "a wrong address ends the worker, and callbacks do not work",
        'runtime_hint="cpython"; array, memoryview, struct and AudioView for binary data',
    ),
    "multiprocessing": (
        "a forked worker shares the orchestrator's connection, a spawned one is a second worker",
        "threading, concurrent.futures.ThreadPoolExecutor, multiprocessing.dummy; "
        'parallel branches of the pipeline; runtime_hint="cpython"',
    ),
}

__all__ = ["REFUSED"]

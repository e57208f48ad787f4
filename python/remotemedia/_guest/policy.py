"""Modules and functions that a RustPython worker refuses because they could crash it, with advice
on what to use instead.

CPython workers have no such policy: node code there may do whatever any program may do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

WAY_OUT = 'runtime_hint="cpython" on the node runs it on CPython'

_ALLOW = "[rustpython] allow_modules in the configuration allows it"
_FOREIGN = f"foreign functions can end the process; {WAY_OUT}, {_ALLOW}"
_THREADS = (
    "a second process would share the worker's connection and memory; use threading, "
    "concurrent.futures.ThreadPoolExecutor or multiprocessing.pool.ThreadPool"
)
_PROCESSES = f"{_THREADS}; {WAY_OUT}, {_ALLOW}"
_FORKS = f"{_THREADS}, or subprocess for another program; {WAY_OUT}, {_ALLOW}"

_STARTS_PROCESSES = (
    "popen_fork",
    "popen_forkserver",
    "popen_spawn_posix",
    "forkserver",
    "spawn",
    "shared_memory",
    "managers",
)
_MODULES = {
    "ctypes": _FOREIGN,
    "_ctypes": _FOREIGN,
    **{f"multiprocessing.{name}": _PROCESSES for name in _STARTS_PROCESSES},
}
_LOCK_MODULES = frozenset(
    {"multiprocessing.pool", "multiprocessing.queues", "multiprocessing.synchronize"}
)
_FORK = "os.fork"
_FORK_CALLS = ("fork", "forkpty")


class Blocked(ImportError):
    """This worker refuses a module or a function.

    Attributes:
        instead: the reason, and what to use instead.
    """

    def __init__(self, name: str, instead: str) -> None:
        super().__init__(f"{name} is not allowed in this worker: {instead}", name=name)
        self.instead = instead


# Tracebacks and errors show the type as the builtin `ImportError`.
Blocked.__module__, Blocked.__qualname__ = "builtins", "ImportError"


class Refusal:
    """An import finder, first in `sys.meta_path`, that refuses the modules which could crash the
    worker.
    """

    def __init__(self, refused: dict[str, str]) -> None:
        self._refused = refused

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse a module that could crash the worker; return None for any other.

        Raises:
            ImportError: the module is refused. The message says what to use instead.
        """
        if name in _LOCK_MODULES and "multiprocessing.popen_fork" in self._refused:
            # Thread pools need the locks of these modules. With the start method "fork" a lock does
            # not start a process, as it does with other start methods.
            sys.modules["multiprocessing"].set_start_method("fork", force=True)
        instead = self._refused.get(name)
        if instead is not None:
            raise Blocked(name, instead)


def install(allowed: str = "") -> None:
    """Make this worker refuse such modules and functions. Call this before node code runs, which
    could keep references to the functions.

    Args:
        allowed: comma-separated names that must not be refused: modules, and `os.fork` for
            `os.fork` and `os.forkpty`. The name `multiprocessing` allows these two functions too.
    """
    if sys.implementation.name == "cpython":
        return
    names = {name.strip() for name in allowed.split(",")}
    refused = {
        module: instead
        for module, instead in _MODULES.items()
        if module.partition(".")[0].lstrip("_") not in names
    }
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Refusal)]
    if refused:
        sys.meta_path.insert(0, Refusal(refused))
    if not names & {_FORK, "multiprocessing"}:
        import posix

        for name in _FORK_CALLS:
            refuse = _refusing(f"os.{name}")
            for module in (os, posix):
                setattr(module, name, refuse)


def _refusing(name: str) -> Callable[[], NoReturn]:
    def refuse() -> NoReturn:
        raise Blocked(name, _FORKS)

    return refuse

"""Makes a worker's process like the caller's when a session opens: environment, search path,
arguments, working directory, umask. What counts only when a process starts is the orchestrator's
business: a worker that differs in that is another worker.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from remotemedia._guest import search
from remotemedia._guest.faults import Fault
from remotemedia._guest.resolution import LoadedFrom

_SHELLS_OWN = (b"_", b"OLDPWD", b"PWD", b"SHLVL")
"""What a shell exports on its own account."""


class Surroundings(NamedTuple):
    """The caller's process. Texts of the system are bytes, as they need not be UTF-8.

    Attributes:
        environment: `NAME=value` with a zero byte behind each.
        present: the environment of this process as the C library has it, in the same form; None
            when it is the wanted one.
        sys_path: the caller's.
        is_path_complete: the path is that of an interpreter like this one. Otherwise this one's own
            entries come first.
        argv: the caller's.
        working_directory: None when the caller's folder is gone.
        umask: None is the one that this process was started with.
    """

    environment: bytes
    present: bytes | None
    sys_path: list[bytes]
    is_path_complete: bool
    argv: list[bytes]
    working_directory: bytes | None
    umask: int | None


class Process:
    """This process, which takes over what the sessions bring."""

    def __init__(self) -> None:
        self._own_path = list(sys.path)
        self._environ = os.environ
        self._added = _added_variables()
        self._own_umask = os.umask(0)
        os.umask(self._own_umask)
        self._loaded_from = LoadedFrom()
        self._last_path: tuple[list[bytes], bool] | None = None
        self._path: list[str] = []

    def enter(self, wanted: Surroundings) -> None:
        """Become like the caller's process.

        Raises:
            Fault: a loaded module lies elsewhere for this caller.
        """
        _enter_folder(wanted.working_directory)
        self._set_path(wanted.sys_path, wanted.is_path_complete)
        moved = self._loaded_from.conflict(sys.path)
        if moved is not None:
            raise Fault("conflict", "", ImportError(moved))
        os.environ = self._environ  # noqa: B003  (a node may have put another object there)
        set_environment(self._with_added(wanted.environment), wanted.present)
        sys.argv = [os.fsdecode(argument) for argument in wanted.argv]
        os.umask(self._own_umask if wanted.umask is None else wanted.umask)

    def _with_added(self, wanted: bytes) -> bytes:
        if not self._added:
            return wanted
        added = self._added.keys() - _parsed(wanted).keys()
        return wanted + b"".join(b"%b=%b\0" % (name, self._added[name]) for name in added)

    def _set_path(self, theirs: list[bytes], is_complete: bool) -> None:
        if self._last_path != (theirs, is_complete):
            path = [os.fsdecode(entry) for entry in theirs]
            self._path = merged(self._own_path, path, is_complete)
            self._last_path = theirs, is_complete
        sys.path[:] = self._path
        importlib.invalidate_caches()  # a warm worker may have looked before a module was written


def merged(own: list[str], theirs: Iterable[str], is_complete: bool) -> list[str]:
    """A search path with the caller's entries in the caller's order, so that a name means the same
    module here.

    Args:
        own: the worker's own entries.
        theirs: the caller's.
        is_complete: theirs are those of an interpreter like this one, and come first.
    """
    theirs = list(dict.fromkeys(theirs if is_complete else search.usable(theirs)))
    own = [entry for entry in own if entry not in theirs]
    return [*theirs, *own] if is_complete else [*own, *theirs]


def _added_variables() -> dict[bytes, bytes]:
    """What a script that stands in for the interpreter has exported beyond what it was given."""
    given = os.environb.pop(b"REMOTEMEDIA_GIVEN_VARIABLES", None)
    if given is None:
        return {}
    known = {*given.split(b"="), *_SHELLS_OWN}
    return {name: value for name, value in os.environb.items() if name not in known}


def _enter_folder(folder: bytes | None) -> None:
    # The orchestrator is in the caller's process, whose folder may have lost its name.
    for place in (folder, f"/proc/{os.getppid()}/cwd"):
        if place is not None:
            with contextlib.suppress(OSError):
                os.chdir(os.fsdecode(place))
                return


def set_environment(wanted: bytes, present: bytes | None) -> None:
    """Make the environment exactly this, for Python and for the C library.

    Args:
        wanted: see `Surroundings`.
        present: see `Surroundings`.
    """
    if present is None and len(os.environ) == wanted.count(b"\0"):
        return
    variables, before = _parsed(wanted), _parsed(wanted if present is None else present)
    zone = before.get(b"TZ"), os.environb.get(b"TZ")
    for name in {*before, *os.environb} - variables.keys():
        with contextlib.suppress(KeyError):
            del os.environb[name]
        with contextlib.suppress(OSError):
            os.unsetenv(name)
    for name, value in variables.items():
        if before.get(name) != value or os.environb.get(name) != value:
            with contextlib.suppress(OSError, ValueError):  # what no process may have
                os.environb[name] = value
    if zone != (variables.get(b"TZ"),) * 2 and hasattr(time, "tzset"):
        time.tzset()


def _parsed(environment: bytes) -> dict[bytes, bytes]:
    pairs = (entry.partition(b"=") for entry in environment.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}

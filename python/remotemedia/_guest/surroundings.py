"""Makes a worker's process like the caller's when a session opens: environment, search path,
arguments, working directory, umask. Settings that take effect only when a process starts belong to
the worker's kind instead, so the orchestrator starts another worker for them.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from remotemedia._guest import resolution, search
from remotemedia._guest.faults import Fault

caller: Callable[[], int] = os.getppid
"""Returns the process id of the caller: the parent, unless a zygote has forked this process."""

_SHELLS_OWN = (b"_", b"OLDPWD", b"PWD", b"SHLVL")
"""Variables that a shell exports by itself."""


class Surroundings(NamedTuple):
    """Settings of the caller's process. Strings of the system are bytes, as they need not be UTF-8.

    Attributes:
        environment: the caller's environment, as `NAME=value` with a zero byte after each.
        present: the environment of this process as the C library has it, in the same form; None
            when it equals `environment`.
        sys_path: `sys.path` of the caller.
        is_path_complete: whether the caller's interpreter is of the same kind as this one, so that
            its path is used as it is. Otherwise the worker's own entries come first.
        argv: `sys.argv` of the caller.
        working_directory: of the caller; None if it has been deleted.
        umask: of the caller; None for the umask that this process was started with.
    """

    environment: bytes
    present: bytes | None
    sys_path: list[bytes]
    is_path_complete: bool
    argv: list[bytes]
    working_directory: bytes | None
    umask: int | None


class Process:
    """Applies the settings of each session to this process."""

    def __init__(self) -> None:
        self._search_path = sys.path
        self._own_path = list(sys.path)
        self._environ, self._environb = os.environ, os.environb
        self._added = _added_variables()
        self._own_umask = os.umask(0)
        os.umask(self._own_umask)
        self._loaded_from = resolution.at_start or resolution.LoadedFrom()
        self._zone = _zone()
        self._last_path: tuple[list[bytes], bool] | None = None
        self._path: list[str] = []

    def enter(self, wanted: Surroundings) -> None:
        """Make this process like the caller's.

        Raises:
            Fault: for this caller, a loaded module would come from another file ("conflict").
        """
        _enter_folder(wanted.working_directory)
        self._set_path(wanted.sys_path, wanted.is_path_complete)
        moved = self._loaded_from.conflict(sys.path)
        if moved is not None:
            raise Fault("conflict", "", ImportError(moved))
        # A node may have put other objects there.
        os.environ, os.environb = self._environ, self._environb
        set_environment(self._with_added(wanted.environment), wanted.present)
        self._zone = followed_zone(self._zone)
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
        sys.path = self._search_path  # a node may have put another list there
        sys.path[:] = self._path
        importlib.invalidate_caches()  # modules may have been written since the last session


def merged(own: list[str], theirs: Iterable[str], is_complete: bool) -> list[str]:
    """A search path with the caller's entries in the caller's order, so that a name stands for the
    same module here.

    Args:
        own: the worker's own entries.
        theirs: the caller's entries.
        is_complete: see `Surroundings.is_path_complete`; if true, the caller's entries come first.
    """
    theirs = list(dict.fromkeys(theirs if is_complete else search.usable(theirs)))
    own = [entry for entry in own if entry not in theirs]
    return [*theirs, *own] if is_complete else [*own, *theirs]


def _added_variables() -> dict[bytes, bytes]:
    """Variables that were exported by a wrapper script which starts the interpreter."""
    given = os.environb.pop(b"REMOTEMEDIA_GIVEN_VARIABLES", None)
    if given is None:
        return {}
    known = {*given.split(b"="), *_SHELLS_OWN}
    return {name: value for name, value in os.environb.items() if name not in known}


def _enter_folder(folder: bytes | None) -> None:
    # The second place works if the folder was renamed.
    for place in (folder, f"/proc/{caller()}/cwd"):
        if place is not None:
            with contextlib.suppress(OSError):
                os.chdir(os.fsdecode(place))
                return
    wanted = "the caller's folder" if folder is None else os.fsdecode(folder)
    logging.getLogger("remotemedia").warning(
        "nodes run in %s: %s cannot be entered", _current_folder(), wanted
    )


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  (pathlib takes long to import)
    except OSError:  # it was deleted
        return "a folder without a name"


def set_environment(wanted: bytes, present: bytes | None) -> None:
    """Set the environment, for Python and for the C library.

    Args:
        wanted: `Surroundings.environment`.
        present: `Surroundings.present`.
    """
    if present is None and len(os.environ) == wanted.count(b"\0"):
        return
    variables, before = _parsed(wanted), _parsed(wanted if present is None else present)
    for name in {*before, *os.environb} - variables.keys():
        with contextlib.suppress(KeyError):
            del os.environb[name]
        with contextlib.suppress(OSError):
            os.unsetenv(name)
    for name, value in variables.items():
        if before.get(name) != value or os.environb.get(name) != value:
            with contextlib.suppress(OSError, ValueError):  # names that Python cannot set
                os.environb[name] = value


_Zone = tuple[bytes | None, tuple[str, str], int]


def _zone() -> _Zone:
    """The time zone: the variable, and what `time` has made of it."""
    return os.environb.get(b"TZ"), time.tzname, time.timezone


def followed_zone(last: _Zone) -> _Zone:
    """Have `time` follow the variable `TZ` if that or the zone of `time` has changed. Returns the
    zone as it is now.
    """
    if _zone() != last and hasattr(time, "tzset"):
        time.tzset()
    return _zone()


def _parsed(environment: bytes) -> dict[bytes, bytes]:
    pairs = (entry.partition(b"=") for entry in environment.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}

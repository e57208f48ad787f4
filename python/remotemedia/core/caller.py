"""What a session takes over from the process that opens it, so that its nodes find there what they
would find here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from remotemedia.core.exceptions import ConfigurationError

_OPTION_FLAGS = (
    "debug", "inspect", "interactive", "optimize", "dont_write_bytecode", "no_user_site", "no_site",
    "ignore_environment", "verbose", "bytes_warning", "quiet", "isolated", "dev_mode", "safe_path",
)  # fmt: skip


class Caller(NamedTuple):
    """The calling process. Environment and umask are read where they are handed over.

    Attributes:
        interpreter: path of the interpreter.
        options: what it was started with, such as `-O`.
        sys_path: where it finds modules.
        argv: its `sys.argv`.
        working_directory: None when the folder is gone.
    """

    interpreter: str
    options: list[str]
    sys_path: list[str]
    argv: list[str]
    working_directory: str | None


def this_process() -> Caller:
    """The process as it is now.

    Raises:
        ConfigurationError: it has no interpreter that could be started.
    """
    if not sys.executable:
        raise ConfigurationError(
            "this program embeds Python and sys.executable is empty, so no worker can be started: "
            "set sys.executable to the interpreter's path"
        )
    here = _working_directory()
    return Caller(sys.executable, _options(), module_path(here), _arguments(), here)


def module_path(here: str | None) -> list[str]:
    """`sys.path` for a worker; the empty entry means the working directory `here`. What the system
    could not name is no folder, and left out.
    """
    entries = (entry or here or "" for entry in sys.path if isinstance(entry, str))
    return [entry for entry in entries if _is_encodable(entry)]


def _arguments() -> list[str]:
    arguments: Iterable[object] = getattr(sys, "argv", [""])
    texts = [text for text in arguments if isinstance(text, str)]
    return [
        text if _is_encodable(text) else text.encode("utf-8", "replace").decode() for text in texts
    ]


def _options() -> list[str]:
    """The interpreter's options as multiprocessing passes them on, and all of `-X`."""
    if _has_default_options():
        return []
    import subprocess  # not when the package is imported

    # What the standard library has for this has a private name.
    given = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    options = [o for before, o in zip(["", *given], given, strict=False) if "-X" not in (before, o)]
    extended = sys._xoptions.items()
    return options + [f"-X{n}" if value is True else f"-X{n}={value}" for n, value in extended]


def _has_default_options() -> bool:
    """Whether none was given, as a rule: the module that knows them takes long to import."""
    flags = (getattr(sys.flags, name) for name in _OPTION_FLAGS)
    return not (any(flags) or sys.warnoptions or sys._xoptions)


def _working_directory() -> str | None:
    try:
        here = os.getcwd()  # noqa: PTH109  (pathlib would take the name apart)
    except OSError:
        return None
    return here if _is_encodable(here) else None


def _is_encodable(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


__all__ = ["Caller", "module_path", "this_process"]

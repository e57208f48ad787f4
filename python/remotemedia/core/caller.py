"""The settings of this process that a session passes to its workers, so that nodes find the same
modules, arguments and working directory as here.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from remotemedia.core.exceptions import ConfigurationError

_OPTION_FLAGS = (
    "debug", "inspect", "interactive", "optimize", "dont_write_bytecode", "no_user_site", "no_site",
    "ignore_environment", "verbose", "bytes_warning", "quiet", "isolated", "dev_mode", "safe_path",
)  # fmt: skip

_HAS_FLAGS = any(getattr(sys.flags, name) for name in _OPTION_FLAGS)


class Caller(NamedTuple):
    """Settings of the calling process. The native side adds environment and umask.

    Attributes:
        interpreter: path of the interpreter.
        options: the interpreter's command-line options, such as `-O`.
        sys_path: `sys.path`.
        argv: `sys.argv`.
        working_directory: None if it has been deleted.
    """

    interpreter: str
    options: list[str]
    sys_path: list[str]
    argv: list[str]
    working_directory: str | None


def this_process() -> Caller:
    """The current settings of this process.

    Raises:
        ConfigurationError: `sys.executable` is empty, so there is no interpreter to start.
    """
    if not sys.executable:
        raise ConfigurationError(
            "this program embeds Python and sys.executable is empty, so no worker can be started: "
            "set sys.executable to the interpreter's path"
        )
    here = _working_directory()
    return Caller(sys.executable, _options(), module_path(here), _arguments(), here)


def module_path(here: str | None) -> list[str]:
    """`sys.path` for a worker, with the working directory `here` in place of empty entries. Entries
    that cannot be paths on this system are left out.
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
    """The interpreter's options that `multiprocessing` passes on, and all `-X` options."""
    if _has_default_options():
        return []
    import subprocess  # imported late: few programs need it here

    # The standard library has this function under a private name only.
    given = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    options = [o for before, o in zip(["", *given], given, strict=False) if "-X" not in (before, o)]
    extended = sys._xoptions.items()
    return options + [f"-X{n}" if value is True else f"-X{n}={value}" for n, value in extended]


def _has_default_options() -> bool:
    """Whether the interpreter was started without options. This usually avoids the slow import of
    `subprocess`.
    """
    return not (_HAS_FLAGS or sys.warnoptions or sys._xoptions)


def _working_directory() -> str | None:
    try:
        here = os.getcwd()  # noqa: PTH109  (pathlib would take the name apart)
    except OSError:
        return None
    return here if _is_encodable(here) else None


@functools.lru_cache(maxsize=512)
def _is_encodable(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


__all__ = ["Caller", "module_path", "this_process"]

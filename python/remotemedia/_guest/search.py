"""The search path for the caller's modules in a worker with another interpreter than the caller's.

Such a worker uses its own standard library; the caller's belongs to another version of Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def usable(path: Iterable[str]) -> list[str]:
    """The entries of a caller's `sys.path` without the standard library of another interpreter."""
    return [entry for entry in path if not _is_foreign_library(entry)]


def _is_foreign_library(entry: str) -> bool:
    head, _, tail = entry.rstrip("/").rpartition("/")
    if tail == "lib-dynload":
        return _is_foreign_library(head)
    name = tail.removesuffix(".zip")
    if not name.startswith("python3") or (name == tail and not os.path.isfile(f"{entry}/os.py")):  # noqa: PTH113
        return False
    version = name.removeprefix("python3").lstrip(".").rstrip("t")
    is_own = version == str(sys.version_info.minor) and sys.implementation.name == "cpython"
    return version.isdigit() and not is_own


def install() -> None:
    """Stop the interpreter from reading and writing `.pyc` files, because those of CPython 3.14
    have the same names. Does nothing on CPython.
    """
    if sys.implementation.name != "cpython":
        sys.dont_write_bytecode = True
        sys.pycache_prefix = os.devnull

"""File names and source lines of code that travels by value, for the tracebacks of a worker."""

from __future__ import annotations

import linecache
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

PROGRAM = ("<string>", "<stdin>")
"""File names of a program that lies in no file (`python -c`), and of what `exec` is given."""

_entered: set[str] = set()
"""The names under which `linecache` has received lines for the current session."""


def reduce_code(code: types.CodeType, reduce: Callable[[types.CodeType], Any]) -> tuple[Any, ...]:
    """How a code object is pickled: as `reduce` says, and under its own file name.

    cloudpickle writes `<dynamic-code>` instead from version 3.1.3 on.
    """
    make, arguments = reduce(code)
    return _with_file_name, (code.co_filename, make, arguments)


def _with_file_name(name: str, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return make(*arguments).replace(co_filename=name)


def text_of(function: types.FunctionType) -> str | None:
    """The whole text that a function was compiled from, None when it is in a file or unknown."""
    name = function.__code__.co_filename
    if os.path.exists(name):  # noqa: PTH110  (pathlib takes long to import)
        return None
    is_module = function.__globals__.get("__file__") == name  # of an archive, perhaps
    lines = linecache.getlines(name, function.__globals__ if is_module else None)
    if not lines:
        lines = program_of(function.__code__)
    return "".join(lines) or None


def program_of(code: types.CodeType) -> list[str]:
    """The lines of the program of `python -c`, if compiling them gives this code."""
    place = sys.orig_argv.index("-c") + 1 if "-c" in sys.orig_argv[:-1] else 0
    if code.co_filename != "<string>" or not place:
        return []
    lines = f"{sys.orig_argv[place]}\n".splitlines(keepends=True)
    try:
        waiting = [compile("".join(lines), code.co_filename, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return []
    while waiting:
        found = waiting.pop()
        if found == code:
            return lines
        waiting += [
            constant for constant in found.co_consts if isinstance(constant, types.CodeType)
        ]
    return []


def enter(texts: Mapping[str, str], *, replace: bool) -> None:
    """Have tracebacks show these texts, by the file names in the code.

    Args:
        texts: the texts.
        replace: the texts are newer than those that this process has under the same names.
    """
    for name, text in texts.items():
        if replace or name not in linecache.cache:
            _enter(name, text.splitlines(keepends=True))


def enter_part(name: str, first: int, lines: list[str], *, replace: bool) -> None:
    """Have tracebacks show lines of a text of which this process knows parts only.

    Args:
        name: the file name in the code.
        first: number of the first line, from 1 on.
        lines: the lines.
        replace: as for `enter`; otherwise a file also keeps its own lines.
    """
    if not replace and (os.path.exists(name) or name in linecache.cache):  # noqa: PTH110
        return
    known = list(linecache.getlines(name)) if name in _entered else []
    known += ["\n"] * (first - 1 + len(lines) - len(known))
    for place, line in enumerate(lines, first - 1):
        if known[place] == "\n":
            known[place] = line
    _enter(name, known)


def _enter(name: str, lines: list[str]) -> None:
    linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    _entered.add(name)


def forget() -> None:
    """Drop the texts of a session: the next may have other code under the same file names."""
    while _entered:
        linecache.cache.pop(_entered.pop(), None)


__all__ = ["enter", "enter_part", "forget", "program_of", "reduce_code", "text_of"]

"""File names and source lines of code that travels by value, for tracebacks in workers."""

from __future__ import annotations

import linecache
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

PROGRAM = ("<string>", "<stdin>")
"""File names in code without a file: code of `python -c`, of `exec`, and piped to Python."""

_entered: set[str] = set()
"""The file names whose lines the current session has entered in `linecache`."""


def reduce_code(code: types.CodeType, reduce: Callable[[types.CodeType], Any]) -> tuple[Any, ...]:
    """How to pickle a code object: as `reduce` does, but with the code's own file name.

    From version 3.1.3 on, cloudpickle itself replaces the file name by `<dynamic-code>`.
    """
    make, arguments = reduce(code)
    if arguments[_FILE_NAME + 1 : _FILE_NAME + 2] == (code.co_name,):
        return make, (*arguments[:_FILE_NAME], code.co_filename, *arguments[_FILE_NAME + 1 :])
    return _with_file_name, (code.co_filename, make, arguments)


_FILE_NAME = 10
"""Place of the file name among the arguments of `CodeType` in the present versions of Python."""


def _with_file_name(name: str, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return make(*arguments).replace(co_filename=name)


def text_of(function: types.FunctionType) -> str | None:
    """The whole text from which a function was compiled; None if it is in a file or unknown."""
    name = function.__code__.co_filename
    if os.path.exists(name):  # noqa: PTH110  (pathlib takes long to import)
        return None
    is_module = function.__globals__.get("__file__") == name  # for instance in a zip archive
    lines = linecache.getlines(name, function.__globals__ if is_module else None)
    if not lines:
        lines = program_of(function.__code__)
    return "".join(lines) or None


def program_of(code: types.CodeType) -> list[str]:
    """The lines given to `python -c`, if compiling them yields this code; otherwise an empty
    list.
    """
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
    """Have tracebacks show these texts.

    Args:
        texts: texts by file name.
        replace: whether to replace texts that this process has under the same names.
    """
    for name, text in texts.items():
        if replace or name not in linecache.cache:
            _enter(name, text.splitlines(keepends=True))


def enter_part(name: str, first: int, lines: list[str], *, replace: bool) -> None:
    """Have tracebacks show some lines of a text whose other lines may be unknown.

    Args:
        name: the file name in the code.
        first: number of the first line, counted from 1.
        lines: the lines.
        replace: as for `enter`; if false, an existing file keeps its own lines too.
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
    """Drop the texts of a session, since the next may have other code with the same file names."""
    while _entered:
        linecache.cache.pop(_entered.pop(), None)


__all__ = ["enter", "enter_part", "forget", "program_of", "reduce_code", "text_of"]

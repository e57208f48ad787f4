"""The source of a program that stands in no file: `python -c "..."`, and a file on stdin."""

from __future__ import annotations

import io
import os
import stat
import sys
import textwrap
import tokenize

GIVEN = ("<string>", "<stdin>")
"""What the compiler calls them. It calls what `exec` is given "<string>", too."""


def given_lines(name: str) -> list[str]:
    """The lines of the program with this name; none when they cannot be had."""
    text = (_of_command() if name == "<string>" else _of_stdin()) or ""
    return text.splitlines(keepends=True)


def _of_command() -> str | None:
    waiting = list(sys.orig_argv[1:])
    while waiting:
        argument = waiting.pop(0)
        if argument == "--check-hash-based-pycs":
            waiting[:1] = []
        if argument.startswith("--"):
            continue
        if not argument.startswith("-"):
            return None
        for place, letter in enumerate(argument[1:], 2):
            if letter not in "cmWX":
                continue
            given = argument[place:] or (waiting.pop(0) if waiting else "")
            if letter == "c":
                return _as_run(f"{given}\n")
            if letter == "m":
                return None
            break
    return None


def _as_run(text: str) -> str:
    return textwrap.dedent(text) if sys.version_info >= (3, 14) else text


def _of_stdin() -> str | None:
    try:
        about = os.fstat(0)
        if not stat.S_ISREG(about.st_mode):  # a pipe has been read, a terminal is not the program
            return None
        data = os.pread(0, about.st_size, 0)  # leaves the place of other readers alone
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding).replace("\r\n", "\n")
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None

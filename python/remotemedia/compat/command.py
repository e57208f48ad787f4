"""The command `remotemedia compat`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from remotemedia._load import native
from remotemedia.compat.nodes import INTERPRETERS, Verdict, check
from remotemedia.core.exceptions import WorkerStartError

ALL_WORK, SOME_DO_NOT, BAD_INPUT, ENVIRONMENT = 0, 1, 2, 3
READER_GONE = 128 + signal.SIGPIPE
"""The exit code of a program that was ended by SIGPIPE."""

_NAMES = {"cpython": "CPython", "rustpython": "RustPython"}
_EPILOG = """\
Each class with a method `process` is loaded in a worker of each interpreter. CPython
imports modules; RustPython, and CPython of a script, runs only the imports and definitions that the
class uses. No node is constructed or called, so an import inside a function is not seen.
exit codes:
  0  every node works on RustPython
  1  some do not
  2  a path cannot be read, is not Python, or holds no node
  3  an interpreter is missing or does not run
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except WorkerStartError as error:
        return _fail(str(error), ENVIRONMENT)
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "remotemedia compat",
        description="Load the nodes of Python files with CPython and RustPython; show which work, "
        "which do not, why, and what to do.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or packages")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--python", default=sys.executable, help="the CPython to use")
    parser.add_argument("--rustpython", default=None, help="the program remotemedia-rustpython")
    return parser


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201
    return code


def _run(given: argparse.Namespace) -> int:
    program = given.rustpython or native().find_rustpython(sys.executable)
    verdicts: list[Verdict] = []
    has_problems = False
    for path in given.paths:
        found, problems = check(path, program, given.python)
        if not found and not problems:
            problems = [f"{path}: contains no class with a method process"]
        for problem in problems:
            _fail(problem, BAD_INPUT)
        has_problems |= bool(problems)
        verdicts += found
    if given.json:
        print(json.dumps([verdict.as_json() for verdict in verdicts], indent=2))  # noqa: T201
    elif verdicts:
        print(_text(verdicts))  # noqa: T201
    if has_problems:
        return BAD_INPUT
    return ALL_WORK if all(v.rustpython.is_node for v in verdicts) else SOME_DO_NOT


def _text(verdicts: Sequence[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        node = verdict.node
        outcomes = {name: getattr(verdict, name) for name in INTERPRETERS}
        works = [_NAMES[name] for name in INTERPRETERS if outcomes[name].is_node]
        where = f"works on {' and '.join(works)}" if works else "works on no interpreter"
        lines.append(f"{node.file}:{node.line}: {node.name}: {where}")
        for name, outcome in outcomes.items():
            if not outcome.is_node:
                missing = outcome.module and f"{outcome.module} ({outcome.reason})"
                lines.append(f"    not on {_NAMES[name]}: {missing or outcome.error}")
                lines.append(f"        what to do: {outcome.advice}")
    able = sum(bool(verdict.rustpython.is_node) for verdict in verdicts)
    return "\n".join([*lines, f"{able} of {len(verdicts)} nodes work on RustPython"])


__all__ = ["main"]

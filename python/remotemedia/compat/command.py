"""The command `remotemedia compat`: what runs on which interpreter, for the language and the
standard library, or for somebody's own nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remotemedia._load import native
from remotemedia.compat.cases import LANGUAGE, MODULES, cases
from remotemedia.compat.measure import Unusable, measure
from remotemedia.compat.nodes import Verdict, judge
from remotemedia.compat.page import modules_table, page
from remotemedia.core.exceptions import WorkerStartError

ALL_RUN, SOME_DO_NOT, BAD_INPUT, ENVIRONMENT = 0, 1, 2, 3
READER_GONE = 128 + signal.SIGPIPE
"""As of a program that the signal ended."""

_EPILOG = """\
Without PATH it lists the modules of the standard library, as measured for this version.
exit codes:
  0  every node would run on RustPython; every case shows what is recorded
  1  some would not
  2  a path cannot be read or is not Python, or no path holds a node
  3  an interpreter is missing or does not run
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and give its exit code."""
    given = _parser().parse_args(arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except Unusable as error:
        return _fail(str(error), ENVIRONMENT)
    except BrokenPipeError:  # whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return code


def _run(given: argparse.Namespace) -> int:
    if given.page:
        print(page(), end="")  # noqa: T201
        return ALL_RUN
    if given.measure:
        return _measure(given)
    if given.paths:
        return _nodes(given)
    return _modules(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "remotemedia compat",
        description="Tell what runs on CPython and on RustPython, and why not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or packages")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--measure", action="store_true", help="run all cases on both interpreters")
    parser.add_argument("--page", action="store_true", help="print docs/compatibility.md")
    parser.add_argument("--python", default=sys.executable, help="CPython to compare with")
    parser.add_argument("--rustpython", default=None, help="program remotemedia-rustpython")
    return parser


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201
    return code


def _show(given: argparse.Namespace, text: str, data: Any) -> None:
    print(json.dumps(data, indent=2) if given.json else text)  # noqa: T201


def _modules(given: argparse.Namespace) -> int:
    rows = modules_table()
    width = max(len(row.name) for row in rows)
    lines = [
        f"{row.name:<{width}}  {row.cpython:<12}  {row.rustpython:<8}  {row.why}".rstrip()
        for row in rows
    ]
    head = f"{'module':<{width}}  {'CPython':<12}  RustPython"
    _show(given, "\n".join([head, *lines]), [row.as_json() for row in rows])
    return ALL_RUN


def _measure(given: argparse.Namespace) -> int:
    try:
        program = given.rustpython or native().find_rustpython(sys.executable)
    except WorkerStartError as missing:
        return _fail(str(missing), ENVIRONMENT)
    todo = [*cases(LANGUAGE), *cases(MODULES)]
    told: list[str] = []
    data = []
    for command in (given.python, program):
        measured = measure([command], todo)
        surprises = measured.surprises(todo)
        label = f"{measured.target.label} ({measured.version})"
        told += [f"{label}: {len(todo)} cases, {len(surprises)} not as recorded", *surprises]
        data.append({"interpreter": label, "cases": len(todo), "surprises": surprises})
    _show(given, "\n".join(told), data)
    return SOME_DO_NOT if any(entry["surprises"] for entry in data) else ALL_RUN


def _nodes(given: argparse.Namespace) -> int:
    try:
        program = given.rustpython or native().find_rustpython(sys.executable)
    except WorkerStartError as missing:
        return _fail(str(missing), ENVIRONMENT)
    verdicts: list[Verdict] = []
    has_problems = False
    for path in given.paths:
        found, problems = judge(path, program, given.python)
        for problem in problems:
            _fail(problem, BAD_INPUT)
        if not found and not problems:
            _fail(f"{path}: holds no class that derives from Node", BAD_INPUT)
        has_problems |= bool(problems)
        verdicts += found
    if verdicts:
        _show(given, _text(verdicts), [verdict.as_json() for verdict in verdicts])
    if has_problems or not verdicts:
        return BAD_INPUT
    return ALL_RUN if all(v.on_rustpython for v in verdicts) else SOME_DO_NOT


def _text(verdicts: Sequence[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        node = verdict.node
        where = "RustPython or CPython" if verdict.on_cpython else "RustPython"
        if not verdict.on_rustpython:
            where = "CPython" if verdict.on_cpython else "nowhere"
        lines.append(f"{node.file}:{node.line}: {node.name}: {where}")
        lines += [f"    {x.module} ({x.reason}): {x.suggestion}" for x in verdict.lacks]
        lines += [f"    on CPython: {verdict.cpython_error}"] if verdict.cpython_error else []
        lines += [f"    can do without {x.module} ({x.reason})" for x in verdict.guarded]
        lines += [f"    note: {note}" for note in verdict.notes]
        if verdict.beside:
            lines.append(f"    does not use: {', '.join(verdict.beside)}")
    able = sum(verdict.on_rustpython for verdict in verdicts)
    return "\n".join([*lines, f"{able} of {len(verdicts)} nodes would run on RustPython"])


__all__ = ["main"]

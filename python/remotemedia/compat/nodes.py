"""Finds the classes of Python files and loads them in workers of both interpreters."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remotemedia.compat.probe import Probe
from remotemedia.core.exceptions import NodeError
from remotemedia.core.pipeline import Pipeline
from remotemedia.runtime import Runtime

INTERPRETERS = ("cpython", "rustpython")
_MOVE = 'runtime_hint="cpython" on the node runs it on CPython'
# Deadline for loading one class; importing a large package such as torch takes long.
_DEADLINE_MS = 120_000


@dataclass(frozen=True)
class Candidate:
    """A class that may be a node.

    Attributes:
        statements: indices of the top-level statements of the file that the class needs.
        is_script: whether the file does more than define names; it is then not imported.
        is_likely: whether the class has a method `process` of its own, or a base class whose name
            ends in `Node`.
    """

    file: Path
    module: str
    name: str
    line: int
    statements: list[int]
    is_script: bool
    is_likely: bool


@dataclass(frozen=True)
class Outcome:
    """The result of loading a class in one interpreter.

    Attributes:
        is_node: whether the class has a method `process`; None if it could not be loaded.
        module: the module whose import failed, if that was the error.
        reason: why that import failed: `c_extension`, `stdlib_missing`, `not_installed`, `blocked`
            or `unsupported`.
        error: the exception in one line.
        advice: what the user can do.
    """

    is_node: bool | None
    module: str | None = None
    reason: str | None = None
    error: str = ""
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """The outcome as data for JSON."""
        shown = {"module": self.module, "reason": self.reason, "error": self.error}
        return {"works": bool(self.is_node), **shown, "advice": self.advice}


@dataclass(frozen=True)
class Verdict:
    """A node, with the result of loading it in each interpreter."""

    node: Candidate
    cpython: Outcome
    rustpython: Outcome

    def as_json(self) -> dict[str, Any]:
        """The verdict as data for JSON."""
        return {
            "node": self.node.name,
            "file": str(self.node.file),
            "line": self.node.line,
            "cpython": self.cpython.as_json(),
            "rustpython": self.rustpython.as_json(),
        }


def check(path: Path, rustpython: str, cpython: str) -> tuple[list[Verdict], list[str]]:
    """Check the nodes of a file, or of all files below a folder.

    Returns:
        The verdicts in the order of files and lines; and an error line for each file that cannot be
        read or is not Python.

    Raises:
        WorkerStartError: an interpreter cannot be started.
    """
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    candidates: list[Candidate] = []
    problems = []
    for file in files:
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except (OSError, SyntaxError, ValueError) as error:  # ValueError: null bytes
            problems.append(f"{file}: {error}")
        else:
            candidates += _classes(tree, file, _module_name(file, path))
    if not candidates:
        return [], problems
    # New workers for each path: loaded modules of another path could have the same names.
    with Runtime(_config(rustpython, cpython)) as runtime:
        loaded = [_load(candidates, runtime, name, path) for name in INTERPRETERS]
    verdicts = map(Verdict, candidates, *loaded)
    return [verdict for verdict in verdicts if _is_node(verdict)], problems


def _is_node(verdict: Verdict) -> bool:
    answers = {verdict.cpython.is_node, verdict.rustpython.is_node}
    return True in answers or (answers == {None} and verdict.node.is_likely)


def _module_name(file: Path, path: Path) -> str:
    if not path.is_dir():
        return file.stem
    parts = [path.resolve().name, *file.relative_to(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _config(rustpython: str, cpython: str) -> str:
    # A JSON string is a valid TOML string. Output of modules while they are loaded is not shown.
    return (
        f"[python]\ninterpreter = {json.dumps(cpython)}\n"
        f"[rustpython]\nexecutable = {json.dumps(rustpython)}\n"
        "[output]\nforward_output = false\n"
    )


def _load(
    candidates: list[Candidate], runtime: Runtime, interpreter: str, path: Path
) -> list[Outcome]:
    """Load the classes in one interpreter, in one session."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        pipeline = Pipeline(Probe(timeout_ms=_DEADLINE_MS), runtime=runtime)
        with pipeline.session(runtime=interpreter, fallback=False) as session:
            return [_load_one(session, candidate, interpreter) for candidate in candidates]
    finally:
        sys.path.remove(folder)


def _load_one(session: Any, candidate: Candidate, interpreter: str) -> Outcome:
    file = str(candidate.file.resolve())
    # The same as in other sessions: CPython imports the whole module. RustPython may lack a module
    # that the file imports, so it runs only the statements that the class needs.
    in_part = candidate.is_script or interpreter == "rustpython"
    statements = candidate.statements if in_part else None
    try:
        (is_node,) = session.process((candidate.module, candidate.name, file, statements))
    except NodeError as error:
        advice = _MOVE if interpreter == "rustpython" else "every node must load on CPython"
        shown = _first_line(error)
        return Outcome(None, error.module, error.import_reason, shown, error.suggestion or advice)
    return Outcome(True) if is_node else Outcome(False, error="it has no method process(data)")


def _first_line(error: NodeError) -> str:
    """The first line of the node's exception, or of the error itself if the worker crashed."""
    if error.remote_message is None:
        return error.message.splitlines()[0]
    first = next(iter(error.remote_message.splitlines()), "")
    return f"{error.remote_type}: {first}" if first else str(error.remote_type)


def _classes(tree: ast.Module, file: Path, module: str) -> Iterator[Candidate]:
    """The top-level classes of a file that may be nodes."""
    is_script = any(map(_acts, tree.body))
    likely: set[str] = set()
    for statement in _flat(tree.body):
        if not isinstance(statement, ast.ClassDef):
            continue
        name = statement.name
        bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in statement.bases}
        has_process = any(getattr(part, "name", "") == "process" for part in statement.body)
        if has_process or any(base in likely or base.endswith("Node") for base in bases):
            likely.add(name)
        if has_process or bases:
            found = (file, module, name, statement.lineno, _needed(tree, name))
            yield Candidate(*found, is_script, name in likely)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, including those inside `if` and `try`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _flat([*statement.body, *statement.orelse])


def _acts(statement: ast.stmt) -> bool:
    """Whether a top-level statement does more than define names."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.For | ast.While | ast.With | ast.Assert | ast.Raise)


def _needed(tree: ast.Module, name: str) -> list[int]:
    """The indices of the top-level statements that define a name, and the names that these use.
    Other statements of a script must not run here: they may open windows or send mail.
    """
    makers: dict[str, list[int]] = {}
    for position, statement in enumerate(tree.body):
        if not _acts(statement) and not _is_main_guard(statement):
            for bound in _bound(statement):
                makers.setdefault(bound, []).append(position)
    needed = set(makers.get("*", ()))
    names = {name, "annotations"}  # for `from __future__ import annotations`
    waiting = list(names)
    while waiting:
        for position in set(makers.get(waiting.pop(), ())) - needed:
            needed.add(position)
            used = set(_used(tree.body[position])) - names
            names |= used
            waiting += used
    return sorted(needed)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _used(node: ast.AST) -> Iterator[str]:
    """The names that code uses, except in annotations, which are not evaluated."""
    if isinstance(node, ast.Name):
        yield node.id
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield from _used(part)


__all__ = ["INTERPRETERS", "Candidate", "Outcome", "Verdict", "check"]

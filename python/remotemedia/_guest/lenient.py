"""Reads a module of the caller so that what this interpreter lacks fails where it is used.

Each import at the top, and each other statement there, has a way out: when it fails for want of a
module, the names that it was to bind are stood for by a `Deferred`, and the rest of the module is
loaded. So a node runs here whose neighbours in the file need what is missing. What a star was to
bring is told by what the module looks up and nothing in it binds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NEVER_FAIL = (ast.Pass, ast.Global)
_OF_DEFERRED = "__import__('remotemedia._deferred', fromlist=['{0}']).{0}"


def compiled(source: str | bytes, path: str, optimize: int = -1) -> Any:
    """The code of a module whose statements at the top have a way out."""
    tree = _with_ways_out(ast.parse(source, path))
    return compile(tree, path, "exec", dont_inherit=True, optimize=optimize)


def _with_ways_out(tree: ast.Module) -> ast.Module:
    from remotemedia._portable.names import unbound_names

    stars = [part for part in map(_star, _own_nodes(tree)) if part is not None]
    unbound = sorted(unbound_names(tree)) if stars else []
    tree.body = [part for statement in tree.body for part in _lenient(statement, unbound)]
    return tree


def _lenient(statement: Any, unbound: list[str]) -> list[Any]:
    """A statement with a way out; its imports one by one."""
    if isinstance(statement, ast.If):
        statement.body = [part for inner in statement.body for part in _lenient(inner, unbound)]
        statement.orelse = [p for inner in statement.orelse for p in _lenient(inner, unbound)]
    if isinstance(statement, ast.Import):
        return [_deferring(ast.Import([alias]), statement, alias) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        module, level = statement.module, statement.level
        if module == "__future__":
            return [statement]
        if (source := _star(statement)) is not None:
            # It may come, without what a star further away was to bring.
            call = f"{_OF_DEFERRED.format('starred')}(globals(), {source!r}, {unbound!r}"
            handler = f"    {call}, _remotemedia_error)\nelse:\n    {call})\n"
            return [_attempt(ast.ImportFrom(module, statement.names, level), statement, handler)]
        parts = ((ast.ImportFrom(module, [a], level), a) for a in statement.names)
        return [_deferring(part, statement, alias) for part, alias in parts]
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    if is_constant or isinstance(statement, _NEVER_FAIL):
        return [statement]
    bound = sorted(set(_bound(statement)))
    changed = sorted(set(_changed(statement)) - set(bound))
    left_out = _OF_DEFERRED.format("leave_out")
    handled = f"{left_out}(globals(), _remotemedia_error, {bound!r}, {changed!r})"
    return [_attempt(statement, statement, f"    if not {handled}:\n        raise\n")]


def _deferring(single: Any, statement: Any, alias: Any) -> Any:
    """The import of one name."""
    name = alias.asname or alias.name.partition(".")[0]
    if isinstance(single, ast.ImportFrom):
        module = repr(single.module or "")
        if single.level:
            module = f"'.' * {single.level} + {module}, {alias.name!r}, __package__"
        else:
            module = f"{module}, {alias.name!r}"
    else:
        module = repr(alias.name if alias.asname else name)
    handler = f"    {name} = {_OF_DEFERRED.format('Deferred')}(_remotemedia_error, {module})\n"
    return _attempt(single, statement, handler)


def _star(node: ast.AST) -> str | None:
    """The module whose names a statement asks for by a star, with its leading dots."""
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        return "." * node.level + (node.module or "")
    return None


def _attempt(body: Any, statement: Any, handler: str) -> Any:
    """`body` with the way out, at the lines of `statement`."""
    text = f"try:\n    pass\nexcept ImportError as _remotemedia_error:\n{handler}"
    attempt: Any = ast.parse(text).body[0]
    for node in ast.walk(attempt):
        if hasattr(node, "lineno"):
            ast.copy_location(node, statement)
    if body is not statement:
        for node in ast.walk(body):
            ast.copy_location(node, statement)
    attempt.body = [body]
    return ast.fix_missing_locations(attempt)


def _own_nodes(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run in the module's own scope."""
    yield statement
    if not isinstance(statement, _SCOPES):
        for part in ast.iter_child_nodes(statement):
            yield from _own_nodes(part)


def _bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement binds."""
    from remotemedia._portable.names import bound_by

    for node in _own_nodes(statement):
        yield from bound_by(node)


def _changed(statement: ast.AST) -> Iterator[str]:
    """The names whose objects a statement changes: `x[0] = ...`, `x.y = ...`, `x.append(...)`."""
    for node in _own_nodes(statement):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        found: Any = node.value.func if is_call else node  # type: ignore[attr-defined]
        is_stored = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        if (is_call or is_stored) and isinstance(found, (ast.Attribute, ast.Subscript)):
            while isinstance(found, (ast.Attribute, ast.Subscript)):
                found = found.value
            if isinstance(found, ast.Name):
                yield found.id

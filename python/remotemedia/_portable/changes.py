"""What a class has that its statement alone does not give: attributes set at run time."""

from __future__ import annotations

import ast
import enum
import types
from typing import Any

TABLES = (dict, list, set)
_EMPTY: tuple[Any, ...] = (None, {}, [], set())
"""What a table is in the statement, or nothing at all, before anything enters itself."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def changes_of(
    shared: type, node: ast.ClassDef
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Plain data, functions, and tables of other things of a class that its statement alone may not
    give.
    """
    if issubclass(shared, enum.Enum):
        return {}, {}, {}
    written: dict[str, Any] = {}
    for statement in node.body:
        targets: list[Any] = list(getattr(statement, "targets", None) or ())
        targets += [t] if (t := getattr(statement, "target", None)) is not None else []
        names: list[str] = [t.id for t in targets if isinstance(t, ast.Name)]
        names += [n] if (n := getattr(statement, "name", None)) else []
        for name in names:
            try:
                written[name] = ast.literal_eval(getattr(statement, "value", statement))
            except (ValueError, TypeError, SyntaxError, RecursionError):
                written[name] = ...
    data, functions, tables = {}, {}, {}
    for name, value in vars(shared).items():
        if name.startswith("__") and name.endswith("__"):
            continue
        if _is_plain(value) and (name not in written or not _is_same(value, written[name])):
            data[name] = value
        elif type(value) in TABLES and written.get(name) in _EMPTY:
            tables[name] = value
        elif isinstance(value, types.FunctionType) and (
            value.__qualname__ != f"{shared.__qualname__}.{name}"
            and name not in _assigned(node)
            and not hasattr(value, "__wrapped__")
            and value.__module__ == shared.__module__
        ):
            functions[name] = value
    return data, functions, tables


def _assigned(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            names |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names |= {statement.name} if statement.decorator_list else set()
    return names


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return type(value) in _PLAIN


def _is_same(value: Any, written: Any) -> bool:
    return type(value) is type(written) and bool(value == written)

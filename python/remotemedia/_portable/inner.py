"""The text of functions and classes that stood inside a function, and of lambdas.

Defaults, decorators and annotations were evaluated where local names could be seen, so their values
go along and `opening` leaves them out of the text.
"""

from __future__ import annotations

import ast
import sys
import types
from typing import Any, NamedTuple

from remotemedia._portable.source import Text, code_of, text_of
from remotemedia._portable.spaces import about, without_source


class Inner(NamedTuple):
    """The text of one, to be run in its module."""

    filename: str
    first: int
    text: str
    features: list[str]
    node: ast.AST


def inner_function(function: types.FunctionType) -> Inner:
    """The text of a function.

    Raises:
        UnportableError: there is none, or it is not what runs.
    """
    code = function.__code__
    text = text_of(function, code.co_filename, function.__globals__)
    if text is None:
        raise without_source(function, code.co_filename)
    node: ast.AST | None
    if code.co_name == "<lambda>":
        node = _lambda(text, code)
        if node is None:
            raise about(function, "its source is not to be found (several lambdas in one line)")
    else:
        # `functools.wraps` gives a function another name than its code has.
        node = text.find(getattr(code, "co_qualname", function.__qualname__), code.co_firstlineno)
        if node is None or isinstance(node, ast.ClassDef) or node.name != code.co_name:
            raise about(function, f"its source in {code.co_filename} is not what runs")
    return Inner(text.name, *text.cut(node), text.future(), node)


def inner_class(shared: type) -> Inner:
    """The text of a class.

    Raises:
        UnportableError: there is none.
    """
    module_file = getattr(sys.modules.get(shared.__module__), "__file__", None)
    places = [(code.co_filename, code.co_firstlineno) for code in code_of(shared)]
    for filename, code_line in [*places, (module_file, None)]:
        text = text_of(shared, filename)
        if text is None:
            continue
        line = getattr(shared, "__firstlineno__", code_line)
        node = text.find(shared.__qualname__, line) or text.find_class(shared.__name__)
        if isinstance(node, ast.ClassDef):
            return Inner(text.name, *text.cut(node), text.future(), node)
    raise without_source(shared, places[0][0] if places else None)


def _lambda(text: Text, code: types.CodeType) -> ast.Lambda | None:
    nodes = ast.walk(text.tree)
    found = [n for n in nodes if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    if len(found) > 1 and hasattr(code, "co_positions"):
        spans = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
        found = [node for node in found if _holds(node.body, spans)]
    # One may stand inside another.
    return min(found, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0), default=None)


def _holds(body: ast.expr, spans: list[Any]) -> bool:
    start = (body.lineno, body.col_offset)
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    inside = [s for s in spans if start <= (s[0], s[2]) and (s[1], s[3]) <= end]
    return bool(inside) and len(inside) >= len(spans) // 2

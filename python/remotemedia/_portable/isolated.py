"""Functions and classes that stood inside a function: their own text, without what is known better.

Defaults, decorators and annotations were evaluated where local names could be seen; that has
happened. So they are blanked out of the text, line for line, and values go along instead.
"""

from __future__ import annotations

import ast
import sys
import types
from typing import Any, NamedTuple

from remotemedia._portable.spaces import without_source
from remotemedia._portable.texts import Text, code_of, first_line, text_of


class Isolated(NamedTuple):
    """The text of one, to be run in its module.

    `make` is a function of the variables in it, if there are any; else running it binds the name.
    """

    filename: str
    first: int
    text: str
    features: list[str]
    name: str
    node: ast.AST


MAKE = "_remotemedia_make"


def isolate_function(function: types.FunctionType) -> Isolated | str:
    """The text of a function, or why it cannot be used.

    Raises:
        UnportableError: there is none.
    """
    code = function.__code__
    text = text_of(function, code.co_filename, function.__globals__)
    if text is None:
        raise without_source(function, code.co_filename)
    variables = list(code.co_freevars)
    if code.co_name == "<lambda>":
        found = _lambda(text, code)
        if isinstance(found, str):
            return found
        segment = _blanked(text, found, found.lineno, found.col_offset)
        made = (
            f"{MAKE} = lambda {', '.join(variables)}: ({segment})\n"
            if variables
            else (f"{MAKE} = ({segment})\n")
        )
        name = MAKE
        return Isolated(text.name, found.lineno, made, text.future(), name, found)
    node = text.find(_code_path(function), code.co_firstlineno)
    if node is None or isinstance(node, ast.ClassDef) or node.name != code.co_name:
        return f"its source in {code.co_filename} is not what runs"
    return _wrapped(text, node, variables)


def isolate_class(shared: type, variables: list[str]) -> Isolated | str:
    """The text of a class, or why it cannot be used.

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
            return _wrapped(text, node, variables)
    raise without_source(shared, places[0][0] if places else None)


def _code_path(function: types.FunctionType) -> str:
    # `functools.wraps` gives a function another name than its code has.
    return str(getattr(function.__code__, "co_qualname", function.__qualname__))


def _wrapped(
    text: Text,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    variables: list[str],
) -> Isolated | str:
    first = first_line(node)
    segment = _blanked(text, node, first, 0)
    indent = segment[: len(segment) - len(segment.lstrip())] if first == node.lineno else None
    if indent is None:
        line = text.lines[node.lineno - 1]
        indent = line[: len(line) - len(line.lstrip())]
    if not variables:
        return Isolated(text.name, first, segment, text.future(), node.name, node)
    if not indent or first < 2:
        return "it does not stand inside a function"
    head = f"def {MAKE}({', '.join(variables)}):\n"
    made = f"{head}{segment.rstrip()}\n{indent}return {node.name}\n"
    return Isolated(text.name, first - 1, made, text.future(), node.name, node)


def _lambda(text: Text, code: types.CodeType) -> ast.Lambda | str:
    found = text.lambdas_at(code.co_firstlineno)
    if len(found) > 1 and hasattr(code, "co_positions"):
        spans = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
        found = [node for node in found if _holds(node.body, spans)]
    if len(found) > 1:  # one inside another
        found = [min(found, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))]
    if not found:
        return "its source is not to be found (several lambdas in one line)"
    return found[0]


def _holds(body: ast.expr, spans: list[Any]) -> bool:
    start = (body.lineno, body.col_offset)
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    inside = [s for s in spans if start <= (s[0], s[2]) and (s[1], s[3]) <= end]
    return bool(inside) and len(inside) >= len(spans) // 2


def _blanked(text: Text, node: ast.AST, first: int, column: int) -> str:
    """The text of a definition with decorators, annotations and defaults blanked."""
    found: Any = node
    last = found.end_lineno
    lines = {n: bytearray(text.lines[n - 1].encode()) for n in range(first, last + 1)}

    def blank(part: Any, start: tuple[int, int] | None = None, keep: bytes = b"") -> None:
        line, at = start or (part.lineno, part.col_offset)
        for number in range(line, part.end_lineno + 1):
            row = lines[number]
            begin = at if number == line else 0
            end = part.end_col_offset if number == part.end_lineno else len(row.rstrip(b"\r\n"))
            row[begin:end] = b" " * (end - begin)
        if keep:
            lines[line][at : at + len(keep)] = keep

    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        arguments = node.args
        for default in (*arguments.defaults, *(d for d in arguments.kw_defaults if d)):
            blank(default, keep=b"0")
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [a for a in (arguments.vararg, arguments.kwarg) if a]
        for argument in every:
            if argument.annotation is not None:
                after = argument.col_offset + len(argument.arg.encode())
                blank(argument.annotation, (argument.lineno, after))
        returns = getattr(node, "returns", None)
        if returns is not None:
            row = lines[returns.lineno]
            arrow = row.rfind(b"->", 0, returns.col_offset)
            if arrow >= 0:
                blank(returns, (returns.lineno, arrow))
    if not isinstance(node, (ast.Lambda, ast.ClassDef)):
        for decorator in found.decorator_list:
            blank(decorator)
            row = lines[decorator.lineno]
            sign = row.rfind(b"@", 0, decorator.col_offset)
            row[sign : sign + 1] = b" "
    if isinstance(node, ast.Lambda):
        lines[last][found.end_col_offset :] = b""
        lines[first][:column] = b""
    return b"".join(lines[n] for n in sorted(lines)).decode()


__all__ = ["MAKE", "Isolated", "isolate_class", "isolate_function"]

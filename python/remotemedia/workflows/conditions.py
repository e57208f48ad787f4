"""Conditions of tasks (`when=`): on the outcomes of earlier tasks, and on values.

They are data, so that they are kept with a run: `value("count", "rows") > 0`, or the same as text,
`"count.rows > 0"`. A condition on values alone also wants all tasks before to have completed; one
that names outcomes decides about that itself.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from remotemedia.workflows.constants import constant
from remotemedia.workflows.exceptions import WorkflowError
from remotemedia.workflows.spelling import with_contains

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.Is: "contains",  # see `with_contains`
}
_MIRRORED = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
    "in": "contains",
    "contains": "in",
}
_OUTCOMES = ("completed", "failed", "skipped", "cancelled")


class Condition:
    """A condition. Combine conditions with `&`, `|` and `~`.

    Attributes:
        form: the condition as data.
    """

    def __init__(self, form: dict[str, Any]) -> None:
        self.form = form

    def __and__(self, other: Condition) -> Condition:
        """Both are true."""
        return all_of(self, other)

    def __or__(self, other: Condition) -> Condition:
        """At least one is true."""
        return any_of(self, other)

    def __invert__(self) -> Condition:
        """It is false."""
        return Condition({"not": self.form})

    def __bool__(self) -> bool:
        """Refused: a condition is tested when the run gets there."""
        raise TypeError("combine conditions with &, | and ~ instead of and, or and not")

    def __repr__(self) -> str:
        """The condition as data."""
        return f"Condition({self.form})"


class Value:
    """A value of a run, to compare: the result is a `Condition`."""

    def __init__(self, path: tuple[str | int, ...]) -> None:
        for key in path:
            is_index = isinstance(key, int) and not isinstance(key, bool)
            if not isinstance(key, str) and not (is_index and abs(key) < 1 << 63):
                raise WorkflowError(f"value() has keys and indices inside the value, not {key!r}")
        self._path = path

    def __getitem__(self, key: str | int) -> Value:
        """A key or an index inside the value."""
        return Value((*self._path, key))

    def _compared(self, op: str, other: Any) -> Condition:
        return Condition(
            {"value": {"path": list(self._path), "op": op, "with": constant(op, other)}}
        )

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        """Equal."""
        return self._compared("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        """Not equal."""
        return self._compared("!=", other)

    def __lt__(self, other: Any) -> Condition:
        """Smaller."""
        return self._compared("<", other)

    def __le__(self, other: Any) -> Condition:
        """Smaller or equal."""
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> Condition:
        """Larger."""
        return self._compared(">", other)

    def __ge__(self, other: Any) -> Condition:
        """Larger or equal."""
        return self._compared(">=", other)

    def is_in(self, items: Any) -> Condition:
        """It is an element of a list, or a part of a text."""
        return self._compared("in", items)

    def contains(self, item: Any) -> Condition:
        """The list, dict or text contains it."""
        return self._compared("contains", item)

    __hash__ = None  # type: ignore[assignment]


def value(*path: str | int) -> Value:
    """A value to compare: what a task has returned, or a key of the run's input.

    Args:
        *path: the name of the task or the key, then keys and indices inside the value.
    """
    if not path or not isinstance(path[0], str):
        raise WorkflowError("value() wants the name of a task or of an input first")
    return Value(path)


def _outcome(task: Any, outcome: str) -> Condition:
    return Condition({"outcome": {"task": str(getattr(task, "name", task)), "is": outcome}})


def completed(task: Any) -> Condition:
    """The task has completed."""
    return _outcome(task, "completed")


def failed(task: Any) -> Condition:
    """The task has failed."""
    return _outcome(task, "failed")


def skipped(task: Any) -> Condition:
    """The task was skipped."""
    return _outcome(task, "skipped")


def cancelled(task: Any) -> Condition:
    """The task was cancelled."""
    return _outcome(task, "cancelled")


def always() -> Condition:
    """True whatever has happened before."""
    return Condition({"always": {}})


def all_of(*conditions: Condition) -> Condition:
    """All are true."""
    return Condition({"all": [condition.form for condition in conditions]})


def any_of(*conditions: Condition) -> Condition:
    """At least one is true."""
    return Condition({"any": [condition.form for condition in conditions]})


def none_of(*conditions: Condition) -> Condition:
    """None is true."""
    return ~any_of(*conditions)


def parse(text: str) -> Condition:
    """Read a condition that is written as an expression of Python.

    Raises:
        WorkflowError: a part of it is not among the forms that conditions have.
    """
    try:
        tree = ast.parse(with_contains(text), mode="eval")
    except (SyntaxError, ValueError) as problem:
        why = problem.msg if isinstance(problem, SyntaxError) else problem
        raise WorkflowError(f"the condition {text!r} is no expression: {why}") from None
    return _read(tree.body, text)


def _read(node: ast.expr, text: str) -> Condition:
    if isinstance(node, ast.BoolOp):
        parts = [_read(part, text) for part in node.values]
        return (all_of if isinstance(node.op, ast.And) else any_of)(*parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_read(node.operand, text)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _read_call(node, text)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _read_comparison(node, text)
    raise _unreadable(node, text)


def _read_call(node: ast.Call, text: str) -> Condition:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    arguments = [part.id if isinstance(part, ast.Name) else None for part in node.args]
    if name == "always" and not arguments:
        return always()
    if name in _OUTCOMES and len(arguments) == 1 and arguments[0] is not None:
        return _outcome(arguments[0], name)
    raise _unreadable(node, text)


def _read_comparison(node: ast.Compare, text: str) -> Condition:
    left, operator, right = node.left, node.ops[0], node.comparators[0]
    negated = isinstance(operator, ast.NotIn)
    op = "in" if negated else _OPERATORS.get(type(operator), "")
    if not op:
        raise _unreadable(node, text)
    path = _path(left)
    if path is None:
        path, right, op = _path(right), left, _MIRRORED[op]
    if path is None:
        raise _unreadable(node, text)
    try:
        found = ast.literal_eval(right)
    except ValueError:
        raise _unreadable(right, text) from None
    compared = Value(path)._compared(op, found)
    return ~compared if negated else compared


def _path(node: ast.expr) -> tuple[str | int, ...] | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        inner = _path(node.value)
        return None if inner is None else (*inner, node.attr)
    if isinstance(node, ast.Subscript):
        inner = _path(node.value)
        try:
            key = ast.literal_eval(node.slice)
        except ValueError:
            return None
        return None if inner is None or not isinstance(key, str | int) else (*inner, key)
    return None


def _unreadable(node: ast.expr, text: str) -> WorkflowError:
    part = ast.get_source_segment(text, node) or text
    return WorkflowError(
        f"{part!r} in the condition {text!r} cannot be tested: compare a task's value or an input "
        "with a constant, as in 'count.rows > 0', or name outcomes, as in 'failed(count)'"
    )


def form_of(when: Any, is_task: Callable[[str], bool]) -> dict[str, Any] | None:
    """A condition as data for the engine.

    Raises:
        WorkflowError: it is no condition.
    """
    if when is None:
        return None
    condition = parse(when) if isinstance(when, str) else when
    if not isinstance(condition, Condition):
        raise WorkflowError(
            f"when= is a condition or its text, not {when!r}: see remotemedia.workflows.value"
        )
    return _resolved(condition.form, is_task)


def _resolved(form: dict[str, Any], is_task: Callable[[str], bool]) -> dict[str, Any]:
    ((kind, inner),) = form.items()
    if kind == "value":
        return {"value": {**inner, "of_task": is_task(inner["path"][0])}}
    if kind in ("all", "any"):
        return {kind: [_resolved(part, is_task) for part in inner]}
    if kind == "not":
        return {"not": _resolved(inner, is_task)}
    return form


__all__ = [
    "Condition",
    "Value",
    "all_of",
    "always",
    "any_of",
    "cancelled",
    "completed",
    "failed",
    "form_of",
    "none_of",
    "parse",
    "skipped",
    "value",
]

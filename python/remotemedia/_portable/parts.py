"""One name of a module as something that travels: an import, a value, a statement."""

from __future__ import annotations

import ast
import copy
import enum
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.names import names_of
from remotemedia._portable.source import Binding, Text, code_of
from remotemedia._portable.spaces import (
    INITIALIZE,
    Call,
    Key,
    Space,
    UnportableError,
    about,
    no_text_lookup,
    without_source,
)
from remotemedia._tokens import travels_by_name

if TYPE_CHECKING:
    from remotemedia._portable.plan import Plan

_TABLES = (dict, list, set)
_NOT_LOOKED_UP = ("__name__", "__file__", "__builtins__", "__doc__")
Make = Callable[[list[tuple[str, str]], list[str], bool], list[Call]]


@dataclass(eq=False)
class Part:
    """What is done for one name, or for the several that one statement binds.

    Attributes:
        make: gives the calls, from the tokens and qualified names of what it defines, the names
            that it binds, and whether code needs it (False: annotations alone do). None for a value
            that is set at the end.
        early: parts that must be complete before.
        late: parts that must be there when its functions are called.
        soft: parts that annotations name.
        holds: parts that must be complete before the value is set, which happens at the end.
        position: where it stands in the source.
        at_end: calls for the end: attributes of a class.
        value: for a value, what it is.
        is_statement: its text is run, and what it looks up early may be called.
        assignment: gives the statement that made the value.
        has_begun: a value that holds definitions is there before the end.
    """

    make: Make | None
    early: list[Key] = field(default_factory=list)
    late: list[Key] = field(default_factory=list)
    soft: list[Key] = field(default_factory=list)
    holds: list[Key] = field(default_factory=list)
    position: tuple[int, int, int] = (0, 0, 0)
    at_end: list[Call] = field(default_factory=list)
    value: Any = None
    is_value: bool = False
    is_statement: bool = False
    assignment: Callable[[], Part] | None = None
    has_begun: bool = False

    def needs(self) -> list[Key]:
        """Everything but annotations."""
        return [*self.early, *self.late, *self.holds]

    def begin(self, key: Key) -> None:
        """Has a value that holds definitions made by its statement first, or else bound at once."""
        self.has_begun = True
        if self.assignment is None:
            call = Call(opening.bind, (*key, self.value))
            self.make, self.early = (lambda *_: [call]), self.holds
        else:
            made = self.assignment()
            self.make, self.early, self.late = made.make, made.early, made.late
            self.is_statement = True

    def settle(self, key: Key) -> Call:
        """Gives a name its value: at the sender's it is complete."""
        contents = copy.copy(self.value) if type(self.value) in _TABLES else None
        return Call(opening.settle, (*key, self.value, contents, bool(self.holds)))


def part_of(plan: Plan, key: Key) -> Part:
    """The part for a name.

    Raises:
        UnportableError: it cannot travel.
    """
    space = plan.spaces.labelled(key.label)
    value = space.namespace[key.name]
    bindings = space.bindings(key.name)
    binding = bindings[-1] if bindings else None
    node = binding.node if binding is not None else None
    choice = binding.choice if binding is not None else None
    if binding is not None and choice and _is_chosen(space, value, key.name, bindings):
        return _statement(plan, space, binding.text, choice)
    if binding is not None and isinstance(node, (ast.Import, ast.ImportFrom)):
        source = _imported_from(node, key.name, space.namespace)
        if source is not None and _is_what_it_gives(value, *source):
            return _import(plan, space, key.name, source, bindings)
    if isinstance(value, types.ModuleType) and is_importable(value.__name__, value):
        return _import(plan, space, key.name, (value.__name__, None), [])
    if binding is not None and _is_defined_by(value, key.name, binding.node):
        return _statement(plan, space, binding.text, binding.choice or binding.node, value)
    if isinstance(value, (type, types.FunctionType)) and not travels_by_name(value):
        return _shared_value(plan, space, key, value, binding)
    return _value(plan, space, key, value, binding)


def _is_chosen(space: Space, value: Any, name: str, bindings: Sequence[Binding]) -> bool:
    """Whether a value is one that a `try` or `if` has chosen, and has not changed since."""
    is_only = all(binding.choice is not None for binding in bindings)
    for node in (b.node for b in bindings if b.choice is bindings[-1].choice):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            source = _imported_from(node, name, space.namespace)
            if source is not None and _is_what_it_gives(value, *source):
                return is_only or source[1] is not None
        elif isinstance(given := getattr(node, "value", None), ast.Constant):
            if type(given.value) is type(value) and given.value == value:
                return True
        elif _is_defined_by(value, name, node):
            return True
    return False


def _imported_from(
    node: ast.Import | ast.ImportFrom, name: str, namespace: dict[str, Any]
) -> tuple[str, str | None] | None:
    """The module, and the name in it, that an import statement binds a name to."""
    for alias in node.names:
        if (alias.asname or alias.name.partition(".")[0]) != name:
            continue
        if isinstance(node, ast.Import):
            return (alias.name if alias.asname else name), None
        package = namespace.get("__package__") or ""
        base = package.rsplit(".", node.level - 1)[0] if node.level else ""
        return ".".join(part for part in (base, node.module) if part), alias.name
    return None


def _is_what_it_gives(value: Any, module: str, attribute: str | None) -> bool:
    """Whether a worker's import gives what the name stands for."""
    found = sys.modules.get(module)
    if found is None or module == "__main__" or not is_importable(module, found):
        return False
    if attribute is None:
        return found is value
    inner = getattr(found, attribute, None)
    return inner is value or sys.modules.get(f"{module}.{attribute}") is value


def _import(
    plan: Plan,
    space: Space,
    name: str,
    source: tuple[str, str | None],
    bindings: Sequence[Binding],
) -> Part:
    below: list[str] = []
    choices: list[Part] = []
    for binding in bindings if source == (name, None) else ():
        if binding.choice is not None:
            choices.append(_statement(plan, space, binding.text, binding.choice))
        elif isinstance(binding.node, ast.Import):
            found = [a.name for a in binding.node.names if not a.asname and "." in a.name]
            below += [module for module in found if module.startswith(f"{name}.")]

    def make(claims: list[tuple[str, str]], names: list[str], is_required: bool) -> list[Call]:
        uses = sorted(space.uses.get(name, ())) if is_required else []
        first = Call(opening.bind_import, (space.label, name, *source, below, uses, is_required))
        chosen = [part.make([], [], is_required) for part in choices if part.make]
        return [first, *(call for calls in chosen for call in calls)]

    early = [key for part in choices for key in part.early]
    late = [key for part in choices for key in part.late]
    return Part(make, early, late)


def _is_defined_by(value: Any, name: str, node: ast.stmt) -> bool:
    """Whether a `class` or `def` statement is where a value comes from."""
    if isinstance(node, ast.ClassDef):
        is_own = isinstance(value, type) and value.__qualname__ == name
        return is_own or bool(node.decorator_list)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner: Any = value
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        is_own = isinstance(inner, types.FunctionType) and inner.__qualname__ == name
        return is_own or bool(node.decorator_list)
    return False


def _statement(plan: Plan, space: Space, text: Text, node: ast.stmt, value: Any = None) -> Part:
    """A statement as source."""
    known = space.statements.get(id(node))
    if known is not None:
        return known
    first, cut = text.cut(node)
    names = names_of(node)
    if value is not None:
        no_text_lookup(value, names)
    space.note_uses(names)

    def keys(wanted: set[str]) -> list[Key]:
        own = sorted(n for n in wanted if n in space.namespace and n not in _NOT_LOOKED_UP)
        return [Key(space.label, name) for name in own]

    early, late = keys(names.early), keys(names.late)
    at_end: list[Call] = []
    if isinstance(value, type) and isinstance(node, ast.ClassDef):
        late += _class_as_it_is(plan, space, value, node, at_end)
    for follower in text.registered_with(getattr(node, "name", "")):
        key = Key(space.label, f"{text.name}:{follower.lineno}")
        plan.add_part(key, _statement(plan, space, text, follower))
        late.append(key)
    place = (space.label, text.name, first, cut, text.future())

    def make(claims: list[tuple[str, str]], bound: list[str], is_required: bool) -> list[Call]:
        return [Call(opening.define, (*place, claims, bound, is_required))]

    position = space.position(text, first)
    part = Part(make, early, late, keys(names.soft), is_statement=True)
    part.position, part.at_end = position, at_end
    space.statements[id(node)] = part
    return part


def _class_as_it_is(
    plan: Plan, space: Space, shared: type, node: ast.ClassDef, at_end: list[Call]
) -> list[Key]:
    """Gives a class at the end the attributes that its statement alone may not give: values as they
    are now, and what was put on it or taken away. Returns the parts that this needs.
    """
    if issubclass(shared, enum.Enum):
        return []
    needs: list[Key] = []
    written = _written_in(node)
    for name, value in vars(shared).items():
        is_same = type(value) is type(written.get(name)) and _is_equal(value, written.get(name))
        if is_same or name == "_abc_impl" or (name.startswith("__") and name.endswith("__")):
            continue
        is_code = isinstance(value, (type, types.FunctionType))
        if is_code:
            own = f"{shared.__qualname__}.{name}"
            if (
                name in written
                or value.__qualname__ == own
                or value.__module__ != shared.__module__
            ):
                continue
        elif hasattr(type(value), "__get__"):
            continue
        try:
            needs += plan.needs_of(value)
        except Exception:
            if is_code:
                raise
            continue  # it stays as the statement makes it
        value = copy.copy(value) if type(value) in _TABLES else value
        at_end.append(Call(opening.set_attribute, (space.label, shared, name, value)))
    gone = [n for n in written if n not in vars(shared) and not n.startswith("__")]
    if gone:
        at_end.append(Call(opening.delete_attributes, (space.label, shared, gone)))
    return needs


def _written_in(node: ast.ClassDef) -> dict[str, Any]:
    """The names that a class statement binds, apart from plain methods, with literal values."""
    written: dict[str, Any] = {}
    for statement in node.body:
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        names = [t.id for t in targets if isinstance(t, ast.Name)]
        if isinstance(statement, ast.ClassDef) or getattr(statement, "decorator_list", None):
            names.append(getattr(statement, "name", ""))
        for name in names:
            try:
                written[name] = ast.literal_eval(getattr(statement, "value", statement))
            except (ValueError, TypeError, SyntaxError, RecursionError):
                written[name] = ...
    return written


def _is_equal(value: Any, other: Any) -> bool:
    try:
        return bool(value == other)
    except Exception:  # what it compares as it likes
        return False


def _shared_value(plan: Plan, space: Space, key: Key, value: Any, binding: Binding | None) -> Part:
    """A class or function that no `class` or `def` of this name defines."""
    own = plan.spaces.of(value)
    is_assigned = binding is not None and isinstance(binding.node, (ast.Assign, ast.AnnAssign))
    is_made_here = value.__qualname__ in (key.name, "<lambda>") or not own.leads_to(value)
    if binding is not None and is_assigned and is_made_here:
        return _statement(plan, space, binding.text, binding.node, value)
    if own is space and space.leads_to(value) and value.__qualname__ == key.name:
        raise without_source(value, next((c.co_filename for c in code_of(value)), None))
    return _value(plan, space, key, value, None)


# By name: Python 3.11 has no statement `type X = ...`.
_ASSIGNMENTS = ("Assign", "AnnAssign", "TypeAlias")


def _value(plan: Plan, space: Space, key: Key, value: Any, binding: Binding | None) -> Part:
    """A value as it is now; one that cannot be pickled is made by its assignment."""
    is_assigned = binding is not None and type(binding.node).__name__ in _ASSIGNMENTS
    try:
        if is_assigned and _is_global_reference(value):
            raise about(value, "it is pickled by its name")
        early = plan.needs_of(value)
    except Exception as problem:
        if binding is not None and is_assigned:
            return _statement(plan, space, binding.text, binding.node)
        name = f"{key.name} of {key.label.partition('#')[0]}"
        if isinstance(problem, UnportableError):  # it says what cannot, and what to do
            told = f"{problem.reason} ({name} needs it)"
        else:
            reason = getattr(problem, "reason", f"{type(problem).__name__}: {problem}")
            told = f"{name} cannot travel to another interpreter: {reason}; {INITIALIZE}"
        raise UnportableError("", type(value).__qualname__, told) from problem
    position = (0, 0, 0)
    if binding is not None:
        position = space.position(binding.text, binding.node.lineno)
    if not early:
        call = Call(opening.bind, (*key, value))
        return Part(lambda *_: [call], position=position, value=value, is_value=True)
    part = Part(None, holds=list(early), position=position, value=value, is_value=True)
    if binding is not None and is_assigned:
        text, node = binding.text, binding.node
        part.assignment = lambda: _statement(plan, space, text, node)
    return part


def _is_global_reference(value: Any) -> bool:
    """Whether pickle would look a value up by name in its module, such as a TypeVar."""
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return False
    if type(value).__module__ in ("builtins", "numpy"):
        return False
    return isinstance(value.__reduce_ex__(opening.PROTOCOL), str)

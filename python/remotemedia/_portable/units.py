"""One name of a module as something that travels: an import, a value, a statement."""

from __future__ import annotations

import ast
import contextlib
import copy
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.changes import TABLES, changes_of
from remotemedia._portable.names import names_of
from remotemedia._portable.spaces import (
    INITIALIZE,
    Key,
    Space,
    Step,
    UnportableError,
    about,
    without_source,
)
from remotemedia._portable.texts import Binding, Text, code_of
from remotemedia._tokens import travels_by_name

if TYPE_CHECKING:
    from remotemedia._portable.plan import Plan


@dataclass(eq=False)
class Unit:
    """What is done for one name, or for the several that one statement binds.

    Attributes:
        step: gives the step, from the tokens and qualified names of what it defines, and the names
            that it binds.
        early: units that must be complete before.
        late: units that must be there when its functions are called.
        soft: units that annotations name.
        position: where it stands in the source.
        patches: what was put on it after its definition.
        anew: for a value, the statement that made it.
        settle: what gives it its value again when definitions may have changed it.
        is_table: a value that definitions may enter themselves in.
        is_run: it is a statement, and what it looks up early may be called at once.
        is_import: it binds an imported name.
    """

    step: Callable[[list[tuple[str, str]], list[str]], Step]
    early: list[Key]
    late: list[Key]
    soft: list[Key] = field(default_factory=list)
    position: tuple[Any, ...] = (1, "", 0)
    patches: list[Step] = field(default_factory=list)
    anew: Unit | None = None
    settle: list[Step] = field(default_factory=list)
    is_table: bool = False
    is_run: bool = False
    is_import: bool = False

    def needs(self) -> list[Key]:
        """Everything but annotations."""
        return [*self.early, *self.late]


def unit_of(plan: Plan, key: Key, is_soft: bool = False) -> Unit:
    """The unit of a name.

    Raises:
        UnportableError: it cannot travel.
    """
    space = plan.spaces.labelled(key.label)
    value = space.namespace[key.name]
    binding = space.binding(key.name) or _by_star(space, key.name, value)
    if binding is not None and isinstance(binding.node, (ast.Import, ast.ImportFrom)):
        source = _imported_from(binding.node, key.name, space.namespace)
        if source is not None and _is_what_it_gives(value, *source):
            below = binding.text.below(key.name) if source == (key.name, None) else []
            if binding.choice is not None:
                chosen = _statement(plan, space, binding.text, binding.choice)
                if below:
                    arguments = (space.label, key.name, key.name, None, True, below)
                    chosen.patches.append(Step(opening.bind_import, arguments))
                return chosen
            return _import(space, key.name, *source, is_soft, below)
    if isinstance(value, types.ModuleType) and is_importable(value.__name__, value):
        return _import(space, key.name, value.__name__, None, is_soft)
    if binding is not None and _is_defined_by(value, key.name, binding.node):
        return _statement(plan, space, binding.text, binding.choice or binding.node, value)
    if isinstance(value, (type, types.FunctionType)) and not travels_by_name(value):
        return _shared_value(plan, space, key, value, binding)
    return _value(plan, space, key, value, binding)


def _by_star(space: Space, name: str, value: Any) -> Binding | None:
    """The import of all names that brought this one."""
    for star in space.stars():
        source = _imported_from(star.node, name, space.namespace)  # type: ignore[arg-type]
        if source is not None and _is_what_it_gives(value, *source):
            return star
    return None


def _imported_from(
    node: ast.Import | ast.ImportFrom, name: str, namespace: dict[str, Any]
) -> tuple[str, str | None] | None:
    """The module, and the name in it, that an import statement binds a name to."""
    for alias in node.names:
        if (alias.asname or alias.name.partition(".")[0]) not in (name, "*"):
            continue
        if isinstance(node, ast.Import):
            return (alias.name if alias.asname else name), None
        package = namespace.get("__package__") or ""
        base = package.rsplit(".", node.level - 1)[0] if node.level else ""
        return ".".join(part for part in (base, node.module) if part), (
            name if alias.name == "*" else alias.name
        )
    return None


def _is_what_it_gives(value: Any, module: str, attribute: str | None) -> bool:
    found: Any = sys.modules.get(module)
    if found is None or module == "__main__" or not is_importable(module, found):
        return False
    if attribute is None:
        return found is value
    inner = getattr(found, attribute, None)
    return inner is value or sys.modules.get(f"{module}.{attribute}") is value


def _import(
    space: Space,
    name: str,
    module: str,
    attribute: str | None,
    is_soft: bool,
    below: Sequence[tuple[str, bool]] = (),
) -> Unit:
    # `isinstance(x, Union)`, and dataclasses looking for ClassVar, need the real thing.
    is_read = not is_soft or module.partition(".")[0] in sys.stdlib_module_names
    arguments = (space.label, name, module, attribute, is_read, *((below,) if below else ()))
    unit = Unit(lambda *_: Step(opening.bind_import, arguments), [], [], position=(0, "", 0))
    unit.is_import = True
    return unit


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


def _statement(plan: Plan, space: Space, text: Text, node: ast.stmt, value: Any = None) -> Unit:
    """A statement as source."""
    known = space.statements.get(id(node))
    if known is not None:
        return known
    first, cut = text.cut(node)
    names = names_of(node)

    def keys(wanted: set[str]) -> list[Key]:
        skipped = ("__name__", "__file__", "__builtins__", "__doc__")
        own = sorted(n for n in wanted if n in space.namespace and n not in skipped)
        return [Key(space.label, name) for name in own]

    patches: dict[str, dict[str, Any]] = {}
    later: list[Step] = []
    early, late = keys(names.early), keys(names.late)
    if isinstance(value, type) and isinstance(node, ast.ClassDef):
        data, functions, tables = changes_of(value, node)
        if data:
            patches[value.__qualname__] = data
        for name, function in functions.items():
            late += plan.needs_of(function)
            later.append(Step(opening.patch, (value, name, function)))
        tables.update((name, v) for name, v in data.items() if isinstance(v, TABLES))
        for name, table in tables.items():
            with contextlib.suppress(Exception):  # it stays as the statement makes it
                late += plan.needs_of(table)
                arguments = (space.label, value, name, copy.copy(table))
                later.append(Step(opening.settle_attribute, arguments))
    for follower in text.decorated_with(getattr(node, "name", None)):
        key = Key(space.label, f"{text.name}:{follower.lineno}")
        plan.add_unit(key, _statement(plan, space, text, follower))
        late.append(key)
    place = (space.label, text.name, first, cut, text.future())

    def step(claims: list[tuple[str, str]], bound: list[str]) -> Step:
        return Step(opening.define, (*place, claims, bound, patches))

    position = (1, text.name, first)
    unit = Unit(step, early, late, keys(names.soft), position, later, is_run=True)
    space.statements[id(node)] = unit
    return unit


def _shared_value(plan: Plan, space: Space, key: Key, value: Any, binding: Binding | None) -> Unit:
    """A class or function that no `class` or `def` of this name defines."""
    if binding is not None and isinstance(binding.node, (ast.Assign, ast.AnnAssign)):
        own = plan.spaces.of(value)
        if value.__qualname__ in (key.name, "<lambda>") or not own.leads_to(value):
            return _statement(plan, space, binding.text, binding.node, value)
    is_home = plan.spaces.of(value) is space and space.leads_to(value)
    if is_home and value.__qualname__ == key.name:
        fields: Sequence[str] | None = getattr(value, "_fields", None)
        if isinstance(fields, tuple) and tuple in getattr(value, "__bases__", ()):
            arguments = (key.label, key.name, value.__name__, fields, value._field_defaults)
            return Unit(lambda claims, _: Step(opening.define_tuple, (*arguments, claims)), [], [])
        raise without_source(value, next((c.co_filename for c in code_of(value)), None))
    return _value(plan, space, key, value, None)


# By name: Python 3.11 has no statement `type X = ...`.
_ASSIGNMENTS = ("Assign", "AnnAssign", "TypeAlias")


def _value(plan: Plan, space: Space, key: Key, value: Any, binding: Binding | None) -> Unit:
    """A value as it is now; one that cannot be pickled is made anew by its assignment."""
    assignment = None
    if binding is not None and type(binding.node).__name__ in _ASSIGNMENTS:
        assignment = binding.node
    try:
        if assignment is not None and _is_global_reference(value):
            raise about(value, "it is pickled by its name")
        early = plan.needs_of(value)
    except Exception as problem:
        if binding is not None and assignment is not None:
            return _statement(plan, space, binding.text, assignment)
        name = f"{key.name} of {key.label.partition('#')[0]}"
        if isinstance(problem, UnportableError):  # it says what cannot, and what to do
            told = f"{problem.reason} ({name} needs it)"
        else:
            reason = getattr(problem, "reason", f"{type(problem).__name__}: {problem}")
            told = f"{name} cannot travel to another interpreter: {reason}; {INITIALIZE}"
        raise UnportableError("", type(value).__qualname__, told) from problem
    line = binding.node.lineno if binding is not None else 0
    position = (1, binding.text.name, line) if binding is not None else (0, "", 0)
    arguments = (key.label, key.name, value)
    unit = Unit(lambda *_: Step(opening.bind, arguments), list(early), [], position=position)
    if early and binding is not None and assignment is not None:
        unit.anew = _statement(plan, space, binding.text, assignment)
    unit.is_table = isinstance(value, TABLES)
    contents = (copy.copy(value),) if unit.is_table else ()
    unit.settle = [Step(opening.settle, (*arguments, *contents))]
    return unit


def _is_global_reference(value: Any) -> bool:
    """Whether pickle would look a value up by name in its module, such as a TypeVar."""
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return False
    if type(value).__module__ in ("builtins", "numpy"):
        return False
    return isinstance(value.__reduce_ex__(opening.PROTOCOL), str)

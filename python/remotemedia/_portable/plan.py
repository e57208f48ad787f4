"""What goes along with an object, and in which order the other side defines it.

Every name that shipped source looks up in its module is a unit: an import, a value, or a statement
as source. A statement needs some names while it runs and others when its functions are called;
units are ordered so that the former are there, and complete, before it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

from remotemedia._portable import opening
from remotemedia._portable.isolated import Isolated, isolate_class, isolate_function
from remotemedia._portable.names import names_of
from remotemedia._portable.spaces import Key, Space, Spaces, Step, UnportableError, about
from remotemedia._portable.texts import code_of
from remotemedia._portable.units import Unit, unit_of
from remotemedia._tokens import registry, resolve, travels_by_name


class Plan:
    """What goes along with some objects.

    Args:
        try_value: pickles a value nowhere with this plan, to learn what it needs.
        shipped: tokens that the peer knows.
    """

    def __init__(self, try_value: Callable[[object], None], shipped: frozenset[str]) -> None:
        self.try_value = try_value
        self.shipped = shipped
        self.spaces = Spaces()
        self._units: dict[Key, Unit] = {}
        self._found: list[dict[Key, None]] = []
        self._claims: dict[Key, dict[str, str]] = {}
        self._roots: list[dict[Key, None]] = []
        self._building: set[Key] = set()

    def add_root(self, value: object) -> None:
        """Learn what an object needs.

        Raises:
            UnportableError: something of it cannot travel.
        """
        needed = self.needs_of(value)
        self._complete(needed)
        self._roots.append(needed)

    def needs_of(self, value: object) -> dict[Key, None]:
        """The units that pickling a value refers to."""
        self._found.append({})
        try:
            self.try_value(value)
        finally:
            found = self._found.pop()
        return found

    def add_unit(self, key: Key, unit: Unit) -> None:
        """Note a statement that binds no name that anybody looks up."""
        self._units[key] = unit

    def tokens(self) -> Iterator[str]:
        """Tokens of everything that goes along."""
        for key in self._reachable():
            yield from self._claims_of(key)

    # Called back while a value is pickled.

    def reduce(self, shared: Any) -> Any:
        """How a class or function is written that the other side does not have."""
        space = self.spaces.home_of(shared)
        root = shared.__qualname__.partition(".")[0]
        if space.leads_to(shared):
            return self._token(Key(space.label, root), shared)
        if isinstance(shared, types.FunctionType):
            return self._local_function(space, shared)
        key = Key(space.label, f"<local {id(shared):x}>")
        if key not in self._units:
            if key in self._building:
                raise about(shared, "it refers to itself through a variable of its function")
            self._building.add(key)
            self._units[key] = self._local_class(space, shared)
        return self._token(key, shared)

    def reduce_module(self, module: types.ModuleType) -> Any:
        """How a module is written that the other side cannot import: as a stand-in."""
        space = self.spaces.of_module(module)
        for name in vars(module):
            if not name.startswith("__"):
                self._find(Key(space.label, name))
        return opening.stand_in, (space.label,)

    def reduce_named(self, module: types.ModuleType, name: str) -> Any:
        """How something is written that stands under its name in a module of the shipment."""
        space = self.spaces.of_module(module)
        self._find(Key(space.label, name))
        return opening.named, (space.label, name)

    def _find(self, key: Key) -> None:
        if self._found:
            self._found[-1][key] = None

    def _token(self, key: Key, shared: Any) -> Any:
        token = registry.issue(shared)
        self._claims.setdefault(key, {})[token] = shared.__qualname__
        self._find(key)
        return resolve, (token,)

    def _names(self, space: Space, *nodes: Any) -> list[Key]:
        names = names_of(*nodes)
        wanted = sorted(names.early | names.late)
        return [Key(space.label, name) for name in wanted if name in space.namespace]

    def _local_function(self, space: Space, function: types.FunctionType) -> Any:
        isolated = isolate_function(function)
        if isinstance(isolated, str):
            raise about(function, isolated)
        for key in self._names(space, isolated.node):
            self._find(key)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        contents = [(cell, cell.cell_contents) for cell in cells.values() if _is_set(cell)]
        state = (contents, function.__defaults__, function.__kwdefaults__, vars(function))
        arguments = (_place(space, isolated), isolated.name, function.__qualname__, cells)
        return opening.make_function, arguments, state, None, None, opening.fill_function

    def _local_class(self, space: Space, shared: type) -> Unit:
        variables = {
            name: cell.cell_contents
            for method in _methods(shared)
            for name, cell in zip(
                method.__code__.co_freevars, method.__closure__ or (), strict=True
            )
            if name not in ("__class__", shared.__name__) and _is_set(cell)
        }
        isolated = isolate_class(shared, sorted(variables))
        if isinstance(isolated, str):
            raise about(shared, isolated)
        names = names_of(isolated.node)
        if names.nonlocal_names:
            changed = ", ".join(sorted(names.nonlocal_names))
            raise about(shared, f"it changes {changed} of the function around it")
        for name in names.early:
            if name not in variables and not space.has(name):
                base = next((b for b in shared.__bases__ if b.__name__ == name), None)
                if base is None:
                    raise about(shared, f"it uses {name} of the function around it")
                variables[name] = base
        isolated = isolate_class(shared, sorted(variables))
        if isinstance(isolated, str):
            raise about(shared, isolated)
        early = self.needs_of(variables)
        early.update(dict.fromkeys(self._names(space, isolated.node)))
        place, token = _place(space, isolated), registry.issue(shared)
        arguments = (place, token, shared.__qualname__, variables)
        unit = Unit(lambda *_: Step(opening.define_local, arguments), list(early), [])
        unit.is_run = True
        return unit

    # From units to steps.

    def _claims_of(self, key: Key) -> dict[str, str]:
        """The tokens of what a unit defines: of the name itself, and of what stands in it."""
        space = self.spaces.labelled(key.label)
        value: Any = space.namespace.get(key.name)
        claims = self._claims.get(key, {})
        is_shared = isinstance(value, (type, types.FunctionType)) and not travels_by_name(value)
        if is_shared and value.__qualname__ == key.name and space.leads_to(value):
            claims = {registry.issue(value): key.name, **claims}
        return claims

    def _complete(self, keys: dict[Key, None]) -> None:
        waiting = list(keys)
        seen = set(waiting)
        while waiting:
            key = waiting.pop()
            if key not in self._units:
                self._units[key] = unit_of(self, key)
            unit = self._units[key]
            for soft in unit.soft:
                self._try_soft(unit, soft)
            unit.soft = []
            spare = unit.anew.needs() if unit.anew else []
            for needed in (*unit.needs(), *spare):
                if needed not in seen:
                    seen.add(needed)
                    waiting.append(needed)

    def _try_soft(self, unit: Unit, key: Key) -> None:
        """A name that only annotations use goes along where it can."""
        try:
            if key not in self._units:
                made = unit_of(self, key, is_soft=True)
                if made.is_import:
                    # Somebody else may use the name for more than annotations.
                    key = Key(key.label, f"{key.name}: annotation")
                self._units[key] = made
            self._complete(dict.fromkeys(self._units[key].needs()))
        except UnportableError:
            return
        unit.early.append(key)

    def _reachable(self, roots: list[dict[Key, None]] | None = None) -> dict[Key, None]:
        order = {key: None for needed in roots or self._roots for key in needed}
        waiting = list(order)
        while waiting:
            for needed in self._units[waiting.pop()].needs():
                if needed not in order:
                    order[needed] = None
                    waiting.append(needed)
        return order

    def steps(self) -> list[Step]:
        """What the other side does, in order, before it opens the objects."""
        keys = sorted(self._reachable(), key=lambda key: self._units[key].position)
        order = _Order(self._units)
        for key in keys:
            order.place_ready(key)
        opened = [self.spaces.labelled(label).opening() for label in {k.label: 0 for k in keys}]
        needed_by = [self._reachable([root]) if root else {} for root in self._roots]
        done: set[int] = set()
        steps: list[Step] = []
        later: list[Step] = []
        for key in order.placed:
            unit = self._units[key]
            if id(unit) not in done:
                done.add(id(unit))
                names = [other for other in order.placed if self._units[other] is unit]
                claims = [c for other in names for c in self._claims_of(other).items()]
                if len(needed_by) > 1:
                    roots = [number for number, needed in enumerate(needed_by) if key in needed]
                    steps.append(Step(opening.work_for, (roots,)))
                steps.append(unit.step(claims, [other.name for other in names]))
                later += unit.patches
        for unit in order.values(self._called(keys)):
            later += unit.settle
        return [*opened, *steps, *later, Step(opening.end_definitions, ())]

    def _called(self, keys: list[Key]) -> set[Key]:
        """The names that may be looked up while definitions are made, by what these call."""
        made = [unit for key in keys if (unit := self._units[key]).is_run]
        waiting = [needed for unit in made for needed in unit.early]
        called = set(waiting)
        while waiting:
            further = set(self._units[waiting.pop()].needs()) - called
            called |= further
            waiting += further
        return called


class _Order:
    """Puts units behind those that they need at once."""

    def __init__(self, units: dict[Key, Unit]) -> None:
        self._units = units
        self.placed: dict[Key, None] = {}
        self._anew: dict[Key, Unit] = {}
        """Values in whose place their statement was taken."""
        self._under_way: set[Key] = set()

    def place_ready(self, key: Key, seen: set[Key] | None = None) -> None:
        """Place a unit, and what its functions need when they are called."""
        seen = set() if seen is None else seen
        if key in seen or key in self._under_way:
            return
        seen.add(key)
        if not self._place(key):
            return
        for late in self._in_order(self._units[key].late):
            self.place_ready(late, seen)

    def _place(self, key: Key) -> bool:
        """False when something that it needs is being placed right now: it comes later."""
        if key in self.placed:
            return True
        unit = self._units[key]
        early = self._in_order(unit.early)
        is_stuck = any(needed in self._under_way for needed in early)
        spare = unit.anew
        if is_stuck or (spare is not None and unit.is_table and self._enters_itself(key)):
            if spare is not None and not any(n in self._under_way for n in spare.early):
                # It begins as it began at the caller's.
                self._units[key] = spare
                self._anew[key] = unit
                early = self._in_order(spare.early)
            elif is_stuck:
                return False
        self._under_way.add(key)
        for needed in early:
            self.place_ready(needed)
        self._under_way.discard(key)
        self.placed[key] = None
        return True

    def values(self, called: set[Key]) -> Iterator[Unit]:
        """The values that definitions may have changed."""
        yield from (unit for unit in self._anew.values() if unit.is_table)
        yield from (self._units[key] for key in self.placed if key in called)

    def _enters_itself(self, key: Key) -> bool:
        """Whether a value is a table in which the definitions that it holds enter themselves: what
        runs when they are made looks its name up.
        """
        waiting = [(needed, False) for needed in self._units[key].early]
        seen = set(waiting)
        while waiting:
            name, is_called = waiting.pop()
            if is_called and name == key:
                return True
            unit = self._units[name]
            further = [(needed, is_called or unit.is_run) for needed in unit.early]
            further += [(needed, True) for needed in unit.late if is_called]
            waiting += (one for one in further if one not in seen)
            seen.update(further)
        return False

    def _in_order(self, keys: list[Key]) -> list[Key]:
        return sorted(keys, key=lambda key: self._units[key].position)


def _place(space: Space, isolated: Isolated) -> tuple[str, str, int, str, list[str]]:
    return space.label, isolated.filename, isolated.first, isolated.text, isolated.features


def _methods(shared: type) -> Iterator[types.FunctionType]:
    codes = set(map(id, code_of(shared)))
    for value in vars(shared).values():
        inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if isinstance(inner, types.FunctionType) and id(inner.__code__) in codes:
            yield inner


def _is_set(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


__all__ = ["Plan", "UnportableError"]

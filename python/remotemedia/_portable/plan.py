"""What goes along with objects whose code the other side cannot import, and in which order.

Every name that travelling code looks up in its module is a part: an import, a statement of the
source, or a value as it is now. First the statements run in their order, each behind what it needs
while it runs. Then values that hold what was defined, or that definitions may have changed, are set
as they are at the sender's: so a registry is complete, and nothing is entered twice.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

from remotemedia._portable import opening
from remotemedia._portable.inner import Inner, inner_class, inner_function
from remotemedia._portable.names import names_of
from remotemedia._portable.parts import Part, part_of
from remotemedia._portable.spaces import (
    Call,
    Key,
    Space,
    Spaces,
    UnportableError,
    about,
    no_text_lookup,
)
from remotemedia._tokens import registry, resolve, travels_by_name


class Plan:
    """What goes along with some objects.

    Args:
        try_value: pickles a value nowhere with this plan, to learn what it needs.
        dump: pickles a value with this plan.
    """

    def __init__(
        self, try_value: Callable[[object], None], dump: Callable[[object], bytes]
    ) -> None:
        self.try_value = try_value
        self.dump = dump
        self.spaces = Spaces()
        self._parts: dict[Key, Part] = {}
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
        """The parts that pickling a value refers to."""
        self._found.append({})
        try:
            self.try_value(value)
        finally:
            found = self._found.pop()
        return found

    def add_part(self, key: Key, part: Part) -> None:
        """Note a statement that binds no name that code looks up."""
        self._parts[key] = part

    def tokens(self) -> Iterator[str]:
        """Tokens of everything that goes along for certain."""
        for key in self._reachable(self._roots):
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
        if key not in self._parts:
            if key in self._building:
                raise about(shared, "it refers to itself through a variable of its function")
            self._building.add(key)
            self._parts[key] = self._local_class(space, shared)
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

    def _local_function(self, space: Space, function: types.FunctionType) -> Any:
        inner = inner_function(function)
        names = names_of(inner.node)
        space.note_uses(names)
        for name in no_text_lookup(function, names):
            if name in space.namespace:
                self._find(Key(space.label, name))
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        contents = [(cell, cell.cell_contents) for cell in cells.values() if _is_set(cell)]
        state = (contents, function.__defaults__, function.__kwdefaults__, vars(function))
        arguments = (_place(space, inner), function.__qualname__, cells)
        return opening.make_function, arguments, state, None, None, opening.fill_function

    def _local_class(self, space: Space, shared: type) -> Part:
        cells = {
            name: cell
            for method in _methods(shared)
            for name, cell in zip(
                method.__code__.co_freevars, method.__closure__ or (), strict=True
            )
            if name not in ("__class__", shared.__name__) and _is_set(cell)
        }
        variables = {name: cell.cell_contents for name, cell in cells.items()}
        inner = inner_class(shared)
        names = names_of(inner.node)
        if names.outer:
            changed = ", ".join(sorted(names.outer))
            raise about(shared, f"it changes {changed} of the function around it")
        looked_up = no_text_lookup(shared, names)
        space.note_uses(names)
        for name in names.early:
            if name not in variables and not space.has(name):
                base = next((b for b in shared.__bases__ if b.__name__ == name), None)
                if base is None:
                    raise about(shared, f"it uses {name} of the function around it")
                variables[name] = base
        early = self.needs_of(variables)
        early.update((Key(space.label, n), None) for n in looked_up if n in space.namespace)
        token = registry.issue(shared)
        place = _place(space, inner)
        call = Call(opening.define_local, (place, token, shared.__qualname__, variables))
        return Part(lambda *_: [call], list(early), is_statement=True)

    # From parts to calls.

    def _claims_of(self, key: Key) -> dict[str, str]:
        """The tokens of what a part defines: of the name itself, and of what stands in it."""
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
            if key not in self._parts:
                self._parts[key] = part_of(self, key)
            part = self._parts[key]
            wished, part.soft = part.soft, []
            for soft in wished:
                with contextlib.suppress(UnportableError):  # annotations do without
                    self._complete({soft: None})
                    part.soft.append(soft)
            for needed in part.needs():
                if needed not in seen:
                    seen.add(needed)
                    waiting.append(needed)

    def _reachable(self, roots: list[dict[Key, None]], with_soft: bool = False) -> dict[Key, None]:
        order = {key: None for needed in roots for key in needed}
        waiting = list(order)
        while waiting:
            part = self._parts[waiting.pop()]
            for needed in (*part.needs(), *(part.soft if with_soft else ())):
                if needed not in order:
                    order[needed] = None
                    waiting.append(needed)
        return order

    def calls(self) -> list[Call]:
        """What the other side does, in order, before it opens the objects."""
        called = self._run_what_is_called()
        required = self._reachable(self._roots)
        keys = self._ordered(self._reachable(self._roots, with_soft=True))
        needed_by = [self._reachable([root]) for root in self._roots]
        calls = [self.spaces.labelled(label).opening() for label in {k.label: 0 for k in keys}]
        at_end: list[Call] = []
        for part, names in self._by_part(keys):
            is_required = not required.keys().isdisjoint(names)
            if len(needed_by) > 1 and is_required:
                roots = [
                    k for k, needed in enumerate(needed_by) if not needed.keys().isdisjoint(names)
                ]
                calls.append(Call(opening.work_for, (roots,)))
                at_end.append(Call(opening.work_for, (roots,)))
            if part.is_value and not is_required:
                calls.append(Call(opening.bind_optional, (*names[0], self.dump(part.value))))
                continue
            claims = [c for key in names for c in self._claims_of(key).items()]
            if part.make is not None:
                calls += part.make(claims, [key.name for key in names], is_required)
            at_end += part.at_end if is_required else []
            if part.is_value and (part.holds or names[0] in called):
                at_end.append(part.settle(names[0]))
        return calls + at_end

    def _by_part(self, keys: dict[Key, None]) -> Iterator[tuple[Part, list[Key]]]:
        """The parts in order, with the names that each binds."""
        names: dict[int, list[Key]] = {}
        for key in keys:
            names.setdefault(id(self._parts[key]), []).append(key)
        for key in keys:
            if names[id(self._parts[key])][0] == key:
                yield self._parts[key], names[id(self._parts[key])]

    def _run_what_is_called(self) -> dict[Key, None]:
        """Finds the names that may be looked up while statements run. Values among them that hold
        definitions are first made by their own statements.
        """
        while True:
            keys = self._reachable(self._roots, with_soft=True)
            made = [part for key in keys if (part := self._parts[key]).is_statement]
            called = self._reachable([dict.fromkeys(part.early) for part in made])
            late = [key for key in called if self._parts[key].holds]
            begun = [key for key in late if not self._parts[key].has_begun]
            for key in begun:
                self._parts[key].begin(key)
                self._complete(dict.fromkeys(self._parts[key].needs()))
            if not begun:
                return called

    def _ordered(self, keys: dict[Key, None]) -> dict[Key, None]:
        """The parts in the order of the source, each behind those that it needs at once."""
        placed: dict[Key, None] = {}
        under_way: set[Key] = set()

        def by_position(some: dict[Key, None]) -> list[Key]:
            return sorted(some, key=lambda key: self._parts[key].position)

        def place(key: Key) -> None:
            if key in placed or key in under_way:
                return
            part = self._parts[key]
            under_way.add(key)
            for needed in by_position(self._runs_with(part)):
                place(needed)
            under_way.discard(key)
            # What is under way comes first; then this one's own turn comes.
            if all(needed in placed or needed == key for needed in part.early):
                placed[key] = None

        for key in by_position(keys):
            place(key)
        return placed

    def _runs_with(self, part: Part) -> dict[Key, None]:
        """What a part needs while it is made, with all that this may call."""
        found = dict.fromkeys([*part.early, *part.soft])
        waiting = list(part.early)
        while waiting:
            called = self._parts[waiting.pop()]
            for needed in (*called.early, *called.late):
                if needed not in found:
                    found[needed] = None
                    waiting.append(needed)
        return found


def _methods(shared: type) -> Iterator[types.FunctionType]:
    """The functions of a class's own text, also those that decorators hold in their closures."""
    waiting: list[Any] = list(vars(shared).values())
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if not isinstance(inner, types.FunctionType) or id(inner) in seen:
            continue
        seen.add(id(inner))
        if inner.__code__.co_qualname.startswith(f"{shared.__qualname__}."):
            yield inner
        else:
            waiting += [c.cell_contents for c in inner.__closure__ or () if _is_set(c)]


def _place(space: Space, inner: Inner) -> tuple[str, str, int, str, list[str]]:
    return space.label, inner.filename, inner.first, inner.text, inner.features


def _is_set(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


__all__ = ["Plan", "UnportableError"]

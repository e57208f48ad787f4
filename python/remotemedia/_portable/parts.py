"""Finds what an object needs whose code the receiver cannot import, and how to write each part.

A function travels as its text with its defaults as values; decorators do not run again. A class
statement runs again, after everything that it may read is bound. Names that code looks up when it
is called are bound before the objects are loaded: imports as imports, others with their current
values. If code would behave differently at the receiver, `UnportableError` says why.
"""

from __future__ import annotations

import ast
import enum
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from remotemedia._portable import opening
from remotemedia._portable.imports import imported
from remotemedia._portable.opening import Call, SourceText
from remotemedia._portable.source import Names, bound_in, functions_of, is_set, names_of, text_of
from remotemedia._portable.spaces import (
    INITIALIZE,
    Key,
    Position,
    Space,
    Spaces,
    UnportableError,
    about,
    without_source,
)
from remotemedia._tokens import registry

# Names of `ast` classes, not the classes: Python 3.11 has no `ast.TypeAlias`.
_ASSIGNMENTS = ("Assign", "AnnAssign", "TypeAlias")
_HOLDS_ITSELF = "its definition reads an object that already contains it, such as a registry"
_FIXED = (bool, int, float, complex, str, bytes, type(None))
_OWN = ("__name__", "__doc__", "__defaults__", "__kwdefaults__")
Need = Key | type
"""A name of a module, or the attributes of a class."""


class _Standing:
    """A placeholder that is pickled in place of an object; `write` returns its `__reduce__`."""

    def __init__(self, write: Callable[[], Any]) -> None:
        self._write = write

    def __reduce__(self) -> Any:
        return self._write()


_DEFINITIONS: tuple[type, ...] = (type, types.FunctionType, _Standing)


class Parts:
    """The definitions and values that have to travel together with some objects.

    Args:
        try_value: pickles a value with these parts and drops the result, to find what it needs.
        dump: pickles a value with these parts.

    Attributes:
        tokens: tokens of all classes and functions that were written.
    """

    def __init__(
        self, try_value: Callable[[object], None], dump: Callable[[object], bytes]
    ) -> None:
        self._try_value = try_value
        self._dump = dump
        self._spaces = Spaces()
        self._known: dict[Need, dict[Need, None]] = {}
        self._found: list[dict[Need, None]] = []
        self._building: set[int] = set()
        self._remade: set[Key] = set()
        self._attributes: dict[type, dict[str, Any]] = {}
        self._read_early: dict[Key, None] = {}
        self._is_final = False
        self.tokens: set[str] = set()

    # Finding what an object needs.

    def needs_of(self, value: object) -> dict[Need, None]:
        """Everything that an object needs, directly and indirectly.

        Raises:
            UnportableError: a part of that cannot travel.
        """
        found = self._needs_of(value)
        waiting = list(found)
        while waiting:
            for need in self._needs_of_part(waiting.pop()):
                if need not in found:
                    found[need] = None
                    waiting.append(need)
        return found

    def _needs_of(self, value: object) -> dict[Need, None]:
        """What an object needs directly, found by pickling it on trial."""
        self._found.append({})
        try:
            self._try_value(value)
        finally:
            found = self._found.pop()
        return found

    def _needs_of_part(self, need: Need) -> dict[Need, None]:
        if need not in self._known:
            if isinstance(need, Key):
                self._known[need] = self._needs_of_name(need)
            else:
                self._known[need] = self._needs_of_attributes(need)
        return self._known[need]

    def _needs_of_attributes(self, shared: type) -> dict[Need, None]:
        found: dict[Need, None] = {}
        for name, value in list(self._attributes[shared].items()):
            try:
                found |= self._needs_of(value)
            except UnportableError:
                raise
            except Exception:  # the attribute keeps the value that the class statement makes
                del self._attributes[shared][name]
        return found

    def _needs_of_name(self, key: Key) -> dict[Need, None]:
        name = f"{key.name} of {key.label.partition('#')[0]}"
        try:
            return self._needs_of(self._standing_for(key))
        except UnportableError as problem:
            if problem.names_user:
                raise
            told = f"{problem.reason} ({name} needs it)"
            raise UnportableError("", problem.type_name, told, names_user=True) from problem
        except Exception as problem:
            bindings = self._spaces.by_label[key.label].bindings(key.name)
            if bindings and type(bindings[-1].node).__name__ in _ASSIGNMENTS:
                self._remade.add(key)
                return self._needs_of(self._standing_for(key))
            reason = getattr(problem, "reason", f"{type(problem).__name__}: {problem}")
            told = f"{name} cannot travel to another interpreter: {reason}; {INITIALIZE}"
            raise UnportableError("", type(problem).__qualname__, told) from problem

    def _standing_for(self, key: Key) -> Any:
        """What is pickled for a name: the value itself, or a placeholder for an import or a
        statement.
        """
        space = self._spaces.by_label[key.label]
        value = space.namespace[key.name]
        source = space.import_of(key.name)
        if source is not None:
            return _Standing(lambda: self._import(space, key.name, *source))
        if key in self._remade:
            return _Standing(lambda: self._statement(space, key.name, value))
        return value

    def _import(self, space: Space, name: str, module: str, attribute: str | None) -> Any:
        paths = space.dotted.get(name, set()) if attribute is None else set()
        ends = ((path.split("."), end) for path in paths for end in range(1, path.count(".") + 2))
        modules = {".".join([module, *parts[:end]]) for parts, end in ends}
        uses = {path.partition(".")[0] for path in paths}
        return imported, (module, attribute, sorted(modules & sys.modules.keys()), sorted(uses))

    # Writing classes and functions: called by the pickler.

    def reduce(self, shared: Any) -> Any:
        """How to write a class or function that the receiver does not have."""
        home = self._spaces.home_of(shared)
        if home.leads_to(shared):
            outer, _, path = shared.__qualname__.partition(".")
            if not home.is_imported:
                self._need([Key(home.label, outer)])
            if path:
                return opening.nested, (home.namespace[outer], path, self._token(shared))
            if isinstance(shared, types.FunctionType) and shared.__globals__ is not home.namespace:
                return self._statement(home, outer, shared)  # made by a library's decorator
        if isinstance(shared, types.FunctionType):
            return self._function(shared, home)
        return self._class(home, shared)

    def named(self, module: types.ModuleType, name: str, value: object) -> Any:
        """How to write an object that pickle would look up by its name in the module."""
        return self._statement(self._spaces.of(vars(module)), name, value)

    def _need(self, needs: Iterable[Need]) -> None:
        if self._found:
            self._found[-1].update(dict.fromkeys(needs))

    def _note(self, space: Space, shared: Any, names: Names) -> None:
        """Note the names that code looks up when it is called.

        Raises:
            UnportableError: the code computes names, as with `eval`, so they are unknown.
        """
        if names.by_text is not None:
            raise about(shared, f"it looks names up by text, with {names.by_text}()")
        for name, paths in names.dotted.items():
            space.dotted.setdefault(name, set()).update(paths)
        if not space.is_imported:
            self._need(space.keys(names.late | names.early))

    def _token(self, shared: Any) -> str:
        token = registry.issue(shared)
        if self._is_final:
            self.tokens.add(token)
        return token

    def _function(self, function: types.FunctionType, home: Space) -> Any:
        code, space = function.__code__, self._spaces.of(function.__globals__)
        _, place = registry.places.get(id(code), (None, None))
        if place is not None:
            node = opening.node_of_text(place[3])
        else:
            text = text_of(code, function.__globals__)
            if text is None:
                raise without_source(function, code.co_filename)
            node = text.function(code)
            if node is None:
                raise about(function, f"its source in {code.co_filename} is ambiguous")
            place = _unread(space.place(text, node))
        names = names_of(node, of_call=True)
        names.late.difference_update(code.co_freevars)
        self._note(space, function, names)
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        contents = [(cell, cell.cell_contents) for cell in cells.values() if is_set(cell)]
        state = (contents, {name: getattr(function, name) for name in _OWN}, vars(function))
        # Only functions found under their name get tokens, as in `_by_value`.
        token = self._token(function) if home.leads_to(function) else None
        around = [
            *node.args.defaults,
            *node.args.kw_defaults,
            *getattr(node, "decorator_list", [0]),
        ]
        is_plain = not (cells or around or node.col_offset)
        arguments = (place, function.__qualname__, token, cells, is_plain)
        return opening.make_function, arguments, state, None, None, opening.fill_function

    def _class(self, space: Space, shared: type) -> Any:
        found = space.class_statement(shared)
        if found is None:
            bindings = space.bindings(shared.__name__)
            if space.leads_to(shared) and bindings and isinstance(bindings[-1].node, ast.Assign):
                return self._statement(space, shared.__name__, shared)  # for instance a namedtuple
            files = (function.__code__.co_filename for function in functions_of(shared))
            raise without_source(shared, next(files, None))
        place, node, position = found
        is_inner = "<locals>" in shared.__qualname__
        if not (is_inner or space.leads_to(shared)) and node.decorator_list:
            raise about(shared, "its decorator has replaced it with another object")
        names = names_of(node)
        cells = space.variables(shared, names) if is_inner else {}
        early = {name for name in cells if name in names.early}
        for used in (names.early, names.late, names.annotations, names.unsure):
            used.difference_update(cells)
        is_unread = self._stay_text(space, names)
        self._need([shared])
        if shared not in self._attributes:
            self._attributes[shared] = self._attributes_of(shared, node)
        filled = {name: (c, c.cell_contents) for name, c in cells.items() if is_set(c)}
        first = [filled[name] for name in filled if name in early]
        before = self._before(space, shared, names, position, [value for _, value in first])
        before.append(Call(opening.fill_cells, None, first))
        state = [filled[name] for name in filled if name not in early]
        places, token = [_unread(place) if is_unread else place], self._token(shared)
        inside = cells if is_inner else None
        made = (places, shared.__name__, shared.__qualname__, token, inside, before)
        return opening.make, made, state, None, None, opening.fill_cells

    def _statement(self, space: Space, name: str, value: Any) -> Any:
        """How to write an object by running the statement of its module that makes it."""
        bindings = space.bindings(name)
        if not bindings:
            raise without_source(value, None)
        position, text, node = bindings[-1]
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if not isinstance(node, definitions) and type(node).__name__ not in _ASSIGNMENTS:
            raise about(value, f"no single statement defines {name}")
        nodes = [node, *text.registered_with(name)]
        names = Names()
        for part in nodes:
            names.add(names_of(part))
        before = self._before(space, value, names, position, [])
        is_own = isinstance(value, (type, types.FunctionType)) and space.leads_to(value)
        token = self._token(value) if is_own else None
        places = [_unread(space.place(text, part)) for part in nodes]
        return opening.make, (places, name, name, token, None, before)

    def _before(
        self, space: Space, shared: Any, names: Names, position: Position, early: list[Any]
    ) -> list[Call]:
        """Calls that bind, before a statement runs, all names that it or its callees may read.

        Raises:
            UnportableError: the statement would read other values than it has read here.
        """
        if id(shared) in self._building:
            raise about(shared, _HOLDS_ITSELF)
        self._note(space, shared, names)
        own = space.keys(names.early | names.unsure)
        for _, name in space.keys(names.early):
            is_import = space.import_of(name) is not None
            if not is_import and space.is_changed_after(name, position, name in names.dotted):
                raise about(shared, f"its definition reads {name}, which changes after it")
        read: dict[Key, None] = {}
        self._building.add(id(shared))
        try:
            waiting: list[Need] = [*own, *self._needs_of(early)]
            while waiting:
                need = waiting.pop()
                if isinstance(need, type) or need in read:
                    continue
                home = self._spaces.by_label[need.label]
                first = [binding.position for binding in home.bindings(need.name)[:1]]
                is_later = home is space and first and first[0] >= position
                if is_later or home.namespace[need.name] is shared:
                    continue  # the name was not bound yet when the statement ran
                read[need] = None
                waiting += self._needs_of_part(need)
        finally:
            self._building.discard(id(shared))
        self._need(read)
        self._read_early |= read
        if not self._is_final:
            return []
        return [Call(opening.bind, *key, self._standing_for(key)) for key in read]

    def _stay_text(self, space: Space, names: Names) -> bool:
        """Whether the annotations of a class stay text. They do if the class annotates no fields,
        or if they name modules that the receiver may lack.
        """
        known = {*sys.stdlib_module_names, "remotemedia"}
        if names.has_fields:
            sources = {name: space.import_of(name) for _, name in space.keys(names.annotations)}
            there = {n for n, s in sources.items() if s is None or s[0].partition(".")[0] in known}
            names.unsure |= there
            return len(there) < len(sources)
        return True

    def _attributes_of(self, shared: type, node: ast.ClassDef) -> dict[str, Any]:
        """The current attributes of a class, without those that the class statement certainly
        makes; `...` stands for a deleted attribute.
        """
        bound = bound_in(node.body)
        found = {name: ... for name in bound if name not in vars(shared) and name[:2] != "__"}
        for name, value in {} if issubclass(shared, enum.Enum) else vars(shared).items():
            if name == "_abc_impl" or (name[:2] == "__" and name[-2:] == "__"):
                continue
            if isinstance(value, types.FunctionType):
                is_made = name in bound or value.__qualname__.endswith(f"{shared.__name__}.{name}")
            else:
                is_class = name in bound and isinstance(value, type)
                is_made = is_class or hasattr(type(value), "__get__")
            if not is_made:
                found[name] = value
        return found

    # The calls that the receiver makes, in order, before it loads the objects.

    def calls(self, roots: list[dict[Need, None]]) -> list[Call]:
        """The calls that bind everything that the objects need.

        Args:
            roots: for each object the result of `needs_of`.
        """
        self._is_final = True
        spaces = [space for space in self._spaces.by_label.values() if not space.is_imported]
        calls = [space.opening() for space in spaces]
        placed: set[Need] = set()
        for root, needs in enumerate(roots):
            new = [need for need in needs if need not in placed]
            placed.update(new)
            calls.append(Call(opening.work_for, (root,)))
            keys = {n: self._standing_for(n) for n in new if isinstance(n, Key)}
            values = [key for key in keys if not isinstance(keys[key], _DEFINITIONS)]
            # Definitions come first, since loading values may call them.
            calls += [Call(opening.bind, *key, keys[key]) for key in keys if key not in values]
            calls += [Call(opening.bind, *key, keys[key]) for key in values]
            for need in new:
                if isinstance(need, type) and self._attributes[need]:
                    token = registry.issue(need)
                    calls.append(Call(opening.fill, need, token, self._attributes[need]))
            for key in values:
                space = self._spaces.by_label[key.label]
                is_fixed = isinstance(keys[key], _FIXED) and not space.declares(key.name)
                if key in self._read_early and not is_fixed:
                    calls.append(Call(opening.restore, *key, self._dump(keys[key])))
        return calls


def _unread(place: SourceText) -> SourceText:
    """The same place with `from __future__ import annotations`, so annotations stay text."""
    return (*place[:4], [*place[4], "annotations"])


__all__ = ["Parts", "UnportableError"]

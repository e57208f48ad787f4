"""The namespaces from which code is shipped: where it stands, and how its names are bound."""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import importlib.util
import linecache
import logging
import sys
import threading
import types
from collections.abc import Iterable
from typing import Any

from remotemedia._importable import is_importable
from remotemedia._portable.imports import import_module, imported
from remotemedia._portable.opening import PROTOCOL, Call, open_space
from remotemedia._portable.source import (
    Names,
    Place,
    Text,
    bound_in,
    contents_of,
    functions_of,
    names_of,
    node_of_text,
    text_of,
)
from remotemedia._tokens import MAIN, registry, travels_by_name
from remotemedia._unpicklable import unportable, without_source

CONSTANT: tuple[type, ...] = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    types.ModuleType,
    logging.Logger,
)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
Cells = dict[str, types.CellType]
"""Variables of an enclosing function."""


class Space:
    """The names and source texts of one module, or of one namespace of `exec`.

    Attributes:
        label: the module's name, with a number if this is not the module itself.
        is_imported: whether the receiver imports the module.
        module: pickles as the receiver's module.
    """

    def __init__(self, namespace: dict[str, Any], number: int) -> None:
        self.namespace = namespace
        name = str(namespace.get("__name__") or "__main__")
        home = sys.modules.get(name)
        is_module = home is not None and vars(home) is namespace
        stand_ins = registry.stand_ins.items()
        known = next((known for known, module in stand_ins if vars(module) is namespace), None)
        self.label = known or (name if is_module else f"{name}#{number}")
        self.is_imported = (
            home is not None and is_module and name not in MAIN and is_importable(name, home)
        )
        texts = {n: namespace.get(n) for n in ("__package__", "__file__", "__doc__")}
        texts = {name: text for name, text in texts.items() if isinstance(text, str)}
        stand_in = Call(open_space, self.label, texts)
        self.module = Call(import_module, name) if self.is_imported else stand_in

    def leads_to(self, shared: Any) -> bool:
        """Whether the object's qualified name leads to the object in this namespace."""
        found: Any = self
        for part in shared.__qualname__.split("."):
            found = self.namespace.get(part) if found is self else getattr(found, part, None)
        return found is shared

    def known(self, names: Iterable[str]) -> list[str]:
        """Those names that are bound in this namespace."""
        skipped = {"__name__", "__file__", "__builtins__", "__doc__"}
        return sorted((self.namespace.keys() - skipped).intersection(names))

    def values(self, names: Iterable[str]) -> list[tuple[Space | None, str, Any]]:
        """This space, name and value of those names that are bound here, but not by imports."""
        own = [] if self.is_imported else self.known(names)
        return [(self, n, self.namespace[n]) for n in own if self.import_of(n) is None]

    @functools.cached_property
    def texts(self) -> list[Text]:
        """The source texts that were executed in this namespace, in order, as far as available."""
        files: dict[Any, Any] = {self.namespace.get("__file__"): None}
        for value in list(self.namespace.values()):
            if isinstance(value, types.FunctionType) and value.__globals__ is self.namespace:
                files[value.__code__.co_filename] = value.__code__
            elif isinstance(value, type) and value.__module__ == self.namespace.get("__name__"):
                files |= {f.__code__.co_filename: f.__code__ for f in functions_of(value)}
        cells = list(linecache.cache)
        if self.label in MAIN and not isinstance(self.namespace.get("__file__"), str):
            files |= {n: None for n in cells if n.startswith("<") or "ipykernel" in n}
        found = (text_of(code or name, self.namespace) for name, code in files.items() if name)
        order = {name: place for place, name in enumerate(cells)}
        texts = (text for text in found if text is not None)
        return sorted(texts, key=lambda text: order.get(text.name, -1))

    def bindings(self, name: str) -> list[tuple[Text, ast.stmt]]:
        """The statements that bind a name, in order."""
        return [(text, node) for text in self.texts for node in text.bindings.get(name, ())]

    def is_rebound(self, name: str, place: Place) -> bool:
        """Whether a name may be bound after this place."""
        number = {text.name: number for number, text in enumerate(self.texts)}
        found = ((number[text.name], node.lineno) for text, node in self.bindings(name))
        is_declared = any(name in text.declared for text in self.texts)
        return is_declared or max(found, default=(0, 0)) > (number.get(place[0], 0), place[1])

    def is_set(self, name: str) -> bool:
        """Whether code sets a part of the object for which a name stands."""
        return any(name in text.changed for text in self.texts)

    def import_of(self, name: str) -> tuple[str, str | None] | None:
        """The module and the name in it, if a worker's import gives the value of this name."""
        value = self.namespace[name]
        if isinstance(value, types.ModuleType):
            return (value.__name__, None) if is_importable(value.__name__, value) else None
        nodes = [node for _, node in self.bindings(name)[-1:]]
        for node in (node for node in nodes if isinstance(node, ast.ImportFrom)):
            path = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(path, self.namespace.get("__package__"))
            home = sys.modules.get(module)
            if home is None or module in MAIN or not is_importable(module, home):
                continue
            for alias in node.names:
                is_it = name == (alias.asname or alias.name)
                if is_it and getattr(home, alias.name, None) is value:
                    return module, alias.name
        return None

    def import_for(self, name: str, uses: frozenset[str]) -> Call | None:
        """The import that gives the value of a name to code which uses these attributes of it."""
        found = self.import_of(name)
        if found is None:
            return None
        start = f"{found[0]}."
        below = [module for module in sys.modules if module.startswith(start)]
        used = [module for module in below if uses.issuperset(module[len(start) :].split("."))]
        return Call(imported, *found, sorted(uses), used if found[1] is None else [])

    def annotating(self, names: Names) -> list[str]:
        """The names in the annotations of a class that the receiver surely has."""
        roots = {name: (self.import_of(name) or [""])[0] for name in self.known(names.fields)}
        there = {"", *sys.stdlib_module_names, "remotemedia"}
        return [name for name, root in roots.items() if root.partition(".")[0] in there]

    def function_place(self, function: types.FunctionType) -> Place:
        """The source of a function.

        Raises:
            UnportableError: it cannot be found, or is ambiguous.
        """
        code = function.__code__
        _, known = registry.places.get(id(code), (None, None))
        if known is not None:
            return Place(*known)
        text = text_of(code, self.namespace)
        if text is None:
            raise without_source(function, code.co_filename)
        node = text.function(code)
        if node is None:
            raise unportable(function, f"its source in {code.co_filename} is ambiguous")
        return text.place(node)

    def class_statement(self, shared: type) -> tuple[Place, Any] | None:
        """The statement of a class with its place; None if it cannot be found."""
        _, known = registry.places.get(id(shared), (None, None))
        if known is not None:
            return Place(*known), node_of_text(known[2])
        codes = [function.__code__ for function in functions_of(shared)]
        texts = [text for code in codes if (text := text_of(code, self.namespace)) is not None]
        for text in texts or reversed(self.texts):
            lines = [code.co_firstlineno for code in codes if code.co_filename == text.name]
            node = text.class_of(shared, lines)
            if node is not None:
                return text.place(node), node
        return None

    def variables(self, shared: type, text: str, node: ast.ClassDef) -> tuple[Cells, Names]:
        """The variables that a class uses of the function in which it is defined, and all names
        that its text looks up.

        Raises:
            UnportableError: a variable no longer exists.
        """
        cells: Cells = {}
        for method in functions_of(shared):
            cells |= dict(zip(method.__code__.co_freevars, method.__closure__ or (), strict=True))
        cells = {n: c for n, c in cells.items() if n not in ("__class__", shared.__name__)}
        names = names_of(text, tuple(cells))
        known = {"__name__", "__qualname__", *vars(builtins), *bound_in(node.body)}
        known.update(self.namespace, cells)
        for name in names.early - known:
            base = next((b for b in shared.__bases__ if b.__name__ == name), None)
            if base is None:
                told = f"it uses the variable {name} of the function that defines it"
                raise unportable(shared, told)
            cells[name] = types.CellType(base)
        return cells, names


class Findings:
    """What is known about the code in the pickles of a shipment.

    Attributes:
        tokens: tokens of all classes and functions that were written.
        is_data: for names whether their values travel as data; otherwise their statements run.
        attributes: the attributes of classes that travel as data.
    """

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.is_data: dict[tuple[Space, str], bool] = {}
        self.attributes: dict[type, dict[str, Any]] = {}
        self._spaces: list[Space] = []

    def space_of(self, namespace: dict[str, Any]) -> Space:
        """The space for a namespace, made on first use."""
        found = next((space for space in self._spaces if space.namespace is namespace), None)
        if found is None:
            found = Space(namespace, len(self._spaces))
            self._spaces.append(found)
        return found

    def home_of(self, shared: Any) -> Space:
        """The namespace in which an object is found under its name; otherwise the one in which its
        code looks names up.
        """
        module = sys.modules.get(shared.__module__)
        home = self.space_of(vars(module)) if module is not None else None
        if home is not None and home.leads_to(shared):
            return home
        functions = functions_of(shared) if isinstance(shared, type) else iter([shared])
        function = next((f for f in functions if f.__module__ == shared.__module__), None)
        if function is not None:
            return self.space_of(function.__globals__)
        if home is None:
            raise unportable(shared, f"its module {shared.__module__} is no longer in sys.modules")
        return home

    def check(self, made: Any, space: Space, place: Place, names: Names, cells: Cells) -> None:
        """Make sure that a statement, and the code that it calls, reads only imports, code and
        constants, and those as they were when it ran; and that decorators have given methods
        nothing else, which would be made again.

        Raises:
            UnportableError: something might be different at the receiver.
        """
        bases = made.__bases__ if isinstance(made, type) else ()
        waiting: list[tuple[Space | None, str, Any]] = []
        inner = [(None, n, value) for n in cells for _, value in contents_of([cells[n]])]
        for home, name, value in [*space.values(names.early - cells.keys()), *inner]:
            is_base = name not in names.body and any(value is base for base in bases)
            if home is not None and space.is_set(name) and not is_base:
                raise unportable(made, f"its definition reads {name}, which changes after it")
            if not is_base or has_hooks(value):
                waiting.append((home, name, value))
        node = node_of_text(place.text)
        body = bound_in(node.body) if isinstance(node, ast.ClassDef) else set()
        for name in body & getattr(made, "__dict__", {}).keys():
            value = vars(made)[name]
            method = getattr(value, "fget", getattr(value, "__func__", value))
            if isinstance(method, types.FunctionType) and method not in functions_of(made):
                held = self._held_by(method)
                waiting += [(None, f"what decorates {name}", value) for value in held]
        seen = {id(made)}
        for home, name, value in waiting:  # the list grows meanwhile
            if home is space and space.is_rebound(name, place):
                raise unportable(made, f"its definition reads {name}, which changes after it")
            if not is_settled(value):
                raise unportable(made, f"its definition reads {name}, which may have changed since")
            if id(value) not in seen:
                seen.add(id(value))
                waiting += self._read_by(value)

    def _read_by(self, code: Any) -> list[tuple[Space | None, str, Any]]:
        """What a class or function may read when it is called."""
        if isinstance(code, tuple):
            return [(None, type(part).__name__, part) for part in code]
        if not isinstance(code, (type, types.FunctionType)) or travels_by_name(code):
            return []
        if isinstance(code, types.FunctionType):
            space, held = self.space_of(code.__globals__), self._held_by(code)
            names = names_of(space.function_place(code).text, code.__code__.co_freevars)
        else:
            space = self.home_of(code)
            statement = space.class_statement(code)
            if statement is None:  # for instance a namedtuple
                return []
            names = names_of(statement[0].text)
            attributes = {} if issubclass(code, enum.Enum) else vars(code)
            own = ((name, value) for name, value in attributes.items() if not is_special(name))
            held = [value for _, value in own if not hasattr(type(value), "__get__")]
        values = space.values(names.early | names.late)
        return [*values, *((None, code.__qualname__, value) for value in held)]

    def _held_by(self, function: types.FunctionType) -> list[Any]:
        """The values that a function holds; a list for variables that it may bind again."""
        cells = contents_of(function.__closure__ or ())
        held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        held += [*vars(function).values(), *(value for _, value in cells)]
        space = self.space_of(function.__globals__)
        return [[]] if cells and "nonlocal" in space.function_place(function).text else held


def global_name(value: Any) -> tuple[dict[str, Any], str] | None:
    """The namespace and name by which pickle would find an object such as a TypeVar or a cached
    function; None if the receiver can import it or it is no such object.
    """
    try:
        module = getattr(value, "__module__", None)
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    except Exception:  # attributes of a proxy object may raise
        return None
    home = sys.modules.get(module) if isinstance(module, str) else None
    if home is None or not isinstance(name, str) or getattr(home, name, None) is not value:
        return None
    if module not in MAIN and is_importable(home.__name__, home):
        return None
    return (vars(home), name) if isinstance(value.__reduce_ex__(PROTOCOL), str) else None


def is_special(name: str) -> bool:
    """Whether Python itself makes a class attribute of this name."""
    return name[:2] == "__" == name[-2:] or name in ("_abc_impl", "_field_defaults")


def attributes_of(shared: type, node: ast.ClassDef) -> dict[str, Any]:
    """The current attributes of a class, without those that the class statement certainly makes;
    `...` stands for a deleted attribute.
    """
    bound, own = bound_in(node.body), set(functions_of(shared))
    decorated = {getattr(n, "name", "") for n in node.body if getattr(n, "decorator_list", ())}
    found = {name: ... for name in bound if name not in vars(shared) and name[:2] != "__"}
    for name, value in {} if issubclass(shared, enum.Enum) else vars(shared).items():
        is_made = name in bound and isinstance(value, type)
        if isinstance(value, types.FunctionType):
            path = f"{shared.__qualname__}.{name}"
            is_library = name not in bound and value.__qualname__ == path
            is_made = value in own or name in decorated or is_library
        if not (is_made or is_special(name) or _is_descriptor(value)):
            found[name] = value
    return found


def _is_descriptor(value: Any) -> bool:
    return hasattr(type(value), "__get__") and not isinstance(value, types.FunctionType)


def is_settled(value: Any) -> bool:
    """Whether a value is code or a constant, which does not change."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(is_settled, value))
    kinds = (*CONSTANT, *_LOCKS, type, types.FunctionType, enum.Enum)
    return value is ... or isinstance(value, kinds) or global_name(value) is not None


def has_hooks(shared: type) -> bool:
    """Whether code of the caller runs when the class gets a subclass."""
    own = [kind for kind in shared.__mro__ if not travels_by_name(kind)]
    is_own_meta = not travels_by_name(type(shared))
    return is_own_meta or any("__init_subclass__" in vars(kind) for kind in own)

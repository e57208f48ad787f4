"""The namespaces of the sender from which code travels: what their names stand for there."""

from __future__ import annotations

import functools
import importlib.util
import linecache
import logging
import sys
import types
from collections.abc import Iterable
from typing import Any

from remotemedia._importable import is_importable
from remotemedia._portable.imports import import_module, imported
from remotemedia._portable.opening import Call, open_space
from remotemedia._portable.source import Place, Text, names_of, text_of
from remotemedia._tokens import MAIN, registry
from remotemedia._unpicklable import unportable, without_source

CONSTANT: tuple[type, ...] = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(types.ModuleType, logging.Logger),
)


class Space:
    """The names and source texts of one module, or of one namespace of `exec`.

    Attributes:
        is_imported: whether the receiver imports the module.
        module: pickles as the receiver's module.
        is_data: by qualified name, whether its value can be pickled, as far as it was tried.
    """

    def __init__(self, namespace: dict[str, Any], number: int) -> None:
        self.namespace = namespace
        name = str(namespace.get("__name__") or "__main__")
        home = sys.modules.get(name)
        is_module = home is not None and vars(home) is namespace
        stand_ins = registry.stand_ins.items()
        known = next((known for known, module in stand_ins if vars(module) is namespace), None)
        label = known or (name if is_module else f"{name}#{number}")
        self.is_imported = (
            home is not None and is_module and name not in MAIN and is_importable(name, home)
        )
        self._is_notebook = label in MAIN and not isinstance(namespace.get("__file__"), str)
        texts = {n: namespace.get(n) for n in ("__package__", "__file__", "__doc__")}
        texts = {name: text for name, text in texts.items() if isinstance(text, str)}
        stand_in = Call(open_space, label, texts)
        self.module = Call(import_module, name) if self.is_imported else stand_in
        self.is_data: dict[str, bool] = {}

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

    @functools.cached_property
    def _texts(self) -> list[Text]:
        """The source texts that were executed in this namespace, in order, as far as available."""
        values = list(self.namespace.values())
        values += [v for kind in values if isinstance(kind, type) for v in vars(kind).values()]
        functions = [value for value in values if isinstance(value, types.FunctionType)]
        files: list[Any] = []
        if self._is_notebook:
            files += [name for name in linecache.cache if name[:1] == "<" or "ipykernel" in name]
        elif isinstance(file := self.namespace.get("__file__"), str):
            files.append(file)
        files += [f.__code__ for f in functions if f.__globals__ is self.namespace]
        found = {text.name: text for file in files if (text := text_of(file, self.namespace))}
        return list(found.values())

    def import_of(self, name: str, uses: frozenset[str]) -> Call | None:
        """The import that gives the value of a name to code which uses these attributes of it;
        None if no import of a worker does.
        """
        value = self.namespace[name]
        if isinstance(value, types.ModuleType) and is_importable(value.__name__, value):
            start = f"{value.__name__}."
            below = [module for module in sys.modules if module.startswith(start)]
            below = [one for one in below if uses.issuperset(one[len(start) :].split("."))]
            return Call(imported, value.__name__, None, sorted(uses), below)
        found = [pair for text in self._texts for pair in text.imports.get(name, ())]
        for node, original in found:
            path = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(path, self.namespace.get("__package__"))
            home = sys.modules.get(module)
            if home is None or module in MAIN or not is_importable(module, home):
                continue
            if getattr(home, original, None) is value:
                return Call(imported, module, original, (), ())
        return None

    def assignment(self, path: str, value: Any) -> Place:
        """The last assignment of a value to a qualified name; it reads only imports, constants,
        and code that reads no more.

        Raises:
            UnportableError: there is none, or it reads more.
        """
        texts = enumerate(self._texts)
        found = [(n, text, node) for n, text in texts for node in text.assignments.get(path, ())]
        if not found:
            raise unportable(value, f"no pickle takes it, and no assignment of {path} was found")
        number, text, node = found[-1]
        place = text.place(node)
        name = self._unsettled(
            names_of(place.text, is_run=True).used, (number, node.lineno), {path}
        )
        if name is not None:
            raise unportable(value, f"its assignment reads {name}, which may have changed since")
        return place

    def _unsettled(self, names: Iterable[str], at: tuple[int, int], seen: set[str]) -> str | None:
        """The first of these names that may stand for something else than it did at a place."""
        for name in self.known(names):
            value = self.namespace[name]
            if name in seen or self.import_of(name, frozenset()) is not None:
                continue
            seen.add(name)
            stores = [(n, t.stores[name]) for n, t in enumerate(self._texts) if name in t.stores]
            kinds = value.__mro__ if isinstance(value, type) else ()
            parts = [value, *(part for kind in kinds for part in vars(kind).values())]
            codes = [part for part in parts if isinstance(part, types.FunctionType)]
            is_settled = bool(codes) or isinstance(value, (*CONSTANT, type))
            if not is_settled or max(stores, default=at) > at:
                return name
            for code in (c for c in codes if c.__globals__ is self.namespace):
                used = names_of(self.place_of(code).text, code.__code__.co_freevars).used
                further = self._unsettled(used, at, seen)
                if further is not None:
                    return further
        return None

    def place_of(self, function: types.FunctionType) -> Place:
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


class Spaces:
    """The namespaces of one shipment."""

    def __init__(self) -> None:
        self._found: list[Space] = []

    def of(self, namespace: dict[str, Any]) -> Space:
        """The space for a namespace, made on first use."""
        found = next((space for space in self._found if space.namespace is namespace), None)
        if found is None:
            found = Space(namespace, len(self._found))
            self._found.append(found)
        return found

    def home_of(self, shared: Any) -> Space:
        """The namespace in which an object is found under its name; otherwise the one in which its
        code looks names up.
        """
        module = sys.modules.get(shared.__module__)
        home = self.of(vars(module)) if module is not None else None
        if home is not None and home.leads_to(shared):
            return home
        parts = vars(shared).values() if isinstance(shared, type) else [shared]
        for part in parts:
            if isinstance(part, types.FunctionType) and part.__module__ == shared.__module__:
                return self.of(part.__globals__)
        if home is None:
            raise unportable(shared, f"its module {shared.__module__} is no longer in sys.modules")
        return home

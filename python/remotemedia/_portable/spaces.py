"""The namespaces from which code is shipped: their source texts, and the statements that bind
names.
"""

from __future__ import annotations

import ast
import linecache
import sys
import types
from collections.abc import Iterable
from typing import Any, NamedTuple

from remotemedia._importable import is_importable
from remotemedia._portable.opening import IMPORTED, Call, SourceText, node_of_text, open_space
from remotemedia._portable.source import Names, Text, functions_of, text_of
from remotemedia._tokens import MAIN, registry
from remotemedia._unpicklable import UnpicklableError

_BY_HAND = 'or set runtime_hint="cpython"'
_WAY_OUT = f"define it at the top level of a module that a worker can import, {_BY_HAND}"
INITIALIZE = f"make it in initialize(), which runs in the worker, {_BY_HAND}"
_NO_FILE = f"put it in a file, {_BY_HAND}"
Position = tuple[int, int]


class UnportableError(UnpicklableError):
    """An object cannot be written for another interpreter. `reason` says which object, why, and
    what the user can do, including `runtime_hint`.

    Attributes:
        names_user: Whether `reason` already says which name of the module needs the object.
    """

    def __init__(self, path: str, type_name: str, reason: str, *, names_user: bool = False) -> None:
        """Make the error; see the base class."""
        super().__init__(path, type_name, reason)
        self.names_user = names_user

    def below(self, path: str) -> UnportableError:
        """The same error for an outer object, which holds this one at ``path``."""
        whole = path + self.path
        return UnportableError(whole, self.type_name, self.reason, names_user=self.names_user)


def about(shared: Any, reason: str) -> UnportableError:
    """The error for a class, function or value that cannot travel."""
    name = getattr(shared, "__qualname__", type(shared).__qualname__)
    module = getattr(shared, "__module__", None) or "?"
    told = f"{module}.{name} cannot travel to another interpreter: {reason}; {_WAY_OUT}"
    return UnportableError("", type(shared).__qualname__, told)


def without_source(shared: Any, filename: str | None) -> UnportableError:
    """The error for a class or function whose source cannot be found."""
    if filename is None or not filename.startswith("<"):
        return about(shared, f"its source cannot be found in {filename or 'its module'}")
    told = (
        f"the source of {shared.__module__}.{shared.__qualname__} cannot be found, because Python "
        f"does not keep the text of code that is given to exec() or piped in; {_NO_FILE}"
    )
    return UnportableError("", type(shared).__qualname__, told)


class Key(NamedTuple):
    """A name in a module, with the module's label."""

    label: str
    name: str


class Binding(NamedTuple):
    """A statement that binds a name, with its position among all statements of its module."""

    position: Position
    text: Text
    node: ast.stmt


class Space:
    """The names and source texts of one module, or of one namespace of `exec`."""

    def __init__(self, label: str, namespace: dict[str, Any]) -> None:
        self.label = label
        self.namespace = namespace
        self.is_imported = label.startswith(IMPORTED)
        self.dotted: dict[str, set[str]] = {}
        """For each name the dotted attribute paths that shipped code reads from it."""
        self._texts: list[Text] | None = None

    def leads_to(self, shared: Any) -> bool:
        """Whether the object's qualified name leads to the object in this namespace."""
        found: Any = self
        for part in shared.__qualname__.split("."):
            found = self.namespace.get(part) if found is self else getattr(found, part, None)
        return found is shared

    def texts(self) -> list[Text]:
        """The source texts that were executed in this namespace, in order, as far as available."""
        if self._texts is None:
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
            self._texts = sorted(texts, key=lambda text: order.get(text.name, -1))
        return self._texts

    def bindings(self, name: str) -> list[Binding]:
        """The statements that bind a name, in order."""
        return [
            Binding((place, node.lineno), text, node)
            for place, text in enumerate(self.texts())
            for node in text.bindings.get(name, ())
        ]

    def is_changed_after(self, name: str, position: Position, is_dotted: bool) -> bool:
        """Whether a name may be bound after this position. With `is_dotted`, also whether
        attributes of the name are set anywhere.
        """
        is_set = is_dotted and any(name in text.changed for text in self.texts())
        is_bound = any(binding.position > position for binding in self.bindings(name))
        return is_set or is_bound or self.declares(name)

    def declares(self, name: str) -> bool:
        """Whether a function binds a name with `global`."""
        return any(name in text.declared for text in self.texts())

    def keys(self, names: Iterable[str]) -> list[Key]:
        """The keys of those names that are bound in this namespace."""
        known = self.namespace.keys() - {"__name__", "__file__", "__builtins__", "__doc__"}
        return [Key(self.label, name) for name in sorted(names) if name in known]

    def opening(self) -> Call:
        """The call that prepares the receiver's stand-in for this module."""
        names = ("__package__", "__file__", "__doc__")
        known = {n: v for n in names if isinstance(v := self.namespace.get(n), str)}
        return Call(open_space, self.label, known)

    def place(self, text: Text, node: ast.AST) -> SourceText:
        """The source text of an `ast` node, with its place."""
        return (self.label, text.name, *text.cut(node), text.features())

    def class_statement(self, shared: type) -> tuple[SourceText, ast.ClassDef, Position] | None:
        """The statement of a class with its place and position; None if it cannot be found."""
        _, known = registry.places.get(id(shared), (None, None))
        if known is not None:
            return known, node_of_text(known[3]), (0, known[2])
        codes = [function.__code__ for function in functions_of(shared)]
        texts = [text for code in codes if (text := text_of(code, self.namespace)) is not None]
        for text in texts or reversed(self.texts()):
            lines = [code.co_firstlineno for code in codes if code.co_filename == text.name]
            node = text.class_of(shared, lines)
            if node is not None:
                order = (k for k, known in enumerate(self.texts()) if known.name == text.name)
                return self.place(text, node), node, (next(order, 0), node.lineno)
        return None

    def variables(self, shared: type, names: Names) -> dict[str, types.CellType]:
        """The variables that a class uses of the function in which it is defined.

        Raises:
            UnportableError: a variable no longer exists.
        """
        cells = {
            name: cell
            for method in functions_of(shared)
            for name, cell in zip(
                method.__code__.co_freevars, method.__closure__ or (), strict=True
            )
            if name not in ("__class__", shared.__name__)
        }
        builtins = self.namespace.get("__builtins__", {})
        known = builtins if isinstance(builtins, dict) else vars(builtins)
        for name in names.early - cells.keys() - self.namespace.keys() - known.keys():
            base = next((b for b in shared.__bases__ if b.__name__ == name), None)
            if base is not None:
                cells[name] = types.CellType(base)
            elif name not in ("__name__", "__qualname__"):
                raise about(shared, f"it uses the variable {name} of the function that defines it")
        return cells

    def import_of(self, name: str) -> tuple[str, str | None] | None:
        """The module and the name in it, if this name is bound to the result of an import."""
        value = self.namespace[name]
        for node in (binding.node for binding in self.bindings(name)[-1:]):
            for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
                if (alias.asname or alias.name.partition(".")[0]) != name:
                    continue
                module, attribute = alias.name if alias.asname else name, None
                if isinstance(node, ast.ImportFrom):
                    package = self.namespace.get("__package__") or ""
                    base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                    module = ".".join(part for part in (base, node.module) if part)
                    attribute = alias.name
                if _is_what_it_gives(value, module, attribute):
                    return module, attribute
        if isinstance(value, types.ModuleType) and is_importable(value.__name__, value):
            return value.__name__, None
        return None


def _is_what_it_gives(value: Any, module: str, attribute: str | None) -> bool:
    """Whether a worker's import would give the same object as `value`."""
    found = sys.modules.get(module)
    if found is None or module == "__main__" or not is_importable(module, found):
        return False
    if attribute is None:
        return found is value
    inner = getattr(found, attribute, None)
    return inner is value or sys.modules.get(f"{module}.{attribute}") is value


class Spaces:
    """All namespaces from which the code of a shipment comes."""

    def __init__(self) -> None:
        self.by_label: dict[str, Space] = {}

    def home_of(self, shared: Any) -> Space:
        """The namespace in which an object is found under its name; otherwise the one in which its
        code looks names up.
        """
        module = sys.modules.get(shared.__module__)
        home = self.of(vars(module)) if module is not None else None
        if home is not None and home.leads_to(shared):
            return home
        functions = functions_of(shared) if isinstance(shared, type) else iter([shared])
        function = next((f for f in functions if f.__module__ == shared.__module__), None)
        if function is not None:
            return self.of(function.__globals__)
        if home is None:
            raise about(shared, f"its module {shared.__module__} is no longer in sys.modules")
        return home

    def of(self, namespace: dict[str, Any]) -> Space:
        """The space for a namespace, made on first use."""
        for space in self.by_label.values():
            if space.namespace is namespace:
                return space
        name = str(namespace.get("__name__") or "__main__")
        module = sys.modules.get(name)
        is_module = module is not None and vars(module) is namespace
        label = name if is_module else f"{name}#{len(self.by_label)}"
        if module is not None and is_module and name not in MAIN and is_importable(name, module):
            label = f"{IMPORTED}{name}"
        for known, stand_in in registry.stand_ins.items():
            if vars(stand_in) is namespace:
                label = known
        space = self.by_label[label] = Space(label, namespace)
        return space

"""The namespaces that shipped code comes from, and the words for what is done with them."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.given import GIVEN
from remotemedia._portable.names import Names
from remotemedia._portable.source import Binding, Text, code_of, text_of
from remotemedia._tokens import MAIN
from remotemedia._unpicklable import UnpicklableError

if TYPE_CHECKING:
    from remotemedia._portable.parts import Part

_BY_HAND = 'or set runtime_hint="cpython"'
WAY_OUT = f"define it at the top level of a module that a worker can import, {_BY_HAND}"
INITIALIZE = f"make it in initialize(), which runs in the worker, {_BY_HAND}"
_NO_FILE = f"put it in a file, {_BY_HAND}"


class UnportableError(UnpicklableError):
    """Something cannot be expressed for another interpreter. `reason` says what and why, and what
    to do about it.
    """


def about(shared: Any, reason: str) -> UnportableError:
    """The error about a class, function or value."""
    name = getattr(shared, "__qualname__", type(shared).__qualname__)
    module = getattr(shared, "__module__", None) or "?"
    told = f"{module}.{name} cannot travel to another interpreter: {reason}; {WAY_OUT}"
    return UnportableError("", type(shared).__qualname__, told)


def without_source(shared: Any, filename: str | None) -> UnportableError:
    """The error about a class or function whose source is not to be had."""
    if filename is None or not filename.startswith("<"):
        return about(shared, f"its source is not to be found ({filename or 'its module'})")
    told = (
        f"the source of {shared.__module__}.{shared.__qualname__} is not to be found, because code "
        f"that is given to exec() or piped in leaves none; {_NO_FILE}"
    )
    return UnportableError("", type(shared).__qualname__, told)


class Key(NamedTuple):
    """A name in a module, by the module's label."""

    label: str
    name: str


class Call:
    """A call that opening the pickle makes."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def no_text_lookup(shared: Any, names: Names) -> list[str]:
    """The names that code looks up in its module.

    Raises:
        UnportableError: it looks names up by text, so that they are not known.
    """
    if names.by_text is not None:
        raise about(shared, f"it looks names up by text, with {names.by_text}()")
    return sorted(names.early | names.late)


@dataclass(eq=False)
class Space:
    """The names of one module, or of one namespace that code was executed in."""

    label: str
    namespace: dict[str, Any]
    statements: dict[int, Part] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    """What travelling code takes from a name by a dot."""

    def note_uses(self, names: Names) -> None:
        """Note what some code takes from the names that it looks up."""
        for name, attributes in names.attributes.items():
            self.uses.setdefault(name, set()).update(attributes)

    def has(self, name: str) -> bool:
        """Whether code here finds the name."""
        builtins = self.namespace.get("__builtins__", {})
        known = builtins if isinstance(builtins, dict) else vars(builtins)
        return name in self.namespace or name in known or name in ("__name__", "__qualname__")

    def leads_to(self, shared: Any) -> bool:
        """Whether the object stands under its own name here."""
        first, *rest = shared.__qualname__.split(".")
        found = self.namespace.get(first)
        for part in rest:
            found = getattr(found, part, None)
        return found is shared

    def opening(self) -> Call:
        """The step that readies the other side's stand-in."""
        names = ("__package__", "__file__", "__doc__")
        known = {n: v for n in names if isinstance(v := self.namespace.get(n), str)}
        return Call(opening.open_space, (self.label, known))

    def _cells(self) -> list[str]:
        """The cells of a notebook or console, the latest first, or the program without a file, when
        this is where they run.
        """
        if self.label not in MAIN or isinstance(self.namespace.get("__file__"), str):
            return []
        named = [n for n in linecache.cache if n.startswith("<") or "ipykernel" in n]
        return [*reversed(named), *GIVEN]

    def _is_home_of(self, value: Any) -> bool:
        if isinstance(value, types.FunctionType):
            return value.__globals__ is self.namespace
        return isinstance(value, type) and value.__module__ == self.namespace.get("__name__")

    def bindings(self, name: str) -> list[Binding]:
        """The statements that bind a name, in their order, as far as the source can be had."""
        for text in self._texts(self.namespace.get(name)):
            if name in text.bindings:
                return text.bindings[name]
        return []

    def position(self, text: Text, line: int) -> tuple[int, int, int]:
        """Where a line stands among all texts: cells in the order in which they were run."""
        cells = list(linecache.cache)
        return (1, cells.index(text.name) if text.name in cells else -1, line)

    def _texts(self, own: object) -> Iterator[Text]:
        files = {self.namespace.get("__file__"): 0}
        if self._is_home_of(own):
            files = {code.co_filename: 0 for code in code_of(own)} | files
        for value in list(self.namespace.values()):
            if self._is_home_of(value):
                files.update(dict.fromkeys((c.co_filename for c in code_of(value)), 0))
        for filename in (*files, *self._cells()):
            text = text_of(own, filename, self.namespace)
            if text is not None:
                yield text


class Spaces:
    """The namespaces that shipped code comes from."""

    def __init__(self) -> None:
        self._by_label: dict[str, Space] = {}

    def labelled(self, label: str) -> Space:
        """The one of this label."""
        return self._by_label[label]

    def home_of(self, shared: Any) -> Space:
        """The namespace in which it stands under its name, else where it looks names up: what
        decorators make of a function looks them up elsewhere.
        """
        module = sys.modules.get(shared.__module__)
        if module is not None and (home := self.of_module(module)).leads_to(shared):
            return home
        return self.of(shared)

    def of(self, shared: Any) -> Space:
        """The namespace in which a class or function looks names up."""
        if isinstance(shared, types.FunctionType):
            return self._of(shared.__globals__)
        for value in vars(shared).values():
            inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(inner, types.FunctionType) and inner.__module__ == shared.__module__:
                return self._of(inner.__globals__)
        module = sys.modules.get(shared.__module__)
        if module is None:
            raise about(shared, f"its module {shared.__module__} is gone")
        return self.of_module(module)

    def of_module(self, module: types.ModuleType) -> Space:
        """The namespace of a module."""
        return self._of(vars(module))

    def _of(self, namespace: dict[str, Any]) -> Space:
        for space in self._by_label.values():
            if space.namespace is namespace:
                return space
        name = namespace.get("__name__")
        name = name if isinstance(name, str) else "__main__"
        module = sys.modules.get(name)
        # Beside a module that the other side imports, values of this one need a place of their own.
        is_own = (
            module is not None
            and vars(module) is namespace
            and (name in MAIN or not is_importable(name, module))
        )
        label = name if is_own else f"{name}#{len(self._by_label)}"
        space = self._by_label[label] = Space(label, namespace)
        return space

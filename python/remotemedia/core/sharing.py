"""Which nodes of a pipeline have something in common that one of them may change: an object among
their attributes, or a global of a module that their code uses.

It looks at objects and code without running any. Where it cannot know, it says that a node has
something in common with all others. What libraries keep to themselves does not count, but for
settings of the process and the generators of `random` and numpy.
"""

from __future__ import annotations

import enum
import logging
import re
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

ALL = "anything"
"""What a node has in common with every other one, if that cannot be known."""

# Names of functions that change settings of the process, and of ways to reach what cannot be seen.
_SETTERS = frozenset(
    {
        "chdir", "fchdir", "putenv", "unsetenv", "umask", "setlocale", "seterr", "seterrcall",
        "setcontext", "getcontext", "localcontext", "setrecursionlimit", "setdefaulttimeout",
        "simplefilter", "filterwarnings", "set_int_max_str_digits", "set_num_threads",
        "globals", "eval", "exec", "__import__", "import_module",
    }
)  # fmt: skip
_IMMUTABLE: tuple[Any, ...] = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), range,
    frozenset, re.Pattern, enum.Enum, PurePath, logging.Logger, types.BuiltinFunctionType,
    types.CodeType, property, staticmethod, classmethod,
)  # fmt: skip


def groups(nodes: Mapping[str, Any]) -> dict[str, set[str]]:
    """For each node the ids of the others with which it has something in common."""
    uses = {node_id: _Uses(node) for node_id, node in nodes.items()}
    return {
        one: {other for other in uses if other != one and uses[one].meets(uses[other])}
        for one in uses
    }


class _Uses:
    """What a node can reach.

    Attributes:
        found: what it may change, as ids of objects and names.
        read: what it reads and others may replace, as names.
    """

    def __init__(self, node: Any) -> None:
        self.found: set[Any] = set()
        self.read: set[Any] = set()
        self._kept: list[Any] = []  # so that no id is used again
        self._seen: set[int] = set()
        self._stored: set[str] = set()
        self._classes: list[type] = []
        self._add(node)
        for cls in self._classes:
            own = vars(cls)
            self.read.update((id(cls), name) for name in own)
            self.found.update((id(cls), name) for name in self._stored if name in own)

    def meets(self, other: _Uses) -> bool:
        """Whether two nodes have something in common that one of them may change."""
        return (
            ALL in self.found
            or ALL in other.found
            or not self.found.isdisjoint(other.found | other.read)
            or not self.read.isdisjoint(other.found)
        )

    def _add(self, value: Any) -> None:
        """A value that an attribute, a global, a default or a variable of a closure has."""
        if id(value) in self._seen or isinstance(value, _IMMUTABLE):
            if isinstance(value, types.BuiltinFunctionType):
                self._add_owner(value)
            return
        if isinstance(value, type):
            self._add_class(value)
            return
        self._seen.add(id(value))
        self._kept.append(value)
        if isinstance(value, types.ModuleType):
            return  # what is used of it is found by the names in the code
        if isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.MethodType):
            self._add(value.__self__)
            self._add(value.__func__)
        elif isinstance(value, tuple):
            for part in value:
                self._add(part)
        else:
            self._add_object(value)

    def _add_owner(self, function: Any) -> None:
        """A method of an object in C, such as `random.random`."""
        owner = getattr(function, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType | type):
            self.found.add(id(owner))
            self._kept.append(owner)

    def _add_object(self, value: Any) -> None:
        if not _is_frozen_array(value):
            self.found.add(_identity(value))
        self._seen.add(id(value))
        for part in _parts(value):
            self._add(part)
        self._add_class(type(value))

    def _add_class(self, cls: type) -> None:
        for base in cls.__mro__:
            if id(base) in self._seen or not _is_users(base.__module__):
                continue
            self._seen.add(id(base))
            self._classes.append(base)
            for name, value in list(vars(base).items()):
                is_own = isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
                if is_own or (name.startswith(("_abc_", "__")) and not callable(value)):
                    continue
                if isinstance(value, staticmethod | classmethod):
                    self._add(value.__func__)
                elif isinstance(value, property):
                    for part in (value.fget, value.fset, value.fdel):
                        self._add(part)
                else:
                    self._add(value)

    def _add_function(self, function: types.FunctionType) -> None:
        if not _is_users(function.__module__):
            self._add_closure(function)  # a decorator of a library
            return
        self._add_closure(function)
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._add(default)
        for code in _codes(function.__code__):
            self._add_code(code, function.__globals__)
        self._add(getattr(function, "__wrapped__", None))

    def _add_closure(self, function: types.FunctionType) -> None:
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # it has no value yet
                continue
            if not isinstance(value, types.FunctionType | type):
                self.found.add(id(cell))  # `nonlocal` may replace even a number
                self._kept.append(cell)
            self._add(value)

    def _add_code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        names = set(code.co_names)
        if names & _SETTERS:
            self.found.add(ALL)
        replaced, stored, imported = _stored(code)
        self._stored |= stored
        here = space.get("__name__")
        self.read.update(("global", here, name) for name in names)
        self.found.update(("global", here, name) for name in replaced)
        for name in names:
            if name in space:
                self._add_named(space[name], names)
        for module in imported:
            known = sys.modules.get(module)
            if known is not None:
                self._add_named(known, names)
            elif _is_users(module):
                self.found.add(ALL)  # it is loaded when the node runs

    def _add_named(self, value: Any, names: set[str], depth: int = 0) -> None:
        """The value of a name in code that has these other names too: attributes of a module."""
        if not isinstance(value, types.ModuleType):
            self._add(value)
            return
        inner = vars(value)
        for name in names & inner.keys():
            part = inner[name]
            if isinstance(part, types.ModuleType) and depth < 4:
                self._add_named(part, names, depth + 1)
            elif _is_users(value.__name__):
                self.read.add(("global", value.__name__, name))
                if name in self._stored:
                    self.found.add(("global", value.__name__, name))
                self._add(part)
            elif isinstance(part, types.BuiltinFunctionType | types.MethodType):
                self._add_owner(part)
            elif not callable(part) and not isinstance(part, (*_IMMUTABLE, tuple)):
                self.found.add(id(part))  # such as `os.environ`


def _identity(value: Any) -> int:
    """The id of an object; of an array that of the memory's owner."""
    while type(value).__module__ == "numpy" and getattr(value, "base", None) is not None:
        value = value.base
    return id(value)


def _is_frozen_array(value: Any) -> bool:
    flags = getattr(value, "flags", None)
    return type(value).__module__ == "numpy" and getattr(flags, "writeable", True) is False


def _parts(value: Any) -> Iterator[Any]:
    """The objects that a value holds."""
    if isinstance(value, Mapping):
        yield from list(value.keys())
        yield from list(value.values())
    elif isinstance(value, list | set):
        yield from list(value)
    yield from list(getattr(value, "__dict__", {}).values())
    for cls in type(value).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, types.MemberDescriptorType) and _is_users(cls.__module__):
                yield getattr(value, name, None)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _stored(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """Names of the globals and attributes that code assigns to, and of modules that it imports."""
    import dis

    found: dict[str, set[str]] = {"GLOBAL": set(), "ATTR": set(), "NAME": set()}
    for step in dis.get_instructions(code):
        what, _, kind = step.opname.partition("_")
        if (what in ("STORE", "DELETE") and kind in ("GLOBAL", "ATTR")) or (
            step.opname == "IMPORT_NAME"
        ):
            found[kind].add(str(step.argval))
    return found["GLOBAL"], found["ATTR"], found["NAME"]


def _is_users(module: str | None) -> bool:
    """Whether a module is not of the standard library, of this package, or installed."""
    name = module or "__main__"
    if name.partition(".")[0] in _ours:
        return False
    loaded = sys.modules.get(name)
    if loaded is None:
        return name.partition(".")[0] not in sys.stdlib_module_names
    if name in sys.builtin_module_names:
        return False
    file = getattr(loaded, "__file__", None)
    if not isinstance(file, str):
        return name == "__main__" or not hasattr(loaded, "__loader__")
    return not any(file.startswith(place) for place in _installed)


_ours = frozenset({"builtins", "remotemedia", "remotemedia_runtime"})
_installed = tuple(
    f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)

__all__ = ["groups"]

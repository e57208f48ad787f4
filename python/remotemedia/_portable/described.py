"""Objects as data: what classes consist of, without what the receiver makes itself; and what no
pickle takes.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from remotemedia import _skeletons
from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.opening import Call
from remotemedia._tokens import MAIN, travels_by_name
from remotemedia._unpicklable import UnpicklableError, unportable

_MADE = frozenset(
    (
        *("__module__", "__qualname__", "__doc__", "__slots__", "__dict__", "__weakref__"),
        *("__orig_bases__", "__annotations__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__firstlineno__", "__static_attributes__", "__classdictcell__"),
        *("__protocol_attrs__", "__callable_proto_members_only__"),
        *("__non_callable_proto_members__", "__replace__"),
        *("__dataclass_fields__", "__dataclass_params__"),
    )
)
"""Attributes that come with a new class, or from `creation_of` and `state_of`."""
_Cached = type(functools.lru_cache(len))
_Lock, _RLock = type(threading.Lock()), type(threading.RLock())
_OF_TYPE_VARIABLES = ("bound", "covariant", "contravariant")
_FLAGS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_TERMS = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")


def creation_of(shared: Any) -> tuple[Any, ...]:
    """What a class is made from, as arguments of `opening.make_class`.

    Raises:
        UnportableError: its own code makes its members.
    """
    namespace = {name: getattr(shared, name) for name in ("__module__", "__qualname__", "__doc__")}
    made_by, namespace, silent = _skeletons.terms(
        shared, type(shared), namespace, lambda kind: not travels_by_name(kind)
    )
    if getattr(shared, "_is_protocol", False):  # which finds out its methods when it is made
        namespace = {**dict.fromkeys(attributes_of(shared)), **namespace}
    bases, members, fields = vars(shared).get("__orig_bases__", shared.__bases__), None, None
    if isinstance(shared, enum.EnumMeta):
        if "__new_member__" in vars(shared):
            raise unportable(shared, "its method __new__ makes its members")
        members = {name: made._value_ for name, made in _members_of(shared)}
    elif _is_named_tuple(shared):
        bases, fields = (), (shared._fields, [*shared._field_defaults.values()])
    return made_by, bases, namespace, silent, members, fields


def attributes_of(shared: Any) -> dict[str, Any]:
    """The attributes of a class that the receiver sets on the new class."""
    made = set(_MADE)
    if _is_named_tuple(shared):
        made.update(vars(collections.namedtuple("_", shared._fields)))
    elif isinstance(shared, enum.EnumMeta):
        made |= {name for name in vars(shared) if name[:1] == "_" == name[-1:]}
        made |= {name for name, _ in _members_of(shared)}
    found = {}
    for name, value in vars(shared).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        is_own = getattr(function, "__module__", None) == shared.__module__
        is_own = is_own and isinstance(function, types.FunctionType) and name[:6] != "__anno"
        is_kept = is_own or not (name in made or name.startswith("_abc_"))
        if is_kept and not (_skeletons.is_slot(value, shared) or _is_generated(function)):
            found[name] = value
    annotations = vars(shared).get("__annotations__")
    if annotations:
        found["__annotations__"] = {n: _annotation(kind) for n, kind in annotations.items()}
    return found


def state_of(shared: Any) -> tuple[Any, dict[str, Any]]:
    """The fields and flags of a dataclass; and for each member of an enum its own attributes."""
    own = {name: _own_attributes(member) for name, member in _members_of(shared)}
    if "__dataclass_params__" not in vars(shared):
        return None, own
    import dataclasses  # imported late, to keep the start of workers fast

    pseudo: Any = {"_FIELD_CLASSVAR": typing.ClassVar, "_FIELD_INITVAR": dataclasses.InitVar}
    flags = {name: getattr(shared.__dataclass_params__, name) for name in _FLAGS}
    fields = {}
    for name, field in shared.__dataclass_fields__.items():
        kind = pseudo.get(field._field_type.name) or _annotation(field.type)
        terms = {term: getattr(field, term) for term in _TERMS}
        terms = {term: value for term, value in terms.items() if value is not dataclasses.MISSING}
        fields[name] = (kind, {**terms, "metadata": dict(field.metadata)})
    return (fields, flags, hasattr(shared, "__post_init__")), own


def _members_of(shared: Any) -> list[tuple[str, Any]]:
    return list(shared.__members__.items()) if isinstance(shared, enum.EnumMeta) else []


def _own_attributes(member: Any) -> dict[str, Any]:
    made = ("_value_", "_name_", "__objclass__", "_sort_order_")
    return {name: value for name, value in vars(member).items() if name not in made}


def _is_named_tuple(shared: Any) -> bool:
    return issubclass(shared, tuple) and "_field_defaults" in vars(shared)


def _is_generated(function: Any) -> bool:
    """Whether the standard library has made a method for a class."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    if not isinstance(function, types.FunctionType):
        return False
    is_made = "__create_fn__" in function.__code__.co_qualname
    return is_made or function.__module__ in ("typing", "collections")


def _annotation(kind: Any) -> Any:
    """An annotation of a class; as text unless the receiver surely has all of it."""
    parts = [kind]
    for part in parts:  # the list grows
        parts += part if isinstance(part, list) else typing.get_args(part)
    for part in parts:
        module = str(getattr(typing.get_origin(part) or part, "__module__", "builtins"))
        is_there = module.partition(".")[0] in {*sys.stdlib_module_names, *MAIN, "remotemedia"}
        is_there = is_there or (isinstance(part, type) and not travels_by_name(part))
        if not is_there or isinstance(part, typing.ForwardRef):
            return getattr(kind, "__forward_arg__", getattr(kind, "__name__", str(kind)))
    return kind


def part_of_class(obj: Any) -> tuple[Any, ...] | None:
    """How to write what classes consist of and no pickle takes; None for any other object."""
    kind = type(obj)
    if isinstance(obj, property):
        return kind, (obj.fget, obj.fset, obj.fdel, obj.__doc__)
    if isinstance(obj, (classmethod, staticmethod)):
        return kind, (obj.__func__,)
    if isinstance(obj, functools.cached_property):
        return kind, (obj.func,), {"attrname": obj.attrname}
    if kind is _Cached:
        decorate = Call(opening.apply, functools.lru_cache, (), obj.cache_parameters())
        return opening.apply, (decorate, (obj.__wrapped__,))
    if kind is typing.TypeVar:
        terms = {name: getattr(obj, f"__{name}__") for name in _OF_TYPE_VARIABLES}
        return opening.apply, (kind, (obj.__name__, *obj.__constraints__), terms)
    if kind is typing.NewType:
        return kind, (obj.__name__, obj.__supertype__)
    if isinstance(obj, functools.partialmethod):
        return opening.apply, (kind, (obj.func, *obj.args), obj.keywords)
    return None


def renewed(obj: Any) -> tuple[Any, ...] | None:
    """How to write a lock that code of a module shares, or a queue with its locks: the receiver
    makes a new one; None for any other object.
    """
    kind = type(obj)
    if kind in (_Lock, _RLock):
        return opening.make_lock, (kind is _RLock,)
    if kind.__module__ == "queue" and hasattr(obj, "maxsize"):
        return kind, (obj.maxsize,), {"queue": obj.queue, "unfinished_tasks": obj.unfinished_tasks}
    if isinstance(obj, threading.Thread):
        raise UnpicklableError("", "threading.Thread", "it runs in this process")
    return None


def values_of(get: Callable[[], Any]) -> Iterator[Any]:
    with contextlib.suppress(LookupError, ValueError):
        yield get()


def is_named(value: Any) -> bool:
    """Whether the default pickle of an object is a name that the receiver does not have."""
    try:
        module, name = value.__module__, value.__name__
    except Exception:  # also attributes of a proxy object may raise
        return False
    home = sys.modules.get(module) if isinstance(module, str) else None
    is_here = home is not None and getattr(home, str(name), None) is value
    if home is None or (is_here and module not in MAIN and is_importable(module, home)):
        return False
    return is_here and isinstance(value.__reduce_ex__(opening.PROTOCOL), str)

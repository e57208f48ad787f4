"""Classes as data: what each consists of, without what the receiver makes itself."""

from __future__ import annotations

import collections
import dataclasses
import enum
import sys
import types
import typing
from typing import Any

from remotemedia import _skeletons
from remotemedia._tokens import MAIN, travels_by_name
from remotemedia._unpicklable import unportable

_MADE = frozenset(
    (
        *("__module__", "__qualname__", "__doc__", "__slots__", "__dict__", "__weakref__"),
        *("__orig_bases__", "__annotations__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__firstlineno__", "__static_attributes__"),
        *("__protocol_attrs__", "__callable_proto_members_only__"),
        *("__non_callable_proto_members__", "__replace__"),
        *("__dataclass_fields__", "__dataclass_params__"),
    )
)
"""Attributes that come with a new class, or from `creation_of` and `state_of`."""
_FLAGS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_TERMS = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
_PSEUDO: dict[str, Any] = {
    "_FIELD_CLASSVAR": typing.ClassVar,
    "_FIELD_INITVAR": dataclasses.InitVar,
}


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
        made |= vars(collections.namedtuple("_", shared._fields)).keys()
    elif isinstance(shared, enum.EnumMeta):
        made |= {name for name in vars(shared) if name[:1] == "_" == name[-1:]}
        made |= {name for name, _ in _members_of(shared)}
    found = {}
    for name, value in vars(shared).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        is_own = getattr(function, "__module__", None) == shared.__module__
        is_own = is_own and isinstance(function, types.FunctionType)
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
    flags = {name: getattr(shared.__dataclass_params__, name) for name in _FLAGS}
    fields = {}
    for name, field in shared.__dataclass_fields__.items():
        kind = _PSEUDO.get(field._field_type.name) or _annotation(field.type)
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

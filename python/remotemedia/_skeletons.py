"""Classes in pickles by value: how they are made at the receiver.

cloudpickle makes a class without its attributes first, then sets these. It forgets ``__slots__``,
and runs what the class's definition has run at the sender already: ``__init_subclass__`` and the
metaclass, whose results (such as a registry of plugins) travel with them.
"""

from __future__ import annotations

import abc
import contextlib
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cloudpickle

_make_skeleton_class: Any = cloudpickle.cloudpickle._make_skeleton_class
_track: Any = cloudpickle.cloudpickle._lookup_class_or_track
_lock = threading.RLock()


class EmptyCell:
    """Pickled in place of a closure cell; becomes an empty cell at the receiver."""

    def __init__(self, cell: types.CellType) -> None:
        self.cell = cell  # a reference, so that the cell's `id` is not reused

    def __reduce__(self) -> tuple[Any, ...]:
        return types.CellType, ()


def reduction(kind: type[Any], reduced: Any, travels_by_value: Callable[[type[Any]], bool]) -> Any:
    """Returns cloudpickle's reduction of a class, changed so that the receiver calls `make`."""
    if not isinstance(reduced, tuple) or reduced[0] is not _make_skeleton_class:
        return reduced  # for instance an enum
    constructor, name, bases, namespace, tracker, _ = reduced[1]
    attributes, further = reduced[2]
    # Tuples cannot have any, and `NamedTuple` refuses the attribute.
    if "__slots__" in vars(kind) and not issubclass(kind, tuple):
        namespace = {**namespace, "__slots__": _slots(kind, namespace)}
        attributes = {
            attribute: value for attribute, value in attributes.items() if not _is_slot(value, kind)
        }
    silent = [
        base
        for base in kind.__mro__[1:]
        if "__init_subclass__" in vars(base) and travels_by_value(base)
    ]
    maker = next((meta for meta in constructor.__mro__ if not travels_by_value(meta)), type)
    arguments = ((constructor, maker), name, bases, namespace, tracker, silent)
    return (make, arguments, (attributes, further), *reduced[3:])


def _is_slot(value: object, kind: type[Any]) -> bool:
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is kind


def _slots(kind: type[Any], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a class's own slots. Not those of ``__slots__``, which may be a used iterator,
    and has private names without the name of their class.
    """
    own = vars(kind)
    names = [name for name, value in own.items() if _is_slot(value, kind)]
    names += [
        name
        for name in ("__dict__", "__weakref__")
        if isinstance(own.get(name), types.GetSetDescriptorType) and name not in namespace
    ]
    return tuple(names)


def make(
    made_by: tuple[Any, Any],
    name: str,
    bases: Sequence[Any],
    namespace: Mapping[str, Any],
    *rest: Any,
) -> Any:
    """Make a class without its attributes; pickles call this function.

    Args:
        made_by: the class's metaclass, and the first of the metaclass's bases that the receiver
            imports: only code of that one runs.
        name: the name of the class.
        bases: its bases.
        namespace: what the class must have from the start.
        rest: by which id cloudpickle knows the class; and those of its bases whose
            ``__init_subclass__`` does not run.
    """
    tracker, silent = rest
    known = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
    if known is not None:
        return known
    with _lock, _silenced(silent):
        made = _made(made_by, name, tuple(bases), dict(namespace))
    if isinstance(made, abc.ABCMeta):
        # Its attributes, which follow, may have instances of it although its base is abstract. Its
        # own value is among them, unless that is empty.
        made.__abstractmethods__ = frozenset()
    return _track(tracker, made)


def _made(made_by: tuple[Any, Any], name: str, bases: tuple[Any, ...], own: dict[str, Any]) -> Any:
    metaclass, maker = made_by
    resolved = types.resolve_bases(bases)
    if resolved is not bases:
        own["__orig_bases__"] = bases
    if metaclass is maker:
        try:
            return types.new_class(name, bases, {"metaclass": metaclass}, lambda ns: ns.update(own))
        except Exception:
            # For instance a registry of a module, which knows the class from an earlier session;
            # or it needs arguments of the class statement, which are not known any more.
            maker = abc.ABCMeta if issubclass(metaclass, abc.ABCMeta) else type
    try:
        made = maker.__new__(metaclass, name, resolved, dict(own))
    except Exception:
        above = dict.fromkeys(base for one in resolved for base in one.__mro__)
        with _silenced([base for base in above if _has_hook(base)]):
            made = maker.__new__(metaclass, name, resolved, dict(own))
    return made


def _has_hook(base: type[Any]) -> bool:
    return isinstance(vars(base).get("__init_subclass__"), classmethod)


@contextlib.contextmanager
def _silenced(bases: Sequence[type[Any]]) -> Iterator[None]:
    """Hide the ``__init_subclass__`` of these classes."""
    hidden = []
    for base in bases:
        # It is not there while the attributes of the base itself are still to come.
        if (method := vars(base).get("__init_subclass__")) is not None:
            hidden.append((base, method))
            type.__delattr__(base, "__init_subclass__")
    try:
        yield
    finally:
        for base, method in hidden:
            type.__setattr__(base, "__init_subclass__", method)

"""Classes that travel as data: how they are made at the receiver, first without their attributes.

What the class's definition has run at the sender does not run again: ``__init_subclass__`` and the
metaclass, whose results (such as a registry of plugins) travel with them. cloudpickle would run
them, and forgets ``__slots__``.
"""

from __future__ import annotations

import abc
import contextlib
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_lock = threading.RLock()


class EmptyCell:
    """Pickled in place of a closure cell; becomes an empty cell at the receiver."""

    def __init__(self, cell: types.CellType) -> None:
        self.cell = cell  # a reference, so that the cell's `id` is not reused

    def __reduce__(self) -> tuple[Any, ...]:
        return types.CellType, ()


def terms(
    kind: type[Any],
    metaclass: Any,
    namespace: dict[str, Any],
    travels_by_value: Callable[[type[Any]], bool],
) -> tuple[Any, dict[str, Any], list[type[Any]]]:
    """What `make` needs: the metaclass and what makes the class, what the class must have from the
    start, and those of its bases whose ``__init_subclass__`` does not run.
    """
    # Tuples cannot have any, and `NamedTuple` refuses the attribute.
    if "__slots__" in vars(kind) and not issubclass(kind, tuple):
        namespace = {**namespace, "__slots__": _slots(kind, namespace)}
    silent = [
        base
        for base in kind.__mro__[1:]
        if "__init_subclass__" in vars(base) and travels_by_value(base)
    ]
    maker = next((meta for meta in metaclass.__mro__ if not travels_by_value(meta)), type)
    return (metaclass, maker), namespace, silent


def reduction(kind: type[Any], reduced: Any, travels_by_value: Callable[[type[Any]], bool]) -> Any:
    """Returns cloudpickle's reduction of a class, changed so that the receiver calls `make`."""
    import cloudpickle  # imported late: RustPython does not have it

    if not isinstance(reduced, tuple) or reduced[0] is not (
        cloudpickle.cloudpickle._make_skeleton_class
    ):
        return reduced  # for instance an enum
    constructor, name, bases, namespace, tracker, _ = reduced[1]
    attributes, further = reduced[2]
    made_by, namespace, silent = terms(kind, constructor, namespace, travels_by_value)
    if "__slots__" in namespace:
        attributes = {n: value for n, value in attributes.items() if not is_slot(value, kind)}
    arguments = (tracker, made_by, name, bases, namespace, silent)
    return (make_tracked, arguments, (attributes, further), *reduced[3:])


def is_slot(value: object, kind: type[Any]) -> bool:
    """Whether an attribute of a class stands for one of its slots."""
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is kind


def _slots(kind: type[Any], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a class's own slots. Not those of ``__slots__``, which may be a used iterator,
    and has private names without the name of their class.
    """
    own = vars(kind)
    names = [name for name, value in own.items() if is_slot(value, kind)]
    names += [
        name
        for name in ("__dict__", "__weakref__")
        if isinstance(own.get(name), types.GetSetDescriptorType) and name not in namespace
    ]
    return tuple(names)


def make_tracked(tracker: str, *arguments: Any) -> Any:
    """Make a class that cloudpickle knows by an id; pickles by value call this function."""
    import cloudpickle

    known = cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
    if known is not None:
        return known
    track: Any = cloudpickle.cloudpickle._lookup_class_or_track
    return track(tracker, make(*arguments))


def make(
    made_by: tuple[Any, Any],
    name: str,
    bases: Sequence[Any],
    namespace: Mapping[str, Any],
    silent: Sequence[Any],
) -> Any:
    """Make a class without its attributes.

    Args:
        made_by: the class's metaclass, and the first of the metaclass's bases that the receiver
            imports: only code of that one runs.
        name: the name of the class.
        bases: its bases.
        namespace: what the class must have from the start.
        silent: those of its bases whose ``__init_subclass__`` does not run.
    """
    with _lock, _silenced(silent):
        made = _made(made_by, name, tuple(bases), dict(namespace))
    if isinstance(made, abc.ABCMeta):
        # Its attributes, which follow, may have instances of it although its base is abstract. Its
        # own value is among them, unless that is empty.
        made.__abstractmethods__ = frozenset()
    return made


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

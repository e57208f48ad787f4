"""The class `Row`, and functions that make frequent kinds of rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

Attributes = tuple[Callable[[], list[int]], Callable[[list[int]], object]]
"""Two functions: one returns what `prctl` tells about this process, as numbers, and the other sets
it."""


def cannot(_before: Any) -> None:
    """Do nothing: a change of this state cannot be undone, so the worker is replaced."""


class Row(NamedTuple):
    """One thing that a process can change about itself.

    Attributes:
        name: Name in the documentation and in logs.
        take: Returns the current state. Raises if the interpreter or system has no such state. None
            for state that cannot be read or is cheaper to set than to compare: such state is put
            back after every session.
        put_back: Restores a state that `take` has returned.
        is_same: `is_same(now, before)` says whether the current state is acceptable; None compares
            both with `==`.
        module: Name of the module that has the state, if only nodes import that module. While it is
            not imported, the row is skipped.
        in_glance: Whether `Glance` covers this row.
        merged: `merged(now, before)` returns the state to keep when the row is read again after
            imports; None keeps the current state.
    """

    name: str
    take: Callable[[], Any] | None
    put_back: Callable[[Any], object] = cannot
    is_same: Callable[[Any, Any], bool] | None = None
    module: str | None = None
    in_glance: bool = False
    merged: Callable[[Any, Any], Any] | None = None

    def now(self) -> Any:
        """The current state; None if it cannot be read."""
        return None if self.take is None else self.take()

    def is_as(self, before: Any) -> bool:
        """Whether the current state is acceptable compared with an earlier one."""
        if self.is_same is None:
            return bool(self.now() == before)
        return self.is_same(self.now(), before)


_MISSING = object()


def attributes(name: str, owner: Any, names: tuple[str, ...]) -> Row:
    """A row for attributes of a module; each of them may be missing."""
    found = vars(owner).get

    def take() -> list[Any]:
        return [found(each, _MISSING) for each in names]

    def put_back(before: list[Any]) -> None:
        for each, value in zip(names, before, strict=True):
            if value is not _MISSING:
                setattr(owner, each, value)
            elif found(each, _MISSING) is not _MISSING:
                delattr(owner, each)

    return Row(name, take, put_back)


def of_module(
    name: str,
    module: str,
    fresh: Any,
    take: Callable[[Any], Any] | None,
    put_back: Callable[[Any, Any], object],
) -> Row:
    """A row for the state of a module that a worker imports only when a node needs it.

    Args:
        name: see `Row`.
        module: full name of the module; `take` and `put_back` get the module as an argument.
        fresh: the state right after the module has been imported.
        take: see `Row`.
        put_back: see `Row`.
    """
    modules = sys.modules

    def take_loaded() -> Any:
        loaded = modules.get(module)
        return fresh if loaded is None or take is None else take(loaded)

    def put_back_loaded(before: Any) -> None:
        put_back(modules[module], before)

    return Row(name, take and take_loaded, put_back_loaded, None, module)

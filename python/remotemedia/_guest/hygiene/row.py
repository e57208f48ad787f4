"""One row of the table, and the kinds of rows that come often."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple


def cannot(_before: Any) -> None:
    """Puts nothing back: what is left retires the worker."""


class Row(NamedTuple):
    """One thing that a process can change about itself.

    Attributes:
        name: As docs and log name it.
        take: The state as it is now. Raises where there is no such thing. None for a state that
            cannot be read, or is cheaper to set than to compare: it is always put back.
        put_back: Makes the state what `take` returned before.
        is_same: Whether the state now, its first argument, is fine beside the one before; None asks
            whether they are equal.
        module: The module whose state it is, if it is one that nodes load. Until then there is
            nothing to do.
        in_glance: Covered by `Glance`.
    """

    name: str
    take: Callable[[], Any] | None
    put_back: Callable[[Any], object] = cannot
    is_same: Callable[[Any, Any], bool] | None = None
    module: str | None = None
    in_glance: bool = False

    def now(self) -> Any:
        """The state as it is now."""
        return None if self.take is None else self.take()

    def is_as(self, before: Any) -> bool:
        """Whether the state is what it was, as far as can be seen."""
        if self.is_same is None:
            return bool(self.now() == before)
        return self.is_same(self.now(), before)


def attributes(name: str, owner: Any, names: tuple[str, ...]) -> Row:
    """A row of attributes of a module, each of which may be missing."""
    found = vars(owner).get

    def take() -> list[Any]:
        return [found(each) for each in names]

    def put_back(before: list[Any]) -> None:
        for each, value in zip(names, before, strict=True):
            if value is not None:
                setattr(owner, each, value)
            elif found(each) is not None:
                delattr(owner, each)

    return Row(name, take, put_back)


def of_module(
    name: str,
    module: str,
    fresh: Any,
    take: Callable[[Any], Any] | None,
    put_back: Callable[[Any, Any], object],
) -> Row:
    """A row of a module that a worker loads only when a node needs it.

    Args:
        name: see `Row`.
        module: full name of the module, which the functions get.
        fresh: the state right after the module has been loaded.
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

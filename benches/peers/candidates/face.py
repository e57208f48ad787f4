"""The common face of the candidates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from common import Array

Call = Callable[[Array], Array]
Turn = Callable[[float], list[int]]
Start = (
    Callable[[Array], AbstractContextManager[Call]]
    | Callable[[Array], AbstractContextManager[Turn]]
)


class Unavailable(Exception):
    """This candidate cannot run here; the text says why."""


def plus_one(x: Array) -> Array:
    """The work."""
    return x + 1


def unchanged(inputs: list[Array]) -> list[Array]:
    """The inputs as they are."""
    return inputs


@dataclass(frozen=True)
class Candidate:
    """One row of the table.

    Attributes:
        name: for `--only`.
        title: the row's title.
        start: gives a context manager from an example array, which gives the call.
        expected: what the call must give.
        prepare: makes the inputs what the call takes, before anything is timed.
        daemon: it needs daemons of its own, so it is measured after the others.
        times_itself: the caller is another process; it gets turns to make, not calls.
    """

    name: str
    title: str
    start: Start
    expected: Callable[[Array], Array] = plus_one
    prepare: Callable[[list[Array]], list[Array]] = unchanged
    daemon: bool = False
    times_itself: bool = False


__all__ = ["Call", "Candidate", "Start", "Turn", "Unavailable", "plus_one", "unchanged"]

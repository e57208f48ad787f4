"""Functions and other callables that tests use as nodes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

LIMIT = 3


def double(data: Any) -> Any:
    return data * 2


def twice(data: Any) -> Iterator[Any]:
    yield data
    yield data * 2


async def later(data: Any) -> Any:
    await asyncio.sleep(0)
    return data * 2


async def twice_later(data: Any) -> AsyncIterator[Any]:
    yield data
    await asyncio.sleep(0)
    yield data * 2


def scaled(data: Any, factor: int) -> Any:
    """The item times `factor`."""
    return data * factor


def wrapped(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(function)
    def inner(data: Any) -> Any:
        return function(data)

    return inner


@wrapped
def decorated(data: Any) -> Any:
    return data * 2


class Gain:
    """A callable object, with more methods than one."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self.calls = 0

    def __call__(self, data: Any) -> Any:
        self.calls += 1
        return data * self.factor

    def method(self, data: Any) -> Any:
        self.calls += 1
        return data * self.factor

    @classmethod
    def of_class(cls, data: Any) -> Any:
        return cls(2)(data)

    @staticmethod
    def static(data: Any) -> Any:
        return data * 2


class Tools:
    """Functions of a class."""

    @staticmethod
    def halve(data: Any) -> Any:
        """Half of the item."""
        return data / 2

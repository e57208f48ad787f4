"""Exceptions of nodes on their way to the caller, with causes, contexts, notes and group members.

They travel as JSON, not pickled: to read it runs no code of the user, imports no module, and works
between different interpreters. Attributes that are no plain data stay behind. Where an argument is
none, the text of the exception is its only argument.
"""

from __future__ import annotations

import builtins
import json
import sys
import types
from typing import Any

MAX_EXCEPTIONS = 100
"""How many exceptions of a chain travel at most."""
_MAX_NESTING = 20
_MAX_BITS = 4096
_PLAIN = (type(None), bool, str, float)
_CONTAINERS: dict[str, Any] = {each.__name__: each for each in (tuple, list, set, frozenset, dict)}
_PARTS = ("__cause__", "__context__")


def described(error: BaseException) -> str:
    """An exception and those behind it as text, itself first; empty if that fails."""
    try:
        found = _found(error)
        places = {id(one): place for place, one in enumerate(found)}
        return json.dumps([_one(each, places) for each in found])
    except Exception:  # what a user's class does must not replace the error
        return ""


def restored(text: str) -> BaseException | None:
    """The exception that `described` has described, of its own class where this process has loaded
    that class. None where it has not, or where the exception cannot be made.
    """
    try:
        entries: list[Any] = json.loads(text)
        made: list[BaseException | None] = [None] * len(entries)
        for place in reversed(range(len(entries))):  # members of a group come after it
            made[place] = _made(entries[place], made)
        for one, entry in zip(made, entries, strict=True):
            if one is None:
                continue
            for name, place in zip(_PARTS, entry[4], strict=True):
                if place is not None:
                    setattr(one, name, made[place])
            one.__suppress_context__ = entry[5]
    except Exception:  # as above
        return None
    return made[0] if made else None


def _found(error: BaseException) -> list[BaseException]:
    """The exception and those behind it, each once, groups before their members."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(found) < MAX_EXCEPTIONS:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        found.append(one)
        behind = [getattr(one, name) for name in _PARTS]
        waiting += [each for each in behind if each is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found


def _one(error: BaseException, places: dict[int, int]) -> tuple[Any, ...]:
    kind = type(error)
    members = None
    arguments: Any = error.args
    if isinstance(error, BaseExceptionGroup):
        members = [places.get(id(one)) for one in error.exceptions]
        arguments = (error.message,)
    reduced = error.__reduce__() if kind.__reduce__ in _REDUCES else ()
    if members is None and len(reduced) > 1 and reduced[0] is kind:
        arguments = reduced[1]
    attributes = reduced[2] if len(reduced) > 2 else vars(error)
    try:
        plain = [_plain(each) for each in arguments]
    except ValueError:
        plain = [str(error)]
    behind = [places.get(id(getattr(error, name))) for name in _PARTS]
    return (
        kind.__module__,
        kind.__qualname__,
        plain,
        _attributes(attributes),
        behind,
        error.__suppress_context__,
        members,
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    kept = {}
    for name, value in attributes.items():
        try:
            kept[name] = _plain(value)
        except ValueError:
            continue
    return kept


def _plain(value: Any, nesting: int = 0) -> Any:
    """A value of exactly the builtin types as JSON has it; ValueError if it is no plain data."""
    kind = type(value)
    if kind in _PLAIN or (kind is int and value.bit_length() <= _MAX_BITS):
        return value
    if kind is bytes:
        return ["bytes", value.decode("latin-1")]
    if nesting < _MAX_NESTING and kind in (tuple, list, set, frozenset):
        return [kind.__name__, [_plain(each, nesting + 1) for each in value]]
    if nesting < _MAX_NESTING and kind is dict:
        return ["dict", [_plain(each, nesting + 1) for each in value.items()]]
    raise ValueError(f"a {kind.__name__} is no plain data")


def _value(plain: Any) -> Any:
    """The value for which `_plain` has returned this."""
    if not isinstance(plain, list):
        return plain
    kind, content = plain
    if kind == "bytes":
        return content.encode("latin-1")
    return _CONTAINERS[kind](_value(each) for each in content)


def _made(entry: tuple[Any, ...], made: list[BaseException | None]) -> BaseException | None:
    module, name, arguments, attributes, _, _, members = entry
    kind: Any = sys.modules.get(module)
    for part in name.split("."):
        kind = getattr(kind, part, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    # The builtin class makes it: a constructor of the user may take other arguments.
    arguments = [_value(each) for each in arguments]
    base: Any = next(each for each in kind.__mro__ if each.__module__ == builtins.__name__)
    if members is not None:
        inner = [None if place is None else made[place] for place in members]
        if None in inner:
            return None
        arguments = (*arguments, inner)
    error: BaseException = base.__new__(kind, *arguments)
    base.__init__(error, *arguments)
    for attribute, value in attributes.items():
        if isinstance(getattr(base, attribute, None), types.MemberDescriptorType):
            setattr(error, attribute, _value(value))  # such as the name of an ImportError
        else:
            vars(error)[attribute] = _value(value)
    return error


_REDUCES = {
    each.__reduce__
    for each in vars(builtins).values()
    if isinstance(each, type) and issubclass(each, BaseException)
}
"""How the builtin classes tell their arguments; a class of the user may do so in its own way."""

__all__ = ["described", "restored"]

"""Tokens: names for classes and functions that another process cannot import.

Both kinds of pickles (by value and portable) use the same tokens. So an instance that comes back is
an instance of the caller's own class, whichever kind has carried the class to the worker.
"""

from __future__ import annotations

import contextvars
import os
import sys
import types
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from remotemedia import _sources

Shared: TypeAlias = "type[Any] | types.FunctionType"


class Registry:
    """The objects of this process that have a token.

    Attributes:
        is_worker: whether this process is a worker. If so, the caller knows the tokens of all
            objects that this process has received.
        writes_portable: whether all pickles of this process must be portable.
        has_callers_kind: whether this is a worker of the caller's own implementation and version.
        kept: objects that must live as long as the session: shipped classes and functions, and the
            stand-in for the main module.
        stand_ins: modules made for the session, by label.
        places: in a worker, for classes and functions made from source: by `id`, the object and the
            place of its source.
    """

    def __init__(self) -> None:
        self._by_token: weakref.WeakValueDictionary[str, Shared] = weakref.WeakValueDictionary()
        self._tokens: dict[int, str] = {}
        self._bundles: dict[tuple[str, str], bytes] = {}
        self._shipped: set[str] = set()
        self.is_worker = False
        self.writes_portable = False
        self.has_callers_kind = False
        self.kept: list[object] = []
        self.stand_ins: dict[str, types.ModuleType] = {}
        self.places: dict[int, tuple[object, Any]] = {}

    def token_of(self, shared: Shared) -> str | None:
        """The token of an object; None if it has none."""
        token = self._tokens.get(id(shared))
        return token if token is not None and self._by_token.get(token) is shared else None

    def issue(self, shared: Shared) -> str:
        """The token of an object; makes one if it has none."""
        token = self.token_of(shared)
        if token is None:
            token = f"{shared.__module__}:{shared.__qualname__}:{os.urandom(16).hex()}"
            self.enter(token, shared)
        return token

    def receive(self, token: str, shared: Shared) -> None:
        """Note a received object under the token by which its sender knows it. A worker keeps it
        (`kept`) for the session.
        """
        self._shipped.add(token)
        if not self.is_worker:
            self.enter(token, shared)
            return
        self._by_token[token] = shared
        self._tokens[id(shared)] = token

    def enter(self, token: str, shared: Shared) -> None:
        """Note an object under a token; the entry goes when the object is deleted."""
        self._by_token[token] = shared
        self._tokens[id(shared)] = token
        weakref.finalize(shared, self._forget, id(shared), token).atexit = False

    def _forget(self, address: int, token: str) -> None:
        if self._tokens.get(address) == token:
            del self._tokens[address]
        if token not in self._by_token:  # no other object has been entered under this token
            self._shipped.discard(token)
            for receiver in ("caller", "worker", "child"):
                self._bundles.pop((token, receiver), None)

    def is_known_to_caller(self, token: str) -> bool:
        """Whether the caller, which gets the outputs of this worker, knows the token."""
        return self.is_worker and token in self._shipped

    def find(self, token: str) -> Shared | None:
        """The object with this token, or None."""
        return self._by_token.get(token)

    def bundle(self, token: str, receiver: str) -> bytes | None:
        """The kept pickle of a class or function with everything that it needs, or None. There is
        one for each kind of receiver: "caller", "worker" and "child".
        """
        return self._bundles.get((token, receiver))

    def keep_bundle(self, token: str, receiver: str, bundle: bytes) -> None:
        """Keep the pickle of a class or function as long as that lives."""
        self._bundles[token, receiver] = bundle

    def start_afresh(self) -> None:
        """Forget everything shipped for a session, and make a new stand-in for ``__main__``.

        Tokens are dropped at once, although objects in reference cycles live until the garbage
        collector runs: in the next session the same tokens stand for new objects.
        """
        self.is_worker = True
        self._by_token = weakref.WeakValueDictionary()
        self._tokens, self._bundles, self._shipped = {}, {}, set()
        self.places = {}
        _sources.forget()
        self.writes_portable = self.has_callers_kind = False
        for name, module in self.stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        main = types.ModuleType("__main__")
        self.kept = [main]
        # Processes of `multiprocessing` know their caller's script under both names.
        self.stand_ins = dict.fromkeys(MAIN, main)
        sys.modules.update(self.stand_ins)


registry = Registry()

Numbers: TypeAlias = Mapping[int, int]
"""By `id`, the numbers of objects that both processes have: a pickle refers to them."""
NO_NUMBERS: Numbers = types.MappingProxyType({})
common: contextvars.ContextVar[Sequence[object]] = contextvars.ContextVar("common", default=())
"""The objects with these numbers, while a pickle that refers to them is loaded."""


def numbered(number: int) -> object:
    """Return this process's object with a number; pickles call this function."""
    return common.get()[number]


def resolve(token: str) -> Shared:
    """Return the object with this token; pickles call this function.

    Raises:
        pickle.UnpicklingError: there is no object with this token.
    """
    shared = registry.find(token)
    if shared is not None:
        return shared
    from pickle import UnpicklingError

    module, name, _ = token.split(":")
    raise UnpicklingError(
        f"{name} of {module} no longer exists in this process: it has been redefined or deleted"
    )


def travels_by_name(shared: Shared) -> bool:
    """Whether a process with the same search path would find this same object by its name."""
    from remotemedia._importable import is_importable

    if isinstance(shared, type) and not shared.__flags__ & _HEAP_TYPE:
        return True
    name = getattr(shared, "__module__", None)
    if not isinstance(name, str) or name in MAIN:
        return False
    found: object = sys.modules.get(name)
    module = found
    if not isinstance(module, types.ModuleType):
        return False
    for part in shared.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is shared and is_importable(name, module)


MAIN = ("__main__", "__mp_main__")
_HEAP_TYPE = 1 << 9

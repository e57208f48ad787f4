"""Issues the warnings of nodes in the caller's process, under its filters.

A filter that makes them errors cannot end the call at once, which runs in the worker: the error is
raised when the call ends.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import warnings
from typing import Any

refused: dict[int, Warning] = {}
"""By thread, the first warning of the running call that a filter has made an error."""
_registries: dict[str, dict[Any, Any]] = {}
"""What has been shown of modules that this process does not have."""


def issue(path: str, line: int, facts: str) -> None:
    """Issue a warning of the place; `facts` is the JSON that `_guest.warned` has made."""
    told = json.loads(facts)
    module = told["module"] or None
    loaded = sys.modules.get(module or "")
    registry = (
        _registries.setdefault(module or path, {})
        if loaded is None
        else vars(loaded).setdefault("__warningregistry__", {})
    )
    try:
        warnings.warn_explicit(told["text"], _category(told["kinds"]), path, line, module, registry)
    except Warning as error:
        refused.setdefault(threading.get_ident(), error)


def raise_refused() -> None:
    """Raise the first warning of this thread's call that a filter has made an error.

    Raises:
        Warning: there is one.
    """
    error = take_refused()
    if error is not None:
        raise error


def take_refused() -> Warning | None:
    """The first warning of this thread's call that became an error; it is forgotten."""
    return refused.pop(threading.get_ident(), None)


def _category(kinds: list[str]) -> type[Warning]:
    """The first of these classes that this process can find."""
    for kind in kinds:
        module, _, name = kind.partition(":")
        try:
            found: Any = sys.modules.get(module) or importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception:  # a module can raise any exception
            continue
        if isinstance(found, type) and issubclass(found, Warning):
            return found
    return UserWarning

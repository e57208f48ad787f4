"""Sends the warnings of nodes to the caller, whose filters say what happens to them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

from remotemedia._text import sendable

SourceLine = tuple[str, int, str]
Tell = Callable[[str, SourceLine], None]
"""`tell(text, place)`: sends the text of a warning with its place, whose last part is JSON."""
_OWN = "remotemedia._guest"
"""The code around nodes, of whose warnings the caller can do nothing."""
_MAX_LINE = (1 << 31) - 1


def install(tell: Tell) -> None:
    """Have warnings sent that pass the filters of this process."""

    def show(
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line).rstrip("\n")
        if file is not None and file is not sys.stderr:  # a node's own call
            file.write(f"{text}\n")
            return
        module = _module_of(filename, lineno)
        if module.startswith(_OWN):
            return
        kinds = [kind for kind in category.__mro__ if issubclass(kind, Warning)]
        facts = {
            "text": str(message),
            "kinds": [f"{kind.__module__}:{kind.__qualname__}" for kind in kinds],
            "module": module,
        }
        import json  # imported late: few sessions need it

        place = sendable(filename), min(max(lineno, 0), _MAX_LINE), json.dumps(facts)
        tell(sendable(text), place)

    warnings.showwarning = show


def pass_all() -> None:
    """Have no warning filtered in this process, since the caller does it. Those about resources
    are, since they come when the interpreter cleans up, from no line of a node.
    """
    kept = [action for action, *_, kind, _, _ in warnings.filters if kind is ResourceWarning]
    warnings.simplefilter("always")
    for action in kept[:1]:
        warnings.simplefilter(action, ResourceWarning)  # type: ignore[arg-type]


def _module_of(filename: str, lineno: int) -> str:
    """The module of the line that warns, to which filters refer; empty if it is not known."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_lineno == lineno and frame.f_code.co_filename == filename:
            return str(frame.f_globals.get("__name__") or "")
        frame = frame.f_back
    return ""


__all__ = ["install", "pass_all"]

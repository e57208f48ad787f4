"""Exceptions of node code as data that crosses the process boundary."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from remotemedia._guest import imports
from remotemedia._guest.text import sendable

_GUEST = __file__.rpartition("/")[0]


Detail = tuple[str, str] | tuple[str, str, str] | None
"""What is known beside the exception: ("nearest", name), or ("unsendable" or "unopenable", path and
type of a part of a value)."""


class Fault(Exception):
    """A failure that is reported to the orchestrator.

    Attributes:
        kind: what was being done: "stale", "not found", "load", "construct", "initialize",
            "process", "flush" or "cleanup".
        node_id: the node at fault.
        remote_type: qualified name of the exception's type, bare for builtins.
        message: what the exception says, and nothing else.
        traceback: formatted, with source lines, without the frames that only call the node.
        import_info: what is known of an import that failed (see `imports.explain`), else None.
        detail: what else is known, see `Detail`.
    """

    def __init__(
        self, kind: str, node_id: str, error: BaseException, nearest: str | None = None
    ) -> None:
        """Describe an error.

        Args:
            kind: what was being done.
            node_id: the node at fault.
            error: what was raised.
            nearest: the known name that is most like the one that is not known.
        """
        super().__init__(kind, node_id)
        self.kind = kind
        self.node_id = node_id
        self.remote_type = type_name(type(error))
        self.message = _message(error)
        self.import_info = _explained(error)
        if nearest is None and self.import_info is not None and kind == "not found":
            nearest = self.import_info["nearest"]
        self.detail: Detail = ("nearest", sendable(nearest)) if nearest else None
        self.traceback = formatted(error)


def facts(error: BaseException) -> dict[str, Any]:
    """What the orchestrator learns of an exception: the attributes of a `Fault` by name.

    Any other exception was raised while a value was converted. Its kind is "marshal", and no node
    is at fault yet.
    """
    if isinstance(error, Fault):
        return {
            "kind": error.kind,
            "node_id": error.node_id,
            "remote_type": error.remote_type,
            "message": error.message,
            "traceback": error.traceback,
            "import_info": error.import_info,
            "detail": error.detail,
        }
    return {
        "kind": "marshal",
        "node_id": "",
        "remote_type": type_name(type(error)),
        "message": _message(error),
        "traceback": formatted(error),
        "import_info": None,
        # The native side leaves it there; not all that goes wrong is about a part.
        "detail": getattr(error, "remotemedia_part", None),
    }


def type_name(kind: type) -> str:
    """Qualified name of a type, bare for builtins."""
    if kind.__module__ == "builtins":
        return sendable(kind.__qualname__)
    return sendable(f"{kind.__module__}.{kind.__qualname__}")


def formatted(error: BaseException) -> str:
    """The traceback as Python would print it, from the node's own first frame on."""
    trimmed = error.with_traceback(_from_node(error.__traceback__))
    try:
        return sendable("".join(traceback.format_exception(trimmed)).rstrip())
    except BaseException as broken:  # a node's own __str__ may raise, even SystemExit
        reason = type_name(type(broken))
        return f"{type_name(type(error))} (its traceback cannot be shown: {reason})"


def _message(error: BaseException) -> str:
    try:
        return sendable(str(error))
    except BaseException as broken:  # a node's own __str__ may raise, even SystemExit
        return f"(no message: {type_name(type(broken))} in __str__)"


def _explained(error: BaseException) -> dict[str, Any] | None:
    try:
        info = imports.explain(error)
    except Exception:  # the search for a reason must not hide the failure
        return None
    return info and {
        name: sendable(fact) if isinstance(fact, str) else fact for name, fact in info.items()
    }


def _from_node(frames: TracebackType | None) -> TracebackType | None:
    """The frames without the leading ones that belong to us or to the event loop."""
    inner = frames
    while inner is not None and _is_caller(inner.tb_frame.f_code.co_filename):
        inner = inner.tb_next
    return inner


def _is_caller(path: str) -> bool:
    folder = path.rpartition("/")[0]
    return folder == _GUEST or folder.endswith("/asyncio")

"""Describes exceptions of node code as data for the orchestrator."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from remotemedia._exceptions import described
from remotemedia._guest import imports
from remotemedia._guest.breakpoints import OF_DEBUGGERS
from remotemedia._text import sendable
from remotemedia._tokens import registry

_GUEST = __file__.rpartition("/")[0]
_ROOTS = (BaseException, object)


Detail = tuple[str, str] | tuple[str, str, str] | None
"""Details about an error: ("nearest", the known name most like an unknown one), or ("unsendable" or
"unopenable", path of a part of an item, type of that part)."""


class Fault(Exception):
    """A failure that is reported to the orchestrator.

    Attributes:
        kind: the operation that failed: "stale", "conflict", "not found", "load", "construct",
            "initialize", "process", "flush", "cleanup", "checkpoint" or "restore".
        node_id: id of the node that failed.
        remote_type: qualified name of the exception's type, bare for builtins.
        message: the exception's message alone.
        traceback: formatted, with source lines, without the frames that only call the node.
        import_info: about an import that failed (see `imports.explain`), else None.
        detail: see `Detail`.
        described: the exception as plain data, see `remotemedia._exceptions`.
        types: names of the exception's type and of its bases; see `Raised` in the protocol.
        may_be_kept: whether the node may be called again: not after `SystemExit` and the like.
        is_kept: whether the call waits at the node that failed, and the next step calls it again.
    """

    def __init__(
        self, kind: str, node_id: str, error: BaseException, nearest: str | None = None
    ) -> None:
        """Describe an exception.

        Args:
            kind: see the attribute.
            node_id: id of the node that failed.
            error: the exception.
            nearest: the known name that is most like an unknown one, if that is the error.
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
        self.described = described(error)
        self.types = [type_name(kind) for kind in type(error).__mro__[:-1] if kind not in _ROOTS]
        self.may_be_kept = isinstance(error, Exception)
        self.is_kept = False


def facts(error: BaseException) -> dict[str, Any]:
    """The data about an exception for the orchestrator: the attributes of a `Fault` by name.

    An exception that is no `Fault` was raised while a value was converted. Its kind is "marshal",
    and its `node_id` is empty, because the native side adds that.
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
            "raised": (error.types, error.is_kept, error.described),
        }
    return {
        "kind": "marshal",
        "node_id": "",
        "remote_type": type_name(type(error)),
        "message": _message(error),
        "traceback": formatted(error),
        "import_info": None,
        # Set by the native side if the error is about one part of an item.
        "detail": getattr(error, "remotemedia_part", None),
        "raised": None,
    }


def type_name(kind: type) -> str:
    """Qualified name of a type, bare for builtins."""
    if kind.__module__ == "builtins":
        return sendable(kind.__qualname__)
    return sendable(f"{kind.__module__}.{kind.__qualname__}")


def formatted(error: BaseException) -> str:
    """The traceback as Python would print it, beginning with the first frame of the node."""
    trimmed = error.with_traceback(_from_node(error.__traceback__))
    try:
        return sendable("".join(traceback.format_exception(trimmed)).rstrip())
    except BaseException as broken:  # a node's own __str__ may raise, even SystemExit
        reason = type_name(type(broken))
        return f"{type_name(type(error))} (its traceback cannot be shown: {reason})"


def _message(error: BaseException) -> str:
    if registry.is_worker and type_name(type(error)) == "bdb.BdbQuit":
        return OF_DEBUGGERS
    try:
        return sendable(str(error))
    except BaseException as broken:  # a node's own __str__ may raise, even SystemExit
        return f"(no message: {type_name(type(broken))} in __str__)"


def _explained(error: BaseException) -> dict[str, Any] | None:
    try:
        info = imports.explain(error)
    except Exception:  # an error in the explanation must not replace the original error
        return None
    return info and {
        name: sendable(fact) if isinstance(fact, str) else fact for name, fact in info.items()
    }


def _from_node(frames: TracebackType | None) -> TracebackType | None:
    """The frames without the leading ones of this package and of asyncio."""
    inner = frames
    while inner is not None and _is_caller(inner.tb_frame.f_code.co_filename):
        inner = inner.tb_next
    return inner


def _is_caller(path: str) -> bool:
    folder = path.rpartition("/")[0]
    return folder == _GUEST or folder.endswith("/asyncio")

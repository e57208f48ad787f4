"""What nodes print and log in their workers, shown where the caller's own output goes.

Prints keep their stream and get the node's name in front; log records go to the logger of the same
name here, with the place in the node's code, the fields of `extra` and the node's id (`node_id`).
"""

from __future__ import annotations

import json
import logging
import sys
from types import FrameType
from typing import Any

from remotemedia._guest.output import FIELDS, Place

# What `logging` itself says of a caller that it cannot find.
_NOWHERE: Place = ("(unknown file)", 0, "(unknown function)")


def emit(
    node_id: str, logger: str, is_stream: bool, level: int, message: str, place: Place | None
) -> None:
    """Show one piece of output.

    Args:
        node_id: the node that ran, or "" when none did.
        logger: "stdout", "stderr", or the name of a logger.
        is_stream: whether it was printed rather than logged.
        level: level of the log record.
        message: the text, without a final newline.
        place: where it was logged; None for what was printed, and for what RemoteMedia says.
    """
    if is_stream:
        stream = sys.stderr if logger == "stderr" else sys.stdout
        if stream is None:
            return
        prefix = f"[{node_id}] " if node_id else ""
        stream.write("".join(f"{prefix}{line}\n" for line in message.split("\n")))
        stream.flush()
        return
    target = logging.getLogger(logger)
    if target.isEnabledFor(level):
        message, fields = _split(message)
        extra = {**fields, "node_id": node_id}
        path, line, function = place or _caller()
        record = target.makeRecord(
            target.name, level, path, line, "%s", (message,), None, function, extra
        )
        target.handle(record)


def _caller() -> Place:
    """The line outside of RemoteMedia that called it; a thread of RemoteMedia's own has none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module == "threading":
            break
        if module.partition(".")[0] not in ("remotemedia", "remotemedia_runtime"):
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return _NOWHERE


def _split(message: str) -> tuple[str, dict[str, Any]]:
    """A record's text, and the fields that its logger was given as `extra`."""
    text, found, fields = message.rpartition(FIELDS)
    if not found:
        return message, {}
    try:
        given = json.loads(fields)
    except ValueError:
        return message, {}
    return text, given if isinstance(given, dict) else {}

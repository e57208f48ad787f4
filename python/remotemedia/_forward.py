"""Shows in the caller's process what nodes print, log and warn of in their workers.

Printed lines go to the same stream here, with the node's id in front. A log record goes to the
logger of the same name here. It keeps its place in the node's code and its `extra` fields, and gets
the attribute `node_id`.
"""

from __future__ import annotations

import json
import logging
import sys
from types import FrameType
from typing import Any

from remotemedia import _warned
from remotemedia._guest.output import FIELDS, SourceLine

# The place that `logging` itself uses when it cannot find the caller.
_NOWHERE: SourceLine = ("(unknown file)", 0, "(unknown function)")


def emit(
    node_id: str, logger: str, is_stream: bool, level: int, message: str, place: SourceLine | None
) -> None:
    """Show one printed text or log record.

    Args:
        node_id: id of the node that ran, or "" if none ran.
        logger: "stdout", "stderr", or the name of a logger.
        is_stream: whether the text was printed rather than logged.
        level: level of the log record.
        message: the text, without a final newline.
        place: where the record was logged; None for printed text and for RemoteMedia's own records.
            Of a stream's text: it is a warning, of that place.
    """
    if is_stream and place is not None:
        _warned.issue(*place)
        return
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


def _caller() -> SourceLine:
    """The line of the user's code that called RemoteMedia; `_NOWHERE` in RemoteMedia's threads."""
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
    """Split a message into the record's text and its `extra` fields."""
    text, found, fields = message.rpartition(FIELDS)
    if not found:
        return message, {}
    try:
        given = json.loads(fields)
    except ValueError:
        return message, {}
    return text, given if isinstance(given, dict) else {}

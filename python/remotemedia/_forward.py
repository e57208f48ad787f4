"""What nodes print and log in their workers, shown where the caller's own output goes.

Prints keep their stream and get the node's name in front; log records go to the logger of the same
name here, with the node's id as the attribute `node_id`.
"""

from __future__ import annotations

import logging
import sys


def emit(node_id: str, logger: str, is_stream: bool, level: int, message: str) -> None:
    """Show one piece of output.

    Args:
        node_id: the node that ran, or "" when none did.
        logger: "stdout", "stderr", or the name of a logger.
        is_stream: whether it was printed rather than logged.
        level: level of the log record.
        message: the text, without a final newline.
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
        target.log(level, "%s", message, extra={"node_id": node_id})

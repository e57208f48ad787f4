"""Prints what a program, its nodes and RemoteMedia log."""

from __future__ import annotations

import logging
import sys


def setup_logging(
    level: str = "INFO", format_string: str | None = None, include_timestamp: bool = True
) -> None:
    """Print log records to stdout, with `logging.basicConfig`.

    Args:
        level: the lowest level that is printed, such as "DEBUG".
        format_string: a format of `logging`.
        include_timestamp: whether the default format begins with the time.

    Raises:
        ValueError: the level is unknown.
    """
    if format_string is None:
        format_string = "%(name)s - %(levelname)s - %(message)s"
        if include_timestamp:
            format_string = f"%(asctime)s - {format_string}"
    name = level.upper()
    logging.basicConfig(level=name, format=format_string, stream=sys.stdout, force=True)
    logging.getLogger("remotemedia").setLevel(name)


__all__ = ["setup_logging"]

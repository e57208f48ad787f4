"""Rows for the standard streams: descriptors 0 to 2, and the stream objects in `sys`."""

from __future__ import annotations

import os
import sys
from typing import Any

from remotemedia._guest.hygiene.row import Row

_DESCRIPTORS = (0, 1, 2)
_OBJECTS = ("__stdin__", "__stdout__", "__stderr__")


def rows() -> list[Row]:
    """The rows of this module. `sys.stdout` and `sys.stderr` are set when a session opens."""
    copies = [os.dup(descriptor) for descriptor in _DESCRIPTORS]

    def put_back(before: list[Any]) -> None:
        for descriptor, copy, (*_, blocks) in zip(_DESCRIPTORS, copies, before, strict=True):
            os.dup2(copy, descriptor)
            os.set_blocking(descriptor, blocks)

    objects = _Objects()
    return [
        Row("descriptors 0 to 2", _files, put_back, in_glance=True),
        Row("standard streams", objects.take, objects.put_back),
    ]


def _files() -> list[tuple[int, int, bool]]:
    """For each descriptor the device and inode of its file, and whether it is blocking."""
    found = [(descriptor, os.fstat(descriptor)) for descriptor in _DESCRIPTORS]
    return [(file.st_dev, file.st_ino, os.get_blocking(number)) for number, file in found]


class _Objects:
    """The stream objects that the interpreter has made; replaces those that a node has closed."""

    def __init__(self) -> None:
        self._found = vars(sys).get
        self._own = {name: getattr(sys, name) for name in _OBJECTS}
        self._settings = {name: _settings(stream) for name, stream in self._own.items()}

    def take(self) -> bool:
        """Whether all streams are in place and open. Raises if one is detached from its buffer."""
        own = self._own
        if sys.stdin is not own["__stdin__"]:
            return False
        for name, stream in own.items():
            if self._found(name) is not stream or (stream is not None and stream.closed):
                return False
            if _settings(stream) != self._settings[name]:
                return False
        return True

    def put_back(self, _before: bool) -> None:
        """Put the streams back; replace those that are closed or detached."""
        for descriptor, (name, stream) in enumerate(self._own.items()):
            if stream is not None and not _is_open(stream):
                self._own[name] = open(  # noqa: SIM115  (open as long as the process lives)
                    descriptor,
                    "w" if descriptor else "r",
                    buffering=1,
                    encoding="utf-8",
                    errors="backslashreplace" if descriptor == 2 else "surrogateescape",
                    closefd=False,
                )
                self._settings[name] = _settings(self._own[name])
            elif _settings(stream) != self._settings[name]:
                encoding, errors, is_buffered, writes_through = self._settings[name]
                stream.reconfigure(
                    encoding=encoding,
                    errors=errors,
                    line_buffering=is_buffered,
                    write_through=writes_through,
                )
            setattr(sys, name, self._own[name])
        sys.stdin = self._own["__stdin__"]


def _settings(stream: Any) -> tuple[Any, ...]:
    """What `reconfigure` may have changed."""
    names = ("encoding", "errors", "line_buffering", "write_through")
    return tuple([getattr(stream, name, None) for name in names])


def _is_open(stream: Any) -> bool:
    try:
        return not stream.closed
    except ValueError:  # the stream is detached from its buffer
        return False

"""Keeps failing items in files, with what is needed to repeat them: `capture="on_error"`.

A worker notes each call before it begins (`_guest/notes.py`). When a call fails, the note becomes a
capture here: a file with a head in JSON and one pickle, of the node as the caller has made it, the
item, and the node's attributes as they were before the call. Of a native node the session keeps
the failed call; instead of attributes there are the items before it, where it keeps something of
them. `remotemedia replay` repeats the call.

A capture holds code, as a script does: replay only files that you trust.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from remotemedia import _pickle
from remotemedia import _plain as plain
from remotemedia._guest.notes import FAILED, NOW, OVER, pickled
from remotemedia._text import described
from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.manifest import class_path

if TYPE_CHECKING:
    from remotemedia._native import KeptCall

MAGIC = b"remotemedia capture 1\n"
"""The first line of a capture."""
SUFFIX = ".capture"
"""How the names of captures end."""
_lock = threading.Lock()
"""Held while a capture is written: the sessions of a map share a folder and its bounds."""

BEFORE = "items before"
"""In the state of a native node: the items since it was made or last flushed."""

_log = logging.getLogger("remotemedia")


@dataclass(frozen=True)
class Capture:
    """Where failing items are kept.

    Attributes:
        folder: the folder, which is made when it is missing.
        max_files: largest number of captures in the folder; the oldest is removed for a new one.
        max_bytes: largest item, and largest state of a node, that is kept, in bytes.
    """

    folder: str | os.PathLike[str] = "remotemedia-captures"
    max_files: int = 20
    max_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.max_files < 1 or self.max_bytes < 1:
            raise ConfigurationError("max_files and max_bytes of a Capture are at least 1")


Option: TypeAlias = 'Capture | Literal["on_error"] | None'
"""The argument `capture` of a run. "on_error": a `Capture` with its defaults."""


def captures(option: Capture | Literal["on_error"], nodes: dict[str, Any]) -> Captures:
    """The captures of a session with these nodes, by id.

    Raises:
        ConfigurationError: the option is neither of the two.
    """
    if option == "on_error":
        option = Capture()
    if not isinstance(option, Capture):
        raise ConfigurationError(f'capture is "on_error", a Capture or None, not {option!r}')
    return Captures(option, nodes)


class Captures:
    """The captures of one session.

    Attributes:
        terms: how its workers note calls: how the paths begin, and the largest note in bytes.
    """

    def __init__(self, option: Capture, nodes: dict[str, Any]) -> None:
        self._option = option
        self._nodes = nodes
        self._folder = Path(option.folder).resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        _remove_left(self._folder)
        self._prefix = f".call-{os.getpid()}-{os.urandom(6).hex()}"
        self.terms = (os.fsencode(self._folder / self._prefix), option.max_bytes)

    def keep(self, error: BaseException) -> None:
        """Keep the call that has raised this error, if a node has. The error gets the path as
        `capture`, and a note.
        """
        node_id = getattr(error, "node_id", None)
        if node_id not in self._nodes or getattr(error, "capture", None) is not None:
            return
        try:
            call: KeptCall | None = vars(error).pop("_call", None)
            note = None if call is not None else self._note_of(node_id, error)
            with _lock:
                if call is not None:
                    path = self._keep_native(node_id, call, error)
                elif note is not None:
                    path = self._keep_note(node_id, note, error)
                else:
                    return
        except Exception as problem:  # the run's own error must reach the caller
            _log.warning("the failing item of %s is not kept: %s", node_id, described(problem))
            return
        if path is not None:
            error.capture = str(path)  # type: ignore[attr-defined]
            error.add_note(f"its item is kept; to repeat it: remotemedia replay {path}")

    def close(self) -> None:
        """Remove the notes of the session."""
        for path in self._folder.glob(f"{self._prefix}-*"):
            path.unlink(missing_ok=True)

    def _note_of(self, node_id: str, error: BaseException) -> bytes | None:
        """The note of a call that has failed, or was cut short by the end of its worker."""
        kept = vars(error).pop("_note", None)
        pid = getattr(error, "worker_pid", None) or getattr(error, "_pid", None)
        of_worker = self._folder / f"{self._prefix}-{pid}-{node_id}"
        # An interrupt at a deadline makes the call fail in its worker, later than the caller knows.
        paths = [f"{of_worker}{end}" for end in (NOW, FAILED)] if kept is None else [kept]
        for path in map(Path, paths):
            with contextlib.suppress(FileNotFoundError):
                note = path.read_bytes()
                if note and not note.startswith(OVER):
                    path.unlink()
                    return note
        return None

    def _keep_native(self, node_id: str, call: KeptCall, error: BaseException) -> Path | None:
        operation, before, is_whole, item = call.parts()
        _, problem = pickled(item, self._option.max_bytes)
        if problem is not None:
            _log.warning("the failing item of %s is not kept: %s", node_id, problem)
            return None
        _, problem = pickled(before, self._option.max_bytes)
        left = {} if is_whole and problem is None else {BEFORE: problem or "they are too large"}
        state = {BEFORE: [] if left else before}
        return self._write(node_id, operation, left, error, (tuple(item), state), is_native=True)

    def _keep_note(self, node_id: str, note: bytes, error: BaseException) -> Path | None:
        line, _, rest = note.partition(b"\n")
        operation, *sizes = line.split()
        ends = itertools.accumulate(map(int, sizes), initial=0)
        about, state_pickle, pickle, *memory = (rest[a:b] for a, b in itertools.pairwise(ends))
        if len(rest) < sum(map(int, sizes)):  # the disk was full
            return None
        noted = json.loads(about)
        if noted["problem"] is not None:
            _log.warning("the failing item of %s is not kept: %s", node_id, noted["problem"])
            return None
        state: Any = _pickle.loads(state_pickle)
        item = plain.loads(pickle, [*map(bytearray, memory)]) if memory else _pickle.loads(pickle)
        return self._write(node_id, operation.decode(), noted["left"], error, (item, state))

    def _write(
        self,
        node_id: str,
        operation: str,
        left: dict[str, str],
        error: BaseException,
        call: tuple[Any, dict[str, Any]],
        *,
        is_native: bool = False,
    ) -> Path:
        """Write a capture with the item and the state of a call. Return its path."""
        node = self._nodes[node_id]
        head = {
            "node_id": node_id,
            "class": class_path(node),
            "operation": operation,
            "is_native": is_native,
            "error": {
                "type": getattr(error, "remote_type", None) or type(error).__name__,
                "message": getattr(error, "remote_message", None) or str(error),
                "traceback": getattr(error, "remote_traceback", None),
            },
            "left": left,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": "{}.{}".format(*sys.version_info),
            "sys_path": sys.path,
            "argv": sys.argv,
        }
        shipment = _pickle.Shipment([node, *call])
        data = MAGIC + json.dumps(head).encode() + b"\n" + shipment.instances
        path = self._free_path(node_id)
        partial = path.with_suffix(".part")
        descriptor = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        partial.replace(path)
        return path

    def _free_path(self, node_id: str) -> Path:
        """A path for a new capture, after the oldest ones are removed that are too many."""
        known = sorted(self._folder.glob(f"*{SUFFIX}"), key=_age)
        for path in known[: max(0, len(known) + 1 - self._option.max_files)]:
            path.unlink(missing_ok=True)
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        return self._folder / f"{node_id}-{moment}-{os.urandom(3).hex()}{SUFFIX}"


def _age(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # another process has removed it
        return path.stat().st_mtime_ns
    return 0


def _remove_left(folder: Path) -> None:
    """Remove the notes of sessions whose process has been killed."""
    for path in folder.glob(".call-*"):
        pid = path.name.split("-")[1]
        if not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)


__all__ = ["BEFORE", "MAGIC", "Capture", "Captures", "Option", "captures"]

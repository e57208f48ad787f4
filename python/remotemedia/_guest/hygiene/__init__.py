"""A session finds its worker as if it were fresh: what a process can change about itself, by rows.

Each row can take the state of one thing, compare it with what it was, and put it back. What is
still changed after that cannot be undone, and the worker is replaced. Loaded modules stay, with
what they set while they were imported: they are what makes a worker warm.

`docs/worker-state.md` lists the rows for authors of nodes. What travels with each session anyway
(environment, folder, umask, `sys.path`, `sys.argv`) has no row: see `surroundings`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from remotemedia._guest.hygiene.row import Row

__all__ = ["Glance", "Row", "Table", "rows_of_worker"]

Glance = Callable[[], Any]
"""`glance()` gives the state of all rows that are covered by it, to be compared with `==`, or what
is false where they have to be looked at. Taking them one by one costs several times as much."""


class Table:
    """The state of this process before the first session, row by row."""

    def __init__(self, rows: Sequence[Row], glance: Glance | None = None) -> None:
        self._all = rows
        self._glance = glance
        self._glanced: Any = None
        self._rows: list[tuple[Row, Any]] | None = None
        self._module_count = 0

    def begin(self) -> None:
        """Take the state that every session must find, before the first one runs any code."""
        if self._rows is None:
            self._take()

    def keep_imported(self) -> None:
        """Keep what modules have set while they were imported. Called when nothing else has run."""
        if self._rows is not None and len(sys.modules) != self._module_count:
            self._take()

    def _take(self) -> None:
        self._rows = []
        for row in self._all:
            try:
                self._rows.append((row, row.now()))
            except Exception:  # this interpreter or system does not have it
                continue
        self._module_count = len(sys.modules)
        self._glanced = None if self._glance is None else self._glance()

    def put_back(self) -> list[str]:
        """Undo what the session has changed.

        Returns:
            The names of the rows that are still changed: the worker is not to be used again.
        """
        changed = []
        modules = sys.modules
        glanced = None if self._glance is None else self._glance()
        is_covered = bool(glanced) and glanced == self._glanced
        # Inlined: most sessions change nothing, and this is most of what their end costs.
        for row, before in self._rows or ():
            _, take, put_back, is_same, module, in_glance = row
            if (in_glance and is_covered) or (module is not None and module not in modules):
                continue
            try:
                if take is None:
                    put_back(before)
                    continue
                if is_same is None:
                    if take() == before:
                        continue
                elif is_same(take(), before):
                    continue
            except BaseException:  # such as a closed descriptor, or what cannot be compared
                pass
            changed.append((row, before))
        return [row.name for row, before in changed if not _is_put_back(row, before)]


def _is_put_back(row: Row, before: Any) -> bool:
    try:
        row.put_back(before)
        return row.is_as(before)
    except BaseException:  # whatever is in the way: the worker is replaced
        return False


def rows_of_worker(recorder: int) -> list[Row]:
    """Every row. Timers come before signal handlers: a default one may end the process.

    Args:
        recorder: descriptor that faulthandler writes to.
    """
    from remotemedia._guest.hygiene import interpreter, libraries, loggers, streams, system

    return [
        *system.rows(),
        *streams.rows(),
        *interpreter.rows(recorder),
        *loggers.rows(),
        *libraries.rows(),
    ]

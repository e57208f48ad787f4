"""Restores the state of the worker process after each session, so that the next one finds it fresh.

A table has one row for each thing that a process can change about itself. A row can read that
state, compare it with the state before the session, and put it back. If a change cannot be undone,
the worker is replaced. Loaded modules stay, with everything they set while they were imported: they
are what makes a worker warm.

`docs/worker-state.md` lists the rows for authors of nodes. State that every session sets anyway
(environment, working directory, umask, `sys.path`, `sys.argv`) has no row: see `surroundings`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Sequence
from typing import Any

from remotemedia._guest.hygiene.row import Attributes, Row

__all__ = ["Attributes", "Glance", "Row", "Table", "rows_of_worker"]

Glance = Callable[[], Any]
"""`glance()` returns the state of all rows with `in_glance` as one value, to be compared with `==`;
a false value means that each of these rows must be compared. Reading the rows one by one costs
several times as much."""


_BUILTINS = dict(vars(builtins))
"""As the interpreter has made them."""
_update_builtins = vars(builtins).update

_Entry = tuple[Callable[[], Any] | None, Callable[[Any, Any], bool] | None, str | None, Any, Row]
"""`take`, `is_same` and `module` of a row, its state before the first session, and the row. A plain
tuple is read in a fraction of the time of a named one."""


class Table:
    """The state of this process before the first session, and how to restore it, row by row."""

    def __init__(self, rows: Sequence[Row], glance: Glance | None = None) -> None:
        self._all = rows
        self._glance = glance
        self._glanced: Any = None
        self._entries: list[_Entry] | None = None
        # Those that a glance does not cover.
        self._uncovered: list[_Entry] = []
        self._module_count = 0
        self._builtins: dict[str, Any] = _BUILTINS

    def begin(self) -> None:
        """Read the state that every session must find. Only the first call has an effect; it comes
        before any session has run code.
        """
        if self._entries is None:
            self._take()

    def keep_imported(self) -> None:
        """Read the state again if modules were imported since, so that their changes are kept.
        Called when imports are the only code of the session that has run.
        """
        if self._entries is not None and len(sys.modules) != self._module_count:
            self._take()

    def _take(self) -> None:
        earlier = {entry[-1].name: entry[3] for entry in self._entries or ()}
        self._entries = []
        for row in self._all:
            try:
                now = row.now()
                if row.merged is not None and row.name in earlier:
                    now = row.merged(now, earlier[row.name])
                self._entries.append((row.take, row.is_same, row.module, now, row))
            except Exception:  # this interpreter or system has no such state
                continue
        self._uncovered = [entry for entry in self._entries if not entry[-1].in_glance]
        self._module_count = len(sys.modules)
        self._builtins = dict(vars(builtins))
        # A glance only shows changes; state that was wrong before must be looked at.
        compared = [
            entry for entry in self._entries if entry[-1].in_glance and entry[1] is not None
        ]
        is_right = all(row.is_as(before) for *_, before, row in compared)
        self._glanced = self._glance() if self._glance is not None and is_right else None

    def repair(self, left: Sequence[str] = ()) -> None:
        """Put back the builtins that a session has replaced, so that the rest of this package can
        run. Uses none of them.

        Args:
            left: what could not be put back. If there is anything, the worker will be replaced, and
                builtins that a module has replaced when it was imported are put back too.
        """
        if left:
            self._builtins = _BUILTINS
        _update_builtins(self._builtins)

    def put_back(self) -> list[str]:
        """Undo what the session has changed.

        Returns:
            The names of the rows that are still changed; if there are any, the worker must not be
            used again.
        """
        if self._entries is None:
            return []
        changed = []
        modules = sys.modules
        glanced = None if self._glance is None else self._glance()
        is_covered = bool(glanced) and glanced == self._glanced
        # Inlined for speed: most sessions change nothing, and then this loop is most of the cost of
        # their end.
        for take, is_same, module, before, row in self._uncovered if is_covered else self._entries:
            if module is not None and module not in modules:
                continue
            try:
                if take is None:
                    row.put_back(before)
                elif is_same is None:
                    if take() != before:
                        changed.append((row, before))
                elif not is_same(take(), before):
                    changed.append((row, before))
            except BaseException:  # for instance a closed descriptor or a failing `__eq__`
                changed.append((row, before))
        return [row.name for row, before in changed if not _is_put_back(row, before)]


def _is_put_back(row: Row, before: Any) -> bool:
    try:
        row.put_back(before)
        return row.is_as(before)
    except BaseException:  # the state cannot be restored, so the worker is replaced
        return False


def rows_of_worker(recorder: int, attributes: Attributes | None = None) -> list[Row]:
    """All rows. Timers come before signal handlers: a timer whose handler has been reset to the
    default may end the process.

    Args:
        recorder: descriptor that faulthandler writes to.
        attributes: see `Attributes`; None leaves that row out.
    """
    from remotemedia._guest.hygiene import interpreter, libraries, loggers, streams, system

    return [
        *system.rows(attributes),
        *streams.rows(),
        *interpreter.rows(recorder),
        *loggers.rows(),
        *libraries.rows(),
    ]

"""A progress bar for long runs, in terminals and notebooks, without further packages.

Its face is small: code that works off items calls `Progress.update(done, total)` as often as it
likes, and `close` at the end::

    with Progress(total=len(items), label="resample") as progress:
        for done, item in enumerate(items, 1):
            ...
            progress.update(done)

Nothing is shown in the first half second, so that short runs stay silent, and later at most ten
times a second.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

Option: TypeAlias = "bool | Callable[[int, int | None], Any]"
"""The argument `progress` of a run: whether a bar is shown, or a function that is called with the
number of items that are done and their total (None if it is not known)."""

T = TypeVar("T")

_SILENT_SECONDS = 0.5
_PAUSE_SECONDS = 0.1
_WIDTH = 30


class _Screen(Protocol):
    """What a bar is shown on."""

    def show(self, done: int, total: int | None, text: str) -> None:
        """Replace what was shown before."""

    def end(self) -> None:
        """Leave what is shown as it is."""


class Progress:
    """How many items are done.

    Args:
        option: see `Option`. A function is called at each update, at any rate.
        total: number of items; None if it is not known.
        label: what the bar is of.
        unit: what is counted.
    """

    def __init__(
        self,
        option: Option = True,
        total: int | None = None,
        label: str = "",
        unit: str = "items",
    ) -> None:
        self._call = option if callable(option) else None
        self._is_shown = option is True
        self._label = label
        self._unit = unit
        self._began = time.monotonic()
        self._shown_at = self._began - _PAUSE_SECONDS + _SILENT_SECONDS
        self._screen: _Screen | None = None
        self._taken = 0
        self.done = 0
        self.total = total

    def update(self, done: int, total: int | None = None) -> None:
        """Say that this many items are done, of `total` if that has become known."""
        self.done = done
        if total is not None:
            self.total = total
        if self._call is not None:
            self._call(done, self.total)
        if self._is_shown:
            now = time.monotonic()
            if now - self._shown_at >= _PAUSE_SECONDS:
                self._show(now)

    def close(self) -> None:
        """Show the last state, if anything was shown before."""
        self._is_shown = False
        if self._screen is not None:
            self._show(time.monotonic())
            with contextlib.suppress(OSError, ValueError):
                self._screen.end()
            self._screen = None

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The items; each counts as done when the next one is taken."""
        done = 0
        for done, item in enumerate(items, 1):
            yield item
            self.update(done)
        self.update(done, done)

    def counted(self, items: Iterable[T]) -> Iterator[T]:
        """The items, counted as they are taken; `completed` says how many are done."""
        for self._taken, item in enumerate(items, 1):
            yield item
        self.total = self._taken

    def completed(self, rounds: int) -> None:
        """Say that this many of the items that were taken are done, or more."""
        self.update(min(rounds, self._taken))

    def shown(self, outputs: Iterator[T]) -> Iterator[T]:
        """The outputs; the bar is closed at their end, or when they are left."""
        with self:
            yield from outputs

    def _show(self, now: float) -> None:
        self._shown_at = now
        if self._screen is None:
            self._screen = _notebook() or _Terminal()
        seconds = now - self._began
        with contextlib.suppress(OSError, ValueError):  # a closed stderr must not end a run
            self._screen.show(self.done, self.total, self._text(seconds))

    def _text(self, seconds: float) -> str:
        rate = self.done / seconds if seconds > 0 else 0.0
        of = "" if self.total is None else f"/{self.total}"
        left = ""
        if self.total is not None and self.done < self.total and rate > 0:
            left = f", {_span((self.total - self.done) / rate)} left"
        label = f"{self._label}: " if self._label else ""
        return f"{label}{self.done}{of} {self._unit}, {_span(seconds)}{left}, {rate:.1f}/s"

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def total_of(items: Any) -> int | None:
    """The number of items; None for iterators and the like."""
    try:
        return len(items)
    except TypeError:
        return None


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class _Terminal:
    """One line of stderr. Where that is a file, only the last state is written."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._is_live = bool(self._stream) and self._stream.isatty()
        self._line = ""

    def show(self, done: int, total: int | None, text: str) -> None:
        """Replace the line."""
        bar = ""
        if total:
            filled = min(_WIDTH, _WIDTH * done // total)
            bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] "
        before, self._line = len(self._line), bar + text
        if self._is_live:
            self._stream.write("\r" + self._line.ljust(before))
            self._stream.flush()

    def end(self) -> None:
        """End the line."""
        if self._stream:
            self._stream.write("\n" if self._is_live else f"{self._line}\n")
            self._stream.flush()


class _Notebook:
    """One output of the cell, which is replaced."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._html = ""

    def show(self, done: int, total: int | None, text: str) -> None:
        """Replace the output."""
        from html import escape

        value = f' value="{done}" max="{total}"' if total else ""
        self._html = f"<progress{value}></progress> {escape(text)}"
        if self._handle is None:
            self._handle = self._display(self, display_id=True)
        else:
            self._handle.update(self)

    def end(self) -> None:
        """Leave the output."""

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._html


def _notebook() -> _Notebook | None:
    """The notebook that this code runs in, if it does."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # The shell of a notebook has a kernel; IPython in a terminal has none.
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return _Notebook(display)


__all__ = ["Option", "Progress", "total_of"]

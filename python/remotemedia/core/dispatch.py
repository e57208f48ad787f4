"""Which lane of a map gets which items, and which result is next.

Pure: no threads, clocks or sessions. `mapping` calls it with a lock held.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

BATCH_SECONDS = 0.002
"""How long a batch of small items takes about, where the caller sets no size: then a lane asks for
work so seldom that asking costs little, and a slow item delays few others."""
BATCH_MAX = 64
"""Most items of such a batch."""
QUICK_SECONDS = 0.001
"""A source that took less for its last item is asked for another although a result is ready."""


@dataclass
class Dispatch:
    """The items of one map on their way.

    Attributes:
        lanes: how many lanes take items.
        is_ordered: whether results come in the order of the items.
        batch: how many items a lane takes at once; None: by their times.
        given: number of items so far.
        done: number of items that are done.
    """

    lanes: int
    is_ordered: bool = True
    batch: int | None = None
    given: int = 0
    done: int = 0
    _passed_on: int = 0
    _seconds_each: float | None = None
    _seconds_to_get: float = 0.0
    _waiting: deque[tuple[int, Any]] = field(default_factory=deque)
    _results: dict[int, Any] = field(default_factory=dict)

    def add(self, item: Any) -> int:
        """An item that a lane is to take. Returns its number."""
        number = self.given
        self.given += 1
        self._waiting.append((number, item))
        return number

    def add_done(self, result: Any) -> None:
        """A result that needs no lane."""
        self._results[self.given] = result
        self.given += 1
        self.done += 1

    def note_source(self, seconds: float) -> bool:
        """How long the source took for its last item. Returns whether it is quick."""
        self._seconds_to_get = seconds
        return seconds < QUICK_SECONDS

    @property
    def room(self) -> int:
        """How many items to take from the source now: so many are on their way that no lane waits
        for items, and no more. A result that is ready waits neither for a slow source nor for a
        few items of a quick one.
        """
        at_once = self.lanes * self.batch_size
        room = 2 * at_once - (self.given - self._passed_on)
        if not self.is_ready:
            return max(0, room)
        if self._seconds_to_get >= QUICK_SECONDS:
            return 0
        room = min(room, at_once - len(self._waiting))
        return room if room >= max(1, at_once // 4) else 0

    @property
    def is_idle(self) -> bool:
        """Whether every result has been passed on."""
        return self._passed_on == self.given

    @property
    def waiting(self) -> int:
        """The number of items that wait for a lane."""
        return len(self._waiting)

    @property
    def has_work(self) -> bool:
        """Whether items wait for a lane."""
        return bool(self._waiting)

    @property
    def batch_size(self) -> int:
        """How many items a lane takes at once, at most."""
        if self.batch is not None:
            return self.batch
        if self._seconds_each is None:
            return 1
        return max(1, min(BATCH_MAX, int(BATCH_SECONDS / max(self._seconds_each, 1e-9))))

    def take(self) -> list[tuple[int, Any]]:
        """The items that a lane works on next, with their numbers. Where they are fewer than all
        lanes could take, it leaves the others their share.
        """
        share = self.batch_size
        if self.batch is None:
            share = min(share, -(-len(self._waiting) // self.lanes))
        return [self._waiting.popleft() for _ in range(min(share, len(self._waiting)))]

    def finish(self, results: list[tuple[int, Any]], seconds: float) -> None:
        """A lane has finished items, which took this time together."""
        self._results.update(results)
        self.done += len(results)
        if results:
            each = seconds / len(results)
            known = self._seconds_each
            self._seconds_each = each if known is None else 0.75 * known + 0.25 * each

    @property
    def is_ready(self) -> bool:
        """Whether there is a result to pass on."""
        return self._passed_on in self._results if self.is_ordered else bool(self._results)

    def pass_on(self) -> list[Any]:
        """The next results: those that are ready, and no more than a lane takes at once."""
        passed: list[Any] = []
        most = self.batch_size
        while len(passed) < most and self.is_ready:
            number = self._passed_on if self.is_ordered else next(iter(self._results))
            self._passed_on += 1
            passed.append(self._results.pop(number))
        return passed


__all__ = ["BATCH_MAX", "BATCH_SECONDS", "QUICK_SECONDS", "Dispatch"]

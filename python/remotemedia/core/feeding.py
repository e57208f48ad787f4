"""Items on their way from a producer to the consumer of a session, on other threads or tasks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from remotemedia.core.exceptions import PipelineError

END = object()
"""Stands for the end of the items."""


def nothing() -> None:
    """Does nothing."""


class Feed:
    """A bounded queue of items.

    Args:
        room: how many items may wait.

    Attributes:
        changed: called when there may be something to take, by the thread that has added it.
        error: what the source of the items has failed with, after those that wait.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._items: deque[Any] = deque()
        self._changed = threading.Condition()
        self._is_ended = False
        self.changed: Callable[[], object] = nothing
        self.error: Exception | None = None

    def put(self, item: Any) -> None:
        """Add an item; wait while there is no room.

        Raises:
            PipelineError: the items have ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or len(self._items) < self._room)
            self._check_open()
            self._items.append(item)
            self._changed.notify_all()
        self.changed()

    def put_at_once(self, item: Any) -> bool:
        """Add an item if there is room, and return whether there was.

        Raises:
            PipelineError: the items have ended.
        """
        with self._changed:
            self._check_open()
            has_room = len(self._items) < self._room
            if has_room:
                self._items.append(item)
                self._changed.notify_all()
        if has_room:
            self.changed()
        return has_room

    @property
    def has_next(self) -> bool:
        """Whether `take` returns at once."""
        return self._is_ended or bool(self._items)

    def take(self) -> Any:
        """The next item, or END; waits while there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or self._items)
            item = self._items.popleft() if self._items else END
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """No item follows those that wait."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()
        self.changed()

    def clear(self) -> None:
        """Drop the items that wait."""
        with self._changed:
            self._items.clear()
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._is_ended:
            raise PipelineError("the input of this session has ended: open another session")


__all__ = ["END", "Feed", "nothing"]

"""Streams of sessions whose nodes have replicas: several items are at work at the same time.

Outputs and errors come in the order of the items, which the session core keeps. Here items are
taken from their source when replicas are free for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from remotemedia.core._async import run_in_thread
from remotemedia.core.dispatch import QUICK_SECONDS
from remotemedia.core.exceptions import MarshalingError, PipelineError
from remotemedia.core.feeding import END, Feed, nothing
from remotemedia.core.outputs import asynchronous

if TYPE_CHECKING:
    from remotemedia.core.session import AsyncSession, Session

NOTHING = object()
"""Stands for an item that is not to be fed."""


class Items:
    """The items of an iterable, which may be slow to give the next one."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items
        self._iterator: Any = None
        self._is_quick = False
        self.error: Exception | None = None

    @property
    def state(self) -> str:
        """Whether there is an item now; see `Execution.step`."""
        return "quick" if self._is_quick else "slow"

    def take(self) -> Any:
        """The next item, or END."""
        if self._iterator is None:
            self._iterator = iter(self._items)
        began = time.perf_counter()
        try:
            item = next(self._iterator)
        except StopIteration:
            return END
        except Exception as error:  # raised at its place
            self.error = error
            return END
        self._is_quick = time.perf_counter() - began < QUICK_SECONDS
        return item

    def close(self) -> None:
        """Nothing more is taken."""


class Fed:
    """The items of a `Feed`, which another thread or task fills."""

    def __init__(self, feed: Feed, session: Session) -> None:
        self._feed = feed
        self._session = session
        feed.changed = session.look_again

    @property
    def state(self) -> str:
        """Whether there is an item now; see `Execution.step`."""
        return "quick" if self._feed.has_next else "empty"

    @property
    def error(self) -> Exception | None:
        """What the source failed with, after all its items."""
        return self._feed.error

    def take(self) -> Any:
        """The next item, END, or NOTHING for one that an interrupt has dropped; waits for it."""
        fed = self._feed.take()
        if fed is END:
            return END
        seen, item = fed
        return item if seen == self._session.interrupts else NOTHING

    def close(self) -> None:
        """Nothing more is taken."""
        self._feed.changed = nothing


class Stream:
    """One stream of a session, whose outputs `next` returns.

    Args:
        session: the session.
        source: where the items come from.

    Attributes:
        is_over: whether the source has failed, so that nothing follows its error.
    """

    def __init__(self, session: Session, source: Items | Fed) -> None:
        self._session = session
        self._source = source
        self._error: Exception | None = None
        self._is_through = False
        self.is_over = False
        session.begin(lambda execution: execution.native.begin_stream())

    def next(self) -> Any:
        """The next output, or END.

        Raises:
            NodeError: a node failed for an item. The stream goes on.
            MarshalingError: an item cannot travel. The stream goes on.
        """
        session = self._session
        while True:
            before = session.interrupts
            # An error of the source waits until all items before it are through.
            state = "empty" if self._error is not None else self._source.state
            step, pairs = session.use(lambda execution: execution.step(state))  # noqa: B023
            if step == "output":
                if pairs and session.interrupts == before:
                    return session.bare(pairs)[0]
            elif step == "end":
                self._is_through = True
                return END
            elif self._error is not None:
                if step == "idle":
                    error, self._error = self._error, None
                    raise error
            elif step == "idle" or (step == "input" and self._source.state != "empty"):
                self._take()

    def _take(self) -> None:
        """Take an item and feed it."""
        item = self._source.take()
        if item is NOTHING:
            return
        if item is not END:
            try:
                self._session.use(lambda execution: execution.native.feed_stream(item))
            except MarshalingError as error:
                self._error = error
        elif self._source.error is not None:
            self._error = self._source.error
            self.is_over = True
        else:
            self._session.use(lambda execution: execution.native.end_items())

    def close(self) -> None:
        """End it; what is under way is dropped."""
        self._source.close()
        self._session.end_stream(drops=not self._is_through)


class Filling:
    """A task that fills a feed from an iterable of either kind."""

    def __init__(self, session: AsyncSession, items: Any, feed: Feed) -> None:
        self._feed = feed
        self._session = session
        self._task = asyncio.ensure_future(self._fill(items))

    async def _fill(self, items: Any) -> None:
        try:
            async for item in asynchronous(items):
                fed = (self._session.interrupts, self._session.converted(item))
                if not self._feed.put_at_once(fed):
                    await run_in_thread(lambda fed=fed: self._feed.put(fed), self._feed.end)  # type: ignore[misc]
        except Exception as error:  # raised at its place
            self._feed.error = error
        self._feed.end()

    async def close(self) -> None:
        """Take no further items."""
        self._feed.end()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, PipelineError):
            await self._task


__all__ = ["Fed", "Filling", "Items", "Stream"]

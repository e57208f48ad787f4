"""Outputs of a session one by one, as soon as each is made, while its items are taken one by one.

An item is taken when all outputs of the one before it have been handed over. So nothing waits but
the item that is at work, and an error is raised at its place. Where nodes have replicas,
`side_by_side` takes items when these are free.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Callable,
    Iterator,
)
from contextlib import aclosing
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from remotemedia.core.exceptions import ConfigurationError, MarshalingError, NodeError
from remotemedia.core.feeding import END, Feed
from remotemedia.core.outputs import asynchronous, is_only_async

if TYPE_CHECKING:
    from remotemedia.core.execution import Execution
    from remotemedia.core.session import AsyncSession, Session
    from remotemedia.core.side_by_side import Stream

OnError: TypeAlias = Literal["raise", "skip"] | Callable[[Exception], Any]
"""What happens when a node fails for an item: the error is raised, the item is skipped, or a
function is called with the error, and the stream goes on when it returns."""


def check(on_error: OnError, items: Any = None) -> None:
    """Check the arguments of a stream before it begins.

    Raises:
        ConfigurationError: `on_error` is none of the three.
        TypeError: `items` is an async iterable.
    """
    if not callable(on_error) and on_error not in ("raise", "skip"):
        raise ConfigurationError(f'on_error is "raise", "skip" or a function, not {on_error!r}')
    if is_only_async(items):
        raise TypeError(
            "stream() takes plain iterables; for async ones write "
            "`async for output in pipeline.process(stream)`"
        )


def stream(session: Session, items: Any, on_error: OnError) -> Iterator[Any]:
    """The outputs for items, and those of the flush at their end; None runs the sources. When the
    iterator is closed early, what runs for its item is interrupted.
    """
    if items is not None and session.width() > 1:
        from remotemedia.core import side_by_side

        of_feed = isinstance(items, Feed)
        source = side_by_side.Fed(items, session) if of_feed else side_by_side.Items(items)
        yield from _side_by_side(side_by_side.Stream(session, source), on_error)
        return
    try:
        for begin, seen in _steps(items):
            try:
                yield from _outputs(session, begin, seen)
            except (NodeError, MarshalingError) as error:
                if not _goes_on(error, on_error):
                    raise
    finally:
        if session.is_live:
            session.drop()


def _side_by_side(stream: Stream, on_error: OnError) -> Iterator[Any]:
    try:
        while True:
            try:
                output = stream.next()
            except (NodeError, MarshalingError) as error:
                if stream.is_over or not _goes_on(error, on_error):
                    raise
                continue
            if output is END:
                return
            yield output
    finally:
        stream.close()


def _outputs(
    session: Session, begin: Callable[[Execution], None], seen: int | None
) -> Iterator[Any]:
    before = session.interrupts if seen is None else seen
    is_last = False
    session.begin(begin, before)
    while not is_last:
        pairs, is_last = session.next()
        for output in session.bare(pairs):
            if session.interrupts != before:
                return session.drain()
            yield output
    return None


def _steps(items: Any) -> Iterator[tuple[Callable[[Execution], None], int | None]]:
    """What to begin, and of an item that was fed how many interrupts there were before."""
    if items is None:
        yield methodcaller("begin_produce"), None
        return
    if isinstance(items, Feed):
        for seen, item in iter(items.take, END):
            yield methodcaller("begin", item), seen
    else:
        for item in items:
            yield methodcaller("begin", item), None
    yield methodcaller("begin_flush"), None


async def stream_async(session: AsyncSession, items: Any, on_error: OnError) -> AsyncGenerator[Any]:
    """Like `stream`, for coroutines and for plain or async iterables."""
    if items is not None and await session.width() > 1:
        async with aclosing(_side_by_side_async(session, items, on_error)) as outputs:
            async for output in outputs:
                yield output
        return
    try:
        async for begin, seen in _steps_async(session, items):
            try:
                before = session.interrupts if seen is None else seen
                async with aclosing(session.live(begin, before)) as pairs:
                    async for pair in pairs:
                        if session.interrupts != before:
                            break
                        yield session.bare(pair)
                if session.interrupts != before:
                    await session.drain()
            except (NodeError, MarshalingError) as error:
                if not _goes_on(error, on_error):
                    raise
    finally:
        if session.is_live:
            await session.drop()


async def _side_by_side_async(
    session: AsyncSession, items: Any, on_error: OnError
) -> AsyncGenerator[Any]:
    from remotemedia.core import side_by_side

    feed = items if isinstance(items, Feed) else Feed(1)
    stream = await session.side_by_side(feed)
    filling = None if feed is items else side_by_side.Filling(session, items, feed)
    try:
        while True:
            try:
                output = await session.call(stream.next)
            except (NodeError, MarshalingError) as error:
                if stream.is_over or not _goes_on(error, on_error):
                    raise
                continue
            if output is END:
                return
            yield output
    finally:
        if filling is not None:
            await filling.close()
        await session.call(stream.close)


async def _steps_async(
    session: AsyncSession, items: Any
) -> AsyncGenerator[tuple[Callable[[Execution], None], int | None]]:
    if items is None:
        yield methodcaller("begin_produce"), None
        return
    if isinstance(items, Feed):
        while (fed := await session.call(items.take)) is not END:
            seen, item = fed
            yield methodcaller("begin", item), seen
    else:
        async for item in asynchronous(items):
            yield methodcaller("begin", item), None
    yield methodcaller("begin_flush"), None


def _goes_on(error: Exception, on_error: OnError) -> bool:
    """Whether the stream goes on after an error; calls the caller's function, if there is one."""
    if callable(on_error):
        on_error(error)
        return True
    return on_error == "skip"


__all__ = ["OnError", "check", "stream", "stream_async"]

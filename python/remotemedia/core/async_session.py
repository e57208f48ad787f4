"""`AsyncSession`: a session whose methods are coroutines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from remotemedia.core._async import run_in_thread
from remotemedia.core.outputs import Pairs
from remotemedia.core.streaming import OnError, check, stream_async

if TYPE_CHECKING:
    from remotemedia.core.execution import Execution
    from remotemedia.core.feeding import Feed
    from remotemedia.core.profiling import Profile
    from remotemedia.core.session import Session
    from remotemedia.core.side_by_side import Stream

T = TypeVar("T")


class AsyncSession:
    """A session with coroutines as methods, from `async with pipeline.session()`.

    Cancelling a call (or its task) cancels the session, which can then only be closed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def process(
        self,
        item: Any,
        *,
        due: float | None = None,
        late: Literal["wait", "drop", "conceal"] = "wait",
    ) -> Any:
        """See `Session.process`."""
        return await self.call(lambda: self._session.process(item, due=due, late=late))

    async def live(
        self, begin: Callable[[Execution], None], seen: int | None = None
    ) -> AsyncGenerator[tuple[str, Any]]:
        """The outputs of the call that `begin` begins, with their sinks, each as soon as it is
        made. For `seen` see `Session.begin`.
        """

        def first() -> tuple[Pairs, bool]:
            self._session.begin(begin, seen)
            return self._session.next()

        pairs, is_last = await self.call(first)
        while True:
            for pair in pairs:
                yield pair
            if is_last:
                return
            pairs, is_last = await self.call(self._session.next)

    @property
    def is_live(self) -> bool:
        """See `Session.is_live`."""
        return self._session.is_live

    def stream(self, items: Any = None, *, on_error: OnError = "raise") -> AsyncGenerator[Any]:
        """See `Session.stream`; the items may also come from an async iterable."""
        check(on_error)
        return stream_async(self, items, on_error)

    async def width(self) -> int:
        """The greatest number of replicas of a node."""
        return await self.call(self._session.width)

    async def side_by_side(self, feed: Feed) -> Stream:
        """Begin a stream with several items at work."""
        from remotemedia.core import side_by_side

        source = side_by_side.Fed(feed, self._session)
        return await self.call(lambda: side_by_side.Stream(self._session, source))

    def converted(self, item: Any) -> Any:
        """See `Session.converted`."""
        return self._session.converted(item)

    async def feed(self, item: Any) -> None:
        """See `Session.feed`."""
        feed = self._session.waiting
        fed = (self._session.interrupts, self._session.converted(item))
        if not feed.put_at_once(fed):
            await self.call(lambda: feed.put(fed))

    def end_input(self) -> None:
        """See `Session.end_input`."""
        self._session.end_input()

    def results(self, *, on_error: OnError = "raise") -> AsyncGenerator[Any]:
        """See `Session.results`."""
        return self.stream(self._session.waiting, on_error=on_error)

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        self._session.interrupt()

    @property
    def interrupts(self) -> int:
        """See `Session.interrupts`."""
        return self._session.interrupts

    async def drain(self) -> None:
        """See `Session.drain`."""
        await self.call(self._session.drain)

    async def drop(self) -> None:
        """See `Session.drop`."""
        await self.call(self._session.drop)

    def bare(self, pair: tuple[str, Any]) -> Any:
        """The output of a pair, without its sink if there is only one."""
        return self._session.bare([pair])[0]

    async def flush(self) -> Any:
        """See `Session.flush`."""
        return await self.call(self._session.flush)

    async def produce(self) -> Any:
        """See `Session.produce`."""
        return await self.call(self._session.produce)

    def get_metrics(self) -> dict[str, Any] | None:
        """See `Session.get_metrics`."""
        return self._session.get_metrics()

    def profile(self) -> Profile | None:
        """See `Session.profile`."""
        return self._session.profile()

    async def close(self) -> None:
        """See `Session.close`."""
        await self.call(self._session.close)

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self._session.cancel()

    async def call(self, call: Callable[[], T]) -> T:
        """Call a function that may block, in a thread. Cancelling the task cancels the session."""
        return await run_in_thread(call, self._session.cancel)


__all__ = ["AsyncSession"]

"""A session that was cancelled can only be closed, and closing it says nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from remotemedia import Node, Pipeline
from remotemedia.core.exceptions import RunCancelled


class Holds(Node):
    """Gives its items at the end."""

    def process(self, data: Any) -> None:
        self.held = data

    def flush(self) -> Any:
        return self.held


def test_closing_after_a_cancel_is_silent() -> None:
    # spec: FFI-14
    session = Pipeline(Holds()).session()
    session.process(1)
    session.cancel()
    for _ in range(2):
        session.close()
        assert session.tail is None
        assert not session.is_open


def test_leaving_the_block_after_a_cancel_is_silent() -> None:
    # spec: FFI-14
    with Pipeline(Holds()).session() as session:
        session.process(1)
        session.cancel()
        session.cancel()
        with pytest.raises(RunCancelled):
            session.process(2)
    assert session.tail is None


def test_another_thread_may_cancel_and_close() -> None:
    # spec: FFI-14
    session = Pipeline(Holds()).session()
    session.process(1)
    for act in (session.cancel, session.close, session.close):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
    session.close()
    assert session.tail is None


def test_async_sessions_and_managed_pipelines_close_in_silence() -> None:
    # spec: FFI-14
    async def scenario() -> None:
        async with Pipeline(Holds()).session() as session:
            await session.process(1)
            session.cancel()
            await session.close()
        pipeline = Pipeline(Holds())
        async with pipeline.managed_execution():
            assert [item async for item in pipeline.process(items())] == [2]
            assert pipeline._active is not None
            pipeline._active.cancel()
            await pipeline.cleanup()
        await pipeline.cleanup()

    async def items() -> Any:
        yield 2

    asyncio.run(scenario())


def test_a_session_that_was_cancelled_before_it_opened_closes() -> None:
    # spec: FFI-14
    session = Pipeline(Holds()).session()
    session.cancel()
    with pytest.raises(RunCancelled):
        session.open()
    session.close()
    assert session.tail is None

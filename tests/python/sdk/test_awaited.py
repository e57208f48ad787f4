"""Awaited runs and calls, and the threads in which they work."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from typing import Any

import pytest

from remotemedia import Pipeline


def test_awaited_calls_start_no_thread_where_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """spec: NRA-16: to start a thread blocks the event loop until the thread runs."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    async def scenario() -> list[Any]:
        pipeline = Pipeline(lambda item: item + 1)
        async with pipeline.session() as session:
            one_by_one = [await session.process(number) for number in range(50)]
        together = await asyncio.gather(*(pipeline.run(number) for number in range(4)))
        return [one_by_one, together]

    monkeypatch.setattr(threading.Thread, "start", noted)
    assert asyncio.run(scenario()) == [[[number + 1] for number in range(50)], [1, 2, 3, 4]]
    assert len([thread for thread in started if thread.name == "remotemedia-run"]) <= 5


def test_awaited_calls_in_a_forked_process() -> None:
    """spec: NRA-16: the threads of the parent are not there."""

    async def scenario() -> Any:
        return await Pipeline(lambda item: item + 1).run(1)

    def child(answers: Any) -> None:
        answers.put(asyncio.run(scenario()))

    assert asyncio.run(scenario()) == 2
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    process.join()
    assert (process.exitcode, answers.get()) == (0, 2)

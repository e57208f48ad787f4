"""A session that was cancelled can only be closed, and closing it says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from remotemedia import Node, Pipeline, Runtime
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


PART = """
import os, pathlib, time
here = pathlib.Path(__file__).parent
if (here / "slow").exists():
    (here / "begun").touch()
    for _ in range(200):
        time.sleep(0.01)
"""
USER = """
try:
    import cut_part
except BaseException:  # as a library does that can do without
    cut_part = None
"""


class NeedsPart(Node):
    """Imports a module when its session opens, or at its first item."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def initialize(self) -> None:
        if self.when == "opening":
            importlib.import_module("cut_user")

    def process(self, _value: int) -> bool:
        return importlib.import_module("cut_user").cut_part is not None


@pytest.mark.parametrize("when", ["opening", "running"])
def test_an_import_that_was_interrupted_spoils_no_later_session(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-24, CARD-08
    (tmp_path / "cut_part.py").write_text(PART)
    (tmp_path / "cut_user.py").write_text(USER)
    (tmp_path / "slow").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with Runtime("[workers]\nmax = 1\n") as where:

        def pipeline() -> Pipeline:
            return Pipeline(NeedsPart(when), runtime=where)

        session = pipeline().session()
        work = threading.Thread(target=lambda: _ignoring_the_cancel(session))
        work.start()
        while not (tmp_path / "begun").exists():
            time.sleep(0.005)
        session.cancel()
        work.join()
        (tmp_path / "slow").unlink()
        assert pipeline().run(1) is True


def _ignoring_the_cancel(session: Any) -> None:
    with contextlib.suppress(RunCancelled), session:
        session.process(1)

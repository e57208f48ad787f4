"""The event loop of a worker goes on between calls and beside them, on both interpreters."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop_nodes import Awaits, Beside, Reports
from remotemedia import Pipeline, Runtime


@pytest.fixture(params=["cpython", "rustpython"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Workers of one interpreter alone."""
    configuration = f'[python]\nruntime = "{request.param}"\n[fallback]\nenabled = false\n'
    with Runtime(configuration) as opened:
        yield opened


@pytest.mark.parametrize(
    "way", ["timer", "cancelled_timer", "thread", "executor", "socket", "turns"]
)
def test_whatever_wakes_the_loop_does_so_while_the_worker_idles(
    runtime: Runtime, way: str, tmp_path: Path
) -> None:
    # spec: IOP-23
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    try:
        with Pipeline([Reports()], runtime=runtime).session() as session:
            assert session.process((way, str(pipe))) == ["set off"]
            # No further call: the worker is idle.
            assert os.read(reader, 100) == b"written\n"
    finally:
        os.close(reader)


def test_tasks_go_on_while_one_call_follows_another(runtime: Runtime) -> None:
    # spec: IOP-23
    with Pipeline([Beside()], runtime=runtime).session() as session:
        counts: dict[str, int] = {}
        # The calls come without a pause, so that the worker always finds the next.
        while not counts or min(counts.values()) < 20:
            (counts,) = session.process(None)


WAYS = [name for name in vars(Awaits) if name[0] != "_" and name != "process"]


def test_a_call_may_wait_in_every_way_of_asyncio(runtime: Runtime) -> None:
    # spec: IOP-23, CARD-07
    # Twice each, so that what one call does to its task does not reach the next.
    ways = [way for way in WAYS for _ in range(2)]
    expected = [_without_addresses(asyncio.run(Awaits().process(way))) for way in ways]
    assert not [outcome for outcome in expected if "never" in outcome]
    with Pipeline([Awaits()], runtime=runtime).session() as session:
        told = [_without_addresses(session.process(way)[0]) for way in ways]
    different = ("no_awaitable", "other_loop")  # an error each, in other words
    for way, here, there in zip(ways, expected, told, strict=True):
        if way in different:
            assert here.startswith("raised RuntimeError")
            assert there.startswith("raised RuntimeError")
        else:
            assert there == here, way


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)

"""Outputs are handed over when they are made, and who leaves early ends what makes them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from live_nodes import (
    Computes,
    Deaf,
    Endless,
    EndlessAtFirst,
    FailsAtFirst,
    FailsToCleanUp,
    InterruptedInCallback,
    InTurns,
    Process,
    Waits,
    wait_for,
)
from places import FIXTURES
from processes import wait_until_gone
from remotemedia import NodeError, PassThroughNode, Pipeline, Runtime
from remotemedia.nodes import DataSinkNode
from worker_programs import PROGRAMS, runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"
each = pytest.mark.parametrize("program", PROGRAMS)


def one_worker(program: str, more: str = "") -> Runtime:
    return runtime(program, ONE.replace("[workers]\n", f"[workers]\n{more}"))


@each
def test_an_output_comes_while_its_item_is_worked_on(tmp_path: Path, program: str) -> None:
    # spec: CARD-02
    async def main() -> list[str]:
        outputs = []
        async with Pipeline(InTurns(), runtime=where).managed_execution() as pipeline:
            async for output in pipeline.process([str(tmp_path)]):
                outputs.append(output)
                (tmp_path / "seen").write_text("")
        return outputs

    with one_worker(program) as where:
        assert asyncio.run(main()) == ["first", "second"]


@each
def test_a_sink_at_the_caller_sees_each_output_when_it_is_made(
    tmp_path: Path, program: str
) -> None:
    seen: list[str] = []

    def see(output: str) -> None:
        seen.append(output)
        (tmp_path / "seen").write_text("")

    with one_worker(program) as where:
        pipeline = Pipeline(InTurns(), DataSinkNode(callback=see), runtime=where)
        assert pipeline.run([str(tmp_path)]) == ["first", "second"] == seen
        (tmp_path / "seen").unlink()
        with pipeline.session() as session:
            assert session.process(str(tmp_path)) == ["first", "second"]


def test_the_command_line_prints_each_output_when_it_is_made(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    nodes = [{"id": "a", "node_type": "live_nodes:InTurns"}]
    manifest.write_text(json.dumps({"version": "v1", "nodes": nodes, "connections": []}))
    command = [sys.executable, "-m", "remotemedia", "run", str(manifest), "--input", "-"]
    environment = {**os.environ, "PYTHONPATH": str(FIXTURES)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(json.dumps(str(tmp_path)) + "\n")
        running.stdin.flush()
        first = running.stdout.readline()
        (tmp_path / "seen").write_text("")
        running.stdin.close()
        rest = running.stdout.read()
    assert ("first" in first, "second" in rest) == (True, True), (first, rest)


async def take(
    pipeline: Pipeline, count: int, stream: Any = None, begun: Path | None = None
) -> list[Any]:
    """The first outputs; leaves then, when the node that gave them has gone on."""
    taken: list[Any] = []
    outputs: AsyncIterator[Any] = pipeline.process(stream)
    async with aclosing(outputs) as live:  # type: ignore[type-var]  # it is a generator
        async for output in live:
            taken.append(output)
            if len(taken) == count:
                if begun is not None:
                    wait_for(begun)
                break
    return taken


@each
def test_an_endless_source_is_left_and_its_worker_stays_warm(tmp_path: Path, program: str) -> None:
    # spec: CARD-02
    node = Endless(str(tmp_path))

    async def main() -> list[list[tuple[int, int]]]:
        async with Pipeline(node, runtime=where).managed_execution() as pipeline:
            return [await take(pipeline, 20), await take(pipeline, 3)]

    with one_worker(program) as where:
        twenty, three = asyncio.run(main())
        assert [number for number, _ in twenty] == list(range(20))
        assert [number for number, _ in three] == [0, 1, 2]
        assert (tmp_path / "closed").exists()
        assert node.closed == 2
        assert Pipeline(Process(), runtime=where).run(0) == twenty[0][1] == three[0][1]


@each
@pytest.mark.parametrize("node", [Computes(), Waits()], ids=["computes", "waits"])
def test_a_node_that_works_is_interrupted_and_its_worker_stays_warm(
    tmp_path: Path, program: str, node: Any
) -> None:
    async def main() -> list[int]:
        async with Pipeline(node, runtime=where).managed_execution() as pipeline:
            return await take(pipeline, 1, [str(tmp_path)], tmp_path / "at work")

    with one_worker(program) as where:
        (pid,) = asyncio.run(main())
        assert Pipeline(Process(), runtime=where).run(0) == pid
        assert isinstance(node, Waits) or (tmp_path / "interrupted").exists()


def test_an_interrupt_is_not_lost_where_exceptions_are_ignored() -> None:
    # spec: IOP-25
    with one_worker("cpython") as where, pytest.raises(NodeError) as caught:
        Pipeline(InterruptedInCallback(), runtime=where).run(50_000_000)
    assert caught.value.remote_type == "remotemedia._guest.interrupts.Interrupted"


@each
def test_the_next_session_logs_what_fails_after_the_caller_has_left(
    tmp_path: Path,
    program: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # spec: IOP-25
    async def main() -> None:
        pipeline = Pipeline(FailsToCleanUp(str(tmp_path)), runtime=where)
        async with pipeline.managed_execution():
            await take(pipeline, 1)

    with one_worker(program) as where:
        asyncio.run(main())
        while "nothing is cleaned up" not in caplog.text:
            Pipeline(Process(), runtime=where).run(0)
    assert "begins to clean up" in capfd.readouterr().out


@each
def test_a_node_that_does_not_listen_is_ended_behind_the_caller(
    tmp_path: Path, program: str
) -> None:
    async def main() -> int:
        async with Pipeline(Deaf(), runtime=where).managed_execution() as pipeline:
            (pid,) = await take(pipeline, 1, [str(tmp_path)], tmp_path / "at work")
            os.kill(pid, 0)  # the caller goes on, and it is still there
            await pipeline.cleanup()
            return int(pid)

    with one_worker(program, 'close_timeout = "2 s"\n') as where:
        pid = asyncio.run(main())
        assert Pipeline(Process(), runtime=where).run(0) != pid
        wait_until_gone({pid})


@each
def test_what_was_left_does_not_come_with_the_next_item(tmp_path: Path, program: str) -> None:
    async def main() -> list[list[str]]:
        async with Pipeline(InTurns(), runtime=where).managed_execution() as pipeline:
            first = await take(pipeline, 1, [str(tmp_path)])
            (tmp_path / "seen").write_text("")
            return [first, await take(pipeline, 9, [str(tmp_path)])]

    with one_worker(program) as where:
        assert asyncio.run(main()) == [["first"], ["first", "second"]]


@each
def test_an_endless_branch_ends_with_the_item_that_failed_in_another(program: str) -> None:
    # spec: IOP-25
    endless = EndlessAtFirst()
    with runtime(program) as where:
        pipeline = Pipeline(runtime=where)
        source = PassThroughNode()
        pipeline.add_node(source)
        pipeline.add_node(endless, after=[source])
        pipeline.add_node(FailsAtFirst(), after=[source])
        with pipeline.session() as session:
            with pytest.raises(NodeError, match="the first"):
                session.process(1)
            assert list(session.process(2).values()) == [[2], [2]]
    assert endless.closed == 2


def test_metrics_of_a_session_that_is_open() -> None:
    pipeline = Pipeline(Process())
    assert pipeline.get_metrics() is None
    with pipeline.session() as session:
        session.process(0)
        metrics = pipeline.get_metrics()
        assert metrics is not None
        assert [node["execution_count"] for node in metrics["nodes"]] == [1]
        session.process(0)
        metrics = pipeline.get_metrics()
        assert metrics is not None
        assert [node["execution_count"] for node in metrics["nodes"]] == [2]

"""`use_rust=False`: the executor in this process gives what a run with workers gives."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from places import REPOSITORY
from remotemedia import (
    AddNode,
    BufferNode,
    DataSinkNode,
    DataSourceNode,
    MultiplyNode,
    Node,
    NodeError,
    PassThroughNode,
    Pipeline,
    StatefulCounter,
    VADNode,
)
from stream_nodes import Pairs, Twice

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
# They crash nodes, which would end this process, or have no run.
ABOUT_WORKERS = {"main_job.py", "unheard_crashes.py", "live_session.py"}


def keeps(item: int) -> int | None:
    return item if item % 2 else None


async def later(item: int) -> int:
    await asyncio.sleep(0)
    return item + 100


def counts() -> Iterator[int]:
    yield from range(3)


class Collects(Node):
    is_streaming = True

    def process(self, items: Iterator[int], /) -> Iterator[int]:
        total = 0
        for item in items:
            total += item
            yield total


class CollectsLater(Node):
    is_streaming = True

    async def process(self, items: AsyncIterator[int], /) -> AsyncIterator[int]:
        async for item in items:
            if item > 1:
                yield item

    def flush(self) -> str:
        return "end"


def joined(join: str) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_node("in", PassThroughNode())
    pipeline.add_node("double", MultiplyNode(2), after="in")
    pipeline.add_node("plus", AddNode(1), after="in")
    last = Twice() if join == "interleave" else Sums(join="zip")
    return pipeline.add_node("last", last, after=["plus", "double"])


class Sums(Node):
    def process(self, pair: tuple[int, int], /) -> int:
        return sum(pair)


def two_sinks() -> Pipeline:
    pipeline = Pipeline("p", Twice(name="a"))
    return pipeline.add_node(Pairs(), after="a").add_node(BufferNode(2), after="a")


PIPELINES: dict[str, tuple[Any, Any]] = {
    "functions": (lambda: Pipeline(lambda x: x + 1, keeps, later), [1, 2, 4]),
    "native nodes": (lambda: Pipeline(AddNode(1), MultiplyNode(3)), [1, 2.5]),
    "generators": (lambda: Pipeline(Pairs(), Twice()), [1, 2]),
    "one output": (lambda: Pipeline(Sums()), (1, 2)),
    "no output": (lambda: Pipeline(keeps), 2),
    "a source": (lambda: Pipeline(counts, MultiplyNode(2)), None),
    "streaming nodes": (lambda: Pipeline(Collects(), CollectsLater()), [1, 2, 3]),
    "flushes": (lambda: Pipeline(BufferNode(2), Pairs()), [1, 2, 3]),
    "a counter": (lambda: Pipeline(StatefulCounter(3)), ["a", "b"]),
    "interleaved": (lambda: joined("interleave"), [1, 2]),
    "zipped": (lambda: joined("zip"), [1, 2]),
    "two sinks": (two_sinks, [1, 2, 3]),
    "manifest entries": (
        lambda: Pipeline.from_dict(
            {
                "version": "v1",
                "nodes": [
                    {"id": "a", "node_type": "MultiplyNode", "params": {"factor": 3}},
                    {"id": "b", "node_type": "BufferNode", "params": {"buffer_size": 2}},
                    {"id": "c", "node_type": "stream_nodes:Pairs"},
                ],
                "connections": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}],
            }
        ),
        [1, 2, 3],
    ),
    "audio": (lambda: Pipeline(VADNode()), (np.ones(1600, np.float32), 16_000)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_gives_the_same_either_way(name: str) -> None:
    # spec: NRA-16
    make, data = PIPELINES[name]
    for _ in range(2):
        assert repr(make().run(data, use_rust=False)) == repr(make().run(data))


def test_nodes_run_here_and_keep_their_attributes() -> None:
    class Here(Node):
        def initialize(self) -> None:
            self.ready = True

        def process(self, item: Any, /) -> Any:
            self.seen = (item, os.getpid(), threading.current_thread())
            return item

        def cleanup(self) -> None:
            self.ready = False

    node = Here()
    item = object()
    pipeline = Pipeline(node)
    assert pipeline.run((item,), use_rust=False)[0] is item
    assert node.seen[1:] == (os.getpid(), threading.current_thread())
    assert node.ready is False
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert metrics["nodes"][0] == {
        "node_id": "Here_0",
        "runtime": "in_process",
        "execution_count": 1,
        "error_count": 0,
    }


def test_a_coroutine_may_await_it() -> None:
    async def main() -> Any:
        return await Pipeline(later).run([1, 2], use_rust=False)

    assert asyncio.run(main()) == [101, 102]


def test_ends_at_the_caller() -> None:
    source, seen = DataSourceNode(), list[int]()
    source.push_data(1)
    source.push_data(2)
    source.close()
    pipeline = Pipeline(source, MultiplyNode(2), DataSinkNode(seen.append))
    assert pipeline.run(use_rust=False) == [2, 4] == seen


class Fails(Node):
    def process(self, item: int, /) -> int:
        if item == 2:
            raise KeyError("two")
        return item

    def cleanup(self) -> None:
        self.cleaned = True


def test_errors_are_those_of_a_run() -> None:
    # spec: IOP-24
    node = Fails()
    errors = []
    for use_rust in (True, False):
        with pytest.raises(NodeError) as caught:
            Pipeline(node, AddNode(1)).run([1, 2, 3], use_rust=use_rust)
        errors.append(caught.value)
    told = [
        (e.node_id, e.operation, e.remote_type, e.remote_message, e.partial_results, type(e))
        for e in errors
    ]
    assert told[0] == told[1]
    assert isinstance(errors[1].__cause__, KeyError)
    assert "line" in (errors[1].remote_traceback or "")
    assert node.cleaned


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_programs(error: type[BaseException]) -> None:
    def ends(_: Any) -> None:
        raise error(3)

    wanted = NodeError if error is SystemExit else KeyboardInterrupt
    with pytest.raises(wanted):
        Pipeline(ends).run(1, use_rust=False)


def test_no_worker_starts(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from remotemedia import Node, Pipeline\n"
        "class Double(Node):\n"
        "    def process(self, x): return 2 * x\n"
        "pipeline = Pipeline(name='p')\n"
        "pipeline.graph.add(Double(), None, None)\n"
        "print(pipeline.run([1, 2], use_rust=False))\n"
        "me = os.getpid()\n"
        "print(open(f'/proc/{me}/task/{me}/children').read())\n"
    )
    printed = subprocess.check_output([sys.executable, str(program)], text=True)
    assert printed == "[2, 4]\n\n"


def _printed(example: Path, prologue: str) -> str:
    path = str(example)
    code = f"import sys, runpy\nsys.argv = [{path!r}]\n{prologue}\n"
    code += f"runpy.run_path({path!r}, run_name='__main__')\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    # Where each node ran is what differs.
    return re.sub(
        r"^  \S+: (cpython|rustpython|rust_native|in_process)$", "", done.stdout, flags=re.M
    )


IN_PROCESS = """
from remotemedia import Pipeline
in_workers = Pipeline.run
Pipeline.run = lambda self, data=None, **how: in_workers(self, data, use_rust=False)
"""


@pytest.mark.rustpython
@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.name not in ABOUT_WORKERS], ids=lambda e: e.name
)
def test_examples_give_the_same_either_way(example: Path) -> None:
    # spec: NRA-16
    assert _printed(example, IN_PROCESS) == _printed(example, "")


class FailsAtTheEnd(Node):
    def process(self, item: Any) -> Any:
        return item

    def cleanup(self) -> None:
        raise KeyError("at the end")


class FailsAtTheStart(Node):
    def initialize(self) -> None:
        raise ValueError("at the start")

    def process(self, item: Any) -> Any:
        return item


def test_errors_are_the_same_either_way() -> None:
    """spec: DSG-27: what was made before, by sink, and the first of several."""

    def fan() -> Pipeline:
        pipeline = Pipeline(lambda item: item)
        pipeline.add_node(lambda item: 1 / (item - 3), after="lambda_0", id="a")
        pipeline.add_node(lambda item: item + 2, after="lambda_0", id="b")
        return pipeline

    for native in (True, False):
        with pytest.raises(NodeError) as caught:
            fan().run([1, 2, 3, 4], use_rust=native)
        assert caught.value.partial_results["a"] == [-0.5, -1.0]
        assert caught.value.partial_results.keys() == {"a", "b"}
        with pytest.raises(NodeError, match="at the start"):
            Pipeline(FailsAtTheEnd(), FailsAtTheStart()).run(1, use_rust=native)
        with pytest.raises(NodeError, match="at the end") as caught:
            Pipeline(FailsAtTheEnd()).run([1, 2], use_rust=native)
        assert caught.value.partial_results == [1, 2]

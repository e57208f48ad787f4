"""Users' code as it is written in the documents, on the real runtime."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e_nodes import Apply, Counter, Identity, Pid, Scale, node_metrics, run_script
from remotemedia import (
    AddNode,
    AudioResampleNode,
    CalculatorNode,
    FormatConverterNode,
    MultiplyNode,
    Node,
    PassThroughNode,
    Pipeline,
    VADNode,
)


def speech(seconds: float = 1.0, sample_rate: int = 48_000) -> tuple[Any, int]:
    """Something loud between two silences, as (1, samples)."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    loud = (time > seconds / 4) & (time < seconds * 3 / 4)
    tone = 0.5 * np.sin(2 * np.pi * 300 * time) * loud
    return tone.astype(np.float32)[None, :], sample_rate


def test_the_snippet_runs_in_a_script_without_a_guard(tmp_path: Path) -> None:
    # spec: NRA-16, IOP-01, IOP-02, CARD-01
    printed = run_script(
        tmp_path,
        """
        import json, os
        import numpy as np
        from remotemedia import Pipeline, Node, AudioResampleNode

        class MyNode(Node):
            def process(self, data):
                audio, sample_rate = data
                return {"rate": sample_rate, "peak": float(np.abs(audio).max()), "pid": os.getpid(),
                        "audio": audio}

        audio = (np.full((1, 48000), 0.5, dtype=np.float32), 48000)
        p = Pipeline("audio"); p.add_node(AudioResampleNode(target_rate=16000)); p.add_node(MyNode()); result = p.run(audio)

        assert type(result) is dict and type(result["rate"]) is int and type(result["peak"]) is float
        assert type(result["audio"]) is np.ndarray and result["audio"].dtype == np.float32
        assert result["audio"].shape == (1, 16000)
        nodes = {node["node_id"]: node for node in p.get_metrics()["nodes"]}
        (resample, mine) = nodes.values()
        print(json.dumps([result["rate"], round(result["peak"], 1), resample["runtime"],
                          resample["worker_pid"], mine["runtime"],
                          mine["worker_pid"] == result["pid"] != os.getpid()]))
        """,  # noqa: E501  # the issue's line as it is
    )
    assert json.loads(printed) == [16000, 0.5, "rust_native", None, "cpython", True]


NATIVE: list[tuple[Any, dict[str, Any], Any]] = [
    (AudioResampleNode, {"target_rate": 16000}, speech()),
    (AudioResampleNode, {"target_sample_rate": 8000, "quality": "low"}, speech(0.5)),
    (VADNode, {"frame_duration_ms": 20}, speech(2.0, 16_000)),
    (FormatConverterNode, {"target_format": "i16"}, speech(0.1)),
    (AddNode, {"addend": 2.5}, 4),
    (MultiplyNode, {"factor": 3}, [1, 2, 10**30]),
    (CalculatorNode, {"operation": "power", "operand": 70}, 7),
    (PassThroughNode, {}, {"any": [1, None]}),
]


def assert_same(left: Any, right: Any) -> None:
    """Equal results, arrays included."""
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    elif isinstance(left, list | tuple):
        assert type(left) is type(right)
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left == right


@pytest.mark.parametrize(("kind", "params", "item"), NATIVE)
def test_native_where_there_is_a_native_node_and_a_worker_where_asked(
    kind: Any, params: dict[str, Any], item: Any
) -> None:
    # spec: NRA-16, NRA-17
    results = {}
    for hint in ("auto", "cpython"):
        pipeline = Pipeline([kind(**params, runtime_hint=hint)])
        results[hint] = pipeline.run(item)
        (metrics,) = node_metrics(pipeline.get_metrics()).values()
        assert metrics["runtime"] == {"auto": "rust_native", "cpython": "cpython"}[hint]
        assert (metrics["worker_pid"] is None) == (hint == "auto")
    assert_same(results["auto"], results["cpython"])
    assert_same(results["auto"], Pipeline([kind(**params)]).run(item))


def test_auto_runs_what_has_no_native_node_in_a_worker() -> None:
    # spec: NRA-17, CARD-01
    pipeline = Pipeline([Pid(runtime_hint="auto")])
    assert pipeline.run(1) != os.getpid()
    (metrics,) = node_metrics(pipeline.get_metrics()).values()
    assert metrics["runtime"] == "cpython"


def test_a_subclass_of_a_native_node_runs_its_own_code() -> None:
    # spec: NRA-17
    class Louder(AddNode):
        def process(self, data: Any, /) -> Any:
            return super().process(data) * 100

    assert Pipeline([Louder(addend=1)]).run(2) == 300


def forms() -> dict[str, Pipeline]:
    """Each documented way of writing the same pipeline."""
    a, b, c = "ABC"

    def nodes() -> list[Node]:
        return [AddNode(addend=1, name=a), Scale(3, name=b), AddNode(addend=-1, name=c)]

    built = {
        "list": Pipeline(nodes()),
        "name and list": Pipeline("name", nodes()),
        "one by one": Pipeline(*nodes()),
        "keywords": Pipeline(nodes=nodes(), name="name", enable_metrics=True),
        "chain": Pipeline("name"),
        "add": Pipeline("name"),
        "ids": Pipeline(),
        "dicts": Pipeline(name="name"),
    }
    first, second, third = nodes()
    built["chain"].add_node(first).add_node(second).add_node(third)
    for node in nodes():
        built["add"].add(node)
    for node_id, node in zip(("one", "two", "three"), nodes(), strict=True):
        built["ids"].add_node(node_id, node)
    for node_type, params in (
        ("AddNode", {"addend": 1}),
        ("e2e_nodes:Scale", {"factor": 3}),
        ("AddNode", {"addend": -1}),
    ):
        built["dicts"].add_node({"node_type": node_type, "params": params})
    text = built["list"].serialize()
    built["json"] = Pipeline.from_json(text)
    built["dict"] = Pipeline.from_dict(json.loads(text))
    built["definition"] = asyncio.run(Pipeline.from_definition(built["chain"].export_definition()))
    return built


@pytest.mark.parametrize("form", list(forms()))
def test_every_form_of_construction_runs(form: str) -> None:
    # spec: NRA-16, IOP-01
    assert forms()[form].run([1, 2]) == [5, 8]


def test_a_manifest_file_runs(tmp_path: Path) -> None:
    # spec: NRA-16
    path = tmp_path / "pipeline.json"
    path.write_text(forms()["list"].serialize())
    assert Pipeline.from_manifest(path).run(1) == 5


def test_run_where_a_loop_runs_is_awaitable() -> None:
    # spec: NRA-16, IOP-01
    async def notebook() -> Any:
        pipeline = Pipeline([AddNode(addend=1), Scale(2)])
        results = [await pipeline.run(1)]
        results += await asyncio.gather(*(pipeline.run(number) for number in (2, 3)))
        results.append(pipeline.run_sync(4))
        return results

    assert asyncio.run(notebook()) == [4, 6, 8, 10]
    assert Pipeline([AddNode(addend=1)]).run_sync([1]) == 2


def test_managed_execution_streams() -> None:
    # spec: NRA-16
    async def stream() -> Any:
        for number in (1, 2, 3):
            yield number

    async def scenario() -> Any:
        node = Counter()
        async with Pipeline([node]).managed_execution() as pipeline:
            results = [output async for output in pipeline.process(stream())]
            results += [output async for output in pipeline.process(stream())]
        return results, node.seen

    assert asyncio.run(scenario()) == ([1, 2, 3, 4, 5, 6], 6)


def test_the_same_pipeline_in_several_threads() -> None:
    # spec: NRA-16, FFI-19
    node = Counter()
    pipeline = Pipeline([AddNode(addend=1), node, Apply(lambda count: count)])
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(pipeline.run([1, 2, 3]))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each run has instances of its own, made from the node as it was when the run began.
    assert len(results) == 6
    assert all(result == list(range(result[0], result[0] + 3)) for result in results)
    assert node.seen in {result[-1] for result in results}
    assert node.history[-3:] == [2, 3, 4]


def test_a_node_defined_where_it_is_used() -> None:
    # spec: NRA-16
    class Here(Node):
        def process(self, data: Any, /) -> Any:
            return {"pid": os.getpid(), "data": data}

    result = Pipeline([Identity(), Here()]).run(np.arange(3))
    assert result["pid"] != os.getpid()
    np.testing.assert_array_equal(result["data"], [0, 1, 2])

"""Functions and other callables as nodes, on both interpreters."""

from __future__ import annotations

import functools
import json
import math
import operator
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import function_nodes
from e2e_nodes import run_script
from function_nodes import Gain, decorated, double, later, scaled, twice, twice_later
from remotemedia import (
    AddNode,
    FunctionNode,
    MarshalingError,
    Node,
    NodeError,
    NodeTimeout,
    Pipeline,
    PipelineError,
    Runtime,
    SerializationError,
)

BOTH = pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])


def added(amount: int) -> Callable[[Any], Any]:
    def add(data: Any) -> Any:
        return data + amount

    return add


def counter() -> Callable[[Any], Any]:
    calls = 0

    def count(data: Any) -> Any:
        nonlocal calls
        calls += 1
        return calls

    return count


FACTOR = 2
KINDS: list[tuple[str, Any, list[Any]]] = [
    ("function", double, [2, 4]),
    ("lambda", lambda data: data * FACTOR, [2, 4]),
    ("coroutine", later, [2, 4]),
    ("generator", twice, [1, 2, 2, 4]),
    ("async generator", twice_later, [1, 2, 2, 4]),
    ("decorated", decorated, [2, 4]),
    ("closure", added(1), [2, 3]),
    ("partial", functools.partial(scaled, factor=2), [2, 4]),
    ("partial of a generator", functools.partial(twice), [1, 2, 2, 4]),
    ("object", Gain(2), [2, 4]),
    ("method", Gain(2).method, [2, 4]),
    ("class method", Gain.of_class, [2, 4]),
    ("static method", Gain.static, [2, 4]),
    ("static method, bare", vars(Gain)["static"], [2, 4]),
    ("builtin", math.sqrt, [1.0, math.sqrt(2)]),
    ("class", str, ["1", "2"]),
    ("method of a builtin type", int.bit_length, [1, 2]),
    ("of the standard library", operator.methodcaller("bit_length"), [1, 2]),
]


@pytest.fixture(scope="module")
def runtimes() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 4\n") as runtime:
        yield runtime


@BOTH
@pytest.mark.parametrize(
    ("function", "expected"), [kind[1:] for kind in KINDS], ids=[kind[0] for kind in KINDS]
)
def test_every_kind_of_callable_is_a_node(
    runtimes: Runtime, interpreter: str, function: Any, expected: list[Any]
) -> None:
    """spec: IOP-02, IOP-21, IOP-22"""
    pipeline = Pipeline(function, runtime=runtimes)
    assert pipeline.run([1, 2], runtime=interpreter, fallback=False) == expected
    (node,) = pipeline.get_metrics()["nodes"]  # type: ignore[index]
    assert node["runtime"] == interpreter


@pytest.mark.rustpython
def test_a_ufunc_runs_where_numpy_is(runtimes: Runtime) -> None:
    pipeline = Pipeline(np.sqrt, runtime=runtimes)
    for interpreter in ("cpython", "rustpython"):
        roots = pipeline.run(np.array([4.0, 9.0]), runtime=interpreter)
        assert roots.tolist() == [2.0, 3.0]


@BOTH
def test_functions_are_joined_with_nodes_in_one_graph(interpreter: str) -> None:
    """spec: IOP-41"""
    pipeline = Pipeline(double, AddNode(1), lambda data: [data, os.getpid()])
    value, worker = pipeline.run(3, runtime=interpreter)
    assert value == 7
    assert worker != os.getpid()


@BOTH
def test_none_drops_the_item(interpreter: str) -> None:
    """spec: IOP-18"""
    pipeline = Pipeline(lambda data: data if data > 1 else None, double)
    assert pipeline.run([1, 2, 3], runtime=interpreter) == [4, 6]
    assert Pipeline(print).run("out of a worker") is None


@BOTH
def test_a_generator_function_without_parameters_is_a_source(interpreter: str) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    assert Pipeline(numbers, double).run(runtime=interpreter) == [2, 4]
    source = FunctionNode(lambda: iter([3, 4]), is_source=True)
    assert Pipeline(source, double).run(runtime=interpreter) == [6, 8]


@BOTH
def test_a_stream_function_is_called_once_with_all_items(interpreter: str) -> None:
    """spec: IOP-22"""

    async def total(items: AsyncIterator[int]) -> AsyncIterator[int]:
        count = 0
        async for item in items:
            count += item
        yield count

    node = FunctionNode(total, is_streaming=True)
    assert Pipeline(node).run([1, 2, 3], runtime=interpreter) == 6


def test_options_of_a_function() -> None:
    """spec: CARD-08"""
    slow = FunctionNode(lambda data: threading.Event().wait(), timeout_ms=50, name="slow")
    with pytest.raises(NodeTimeout) as caught:
        Pipeline(slow).run(1)
    assert caught.value.node_id == "slow_0"
    apart = Pipeline(FunctionNode(lambda data: [os.getpid()], isolated=True))
    apart.add_node(lambda data: [*data, os.getpid()])
    first, second = apart.run(1)
    assert first != second
    with pytest.raises(TypeError, match="timeout"):
        FunctionNode(double, timeout=1)


def test_names_ids_and_order() -> None:
    gain = Gain(1)
    pipeline = Pipeline(double, lambda data: data, lambda data: data, functools.partial(scaled, 2))
    pipeline.add_node(gain).add_node(gain.method, after=double).add_node("mine", len, after=[])
    pipeline.add_node(double, name="again", after=[gain, gain.method])
    assert pipeline.graph.ids() == [
        "double_0",
        "lambda_1",
        "lambda_2",
        "scaled_3",
        "Gain_4",
        "method_5",
        "mine",
        "again_7",
    ]
    edges = [(edge["from"], edge["to"]) for edge in pipeline.graph.connections()]
    assert edges[-3:] == [("double_0", "method_5"), ("Gain_4", "again_7"), ("method_5", "again_7")]
    with pytest.raises(PipelineError, match=r"2 nodes are called 'double'.*double_0"):
        pipeline.add_node(len, after=double)
    with pytest.raises(PipelineError, match="this node's name is 'AddNode'"):
        pipeline.add_node(AddNode(1), name="other")


class Unfinished(Node):
    def process(self, data: Any, /) -> Any:
        return data


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Unfinished, r"Unfinished is a class: add an instance, Unfinished\(\.\.\.\)"),
        (FunctionNode, "is a class: add an instance"),
        (scaled, r"scaled\(\) cannot be a node.*missing a required argument: 'factor'.*partial"),
        (lambda: 1, r"lambda\(\) cannot be a node.*too many positional.*generator function"),
        (functools.partial(double, 1), r"double\(\) cannot be a node"),
        (np.add, r"add\(\) cannot be a node"),
        (isinstance, r"isinstance\(\) cannot be a node"),
        (3, r"3 is no node: it has no process\(\) method and is not callable"),
        (vars(Gain)["of_class"], "is no node"),
    ],
)
def test_what_cannot_be_a_node_is_one_error_when_it_is_added(given: Any, told: str) -> None:
    with pytest.raises(PipelineError, match=told):
        Pipeline(given)


def test_a_source_may_not_need_an_argument() -> None:
    with pytest.raises(PipelineError, match=r"double\(\) cannot be a source"):
        FunctionNode(double, is_source=True)


@pytest.mark.rustpython
def test_a_function_of_a_module_is_a_manifest_entry() -> None:
    """spec: DSG-02"""
    pipeline = Pipeline(
        function_nodes.double,
        FunctionNode(functools.partial(function_nodes.scaled, factor=3), timeout_ms=10_000),
        function_nodes.Tools.halve,
        math.sqrt,
    )
    document = pipeline.serialize()
    described = json.loads(document)["nodes"]
    assert [(node["node_type"], node["params"]) for node in described] == [
        ("function_nodes:double", {}),
        ("function_nodes:scaled", {"factor": 3}),
        ("function_nodes:Tools.halve", {}),
        ("math:sqrt", {}),
    ]
    assert described[1]["timeout_ms"] == 10_000
    for interpreter in ("cpython", "rustpython"):
        read = Pipeline.from_json(document)
        assert read.run([6], runtime=interpreter) == pipeline.run([6]) == math.sqrt(18)


@pytest.mark.parametrize(
    "function",
    [lambda data: data, counter(), Gain(1), Gain(1).method, functools.partial(scaled, 1), str],
    ids=["lambda", "closure", "object", "method", "partial", "class"],
)
def test_a_function_without_a_name_to_import_has_no_manifest_entry(function: Any) -> None:
    with pytest.raises(SerializationError, match="cannot be found by a name") as caught:
        Pipeline(function).serialize()
    assert caught.value.path == "function"


def test_a_manifest_with_a_wrong_function_is_one_error() -> None:
    def run(node_type: str, **params: Any) -> Any:
        return Pipeline({"node_type": node_type, "params": params}).run(1)

    with pytest.raises(NodeError, match="no parameter 'facto'; did you mean 'factor'"):
        run("function_nodes:scaled", facto=1)
    with pytest.raises(NodeError, match=r"scaled\(\) cannot be a node"):
        run("function_nodes:scaled")
    with pytest.raises(NodeError, match="is neither a class nor a function"):
        run("function_nodes:LIMIT")
    with pytest.raises(Exception, match="no class or function 'doubl'; did you mean 'double'"):
        run("function_nodes:doubl")


@BOTH
def test_what_a_callable_keeps_comes_back_to_the_callers_object(interpreter: str) -> None:
    """spec: IOP-20"""
    gain, other = Gain(2), Gain(2)
    pipeline = Pipeline(gain, other.method)
    for runs in (1, 2):
        assert pipeline.run([1, 1], runtime=interpreter) == [4, 4]
        assert (gain.calls, other.calls) == (2 * runs, 2 * runs)
    assert [node.function for node in pipeline.nodes] == [gain, other.method]


@BOTH
def test_variables_of_a_closure_come_back_to_the_callers_function(interpreter: str) -> None:
    """spec: IOP-21"""
    count = counter()
    pipeline = Pipeline(count)
    assert pipeline.run([1, 1], runtime=interpreter, fallback=False) == [1, 2]
    assert pipeline.run([1, 1], runtime=interpreter, fallback=False) == [3, 4]
    assert [node.function for node in pipeline.nodes] == [count]
    assert count(1) == 5


def test_a_warm_worker_runs_the_function_as_it_is_now(tmp_path: Path) -> None:
    """spec: IOP-21"""
    script = """
        import linecache, os
        from remotemedia import Pipeline

        def cell(number, text):
            name = f"<cell {number}>"
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            exec(compile(text, name, "exec"), globals())

        cell(1, "def factor(): return 2")
        cell(2, "def scaled(data): return data * factor(), os.getpid()")
        first = Pipeline(scaled)
        results = [first.run(1)]
        cell(3, "def factor(): return 3")
        results.append(first.run(1))
        cell(4, "def scaled(data): return data * 10 * factor(), os.getpid()")
        results.append(first.run(1))
        results.append(Pipeline(scaled).run(1))
        values, workers = zip(*results)
        print(values, len(set(workers)))
    """
    printed = run_script(tmp_path, script)
    assert printed == "(2, 3, 3, 30) 1\n"


def test_an_error_of_a_function_names_it_and_shows_its_line() -> None:
    """spec: IOP-24"""
    with pytest.raises(NodeError) as caught:
        Pipeline(double, lambda data: data["key"]).run(1)  # this line
    assert caught.value.node_id == "lambda_1"
    shown = caught.value.remote_traceback or ""
    assert "# this line" in shown
    assert shown.count("  File ") == 1  # the function alone, nothing of ours around it


def test_what_a_function_holds_and_cannot_be_sent_is_named() -> None:
    """spec: IOP-07"""
    with pytest.raises(MarshalingError) as caught:
        Pipeline(threading.Lock().acquire).run(1)
    assert caught.value.path is not None
    assert caught.value.path.startswith("self.function")
    assert "Make it inside the function" in str(caught.value)


def test_explain_names_the_function() -> None:
    told = Pipeline(double, lambda data: data, str).explain()
    name = f"{__name__}:test_explain_names_the_function.<locals>.<lambda>"
    assert [node.node_type for node in told] == ["function_nodes:double", name, "builtins:str"]

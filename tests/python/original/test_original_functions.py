"""The functions of `remotemedia_runtime` with pipelines, lists and dicts, blocking and awaited."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from remotemedia.runtime_wrapper import (  # type: ignore[import-not-found]
    execute_pipeline,
    execute_pipeline_with_input,
)

import remotemedia
import remotemedia_runtime
from remotemedia import AddNode, MultiplyNode, Node, NodeError, PassThroughNode, Pipeline

MANIFEST: dict[str, Any] = {
    "version": "v1",
    "nodes": [
        {"id": "a", "node_type": "MultiplyNode", "params": {"factor": 3}},
        {"id": "b", "node_type": "AddNode", "params": {"addend": 1}},
    ],
    "connections": [{"from": "a", "to": "b"}],
}
NODES: list[Any] = [MultiplyNode(3), AddNode(1)]
MIXED: list[Any] = [MANIFEST["nodes"][0], AddNode(1), lambda x: x]
FORMS = {
    "text": json.dumps(MANIFEST),
    "dict": MANIFEST,
    "pipeline": Pipeline(nodes=NODES),
    "nodes": NODES,
    "mixed": MIXED,
}


class Waits(Node):
    """Waits until a file is there."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def process(self, data: Any, /) -> Any:
        import time

        while not self.file.exists():
            time.sleep(0.001)
        return data


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_pipeline_runs(form: str) -> None:
    # spec: FFI-02
    result = remotemedia_runtime.execute_pipeline_with_input(FORMS[form], [1, 2])
    assert isinstance(result, dict)
    assert (result["success"], result["result"], result["error"]) == (True, [4, 7], None)
    assert len(result["metrics"]["nodes"]) >= 2
    assert remotemedia_runtime.validate_manifest(FORMS["dict"])


@pytest.mark.parametrize("form", FORMS)
def test_awaiting_gives_the_outputs(form: str) -> None:
    async def run() -> list[Any]:
        plain = await execute_pipeline_with_input(FORMS[form], [1, 2])
        tasks = [asyncio.create_task(execute_pipeline_with_input(FORMS[form], 5)) for _ in "ab"]
        with_metrics = await execute_pipeline_with_input(FORMS[form], [1], True)
        metrics = remotemedia_runtime.get_metrics(with_metrics["metrics"])
        return [plain, await asyncio.gather(*tasks), with_metrics["outputs"], len(metrics["nodes"])]

    plain, tasks, output, nodes = asyncio.run(run())
    assert (plain, tasks, output) == ([4, 7], [16, 16], 4)
    assert nodes >= 2


def test_a_result_can_be_awaited_where_no_loop_runs() -> None:
    assert asyncio.run(execute_pipeline_with_input(NODES, [1, 2])) == [4, 7]


def test_a_result_can_be_read_where_a_loop_runs() -> None:
    # spec: FFI-02
    async def read() -> Any:
        result = remotemedia_runtime.execute_pipeline_with_input(FORMS["text"], [1, 2])
        assert dict(result) == {**result}
        assert set(result) == {"success", "result", "metrics", "error"}
        return result["result"], await result

    assert asyncio.run(read()) == ([4, 7], [4, 7])


def test_an_awaited_run_leaves_the_loop_free(tmp_path: Path) -> None:
    file = tmp_path / "go"

    async def run() -> Any:
        running = execute_pipeline_with_input([Waits(file)], 7)
        assert "await it" in repr(running)
        file.touch()  # only this lets the run end
        return await running

    assert asyncio.run(run()) == 7


def test_cancelling_the_task_ends_the_run(tmp_path: Path) -> None:
    async def run() -> None:
        await asyncio.wait_for(execute_pipeline_with_input([Waits(tmp_path / "never")], 7), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    for thread in [t for t in threading.enumerate() if t.name == "remotemedia-run"]:
        thread.join(20)
        assert not thread.is_alive()


class Fails(Node):
    def process(self, data: Any, /) -> Any:
        raise ValueError("no")


def test_errors_are_raised_where_the_result_is_read() -> None:
    with pytest.raises(NodeError, match="no"):
        execute_pipeline_with_input([Fails()], 1)

    async def run() -> None:
        result = execute_pipeline_with_input([Fails()], 1)
        with pytest.raises(NodeError, match="no"):
            await result
        with pytest.raises(NodeError, match="no"):
            result["result"]

    asyncio.run(run())


def test_a_failed_run_that_is_never_read_warns() -> None:
    async def run() -> None:
        result = execute_pipeline_with_input([Fails()], 1)
        while "ValueError" not in repr(result._future.exception()):
            pass
        with pytest.warns(RuntimeWarning, match="never read"):
            del result

    asyncio.run(run())


def test_a_first_node_that_is_no_source_gets_an_empty_text() -> None:
    assert execute_pipeline([PassThroughNode()])["result"] == ""
    assert asyncio.run(execute_pipeline(Pipeline(lambda text: f"<{text}>"))) == "<>"

    def numbers() -> Any:
        yield from (1, 2)

    assert execute_pipeline([numbers, MultiplyNode(2)])["result"] == [2, 4]
    with pytest.raises(ValueError, match="input"):
        execute_pipeline(FORMS["text"])


def test_what_is_no_pipeline_is_refused() -> None:
    for function in (execute_pipeline, lambda form: execute_pipeline_with_input(form, 1)):
        with pytest.raises(TypeError, match="not int"):
            function(3)
        with pytest.raises(ValueError, match="empty"):
            function([])
        with pytest.raises(TypeError, match=r"1 \(str\)"):
            function([AddNode(1), "text"])


def test_one_function_has_many_names() -> None:
    from remotemedia import runtime

    for module in (remotemedia, remotemedia_runtime, runtime):
        assert module.execute_pipeline is execute_pipeline
        assert module.execute_pipeline_with_input is execute_pipeline_with_input
    assert runtime.get_runtime_version() == remotemedia.__version__ == runtime.__version__
    assert runtime.is_available() is remotemedia_runtime.is_available() is True
    assert runtime.get_available_nodes() == remotemedia_runtime.get_available_nodes()
    assert remotemedia.get_rust_runtime() is remotemedia_runtime
    assert remotemedia.is_rust_runtime_available()
    assert remotemedia.try_load_rust_runtime()[0]

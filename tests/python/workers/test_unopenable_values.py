"""Values whose pickle raises where it is opened: at the caller, in a worker, in state."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from remotemedia import DataSinkNode, Pipeline
from remotemedia.core.exceptions import MarshalingError, NodeError, NodeMarshalingError
from unopenable_nodes import (
    Bomb,
    Gives,
    Holds,
    Keeps,
    KeepsMutely,
    Mute,
    MuteBomb,
    Refuses,
    Takes,
)

KINDS = ["SystemExit", "ValueError", "MemoryError", "GeneratorExit", "ImportError"]


@pytest.fixture(params=["cpython", "rustpython"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pipeline(runtime: str, *nodes: Any) -> Pipeline:
    return Pipeline(*nodes, runtime=runtime, fallback=False)


def check(error: NodeMarshalingError, node_id: str, path: str, kind: str) -> None:
    assert error.node_id == node_id
    assert error.operation == "data conversion"
    assert error.path == path
    assert error.type_name == "unopenable_nodes.Bomb"
    assert error.remote_type == kind
    assert error.remote_message == "not here"
    for part in (node_id, path, "unopenable_nodes.Bomb", kind, "not here"):
        assert part in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_raises_when_it_is_opened_is_one_typed_error(
    runtime: str, kind: str
) -> None:
    # spec: IOP-24, IOP-25, FFI-12
    with pipeline(runtime, Gives(name="gives")).session() as session:
        for form, path in [("bare", "output"), ("nested", "output['kept'][1][1]")]:
            with pytest.raises(NodeMarshalingError) as caught:
                session.process((form, kind))
            check(caught.value, "gives_0", path, kind)
            assert type(caught.value.__cause__).__name__ == kind
        assert session.process(("none", kind)) == [kind], "the session goes on"


def test_the_other_outputs_are_on_the_error(runtime: str) -> None:
    # spec: IOP-25
    with pipeline(runtime, Gives(name="gives")).session() as session:
        with pytest.raises(NodeMarshalingError) as caught:
            session.process(("several", "SystemExit"))
        assert caught.value.partial_results == [1, 3]
        assert session.process(("none", 1)) == [1]
    with pytest.raises(NodeMarshalingError) as caught:
        pipeline(runtime, Gives()).run_sync([("none", 7), ("bare", "SystemExit")])
    assert caught.value.partial_results == [7]


def test_a_failure_of_the_run_stays_what_it_is(runtime: str) -> None:
    # spec: IOP-25
    items = [("bare", "SystemExit"), ("unknown form", "x")]
    with pytest.raises(RuntimeError) as caught:
        pipeline(runtime, Gives()).run_sync(items)
    assert caught.value.remote_type == "KeyError"  # type: ignore[attr-defined]
    assert any("SystemExit" in note for note in caught.value.__notes__)


def test_a_sink_and_its_callback_do_not_see_it(runtime: str) -> None:
    # spec: IOP-25
    seen: list[Any] = []
    made = pipeline(runtime, Gives(), DataSinkNode(callback=seen.append))
    with pytest.raises(NodeMarshalingError):
        made.run_sync([("none", 1), ("bare", "SystemExit")])
    assert seen in ([1], [])


def test_a_live_output_raises_at_its_place(runtime: str) -> None:
    # spec: IOP-25
    async def taken(made: Pipeline, item: Any) -> list[Any]:
        outputs: list[Any] = []
        try:
            async for output in made.process(item):
                outputs.append(output)  # noqa: PERF401  (it raises half-way)
        except NodeMarshalingError as error:
            outputs.append(error.path)
        return outputs

    async def scenario() -> None:
        async with pipeline(runtime, Gives()).managed_execution() as made:
            assert (await taken(made, once(("several", "SystemExit"))))[-1] == "output"
            assert await taken(made, once(("none", 5))) == [5]

    async def once(item: Any) -> Any:
        yield item

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_raises_in_the_worker_is_the_same_error(runtime: str, kind: str) -> None:
    # spec: IOP-24, IOP-25
    with pipeline(runtime, Takes(name="takes")).session() as session:
        with pytest.raises(NodeMarshalingError) as caught:
            session.process([0, {"x": Bomb(kind)}])
        check(caught.value, "takes_0", "input[1]['x']", kind)
        assert session.process(1) == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_state_that_raises_when_it_is_opened_is_a_warning(runtime: str, kind: str) -> None:
    # spec: IOP-20
    node = Keeps(name="keeps")
    with pytest.warns(RuntimeWarning, match=rf"'keeps_0'.*could not be put back: {kind}"):
        assert pipeline(runtime, node).run_sync(kind) == kind
    assert not hasattr(node, "bomb")


def test_an_interrupt_stays_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        pipeline("cpython", Gives()).run_sync(("bare", "KeyboardInterrupt"))


@pytest.mark.parametrize("kind", ["SystemExit", "ValueError", "MemoryError", "GeneratorExit"])
def test_an_attribute_that_raises_in_the_worker_names_node_and_part(
    runtime: str, kind: str
) -> None:
    """spec: IOP-07, IOP-24"""
    made = pipeline(runtime, Takes(), Holds([1, {"x": (0, Bomb(kind))}]))
    with pytest.raises(NodeError) as caught:
        made.run(1)
    assert (caught.value.node_id, caught.value.remote_type) == ("holds_1", kind)
    assert "self.held[1]['x'][1] cannot be restored" in str(caught.value)
    assert pipeline(runtime, Takes()).run(1) == 1


@pytest.mark.parametrize(
    "held", [Mute(), GeneratorExit(), SystemExit(3)], ids=lambda held: type(held).__name__
)
def test_what_cannot_be_pickled_is_named_whatever_it_raises(runtime: str, held: Any) -> None:
    """spec: IOP-07"""
    with pytest.raises(MarshalingError) as caught:
        pipeline(runtime, Takes()).run([{"x": [Refuses(held)]}])
    assert caught.value.path == "input['x'][0]"
    with pytest.raises(MarshalingError) as caught:
        pipeline(runtime, Holds(Refuses(held))).run(1)
    assert caught.value.path == "self.held"


def test_a_reason_without_a_text_is_told_all_the_same(runtime: str) -> None:
    """spec: IOP-07, IOP-20"""
    with pytest.warns(RuntimeWarning, match="could not be put back: Mute .no message"):
        assert pipeline(runtime, KeepsMutely()).run(1) == 1
    with pytest.raises(NodeError, match=r"self\.held cannot be restored.*no message"):
        pipeline(runtime, Holds(MuteBomb())).run(1)


def test_an_attribute_of_a_class_is_named() -> None:
    """spec: IOP-07"""

    class Shared:  # local classes travel by value
        bomb: ClassVar = [Bomb("ValueError")]

    class UsesShared(Takes):
        def process(self, data: Any) -> Any:
            return Shared.bomb

    with pytest.raises(NodeError) as caught:
        Pipeline(UsesShared()).run(1)
    assert "Shared.bomb[0] cannot be restored" in str(caught.value)

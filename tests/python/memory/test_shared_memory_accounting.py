"""What the metrics say of copies, per node and per hop, is what happened, and who holds which block
is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import remotemedia
import shared_memory_nodes as nodes
from remotemedia import Node, PassThroughNode, Pipeline, Runtime
from shared_memory_nodes import RING_BYTES, Array, floats, one

SEGMENTS = ["memfd", "named"]
ITEMS = 3


class Doubles(Node):
    """Gives a new array."""

    def process(self, data: Any, /) -> Any:
        return data * 2


class Gives(Node):
    """Gives its input back, alone or several times."""

    def __init__(self, times: int, **options: Any) -> None:
        super().__init__(**options)
        self.times = times

    def process(self, data: Any, /) -> Any:
        return data if self.times == 1 else [data] * self.times


class Reuses(Node):
    """Yields one buffer twice and changes it in between."""

    def process(self, data: Any, /) -> Any:
        buffer = data * 0
        for _ in range(2):
            buffer += 1
            yield buffer


class Snips(Node):
    """Yields little pieces, which travel together."""

    def process(self, data: Any, /) -> Any:
        for _ in range(10):
            yield data[:100] * 1


def moved(pipeline: Pipeline) -> dict[str, list[tuple[int, int, int, int]]]:
    """Copies, their bytes, and bytes in shared memory and in messages, in and out of each node."""
    metrics = pipeline.get_metrics()
    assert metrics is not None
    names = ("copies", "copied_bytes", "shared_bytes", "inline_bytes")
    return {
        node["node_id"]: [tuple(hop[name] for name in names) for hop in node["hops"].values()]
        for node in metrics["nodes"]
    }


def times(copies: int, shared: int, inline: int = 0) -> tuple[int, int, int, int]:
    """What so many copies of, and views on, arrays of the usual size come to for each item."""
    size = RING_BYTES * ITEMS
    return copies * ITEMS, copies * size, shared * size, inline * ITEMS


NODES: list[tuple[Callable[[], Node], list[tuple[int, int, int, int]]]] = [
    (Doubles, [times(1, 1), times(0, 1)]),
    (lambda: Gives(1), [times(1, 1), times(0, 1)]),
    # The last of several is the input itself.
    (lambda: Gives(4), [times(1, 1), times(3, 4)]),
    (Reuses, [times(1, 1), times(2, 2)]),
    (Snips, [times(1, 1), times(0, 0, 10 * 400)]),
]


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_copies_of_one_node(interpreter: str, segment: str) -> None:
    # spec: IOP-30, IOP-31, CARD-11
    with Runtime(f'[shared_memory]\nsegment = "{segment}"\n') as runtime:
        for make, expected in NODES:
            node = make()
            pipeline = Pipeline("one", runtime=runtime).add(node, id="node")
            with pipeline.session(runtime=interpreter) as session:
                for number in range(ITEMS):
                    session.process(floats(RING_BYTES, number))
            assert moved(pipeline) == {"node": expected}, node


@pytest.mark.parametrize("segment", SEGMENTS)
def test_copies_of_a_graph(segment: str) -> None:
    """Native nodes copy nothing; a third process maps a memfd, but no named segment."""
    # spec: IOP-30, CARD-11
    settings = f'[shared_memory]\nsegment = "{segment}"\n[workers]\nmax = 3\n'
    with Runtime(settings) as runtime:
        pipeline = Pipeline("fan-out", runtime=runtime)
        pipeline.add(PassThroughNode(), id="native").add(Doubles(), id="first")
        for branch in ("a", "b", "c"):
            pipeline.add(Doubles(), after="first", id=branch)
        with pipeline.session() as session:
            for number in range(ITEMS):
                outputs = session.process(floats(RING_BYTES, number))
                for (output,) in dict(outputs).values():
                    assert np.array_equal(output, floats(RING_BYTES, number) * 4)
        hops = moved(pipeline)
        assert hops["native"] == [times(0, 0)] * 2
        assert hops["first"] == [times(1, 1), times(0, 1)]
        branches = sorted(hops[branch][0] for branch in ("a", "b", "c"))
        seen, copied = times(0, 1), times(1, 1)
        if segment == "named":
            # One of the branches runs where the array was made.
            assert branches == [seen, copied, copied]
        else:
            # That one gets a copy, unless it is the last to look: it may write to the block itself.
            assert branches in ([seen, seen, copied], [seen, seen, seen])
        assert all(hops[branch][1] == times(0, 1) for branch in ("a", "b", "c"))


class KeepsAll(Node):
    """Keeps its inputs until the session ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept: list[Array] = []

    def process(self, data: Any, /) -> Any:
        self._kept.append(data)
        return data + 1

    def cleanup(self) -> None:
        self._kept.clear()


@pytest.mark.parametrize("segment", SEGMENTS)
def test_who_pins_which_block_for_how_long(segment: str) -> None:
    # spec: CARD-05
    with Runtime(f'[shared_memory]\nsegment = "{segment}"\n') as runtime:

        def worker() -> dict[str, Any]:
            (found,) = remotemedia.shared_memory_stats(runtime)["workers"]
            return dict(found)

        pipeline = Pipeline("pins", runtime=runtime).add(KeepsAll(), id="keeper")
        sizes = [nodes.SEGMENT_BYTES, RING_BYTES, nodes.SEGMENT_BYTES]
        with pipeline.session() as session:
            kept = [one(session, floats(size)) for size in sizes]
            first, second = worker(), worker()
            for who in ("pinned_by_worker", "pinned_by_caller"):
                assert [pin["bytes"] for pin in first[who]] == sizes, "the oldest is first"
                ages = [pin["seconds"] for pin in first[who]]
                assert ages == sorted(ages, reverse=True)
                assert all(
                    later["seconds"] > pin["seconds"]
                    for pin, later in zip(first[who], second[who], strict=True)
                )
            assert {pin["node_id"] for pin in first["pinned_by_worker"]} == {"keeper"}
            assert first["used_bytes"] >= sum(sizes)
            del kept[0]
            assert [pin["bytes"] for pin in worker()["pinned_by_caller"]] == sizes[1:]
        # What the node kept goes back at the end of its session; results are the caller's.
        assert pipeline.run(floats(nodes.INLINE_BYTES)) is not None
        last = worker()
        assert last["pinned_by_worker"] == []
        assert [pin["bytes"] for pin in last["pinned_by_caller"]] == sizes[1:]

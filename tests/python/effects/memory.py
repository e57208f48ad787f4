"""The effects of `[shared_memory]` and `[limits]`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effect_nodes import Floods, Keeps, Opens, Spawns, Spends
from effects.common import Bench, effect
from pool_nodes import Hungry
from remotemedia import (
    LimitExceeded,
    NodeError,
    Pipeline,
    RemoteMediaError,
    Runtime,
    shared_memory_stats,
)

KIB, MIB = 1 << 10, 1 << 20


def _made(size: int, count: int = 1, **settings: Any) -> dict[str, Any]:
    """The shared memory that a worker's inputs of this size have needed."""
    node = Keeps() if count > 1 else (lambda array: int(array.sum()))
    with (
        Runtime(shared_memory=settings) as runtime,
        Pipeline(node, runtime=runtime).session() as session,
    ):
        for _ in range(count):
            session.process(np.ones(size, np.uint8))
        stats: list[dict[str, Any]] = shared_memory_stats(runtime)["workers"]
        return stats[0] if stats else {}


@effect("shared_memory.segment")
def _segment(bench: Bench) -> None:
    assert _made(16 * KIB)["made_bytes"] > 0
    assert _made(16 * KIB, segment="off") == {}


@effect("shared_memory.inline_max")
def _inline_max(bench: Bench) -> None:
    assert _made(16 * KIB, inline_max="1 MiB")["made_bytes"] == 0


@effect("shared_memory.ring")
def _ring(bench: Bench) -> None:
    assert _made(16 * KIB, ring="64 KiB")["made_bytes"] == 64 * KIB
    assert _made(16 * KIB, ring="2 MiB")["made_bytes"] == 2 * MIB


@effect("shared_memory.ring_block_max")
def _ring_block_max(bench: Bench) -> None:
    assert _made(MIB)["made_bytes"] == MIB, "a segment of its own"
    assert _made(MIB, ring_block_max="2 MiB")["made_bytes"] == 4 * MIB, "the ring"


@effect("shared_memory.max")
def _max(bench: Bench) -> None:
    assert _made(MIB, max="256 KiB", ring="128 KiB")["made_bytes"] == 0


@effect("shared_memory.idle_max")
def _idle_max(bench: Bench) -> None:
    assert _made(MIB)["idle_bytes"] == MIB
    assert _made(MIB, idle_max="0")["idle_bytes"] == 0


@effect("shared_memory.pinned_max")
def _pinned_max(bench: Bench) -> None:
    assert len(_made(MIB, 5)["pinned_by_worker"]) == 5
    assert len(_made(MIB, 5, pinned_max="2 MiB")["pinned_by_worker"]) == 3


@effect("limits.memory")
def _memory(bench: Bench) -> None:
    with (
        Runtime(limits={"memory": "256 MiB"}) as runtime,
        pytest.raises(NodeError, match="MemoryError"),
    ):
        Pipeline(Hungry(), runtime=runtime).run(400)


def _exceeds(limit: str, value: str | int, node: Any, item: Any) -> None:
    with Runtime(limits={limit: value}) as runtime:
        with pytest.raises(LimitExceeded) as caught:
            Pipeline(node, runtime=runtime).run(item)
        assert caught.value.limit == limit


@effect("limits.memory_hard")
def _memory_hard(bench: Bench) -> None:
    from effect_nodes import Leaks
    from pool_nodes import Slow

    _exceeds("memory_hard", "100 MiB", [Leaks(), lambda _: 2.0, Slow()], 200)


@effect("limits.cpu_time")
def _cpu_time(bench: Bench) -> None:
    _exceeds("cpu_time", "200 ms", Spends(), 20.0)


@effect("limits.open_files")
def _open_files(bench: Bench) -> None:
    with (
        Runtime(limits={"open_files": 64}) as runtime,
        pytest.raises(NodeError, match="OSError"),
    ):
        Pipeline(Opens(), runtime=runtime).run(100)


@effect("limits.output_size")
def _output_size(bench: Bench) -> None:
    _exceeds("output_size", "64 KiB", lambda size: bytes(size), MIB)


@effect("limits.child_processes")
def _child_processes(bench: Bench) -> None:
    _exceeds("child_processes", 2, Spawns(), 5)


@effect("limits.log_rate")
def _log_rate(bench: Bench) -> None:
    for rate, is_all in (("0", True), ("10 KiB", False)):
        with Runtime(limits={"log_rate": rate}) as runtime:
            Pipeline(Floods(), runtime=runtime).run(100)
        shown = bench.printed.readouterr().out.count("\n")
        assert (shown == 100) is is_all


@effect("limits.max_frame")
def _max_frame(bench: Bench) -> None:
    settings: dict[str, Any] = {"limits": {"max_frame": "64 KiB"}}
    with Runtime(shared_memory={"segment": "off"}, **settings) as runtime:
        pipeline = Pipeline(lambda array: array.size, runtime=runtime)
        assert pipeline.run(np.zeros(KIB, np.uint8)) == KIB
        with pytest.raises(RemoteMediaError, match=r"65,?536|64 KiB"):
            pipeline.run(np.zeros(MIB, np.uint8))


@effect("limits.max_depth")
def _max_depth(bench: Bench) -> None:
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep]
    with (
        Runtime(limits={"max_depth": 8}) as runtime,
        pytest.raises((RemoteMediaError, ValueError), match="8"),
    ):
        Pipeline(lambda item: 1, runtime=runtime).run((deep,))
    assert Pipeline(lambda item: 1).run((deep,)) == 1

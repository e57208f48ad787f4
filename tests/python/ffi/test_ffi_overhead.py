"""What crossing the boundary costs: measured and recorded, held to nothing here."""

from __future__ import annotations

import time
from collections.abc import Callable

from places import REPOSITORY
from remotemedia._native import NativeNode
from remotemedia_runtime import get_available_nodes, validate_manifest

BENCHES = REPOSITORY / "benches"
MANIFEST = '{"version":"v1","nodes":[{"id":"a","node_type":"PassThroughNode"}]}'


def fastest_ns(call: Callable[[], object]) -> int:
    """The shortest of many calls, in nanoseconds."""
    clock = time.perf_counter_ns
    times = []
    for _ in range(2_000):
        started = clock()
        call()
        times.append(clock() - started)
    return min(times)


def test_the_overhead_of_a_call_is_measured(record_property: Callable[[str, object], None]) -> None:
    # spec: FFI-15
    node = NativeNode("PassThroughNode", "{}")
    assert node.process(7) == [7]
    measured = {
        "call": fastest_ns(node.flush),
        "call with a value": fastest_ns(lambda: node.process(7)),
        "get_available_nodes": fastest_ns(get_available_nodes),
        "validate_manifest": fastest_ns(lambda: validate_manifest(MANIFEST)),
    }
    for name, nanoseconds in measured.items():
        record_property(f"{name} (ns)", nanoseconds)
    assert all(nanoseconds > 0 for nanoseconds in measured.values())


def test_a_benchmark_measures_the_overhead() -> None:
    # spec: FFI-15
    sources = [path.read_text() for path in (BENCHES / "benches").glob("*.rs")]
    assert any("FFI call" in source and "bench_function" in source for source in sources)
    assert "FFI call" in (BENCHES / "README.md").read_text()

"""Many calls leave nothing behind: no reference, no object, no memory."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable

import numpy as np
import pytest

from e2e_nodes import Identity, Segment
from loops import QUESTIONS, RUNS, SESSIONS, Loop
from remotemedia import Pipeline
from remotemedia_runtime import (
    execute_pipeline_with_input,
    get_available_nodes,
    get_node_metadata,
    validate_manifest,
)

# What caches may take. A leak of one object, or of the smallest block of memory, in every second
# call is more than that in 10,000 calls.
OBJECT_SLACK = 2_000
HEAP_SLACK_BYTES = 150_000

ADD = json.dumps(
    {
        "version": "v1",
        "nodes": [
            {"id": "add", "node_type": "AddNode", "params": {"addend": 1}},
            {"id": "same", "node_type": "PassThroughNode"},
        ],
        "connections": [{"from": "add", "to": "same"}],
    }
)
CYCLE = ADD.replace('"connections": [', '"connections": [{"from": "same", "to": "add"}, ')
SAME = '{"version": "v1", "nodes": [{"id": "same", "node_type": "PassThroughNode"}]}'


class Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Heap


def heap_bytes() -> int:
    """What is allocated and not freed: of Rust, and of Python beyond its objects."""
    heap = mallinfo2()
    return int(heap.uordblks + heap.hblkhd)


def assert_leaves_nothing(call: Callable[[], object], calls: int) -> None:
    for _ in range(max(500, calls // 10)):  # fills caches and free lists
        call()
    gc.collect()
    tracked, blocks, heap = len(gc.get_objects()), sys.getallocatedblocks(), heap_bytes()
    for _ in range(calls):
        call()
    gc.collect()
    slack = min(OBJECT_SLACK, calls // 2)
    grown = heap_bytes() - heap
    assert len(gc.get_objects()) - tracked < slack
    assert sys.getallocatedblocks() - blocks < slack
    assert grown < HEAP_SLACK_BYTES, f"{calls} calls cost {grown} bytes"


def test_validating(rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    before = sys.getrefcount(ADD)
    assert_leaves_nothing(lambda: validate_manifest(ADD), rounds(QUESTIONS))
    assert sys.getrefcount(ADD) == before


def test_asking_for_nodes(rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    assert_leaves_nothing(lambda: get_node_metadata("AddNode"), rounds(QUESTIONS))
    assert_leaves_nothing(get_available_nodes, rounds(QUESTIONS))


@pytest.mark.parametrize(
    "item",
    [
        [1, 2.5],
        {"data": [0.5], "nested": {"keys": (1, "two")}},
        np.ones(64, dtype=np.float32),
        Segment(1, 2),
    ],
    ids=["numbers", "containers", "array", "pickled"],
)
def test_running_a_pipeline(item: object, rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    manifest = ADD if isinstance(item, list) else SAME
    before = sys.getrefcount(item)
    assert_leaves_nothing(lambda: execute_pipeline_with_input(manifest, item), rounds(RUNS))
    assert sys.getrefcount(item) == before


def test_errors(rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    def fails() -> None:
        for call in (
            lambda: validate_manifest(CYCLE),
            lambda: get_node_metadata("VDNode"),
            lambda: execute_pipeline_with_input(ADD, "text"),
        ):
            try:
                call()
            except (ValueError, RuntimeError, KeyError):
                continue
            raise AssertionError("it did not fail")

    assert_leaves_nothing(fails, rounds(RUNS))


def test_items_through_a_worker(rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    array = np.ones(64, dtype=np.float32)
    item = {"array": array, "pickled": Segment(1, 2), "text": "x"}
    before = sys.getrefcount(array)
    with Pipeline([Identity()]).session() as session:
        assert_leaves_nothing(lambda: session.process(item), rounds(RUNS))
    assert sys.getrefcount(array) == before


def test_sessions_in_workers(rounds: Callable[[Loop], int]) -> None:
    # spec: FFI-21
    pipeline = Pipeline([Identity()])
    assert_leaves_nothing(lambda: pipeline.run(1), rounds(SESSIONS))


def test_an_item_is_free_after_its_run() -> None:
    # spec: FFI-21
    array = np.ones(1_000, dtype=np.float32)
    before = sys.getrefcount(array)
    result = execute_pipeline_with_input(SAME, {"deep": [array]})
    assert sys.getrefcount(array) == before
    # What came out belongs to the caller alone.
    result["result"]["deep"][0][:] = 7
    assert array.sum() == 1_000

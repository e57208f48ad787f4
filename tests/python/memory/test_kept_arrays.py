"""Large arrays among the attributes of nodes: they go through shared memory and are copied when
they have changed; nodes may write to them, and nobody else sees that.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from kept_nodes import Asks, Collections, Fills, Holder, Looks
from remotemedia import Pipeline, Runtime
from remotemedia.shared_memory import shared_memory_stats

LARGE = 200_000  # elements of 8 bytes

pytestmark = pytest.mark.filterwarnings("ignore:.*write_back_max")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    # A zygote takes descriptors of the caller whenever it starts, and these are counted here.
    with Runtime('workers.max = 2\nworkers.zygote = false\npython.write_back_max = "0"') as made:
        yield made


def numbers() -> Any:
    return np.arange(LARGE, dtype=np.float64)


def kept_bytes() -> int:
    gc.collect()
    used: int = shared_memory_stats()["arrays"]["used_bytes"]
    return used


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_an_element_that_the_caller_writes_between_runs_arrives(
    runtime: Runtime, interpreter: str
) -> None:
    table = numbers()
    pipeline = Pipeline([Holder(table, runtime_hint=interpreter)], runtime=runtime)
    for value in (5.0, 77.0, 77.0, -3.0):
        table[5] = value
        assert pipeline.run(5)[1] == value
    table[-1] = 9
    assert pipeline.run(LARGE - 1)[1] == 9


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_what_the_node_writes_reaches_neither_the_caller_nor_the_next_run(
    runtime: Runtime, interpreter: str
) -> None:
    table = numbers()
    pipeline = Pipeline([Holder(table, runtime_hint=interpreter)], runtime=runtime)
    found = [pipeline.run(7) for _ in range(4)]
    assert [value for _, value in found] == [7.0] * 4
    assert len({worker for worker, _ in found}) == 1, "the worker was warm"
    metrics: Any = pipeline.get_metrics()
    assert metrics["nodes"][0]["runtime"] == interpreter
    assert table[7] == 7


def test_the_end_of_a_session_needs_no_collection_of_garbage(runtime: Runtime) -> None:
    pipeline = Pipeline([Collections(numbers())], runtime=runtime)
    (worker, before), *_, (same, after) = [pipeline.run(0) for _ in range(10)]
    assert worker == same
    # The interpreter itself may begin one meanwhile.
    assert after - before <= 1


def test_a_changed_attribute_comes_back_and_goes_out_again() -> None:
    with Runtime('workers.max = 1\npython.write_back_max = "100 MiB"') as runtime:
        node = Holder(numbers())
        pipeline = Pipeline([node], runtime=runtime)
        assert pipeline.run(3)[1] == 3
        assert node.table[3] == -1
        assert pipeline.run(3)[1] == -1
        assert pipeline.run(4)[1] == 4
        assert node.table[4] == -1


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(numbers().reshape(400, -1)),
        numbers().reshape(400, -1).T,
        numbers()[::2],
        numbers()[1000:],
        numbers().reshape(400, -1)[:, 3:],
        np.arange(LARGE).astype("<M8[us]"),
        np.zeros(LARGE, dtype=[("left", "<i2"), ("right", ">f8", (2,)), ("name", "S3")]),
        np.array([b"some", b"bytes"] * 20_000),
        np.ma.masked_greater(numbers(), 3.0),
    ],
    ids=[
        "fortran", "transposed", "gaps", "view", "columns", "time", "structured", "bytes",
        "masked",
    ],
)  # fmt: skip
def test_arrays_of_every_layout_arrive_as_they_are(runtime: Runtime, array: Any) -> None:
    def same(found: Any, expected: Any) -> tuple[bool, str, bool, type]:
        is_equal = found.tobytes() == expected.tobytes()
        return is_equal, found.dtype.str, bool(found.flags.writeable), type(found)

    pipeline = Pipeline([Asks(array, same)], runtime=runtime)
    for _ in range(2):
        answer = pipeline.run(array)
        assert answer == (True, array.dtype.str, True, type(array))


def test_a_read_only_array_stays_read_only_and_may_not_be_its_owners_last_word(
    runtime: Runtime,
) -> None:
    table = numbers()
    table.flags.writeable = False
    node = Asks(table, lambda found, place: (float(found[place]), found.flags.writeable))
    pipeline = Pipeline([node], runtime=runtime)
    assert pipeline.run(9) == (9.0, False)
    assert pipeline.run(9) == (9.0, False)
    # Another array where the first one was.
    node.table = None
    del table
    other = numbers() + 1
    other.flags.writeable = False
    node.table = other
    assert pipeline.run(9) == (10.0, False)
    # A read-only view of memory that can be written to.
    base = numbers()
    node.table = base[:]
    node.table.flags.writeable = False
    assert pipeline.run(9) == (9.0, False)
    base[9] = 4
    assert pipeline.run(9) == (4.0, False)


def test_an_array_that_two_nodes_share_is_one_in_their_worker(runtime: Runtime) -> None:
    table = numbers()
    pipeline = Pipeline([Fills(table), Looks(table)], runtime=runtime)
    for value in (5.0, 6.0):
        assert pipeline.run(value) == value
        assert table[0] == 0


def test_an_array_in_shared_memory_is_not_copied_and_stays_the_callers(runtime: Runtime) -> None:
    table = remotemedia.asarray_shared(numbers())
    before = kept_bytes()
    pipeline = Pipeline([Holder(table)], runtime=runtime)
    for _ in range(3):
        assert pipeline.run(5)[1] == 5
    table[5] = 8
    assert pipeline.run(5)[1] == 8
    assert table[5] == 8
    assert kept_bytes() == before


@pytest.mark.parametrize("value", [bytes(10_000_000), bytearray(10_000_000)], ids=type)
def test_ten_megabytes_of_bytes_arrive(runtime: Runtime, value: Any) -> None:
    node = Asks(value, lambda found, place: (type(found), len(found), found[place]))
    pipeline = Pipeline([node], runtime=runtime)
    assert pipeline.run(3) == (type(value), 10_000_000, 0)
    node.table = value[:3] + b"\5" + value[4:]
    assert pipeline.run(3) == (type(value), 10_000_000, 5)


def test_large_arrays_that_functions_name_go_along(runtime: Runtime) -> None:
    table = numbers()
    pipeline = Pipeline([lambda place: float(table[place])], runtime=runtime)
    assert pipeline.run(6) == 6
    table[6] = 1
    assert pipeline.run(6) == 1


def test_sessions_at_the_same_time_have_what_they_opened_with(runtime: Runtime) -> None:
    table = numbers()
    pipeline = Pipeline([Holder(table)], runtime=runtime)
    with pipeline.session() as first:
        table[5] = 50
        with pipeline.session() as second:
            assert second.process(5)[0][1] == 50
            assert first.process(5)[0][1] == 5
            assert first.process(6)[0][1] == 6


def test_copies_live_as_long_as_the_pipeline(runtime: Runtime) -> None:
    before = kept_bytes()
    node = Holder(numbers())
    pipeline = Pipeline([node], runtime=runtime)
    pipeline.run(1)
    assert kept_bytes() >= before + LARGE * 8
    node.table = np.zeros(3)
    for _ in range(2):
        pipeline.run(1)
    assert kept_bytes() == before, "given up when the node has another array"
    node.table = numbers()
    pipeline.run(1)
    del pipeline, node
    assert kept_bytes() == before


def test_nothing_grows_over_many_runs(runtime: Runtime) -> None:
    table = numbers()
    pipeline = Pipeline([Holder(table)], runtime=runtime)
    files, names = list[int](), list[int]()
    used = set()
    worker = 0
    for round_ in range(40):
        table[round_] = 7
        worker, found = pipeline.run(round_)
        assert found == 7
        if round_ >= 10:
            used.add(kept_bytes())
            files.append(len(os.listdir("/proc/self/fd")))
            names.append(len(os.listdir(f"/proc/{worker}/fd")))
    assert max(used) - min(used) <= LARGE * 8 + 4096
    # Meanwhile those of earlier tests' workers may be closed.
    assert files[-1] <= files[0] + 2
    assert names[-1] <= names[0] + 2
    mapped = Path(f"/proc/{worker}/maps").read_text(encoding="utf-8", errors="replace")
    assert mapped.count("remotemedia") < 20


def test_nodes_that_refer_to_themselves_leave_nothing_in_the_next_run(runtime: Runtime) -> None:
    node = Holder(numbers())
    node.itself = node  # type: ignore[attr-defined]  # so that only the collector ends it
    pipeline = Pipeline([node], runtime=runtime)
    used = set()
    for _ in range(5):
        assert pipeline.run(5)[1] == 5
        workers = shared_memory_stats(runtime)["workers"]
        used.add(sum(pin["bytes"] for worker in workers for pin in worker["pinned_by_worker"]))
    assert max(used) <= LARGE * 8


def test_without_shared_memory_the_pickle_holds_all() -> None:
    with Runtime('shared_memory.segment = "off"') as runtime:
        table = numbers()
        pipeline = Pipeline([Holder(table)], runtime=runtime)
        assert pipeline.run(5)[1] == 5
        table[5] = 2
        assert pipeline.run(5)[1] == 2
        assert table[5] == 2

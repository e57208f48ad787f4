"""Nobody sees what somebody else writes into an array, unless it was made to be shared."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import remotemedia
import shared_memory_nodes as nodes
from e2e_nodes import Apply, Identity, Scale
from remotemedia import PassThroughNode, Pipeline, Runtime
from shared_memory_nodes import RING_BYTES, SEGMENT_BYTES, SIZES, Array, Looks, floats, hops, one

LARGE = [RING_BYTES, SEGMENT_BYTES]


@pytest.mark.parametrize("pinned_max", ["1 GiB", "1 MiB", "0"])
@pytest.mark.filterwarnings("default")
def test_a_node_keeps_every_input_for_ever(pinned_max: str) -> None:
    # spec: CARD-05
    settings = f'[shared_memory]\npinned_max = "{pinned_max}"\nring = "1 MiB"\n'
    with (
        Runtime(settings) as runtime,
        Pipeline([nodes.Keeps()], runtime=runtime).session() as session,
    ):
        array = np.zeros(SEGMENT_BYTES // 8)
        for number in range(300):
            view = array[: (SIZES[number % 3] if number % 30 == 2 else RING_BYTES) // 8]
            view[:] = number
            assert session.process(view) == []
        assert session.flush() == [(300, [])]


@pytest.mark.parametrize("size", SIZES)
def test_a_node_goes_on_writing_into_what_it_gave(size: int) -> None:
    # spec: CARD-05
    with Pipeline([nodes.GoesOnWriting(size)]).session() as session:
        outputs = [one(session, number) for number in range(50)]
    assert [set(output.tolist()) for output in outputs] == [{number} for number in range(50)]


@pytest.mark.parametrize("settings", ["", '[shared_memory]\nsegment = "off"\n'])
@pytest.mark.parametrize("size", [*SIZES, 20_000])
def test_a_generator_yields_one_buffer_again_and_again(size: int, settings: str) -> None:
    # spec: CARD-05
    with Runtime(settings) as runtime:
        for chain in ([nodes.YieldsOneBuffer(size)], [nodes.YieldsOneBuffer(size), Identity()]):
            with Pipeline(chain, runtime=runtime).session() as session:
                outputs = session.process(100)
                assert [(out[0], out[-1]) for out in outputs] == [(n, n) for n in range(100)]


def test_a_caller_keeps_many_results_beyond_the_end_of_everything() -> None:
    # spec: CARD-05
    kept = []
    with Runtime() as runtime:
        pipeline = Pipeline([Scale(2)], runtime=runtime)
        with pipeline.session() as session:
            kept = [one(session, floats(RING_BYTES, n)) for n in range(1_000)]
            kept += [one(session, floats(SEGMENT_BYTES, n)) for n in range(50)]
    del session, pipeline, runtime
    gc.collect()
    for number, array in enumerate(kept):
        expected = floats(array.nbytes, number if number < 1_000 else number - 1_000) * 2
        assert array.tobytes() == expected.tobytes(), number
        array[:] = number
    assert all((array == number).all() for number, array in enumerate(kept))


def test_what_a_user_writes_into_a_result_nobody_else_sees() -> None:
    # spec: CARD-05
    keeps = nodes.Keeps()
    pipeline = Pipeline([Scale(2), keeps])
    with Pipeline([Identity()]).session() as same, Pipeline([nodes.Keeps()]).session() as session:
        for size in SIZES:
            array = floats(size)
            result = one(same, array)
            for number in range(5):  # passed on, written to, passed on
                session.process(result)
                result[:] = number
            assert array.tobytes() == floats(size).tobytes()
        assert session.flush() == [(15, [])]
    pipeline.run(floats(RING_BYTES))


def behind_one_node(settings: str, **branches: Any) -> list[dict[str, Any]]:
    """Outputs of branches behind one node, for arrays of each large size."""
    results = []
    with Runtime(settings) as runtime:
        pipeline = Pipeline("fan-out", runtime=runtime).add(Identity(), id="start")
        for node_id, branch in branches.items():
            pipeline.add(branch, after="start", id=node_id)
        with pipeline.session() as session:
            for size in LARGE:
                results += [dict(session.process(floats(size))) for _ in range(5)]
            results.append(dict(session.flush()))
    return results


def summed_in_place(array: Array) -> float:
    """The sum of ten times the array, in its place."""
    array *= 10
    return float(array.sum())


@pytest.mark.parametrize("settings", ["", "[workers]\nmax = 1\n", "[workers]\nmax = 2\n"])
def test_of_two_consumers_one_writes_into_its_input(settings: str) -> None:
    # spec: CARD-05
    results = behind_one_node(
        settings,
        writes=Apply(summed_in_place),
        reads=nodes.Sums(),
        keeps=nodes.KeepsAndScales(),
        reads_too=nodes.Sums(),
    )
    kept = []
    for size in LARGE:
        total, ten = float(floats(size).sum()), summed_in_place(floats(size))
        kept += [ten] * 5
        expected = {"writes": [ten], "keeps": [ten], "reads": [total], "reads_too": [total]}
        assert [results.pop(0) for _ in range(5)] == [expected] * 5
    assert results == [{"writes": [], "keeps": [kept], "reads": [], "reads_too": []}]


@pytest.mark.parametrize("settings", ["", "[workers]\nmax = 1\n"])
def test_an_array_comes_twice_to_a_worker_that_keeps_and_writes(settings: str) -> None:
    # spec: CARD-05
    with Runtime(settings) as runtime:
        pipeline = Pipeline("diamond", runtime=runtime).add(Scale(1), id="start")
        pipeline.add(nodes.KeepsAndScales(), after="start", id="keeps")
        pipeline.add(Apply(sum_of), after=["start", "keeps"])
        total, ten = float(floats(RING_BYTES).sum()), summed_in_place(floats(RING_BYTES))
        with pipeline.session() as session:
            for _ in range(5):
                assert sorted(session.process(floats(RING_BYTES))) == [total, ten]


def sum_of(value: Any) -> float:
    """The sum of an array, or what is one already."""
    return float(value.sum()) if isinstance(value, np.ndarray) else value


def test_arrays_of_a_node_outlive_its_session() -> None:
    # spec: CARD-05
    with Runtime("[workers]\nmax = 1\n") as runtime:
        for number in range(5):
            assert Pipeline([nodes.Hoards()], runtime=runtime).run(number) == "remotemedia"
            many = Pipeline([Scale(2)], runtime=runtime).run([floats(RING_BYTES)] * 50)
            assert all((array == floats(RING_BYTES) * 2).all() for array in many)
        sums = Pipeline([nodes.Hoards()], runtime=runtime).run("drop")
        assert sums == [RING_BYTES * number for number in range(5)]


def test_threads_of_a_node_allocate_while_it_works() -> None:
    # spec: CARD-05
    with Pipeline([nodes.Background()]).session() as session:
        kept = [one(session, floats(RING_BYTES, n)) for n in range(300)]
        assert session.flush() == [0]
    for number, array in enumerate(kept):
        assert array.tobytes() == (floats(RING_BYTES, number) * 2).tobytes()


def test_a_node_forks() -> None:
    # spec: CARD-05
    with Pipeline([nodes.Forks()]).session() as session:
        for size in (RING_BYTES, SEGMENT_BYTES, RING_BYTES):
            kept = [one(session, floats(size, n)) for n in range(8)]
            for number, array in enumerate(kept):
                assert array.tobytes() == ((floats(size, number) + 1) * 2).tobytes()
        assert session.flush() == [[0] * 24]
        # The worker is none the worse for it.
        assert (one(session, floats(RING_BYTES)) == (floats(RING_BYTES) + 1) * 2).all()
        assert session.flush() == [[0]]


def test_a_worker_shares_again_after_a_session_that_forked() -> None:
    # spec: CARD-05
    with Runtime("[workers]\nmax = 1\n") as runtime:
        with Pipeline([nodes.Forks()], runtime=runtime).session() as session:
            one(session, floats(RING_BYTES))
            session.flush()
        pipeline = Pipeline([Scale(2)], runtime=runtime)
        assert all(
            (out == floats(RING_BYTES) * 2).all() for out in pipeline.run([floats(RING_BYTES)] * 9)
        )
        assert hops(pipeline)[1]["copies"] == 0


@pytest.mark.filterwarnings("default")  # processes with threads should not fork, says Python 3.12
def test_forked_children_work_for_a_node() -> None:
    # spec: CARD-05
    with Pipeline([nodes.Multiprocesses()]).session() as session:
        for size in LARGE:
            results = one(session, floats(size))
            for number, result in enumerate(results):
                assert (result == (floats(size) + number) * 2).all()


@pytest.mark.parametrize("size", LARGE)
def test_a_shared_array_is_passed_as_it_is(size: int) -> None:
    """spec: NRA-14, IOP-30"""
    array = remotemedia.empty(size // 4)
    assert array.dtype == np.float32
    assert array.flags.writeable
    array[:] = floats(size)
    pipeline = Pipeline([Looks()])
    with pipeline.session() as session:
        for view in (array, array[100:], array.reshape(2, -1)[1], array.reshape(-1, 4).T):
            # Read-only, and no copy.
            assert one(session, view) == (False, "Block", True, False)
    incoming, _ = hops(pipeline)
    assert incoming["copies"] == 0
    assert incoming["shared_bytes"] == 4 * size - 400 - size // 2
    pipeline = Pipeline([Identity()])
    with pipeline.session() as session:
        for view in (array, array[100:-100], array[::-3], array.reshape(-1, 5).T):
            assert one(session, view).tobytes() == view.tobytes()


def test_later_writes_into_a_shared_array_show() -> None:
    # spec: NRA-14
    array = remotemedia.empty((RING_BYTES, 2), dtype="float64")
    array[:] = 1
    with Pipeline([nodes.KeepsLast()]).session() as session:
        assert session.process(array) == []
        array[:] = 3
        assert session.process(np.zeros(3)) == [3 * 2 * RING_BYTES]


def test_nodes_cannot_change_a_shared_array_and_results_are_the_callers_own() -> None:
    # spec: CARD-05
    array = remotemedia.asarray_shared(floats(RING_BYTES))
    with pytest.raises(remotemedia.NodeError, match="read-only"):
        Pipeline([Apply(summed_in_place)]).run(array)
    for chain in ([Identity()], [PassThroughNode()], [Identity(), PassThroughNode(), Identity()]):
        result = Pipeline(chain).run(array)
        assert result.tobytes() == array.tobytes()
        assert result.flags.writeable
        result[:] = 5
        assert array.tobytes() == floats(RING_BYTES).tobytes()


def test_asarray_shared_copies_only_what_is_not_shared() -> None:
    # spec: NRA-14
    array = floats(RING_BYTES)
    shared = remotemedia.asarray_shared(array)
    assert shared is not array
    assert shared.tobytes() == array.tobytes()
    assert remotemedia.asarray_shared(shared) is shared
    view = shared[10:20]
    assert remotemedia.asarray_shared(view) is view
    for other in (
        array[::2], array.reshape(-1, 5).T, array.reshape(5, -1)[:, ::-1], array.astype(">f8"),
        np.float32(3), [1, 2, 3], np.zeros((0, 3)), np.zeros(3, dtype=[("a", "i4"), ("b", "S2")]),
    ):  # fmt: skip
        made = remotemedia.asarray_shared(other)
        expected = np.asarray(other)
        assert (made.dtype, made.shape) == (expected.dtype, expected.shape)
        assert made.tobytes() == expected.tobytes()
        assert made.flags.f_contiguous == (expected.flags.f_contiguous or made.ndim < 2)
        made[...] = np.zeros((), dtype=made.dtype)
        assert (array == floats(RING_BYTES)).all()


def test_a_result_becomes_a_shared_array_without_a_copy() -> None:
    # spec: NRA-14
    with Pipeline([Scale(2)]).session() as session:
        result = one(session, floats(RING_BYTES))
        assert remotemedia.asarray_shared(result) is result
        assert nodes.owner(result).is_aliased
        copied = remotemedia.asarray_shared(one(session, floats(RING_BYTES))[5:])
        assert not np.shares_memory(copied, result)
        assert (one(session, result) == result * 2).all()
    with Runtime() as runtime:  # with a worker of its own
        pipeline = Pipeline([Looks(), Identity()], runtime=runtime)
        assert pipeline.run(result) == (False, "Block", True, False)
        assert hops(pipeline)[0]["copies"] == 0


@pytest.mark.parametrize("make", [remotemedia.empty, np.empty])
def test_what_a_node_makes_in_shared_memory_is_not_copied(make: Callable[..., Array]) -> None:
    # spec: IOP-30
    pipeline = Pipeline([Apply(filled_by(make))])
    with pipeline.session() as session:
        for number in range(5):
            result = one(session, number)
            assert (result == number).all()
            assert result.flags.writeable
    assert hops(pipeline)[1]["copies"] == 0


class filled_by:  # noqa: N801
    """Makes arrays, in one way or another."""

    def __init__(self, make: Callable[..., Array]) -> None:
        self.make = make

    def __call__(self, number: int) -> Array:
        array = self.make(RING_BYTES, dtype="int16")
        array[:] = number
        return remotemedia.asarray_shared(array)


@pytest.mark.parametrize("dtype", ["O", [("a", "O")], "f4,O"])
def test_objects_cannot_be_shared(dtype: Any) -> None:
    # spec: IOP-07
    with pytest.raises(TypeError, match="cannot be shared"):
        remotemedia.empty(10, dtype)
    with pytest.raises(TypeError, match="cannot be shared"):
        remotemedia.asarray_shared(np.zeros(3, dtype))


@pytest.mark.parametrize("shape", [-1, (3, -2), (1 << 40, 1 << 40)])
def test_impossible_shapes(shape: Any) -> None:
    # spec: IOP-07
    with pytest.raises((ValueError, MemoryError)):
        remotemedia.empty(shape)


def test_asynchronous_calls_copy_once_and_shared_arrays_never() -> None:
    # spec: NRA-14
    array, shared = floats(RING_BYTES), remotemedia.asarray_shared(floats(RING_BYTES))
    pipeline = Pipeline([nodes.Sums()])

    async def run() -> None:
        async with pipeline.session() as session:
            for item in (array, shared, array[::2]):
                assert await session.process(item) == [float(item.sum())]

    asyncio.run(run())
    incoming, _ = hops(pipeline)
    assert (incoming["copies"], incoming["copied_bytes"]) == (2, RING_BYTES * 3 // 2)
    assert incoming["shared_bytes"] == RING_BYTES * 5 // 2


def test_memory_is_given_back_as_soon_as_nobody_needs_it() -> None:
    # spec: CARD-05
    before = remotemedia.shared_memory_stats()["arrays"]["used_bytes"]
    with Runtime() as runtime, Pipeline([Scale(2)], runtime=runtime).session() as session:
        peaks = []
        for number in range(200):
            size = LARGE[number % 2]
            shared = remotemedia.asarray_shared(floats(size, number))
            assert (one(session, shared[::-1]) == shared[::-1] * 2).all()
            assert (one(session, shared) == shared * 2).all()
            (worker,) = remotemedia.shared_memory_stats(runtime)["workers"]
            peaks.append(worker["made_bytes"] + worker["mapped_bytes"])
        assert max(peaks) < 8 * SEGMENT_BYTES  # so it is the same memory again and again
        kept = one(session, floats(RING_BYTES))
        del shared
        session.process(1)  # takes along what was given up
        stats = remotemedia.shared_memory_stats(runtime)
        (worker,) = stats["workers"]
        assert [held["bytes"] for held in worker["pinned_by_caller"]] == [RING_BYTES]
        assert worker["pinned_by_worker"] == []
        assert (worker["used_bytes"], stats["arrays"]["used_bytes"]) == (0, before)
        assert (kept == floats(RING_BYTES) * 2).all()


def test_a_child_of_the_caller_shares_nothing_new_with_it() -> None:
    # spec: CARD-05
    array = remotemedia.asarray_shared(floats(RING_BYTES))
    inherited = remotemedia.empty(RING_BYTES)
    says, hears = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            found = array.tobytes() == floats(RING_BYTES).tobytes()
            array[:] = -1  # the parent does not see it
            made = [remotemedia.empty(RING_BYTES // 4) for _ in range(100)]
            for number, own in enumerate(made):
                own[:] = number
            right = all((own == number).all() for number, own in enumerate(made))
            del inherited, array, made
            gc.collect()
            code = 0 if found and right else 2
        finally:
            os.write(hears, bytes([code]))
            os._exit(code)
    os.close(hears)
    more = [remotemedia.asarray_shared(floats(RING_BYTES, n)) for n in range(100)]
    assert os.read(says, 1) == b"\0"
    os.close(says)
    os.waitpid(pid, 0)
    assert array.tobytes() == floats(RING_BYTES).tobytes()
    assert all((own == floats(RING_BYTES, n)).all() for n, own in enumerate(more))
    assert Pipeline([nodes.Sums()]).run(array) == float(array.sum())


def test_threads_pass_and_drop_arrays_at_once() -> None:
    # spec: CARD-05
    wrong: list[int] = []

    def work(start: int) -> None:
        with Pipeline([Scale(2)]).session() as session:
            kept = []
            for number in range(start, start + 60):
                array = remotemedia.asarray_shared(floats(RING_BYTES, number))
                kept.append((number, one(session, array)))
                if number % 3 == 0:
                    kept.pop(0)
            for number, result in kept:
                if result.tobytes() != (floats(RING_BYTES, number) * 2).tobytes():
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(1_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

"""Arrays on their way into a worker and back: every kind is right at every size, and those that
are in shared memory are not copied.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import shared_memory_nodes as nodes
from e2e_nodes import Apply, Identity, Scale
from remotemedia import Node, Pipeline, Runtime, Session
from shared_memory_nodes import (
    INLINE_BYTES,
    RING_BYTES,
    SEGMENT_BYTES,
    SIZES,
    Array,
    Looks,
    floats,
    hops,
    one,
)

DTYPES = [
    "bool", "i1", "u1", "<i2", ">i2", "<i4", ">u4", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4",
    "<f8", ">f8", "g", "<c8", ">c8", "<c16", ">c16", "S5", "<U3", ">U3", "V7", "<M8[ns]", ">M8[s]",
    "<m8[ms]", ">m8[D]",
]  # fmt: skip
STRUCTURES = [
    [("left", "<i2"), ("right", ">f8", (2,)), ("name", "S3")],
    [("outer", [("inner", "<M8[us]"), ("flag", "?")]), ("rest", "<U2")],
    {"names": ["a", "b"], "formats": ["<i4", "<f4"], "offsets": [4, 12], "itemsize": 24},
]


def sample(dtype: Any, size: int) -> Array:
    """About `size` bytes of different elements of a dtype."""
    kind = np.dtype(dtype)
    count = max(size // kind.itemsize, 3)
    if kind.names is not None:
        array = np.zeros(count, dtype=kind)
        for name in kind.names:
            field = array[name]
            field[...] = (
                sample(field.dtype, count).reshape(-1)[:1]
                if field.dtype.names
                else (np.arange(field.size).reshape(field.shape) % 100).astype(field.dtype)
            )
        return array
    if kind.kind == "V":
        return np.frombuffer((bytes(range(256)) * (size // 256 + 2))[: count * kind.itemsize], kind)
    numbers = np.arange(count) % 30_011
    if kind.kind in "Mm":
        return numbers.astype("i8").astype(kind)
    return numbers.astype(kind)


def same(left: Array, right: Array) -> bool:
    """Equal in type, form and every element."""
    if (type(left), left.dtype, left.shape) != (type(right), right.dtype, right.shape):
        return False
    if left.dtype == np.longdouble:  # has bytes that belong to no number
        return bool((left == right).all())
    return left.tobytes() == right.tobytes()


def two_axes(array: Array) -> Array:
    """The array with a second axis."""
    return array[: len(array) // 4 * 4].reshape(-1, 4)


def misaligned(array: Array) -> Array:
    """The same elements at an odd address."""
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(array.dtype)
    view[...] = array
    return view


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": two_axes,
    "Fortran": lambda array: np.asfortranarray(two_axes(array)),
    "transposed": lambda array: two_axes(array).T,
    "strided": lambda array: np.repeat(array, 2)[::2],
    "backwards": lambda array: array[::-1],
    "backwards in both axes": lambda array: two_axes(array)[::-1, ::-1],
    "columns": lambda array: two_axes(array)[:, 1:3],
    "three axes, turned": lambda array: two_axes(array).reshape(-1, 2, 2).transpose(1, 2, 0),
    "misaligned": misaligned,
    "broadcast": lambda array: np.broadcast_to(array, (2, len(array))),
}


@pytest.fixture(scope="module")
def identity() -> Iterator[Session]:
    """A session whose node gives back what it gets."""
    with Pipeline([Identity()]).session() as session:
        yield session


@pytest.fixture(scope="module")
def calls() -> Iterator[Session]:
    """A session whose node calls what it gets."""
    with Pipeline([Apply(lambda call: call())]).session() as session:
        yield session


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [*DTYPES, *STRUCTURES], ids=str)
def test_every_dtype(identity: Session, calls: Session, dtype: Any, size: int) -> None:
    # spec: IOP-05
    array = sample(dtype, size)
    back = one(identity, array)
    assert same(back, array)
    assert back.flags.writeable
    made = one(calls, functools.partial(sample, dtype, size))
    assert same(made, array)
    assert made.flags.writeable


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["<f4", ">i2", "<c16", STRUCTURES[0]], ids=str)
def test_every_layout(
    identity: Session, calls: Session, dtype: Any, layout: str, size: int
) -> None:
    # spec: IOP-05
    array = LAYOUTS[layout](sample(dtype, size))
    back = one(identity, array)
    assert same(back, array)
    assert back.flags.writeable
    assert back.flags.aligned
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    assert back.flags.f_contiguous == (is_fortran or back.ndim == 1)
    made = one(calls, functools.partial(made_in, layout, dtype, size))
    assert same(made, array)
    assert made.flags.writeable
    assert made.flags.aligned


def made_in(layout: str, dtype: Any, size: int) -> Array:
    """An array of a layout."""
    return LAYOUTS[layout](sample(dtype, size))


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3),
        np.array(2.5),
        np.array("text"),
        np.zeros(0),
        np.zeros((0, 5), dtype=">i4"),
        np.zeros((3, 0, 2), order="F"),
        np.zeros(RING_BYTES)[:0],
        np.zeros(3, dtype="S0"),
    ],
    ids=repr,
)
def test_without_axes_or_elements(identity: Session, array: Any) -> None:
    # spec: IOP-05
    assert same(one(identity, array), array)


@pytest.mark.parametrize("size", SIZES)
def test_objects_and_subclasses_keep_their_type(identity: Session, size: int) -> None:
    # spec: IOP-05
    count = size // 8
    objects = np.array([*range(count), None], dtype=object)
    back = one(identity, objects)
    assert back.dtype == objects.dtype
    assert (back == objects).all()
    masked = np.ma.masked_array(np.arange(count), mask=np.arange(count) % 3 == 0)
    back = one(identity, masked)
    assert type(back) is type(masked)
    assert (back == masked).all()
    assert (back.mask == masked.mask).all()


LABELLED = np.dtype("f4", metadata={"unit": "V"})


@pytest.mark.parametrize(
    "dtype",
    [
        LABELLED,
        np.dtype([("a", "i4"), ("b", LABELLED, (2,))]),
        np.dtype((np.record, [("a", "i4"), ("b", "f8")])),
        np.dtype([("outer", np.dtype((np.record, [("a", "i4")])))]),
        np.dtype([("a", "i1"), ("b", "f8")], align=True),
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]}),
        np.dtype([]),
    ],
    ids=str,
)
def test_a_dtype_that_says_more_than_its_description_keeps_it(
    identity: Session, dtype: np.dtype[Any]
) -> None:
    # spec: IOP-05, IOP-06
    array = np.zeros(RING_BYTES // 8, dtype=dtype)
    back = one(identity, array)
    assert same(back, array)
    assert told(back.dtype) == told(dtype)
    assert type(back[0]) is type(array[0])


def told(dtype: np.dtype[Any]) -> Any:
    """All that a dtype says."""
    fields = [told(dtype[name]) for name in dtype.names or ()]
    base = told(dtype.base) if dtype.subdtype else None
    return str(dtype), dtype.type, dict(dtype.metadata or {}), dtype.isalignedstruct, fields, base


@pytest.mark.parametrize("size", [RING_BYTES, SEGMENT_BYTES])
def test_an_input_is_a_view_of_shared_memory(size: int) -> None:
    """spec: CARD-05, NRA-14"""
    pipeline = Pipeline([Looks()])
    with pipeline.session() as session:
        for array in (floats(size), np.asfortranarray(floats(size).reshape(-1, 5)), floats(size)):
            assert one(session, array) == (False, "Block", True, True)
    incoming, _ = hops(pipeline)
    assert incoming["copies"] == 3  # into shared memory, the only one
    assert incoming["shared_bytes"] == incoming["copied_bytes"] == 3 * size


def test_a_small_input_travels_inside_the_message() -> None:
    """spec: IOP-31"""
    pipeline = Pipeline([Scale(2)])
    with pipeline.session() as session:
        assert same(one(session, floats(INLINE_BYTES)), floats(INLINE_BYTES) * 2)
    for hop in hops(pipeline):
        assert (hop["copies"], hop["shared_bytes"]) == (0, 0)
        assert hop["inline_bytes"] == INLINE_BYTES


FORMS: list[tuple[Callable[[], Node], list[int]]] = [
    (lambda: Scale(2), [2]),
    (nodes.Generates, [2, 3]),
    (nodes.GeneratesAsync, [2, 3]),
    (nodes.AsyncScale, [2]),
    (nodes.ThreadStream, [2]),
    (nodes.AsyncStream, [2]),
]


@pytest.mark.parametrize("size", [RING_BYTES, SEGMENT_BYTES])
@pytest.mark.parametrize(("make", "factors"), FORMS, ids=lambda form: getattr(form, "__name__", ""))
def test_an_output_that_nobody_keeps_is_not_copied(
    make: Callable[[], Node], factors: list[int], size: int
) -> None:
    """spec: CARD-05, IOP-30"""
    for chain in ([make()], [Identity(), make(), Identity()]):
        pipeline = Pipeline(chain)
        with pipeline.session() as session:
            for start in (0, 1, 2):
                array = floats(size, start)
                outputs = session.process(array)
                assert [
                    same(out, array * np.float32(f))
                    for out, f in zip(outputs, factors, strict=True)
                ]
                assert all(output.base.is_shared for output in outputs)
        _, outgoing = hops(pipeline, len(chain) - 1)
        assert outgoing["copies"] == 0
        assert outgoing["shared_bytes"] == 3 * len(factors) * size


def test_outputs_of_sources_and_of_flush_are_not_copied() -> None:
    """spec: IOP-30"""
    pipeline = Pipeline([nodes.Source()])
    with pipeline.session() as session:
        assert [len(array) for array in session.produce()] == [RING_BYTES] * 2
    assert hops(pipeline)[1]["copies"] == 0
    pipeline = Pipeline([nodes.Flushes()])
    with pipeline.session() as session:
        session.process(np.ones(3))
        (array,) = session.flush()
        assert (array == 3).all()
    assert hops(pipeline)[1]["copies"] == 0


def in_containers(array: Array) -> Any:
    """Arrays inside other things."""
    return {
        "pair": (array * 1, [array * 2]),
        "views": [(array * 3)[5:], (array * 4).reshape(2, -1)],
    }


def test_outputs_inside_containers_are_not_copied() -> None:
    """spec: IOP-30"""
    pipeline = Pipeline([Apply(in_containers)])
    with pipeline.session() as session:
        array = floats(RING_BYTES)
        output = one(session, array)
        assert same(output["pair"][0], array)
        assert same(output["pair"][1][0], array * 2)
        assert same(output["views"][0], (array * 3)[5:])
        assert same(output["views"][1], (array * 4).reshape(2, -1))
    assert hops(pipeline)[1]["copies"] == 0


def test_an_input_that_is_given_back_is_not_copied_again() -> None:
    """spec: IOP-30"""
    pipeline = Pipeline([Identity()])
    with pipeline.session() as session:
        for size in (RING_BYTES, SEGMENT_BYTES):
            assert same(one(session, floats(size)), floats(size))
    incoming, outgoing = hops(pipeline)
    assert incoming["copies"] == 2
    assert (outgoing["copies"], outgoing["shared_bytes"]) == (0, RING_BYTES + SEGMENT_BYTES)


def written_to(array: Array) -> Array:
    """The same array, changed."""
    array += 1
    return array


VIEWS: list[tuple[Callable[[Array], Any], int]] = [
    (lambda array: array[1_000:-1_000], 0),
    (lambda array: array.reshape(2, -1)[1], 0),
    (lambda array: array.view(np.uint8), 0),
    (lambda array: np.asfortranarray(array.reshape(-1, 4)), 0),
    (written_to, 0),
    (lambda array: array[::-1], 1),
    (lambda array: array.reshape(-1, 4)[:, ::-2], 1),
    (lambda array: np.lib.stride_tricks.sliding_window_view(array[:9_000], 3), 1),
    (lambda array: [array, array], 1),
    (lambda array: [array[:5_000], array[5_000:]], 1),
]


@pytest.mark.parametrize(("call", "copies"), VIEWS)
def test_what_is_made_of_an_input(call: Callable[[Array], Any], copies: int) -> None:
    """spec: IOP-05, IOP-30"""
    pipeline = Pipeline([Apply(call)])
    with pipeline.session() as session:
        for size in (RING_BYTES, SEGMENT_BYTES):
            output, expected = one(session, floats(size)), call(floats(size))
            if isinstance(expected, list):
                assert all(map(same, output, expected))
                output[0][:] = -1
                assert same(output[1], expected[1])
            else:
                assert same(output, expected)
    assert hops(pipeline)[1]["copies"] == 2 * copies


def test_the_caller_gets_the_very_memory_that_the_node_wrote() -> None:
    """spec: CARD-05"""
    with Pipeline([nodes.WritesToWhatItSent()]).session() as session:
        for size in (RING_BYTES, SEGMENT_BYTES):
            output = one(session, np.zeros(size, dtype=np.uint8))
            assert (output == 1).all()
            assert one(session, None) == "written"
            assert (output[:100] == 7).all()
            assert (output[100:] == 1).all()


def test_numpy_takes_large_outputs_from_shared_memory_while_a_node_processes() -> None:
    """spec: CARD-05"""
    node = nodes.HandlerNames()
    pipeline = Pipeline([node])
    with pipeline.session() as session:
        # Threads have contexts of their own.
        assert one(session, floats(RING_BYTES)) == ["default_allocator"]
        session.flush()
    # In all of its methods arrays are counted, and shared memory is for `process` and `flush`: that
    # those of others are private is in `test_memory_of_nodes.py`.
    assert node.names == ["remotemedia"] * 4


def test_arrays_are_resized_zeroed_and_freed_in_any_memory() -> None:
    # spec: IOP-05
    with Pipeline([nodes.Resizes()]).session() as session:
        for _ in range(5):
            assert same(one(session, 0), np.arange(100))


def test_numpy_is_not_loaded_for_values_without_arrays() -> None:
    """spec: NRA-14"""
    source = (
        "import sys\n"
        "from remotemedia import Node, Pipeline\n"
        "class Asks(Node):\n"
        "    def process(self, data):\n"
        "        return 'numpy' in sys.modules, data\n"
        "print(Pipeline([Asks()]).run('text' * 10_000)[0], 'numpy' in sys.modules)\n"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "settings",
    [
        'segment = "off"',
        'segment = "named"',
        'max = "256 KiB"\nring = "128 KiB"',
        'ring = "64 KiB"\nring_block_max = "64 KiB"\nidle_max = "0"',
        'inline_max = "1 KiB"\npinned_max = "0"',
        'inline_max = "10 MiB"',
    ],
)
@pytest.mark.filterwarnings("default")
def test_every_setting_gives_the_same(settings: str) -> None:
    # spec: IOP-05, CARD-09
    with Runtime(f"[shared_memory]\n{settings}\n") as runtime:
        pipeline = Pipeline([Scale(2), nodes.Generates()], runtime=runtime)
        with pipeline.session() as session:
            kept = []
            for start in range(20):
                for size in SIZES[: 2 + start % 2]:
                    array = floats(size, start)
                    kept.append((array, session.process(array)))
            for array, outputs in kept:
                assert [output.tobytes() for output in outputs] == [
                    (array * np.float32(4)).tobytes(),
                    (array * np.float32(6)).tobytes(),
                ]

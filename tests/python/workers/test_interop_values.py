"""Values on their way into a worker and back: nothing is lost, rounded or turned into a kin."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from e2e_nodes import Identity, Tell
from naming import shown
from remotemedia import PassThroughNode, Pipeline, Session


@pytest.fixture(scope="module")
def identity() -> Iterator[Session]:
    """A session whose node, in a worker, gives back what it gets."""
    with Pipeline([Identity()]).session() as session:
        yield session


@pytest.fixture(scope="module")
def tell() -> Iterator[Session]:
    """A session whose node, in a worker, says what arrived."""
    with Pipeline([Tell()]).session() as session:
        yield session


def same(left: Any, right: Any) -> bool:
    """Equal in type, value, order and every bit of a float, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set | frozenset):
        return bool(left == right) and sorted(map(repr, left)) == sorted(map(repr, right))
    return bool(left == right)


def both_ways(identity: Session, tell: Session, value: Any) -> None:
    (back,) = identity.process(value)
    assert same(back, value), back
    (kind, text), = tell.process(value)  # fmt: skip
    assert kind == f"{type(value).__module__}.{type(value).__qualname__}"
    # The order in a set is each process's own.
    assert text == repr(value) or kind.endswith("set") or "frozenset" in text


PRIMITIVES = [
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64 - 1,
    2**64,
    -(2**64) - 1,
    10**400,
    -(7**999),
    0.0,
    -0.0,
    0.1,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "plain",
    "quote ' \" \\ \n \0",
    "Zürich 東京 😀 e\u0301",
    "a lone surrogate \ud800 and \udfff",
    "x" * 100_000,
    b"",
    bytes(range(256)),
    b"\x00" * 100_000,
]


@pytest.mark.parametrize("value", PRIMITIVES, ids=shown(24))
def test_primitives(identity: Session, tell: Session, value: Any) -> None:
    # spec: IOP-16
    both_ways(identity, tell, value)


def test_every_bit_of_a_nan_survives(identity: Session) -> None:
    # spec: IOP-16
    (payload,) = struct.unpack("d", struct.pack("Q", 0xFFF8_0000_0000_1234))
    assert same(identity.process(payload), [payload])


COLLECTIONS = [
    [],
    [1, [2, [3, [4.0, "five"]]]],
    (),
    (1,),
    ((), [()], ((1, 2), [3])),
    {},
    set(),
    {1, "a", (2, 3), None, b"x"},
    frozenset(),
    frozenset({frozenset({1}), 2}),
    [[], (), {}, set(), frozenset(), "", b"", 0, None],
    [True, 1, 1.0],
    list(range(10_000)),
]


@pytest.mark.parametrize("value", COLLECTIONS, ids=shown(24))
def test_collections(identity: Session, tell: Session, value: Any) -> None:
    # spec: IOP-17
    both_ways(identity, tell, value)


DICTS = [
    {"b": 1, "a": 2, "c": {"z": [], "y": {"x": ({"deep": b"er"},)}}},
    {2: "int", 1.5: "float", None: "none", True: "bool", b"k": "bytes", "k": "text"},
    {(1, ("a", None)): "tuple", frozenset({1, 2}): "frozenset", 10**30: "big"},
    {-1: "minus", "": "empty", "\ud800": "surrogate", math.inf: "infinity"},
    {number: str(number) for number in reversed(range(5_000))},
]


@pytest.mark.parametrize("value", DICTS, ids=shown(24))
def test_dicts_keep_keys_values_and_order(identity: Session, tell: Session, value: Any) -> None:
    # spec: IOP-04
    both_ways(identity, tell, value)


@pytest.mark.parametrize("value", [[None], (None, [None]), {None: None}, {None}, [[None, 0, ""]]])
def test_none_inside_is_none(identity: Session, tell: Session, value: Any) -> None:
    # spec: IOP-18
    both_ways(identity, tell, value)


def test_a_none_of_the_caller_reaches_the_node_and_a_none_of_the_node_drops_the_item() -> None:
    # spec: IOP-18
    assert Pipeline([Tell()]).run([None]) == ("builtins.NoneType", "None")
    assert Pipeline([Identity()]).run([None]) is None
    assert Pipeline([Identity()]).run([None, 1, None, 2]) == [1, 2]


def test_a_container_that_holds_itself(identity: Session) -> None:
    # spec: IOP-17
    ring: list[Any] = [1]
    ring.append(ring)
    (back,) = identity.process(ring)
    assert back[0] == 1
    assert back[1] is back


def test_a_container_deeper_than_any_stack_of_ours(identity: Session) -> None:
    # spec: IOP-17
    deep: Any = "bottom"
    for _ in range(400):
        deep = [deep]
    (back,) = identity.process(deep)
    for _ in range(400):
        (back,) = back
    assert back == "bottom"


DTYPES = [
    *"?bBhHiIlLqQefdgFDG",
    ">i4",
    ">f8",
    "<u2",
    ">c16",
    "S5",
    "U7",
    ">U3",
    "V4",
    "M8[ns]",
    "m8[s]",
    [("start", "<i4"), ("name", "U4"), ("part", "f4", (2,))],
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3), (2, 3, 4)], ids=str)
def test_arrays_of_every_dtype_and_shape(identity: Session, dtype: Any, shape: Any) -> None:
    raw = np.random.default_rng(7).integers(0, 2, 4_000, dtype=np.uint8)
    count = math.prod(shape)
    array = np.frombuffer(raw.tobytes(), dtype, count=count).reshape(shape)
    (back,) = identity.process(array)
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype
    assert back.shape == shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable


def layouts() -> dict[str, np.ndarray[Any, Any]]:
    base = np.arange(24, dtype=np.int32).reshape(4, 6)
    read_only = base.copy()
    read_only.flags.writeable = False
    return {
        "C": base,
        "Fortran": np.asfortranarray(base),
        "transposed": base.T,
        "strided": base[::2, 1::2],
        "reversed": base[::-1, ::-1],
        "broadcast": np.broadcast_to(np.int32(3), (5, 4)),
        "read only": read_only,
        "permuted": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        "unaligned": np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.int32),
        "large": np.random.default_rng(1).random((3, 400_000)),
    }


@pytest.mark.parametrize("name", list(layouts()))
def test_arrays_of_every_layout(identity: Session, name: str) -> None:
    array = layouts()[name]
    (back,) = identity.process({"a": [array]})
    np.testing.assert_array_equal(back["a"][0], array)
    assert back["a"][0].dtype == array.dtype


def test_arrays_of_objects_and_kinds_of_arrays(identity: Session) -> None:
    objects = np.array([None, "text", 10**30, {"a": 1}], dtype=object)
    (back,) = identity.process(objects)
    assert back.dtype == object
    assert back.tolist() == objects.tolist()
    masked = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    (back,) = identity.process(masked)
    assert type(back) is type(masked)
    assert back.tolist() == [1, None, 3]
    for scalar in (np.float32(0.1), np.int16(-3), np.bool_(True), np.str_("x")):
        (back,) = identity.process(scalar)
        assert type(back) is type(scalar)
        assert back == scalar


@pytest.mark.parametrize("node", [Identity, PassThroughNode], ids=["python", "native"])
def test_what_comes_out_is_the_callers_alone(node: Any) -> None:
    # spec: IOP-02
    array = np.zeros(1_000, dtype=np.float32)
    inner = {"array": array, "list": [1]}
    back = Pipeline([node()]).run(inner)
    assert type(back) is dict
    back["array"][:] = 1
    back["list"].append(2)
    assert not array.any()
    assert inner["list"] == [1]

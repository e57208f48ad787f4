"""One suite over both interpreters of workers: same nodes, same protocol, same results."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from naming import shown
from remotemedia import NodeError, Runtime
from worker_programs import PROGRAMS, runtime, session

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    10**400,
    0.1,
    -0.0,
    float("inf"),
    5e-324,
    "",
    "plain",
    "ä\N{GREEK SMALL LETTER ALPHA}\N{GRINNING FACE}\0",
    b"",
    b"\0\xff" * 10_000,
    [],
    [1, [2, [3]]],
    (),
    (1,),
    {},
    {"a": 1, 2: "b", None: 3, (1, 2): [4], True: 5, 2.5: 6},
    {1, 2, 3},
    frozenset({"a", "b"}),
    {"deep": [({"x": {(frozenset({1}),): (None,)}},)]},
]


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """The name of an interpreter."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def workers(program: str) -> Iterator[Runtime]:
    """A runtime with workers of that interpreter."""
    with runtime(program) as made:
        yield made


def outputs(workers: Runtime, node: str, *items: Any, **options: Any) -> list[Any]:
    """What a node gives for some inputs."""
    with session(workers, f"stdlib_nodes:{node}", **options) as opened:
        results = [value for item in items for _, value in opened.process(item)]
        return results + [value for _, value in opened.flush()]


def test_the_interpreter_is_the_one_that_was_asked_for(program: str, workers: Runtime) -> None:
    """spec: CARD-03, IOP-08, IOP-09: workers of both interpreters, warm from one pool."""
    ((name, pid, is_stdin_empty),) = outputs(workers, "Who", None)
    ((_, second, _),) = outputs(workers, "Who", None)
    assert name == program
    assert pid == second
    assert pid in {worker["pid"] for worker in workers.workers()}
    assert is_stdin_empty


@pytest.mark.parametrize("value", VALUES, ids=shown(40))
def test_values_come_back_as_they_went(workers: Runtime, value: Any) -> None:
    """spec: CARD-03"""
    (back,) = outputs(workers, "Identity", [value])
    assert type(back[0]) is type(value)
    assert repr(back) == repr([value]) or back == [value]


@pytest.mark.parametrize("value", VALUES, ids=shown(40))
def test_nodes_see_python_objects(workers: Runtime, value: Any) -> None:
    """spec: CARD-03"""
    (told,) = outputs(workers, "Tell", value)
    if value is None:
        assert told[0] == "builtins.NoneType"
    assert told[0] == f"builtins.{type(value).__name__}"
    if not isinstance(value, set | frozenset):
        assert told[1] == repr(value)


ARRAYS = [
    np.arange(6, dtype=dtype).reshape(shape)
    for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
    for shape in ((6,), (2, 3))
] + [
    np.array([True, False]),
    np.zeros((0, 3), np.float32),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10.0)[::2],
    np.arange(100_000, dtype=np.float32),
    np.array(5.0),
]


@pytest.mark.parametrize("sent", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_come_back_as_they_went(workers: Runtime, sent: Any) -> None:
    """spec: CARD-03, CARD-05"""
    (back,) = outputs(workers, "Identity", sent)
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (sent.dtype, sent.shape)
    assert np.array_equal(back, sent)
    assert back.flags.writeable


@pytest.mark.parametrize("sent", ARRAYS[:28], ids=lambda a: f"{a.dtype}{a.shape}")
def test_nodes_see_the_numbers(workers: Runtime, sent: Any) -> None:
    """spec: CARD-05"""
    ((shape, dtype, numbers),) = outputs(workers, "Numbers", sent)
    assert shape == list(sent.shape)
    assert dtype == str(sent.dtype)
    assert numbers == sent.tolist()


def test_memory_is_not_used_again_while_a_node_keeps_it(workers: Runtime) -> None:
    """spec: CARD-05"""
    sent = [np.full(50_000, number, np.float32) for number in range(8)]
    back = outputs(workers, "Keep", *sent)
    assert len(back) == 7
    for number, kept in enumerate(back):
        assert np.array_equal(kept, sent[number])


def test_what_a_node_writes_stays_its_own(workers: Runtime) -> None:
    """spec: CARD-05"""
    sent = np.ones(20_000, np.float32)
    first, second = outputs(workers, "Double", sent, sent)
    assert np.array_equal(sent, np.ones(20_000))
    assert np.array_equal(first, np.full(20_000, 2))
    assert np.array_equal(second, np.full(20_000, 2))


def test_a_chain_of_arrays(workers: Runtime) -> None:
    """spec: CARD-05"""
    with session(workers, *["stdlib_nodes:Double"] * 3) as opened:
        ((_, made),) = opened.process(np.ones(5_000, np.float32))
    assert np.array_equal(made, np.full(5_000, 8))


def test_generators_and_coroutines(workers: Runtime) -> None:
    """spec: CARD-03"""
    assert outputs(workers, "Count", 5) == [0, 1, 2, 3, 4]
    assert outputs(workers, "CountAsync", 5) == [0, 1, 2, 3, 4]
    for answer in outputs(workers, "Later", 1, 2):
        assert answer[1:] == (True, True)


def test_a_call_of_a_coroutine_has_a_context_of_its_own(workers: Runtime) -> None:
    """spec: IOP-27: what it sets is there for all that the call does, and for no other call."""
    with session(workers, "stdlib_nodes:Marks") as opened:
        for mark in range(3):
            last = mark - 1 if mark else None
            assert [v for _, v in opened.process(mark)] == [["nothing", mark, mark, last]]
    with session(workers, "stdlib_nodes:MarksInSteps") as opened:
        for mark in range(2):
            assert [v for _, v in opened.process(mark)] == ["nothing", mark]


def test_sources_and_streams(workers: Runtime) -> None:
    """spec: CARD-03"""
    with session(workers, "stdlib_nodes:Source") as opened:
        assert [value for _, value in opened.run(None)] == [1, 2, 3]
    assert outputs(workers, "Sum", 1, 2, 3) == [1, 3, 6, 3]


def test_what_nodes_print_and_log(
    workers: Runtime, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """spec: CARD-03"""
    outputs(workers, "Talk", "it")
    printed = capfd.readouterr()
    assert "printed it" in printed.out
    assert "from a thread" in printed.out
    assert "complained it" in printed.err
    assert "logged it" in caplog.text + printed.err


def test_failures_are_data(workers: Runtime) -> None:
    """spec: IOP-25"""
    with (
        session(workers, "stdlib_nodes:Fail") as opened,
        pytest.raises(NodeError, match="no thing") as caught,
    ):
        opened.process("thing")
    assert caught.value.remote_type == "ValueError"
    assert caught.value.node_id == "node0"
    traceback = caught.value.remote_traceback or ""
    assert "KeyError: 'thing'" in traceback
    assert "The above exception was the direct cause" in traceback
    assert "{}[data]" in traceback
    assert "_guest" not in traceback


def test_what_cannot_travel_is_named(workers: Runtime) -> None:
    """spec: IOP-25"""
    with (
        session(workers, "stdlib_nodes:Unsendable") as opened,
        pytest.raises(NodeError, match=r"output\['where'\]\[1\]"),
    ):
        opened.process(1)


def test_arrays_of_the_standard_library(workers: Runtime, program: str) -> None:
    """spec: CARD-05"""
    if program == "rustpython":
        with session(workers, "stdlib_array_nodes:Make") as opened:
            ((_, made),) = opened.process(4)
        assert isinstance(made, np.ndarray)
        assert made.tolist() == array.array("f", range(4)).tolist()
    with session(workers, "stdlib_array_nodes:Show") as opened:
        ((_, shown),) = opened.process(np.arange(3, dtype=np.int16))
    assert shown == ("h", [0, 1, 2])

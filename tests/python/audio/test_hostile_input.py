"""Native nodes under hostile input, from Python: a result or one NodeError, and it goes on.

The whole table is in nodes/tests/hostile; here are the same kinds of input in the forms of Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia import Node, NodeError, Pipeline, RemoteMediaError
from remotemedia.nodes import (
    AddNode,
    AudioResampleNode,
    CalculatorNode,
    FormatConverterNode,
    MultiplyNode,
    PassThroughNode,
    VADNode,
)

GOOD = (np.sin(np.arange(4800, dtype=np.float32) / 10) / 2, 48000)
RATES: list[Any] = [1000, 768000, 48000.0, np.int64(44100), np.float64(44100), np.uint16(44100)]
BAD_RATES: list[Any] = [
    0,
    1,
    999,
    -1,
    768001,
    2**32 - 1,
    2**63,
    10**400,
    48000.5,
    math.nan,
    math.inf,
]
BAD_RATES += [np.float32(math.nan), np.uint64(2**64 - 1), np.bool_(True)]
NO_RATES: list[Any] = [None, True, "48000", b"", []]


def samples(value: float, dtype: str = "<f4", shape: tuple[int, ...] = (2, 480)) -> Any:
    array = np.full(shape, 0.25, np.float64)
    if array.size:
        array.flat[array.size // 2] = value
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype)


# An array, and what analysing nodes, the converter and nodes that compute make of it.
ARRAYS: dict[str, tuple[Any, str, str, str]] = {
    "nan": (samples(math.nan), "ValueError", "ok", "ok"),
    "inf": (samples(math.inf, "<f8"), "ValueError", "ok", "ok"),
    "-inf": (samples(-math.inf, ">f4"), "ValueError", "ok", "ok"),
    "1e30": (samples(1e30), "ValueError", "ok", "ok"),
    "largest double": (samples(1.7e308, "<f8"), "ValueError", "ok", "ok"),
    "denormal": (samples(1e-45), "ok", "ok", "ok"),
    "denormal double": (samples(5e-324, "<f8"), "ok", "ok", "ok"),
    "loudest": (samples(1e10), "ok", "ok", "ok"),
    "empty": (samples(0, shape=(0,)), "ok", "ok", "ok"),
    "empty channels": (samples(0, shape=(2, 0)), "ok", "ok", "ok"),
    "one sample": (samples(0, shape=(1,)), "ok", "ok", "ok"),
    "64 channels": (samples(0, shape=(64, 3)), "ok", "ok", "ok"),
    "257 channels": (samples(0, shape=(257, 1)), "ValueError", "ok", "ok"),
    "no channels": (samples(0, shape=(0, 480)), "ValueError", "ok", "ok"),
    "no channels for ever": (np.zeros((0, 2**60), np.float32), "ValueError", "ok", "ok"),
    "three axes": (samples(0, shape=(1, 1, 4)), "ValueError", "ok", "ok"),
    "no axes": (np.array(0.5, np.float32), "ValueError", "ok", "ok"),
    "strided": (samples(0, shape=(480, 2))[::-3].T, "ok", "ok", "ok"),
    "int16": (np.full(480, -32768, np.int16), "ok", "ok", "ok"),
    "int32": (np.full(480, -(2**31), ">i4"), "ok", "ok", "ok"),
    "int8": (np.zeros(480, np.int8), "ValueError", "ValueError", "ok"),
    "uint64": (np.full(480, 2**64 - 1, np.uint64), "ValueError", "ValueError", "ok"),
    "float16": (np.zeros(480, np.float16), "ValueError", "ValueError", "ValueError"),
    "longdouble": (np.zeros(480, np.longdouble), "ValueError", "ValueError", "ValueError"),
    "complex": (np.zeros(480, np.complex64), "ValueError", "ValueError", "ValueError"),
    "bool": (np.zeros(480, np.bool_), "ValueError", "ValueError", "ValueError"),
    "dates": (np.zeros(4, "M8[ns]"), "ValueError", "ValueError", "ValueError"),
    "texts": (np.zeros(4, "U5"), "ValueError", "ValueError", "ValueError"),
    "long texts": (np.zeros(0, "S2147483647"), "ValueError", "ValueError", "ValueError"),
    "records": (np.zeros(4, [("l", "f4"), ("r", "f4")]), "ValueError", "ValueError", "ValueError"),
}
# Items that are no audio, with the outcome at analysing nodes and the converter, at the calculator,
# and at nodes that add and multiply.
OTHERS: dict[str, tuple[Any, str, str, str]] = {
    "int": (1, "TypeError", "ok", "ok"),
    "nan": (math.nan, "TypeError", "ok", "ok"),
    "large int": (10**300, "TypeError", "ok", "ok"),
    "larger than a float": (10**5000, "TypeError", "ok", "OverflowError"),
    "huge int": (1 << 1_000_000, "TypeError", "OverflowError", "OverflowError"),
    "text": ("x" * 1_000_000, "TypeError", "TypeError", "TypeError"),
    "bytes": (b"\xff" * 1_000_000, "TypeError", "TypeError", "TypeError"),
    "bool": (True, "TypeError", "TypeError", "TypeError"),
    "set": ({1}, "TypeError", "TypeError", "TypeError"),
    "object": (Node, "TypeError", "TypeError", "TypeError"),
    "empty tuple": ((), "TypeError", "TypeError", "TypeError"),
    "empty dict": ({}, "ValueError", "ValueError", "TypeError"),
    "operation": (
        {"operation": "x" * 1_000_000, "operands": [1, 2]},
        "ValueError",
        "ValueError",
        "TypeError",
    ),
    "power": (
        {"operation": "power", "operands": [10, 10**9]},
        "ValueError",
        "OverflowError",
        "TypeError",
    ),
    "division": (
        {"operation": "divide", "operands": [1, 0]},
        "ValueError",
        "ZeroDivisionError",
        "TypeError",
    ),
}

NODES: dict[str, Callable[..., Any]] = {
    "passthrough": PassThroughNode,
    "calculator": CalculatorNode,
    "add": lambda **more: AddNode(0.5, **more),
    "multiply": lambda **more: MultiplyNode(0.5, **more),
    "resample": lambda **more: AudioResampleNode(16000, **more),
    "resample up": lambda **more: AudioResampleNode(44100, "low", **more),
    "vad": VADNode,
    "vad segments": lambda **more: VADNode(output="segments", **more),
    "to f32": FormatConverterNode,
    "to i16": lambda **more: FormatConverterNode("i16", **more),
}


def expected(node: str, analysis: str, convert: str, calculator: str, compute: str) -> str:
    if node == "passthrough":
        return "ok"
    if node == "calculator":
        return calculator
    if node in ("add", "multiply"):
        return compute
    return convert if node.startswith("to ") else analysis


def items(node: str) -> Iterator[tuple[str, Any, str]]:
    """Name, item, and what comes of it at that node."""
    for name, (array, analysis, convert, compute) in ARRAYS.items():
        paired = expected(node, analysis, convert, "TypeError", "TypeError")
        yield name, (array, 48000), paired
        yield f"{name}, tuple", (array, 48000, {"speaker": 1}), paired
        yield f"{name}, bare", array, expected(node, analysis, convert, "TypeError", compute)
        in_dict = expected(node, analysis, convert, "ValueError", "TypeError")
        yield f"{name}, dict", {"data": array, "sample_rate": 48000}, in_dict
        # Lists have no dtype: what numpy can write as numbers is taken.
        is_plain = array.dtype.kind == "f" and array.dtype.itemsize in (4, 8)
        if is_plain and (array.ndim == 1 or (array.ndim == 2 and len(array) > 0)):
            yield f"{name}, list", {"data": array.tolist(), "sample_rate": 48000}, in_dict
    for rates, outcome in [(RATES, "ok"), (BAD_RATES, "ValueError"), (NO_RATES, "TypeError")]:
        for rate in rates:
            wanted = expected(node, outcome, outcome, "TypeError", "TypeError")
            yield f"rate {rate!r:.20}", (GOOD[0][:100], rate), wanted
    for name, (item, audio, calculator, compute) in OTHERS.items():
        yield name, item, expected(node, audio, audio, calculator, compute)


def outcome_of(call: Callable[[Any], Any], item: Any) -> str:
    try:
        call(item)
    except NodeError as error:
        kind = str(error.remote_type).removeprefix("builtins.")
        return kind if len(str(error)) < 1000 else f"{kind} in {len(str(error))} characters"
    return "ok"


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize("node", NODES)
def test_an_error_is_the_items_own_and_the_session_goes_on(node: str) -> None:
    # spec: NRA-05 NRA-06 NRA-07 IOP-25
    probe: Any = 7 if node in ("calculator", "add", "multiply") else GOOD
    with Pipeline(NODES[node]()).session() as session:
        before = session.process(probe)
        for name, item, wanted in items(node):
            found = outcome_of(session.process, item)
            assert found == wanted, name
            assert same(session.process(probe), before), name


@pytest.mark.parametrize("node", ["resample", "resample up", "vad", "vad segments"])
def test_a_refused_piece_is_not_part_of_the_stream(node: str) -> None:
    def pieces() -> Any:
        return Pipeline(NODES[node](streaming=True)).session()

    half = len(GOOD[0]) // 2
    with pieces() as session:
        clean = [*session.process((GOOD[0][:half], 48000))]
        clean += [*session.process((GOOD[0][half:], 48000)), *session.flush()]
    with pieces() as session:
        outputs = [*session.flush(), *session.process((GOOD[0][:half], 48000))]
        for name, item, wanted in items(node):
            if wanted != "ok":
                found = outcome_of(session.process, item)
                assert found == wanted, name
        outputs += [*session.process((GOOD[0][half:], 48000)), *session.flush(), *session.flush()]
    assert same(outputs, clean)


@pytest.mark.parametrize("node", NODES)
def test_the_class_in_a_worker_gives_the_same_outcomes(node: str) -> None:
    with Pipeline(NODES[node](runtime_hint="cpython")).session() as session:
        for name, item, wanted in items(node):
            found = outcome_of(session.process, item)
            assert found == wanted, name


def test_a_run_reports_the_item_and_the_next_run_works() -> None:
    pipeline = Pipeline(AudioResampleNode(16000))
    expected_output = pipeline.run(GOOD)
    for name, item, wanted in items("resample"):
        found = outcome_of(pipeline.run, [GOOD, item, GOOD])
        assert found == wanted, name
        assert same(pipeline.run(GOOD), expected_output), name


def test_a_long_chain_of_native_nodes_needs_no_deep_stack() -> None:
    # spec: CARD-08
    chain = Pipeline([PassThroughNode(name=f"n{number}") for number in range(10_000)])
    assert chain.run(1) == 1


PARAMETERS: dict[Callable[..., Any], list[str]] = {
    CalculatorNode: ["operation", "operand"],
    AddNode: ["addend"],
    MultiplyNode: ["factor", "multiplier"],
    AudioResampleNode: [
        "target_sample_rate",
        "target_rate",
        "output_rate",
        "quality",
        "input_rate",
        "streaming",
    ],
    VADNode: [
        "frame_duration_ms",
        "frame_length_ms",
        "energy_threshold",
        "threshold",
        "sample_rate",
        "output",
        "streaming",
    ],
    FormatConverterNode: [
        "target_format",
        "source_format",
        "layout",
        "source_layout",
        "dither",
        "dither_seed",
    ],
}
VALUES = [
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    -1,
    0,
    0.5,
    2**63,
    2**64,
    10**400,
    10**5000,
    "",
    "HIGH",
    "x" * 1_000_000,
    None,
    True,
    [],
    {"a": 1},
    b"\xff",
    object(),
    np.float32(math.nan),
    np.int64(16000),
    np.zeros(3),
]


@pytest.mark.parametrize("cls", PARAMETERS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("hint", ["auto", "cpython"])
def test_any_parameter_gives_a_result_or_one_error(cls: Callable[..., Any], hint: str) -> None:
    # spec: IOP-25
    item: Any = 7 if cls in (CalculatorNode, AddNode, MultiplyNode) else GOOD
    values = VALUES if hint == "auto" else [*VALUES[:2], 2**64, 10**400, "x" * 1_000_000, object()]
    broken = []
    for name in PARAMETERS[cls]:
        for value in values:
            try:
                Pipeline(cls(**{name: value}, runtime_hint=hint)).run(item)
            except RemoteMediaError as error:
                text = str(error)
                if len(text) > 1500 or not ("param" in text or name in text):
                    broken.append((name, text[:300]))
    assert broken == []

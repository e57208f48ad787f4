"""FormatConverterNode against numpy's arithmetic: the documented formula, bytes and layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remotemedia import FormatConverterNode, Pipeline

BITS = {"i16": 16, "i32": 32, "u8": 8}
DTYPES = {"f32": "f4", "f64": "f8", "i16": "i2", "i32": "i4", "u8": "u1"}


def converted(item: Any, target: str, **more: Any) -> Any:
    return Pipeline([FormatConverterNode(target, **more)]).run(item)


def numbers(array: Any, source: str) -> Any:
    """The documented formula, in float64."""
    if source == "u8":
        return (array.astype("f8") - 128) / 128
    return array.astype("f8") / 2.0 ** (BITS[source] - 1) if source in BITS else array.astype("f8")


def wanted(values: Any, target: str) -> Any:
    if target not in BITS:
        return values.astype(DTYPES[target])
    full = 2 ** (BITS[target] - 1)
    ints = np.clip(np.rint(np.nan_to_num(values, nan=0.0) * full), -full, full - 1)
    return (ints + (128 if target == "u8" else 0)).astype(DTYPES[target])


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_the_formula(source: str, target: str) -> None:
    # spec: NRA-07
    random = np.random.default_rng(3)
    if source.startswith("f"):
        array = random.uniform(-1.2, 1.2, (2, 5_000)).astype(DTYPES[source])
        array[0, :6] = [np.nan, np.inf, -np.inf, 1, -1, 1e30]
    else:
        ends = np.iinfo(DTYPES[source])
        array = random.integers(ends.min, ends.max, (2, 5_000), DTYPES[source], endpoint=True)
    result, rate = converted((array, 8_000), target)
    assert (result.dtype, rate) == (np.dtype(DTYPES[target]), 8_000)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(result, wanted(numbers(array, source), target))


def test_three_bytes_a_sample_lie_as_a_view_of_numpy_has_them() -> None:
    array = np.random.default_rng(4).integers(-(2**31), 2**31, (2, 999), "i4")
    packed, _ = converted((array, 8_000), "i24")
    assert (packed.dtype, packed.shape) == (np.uint8, (2, 2_997))
    wide = np.zeros((2, 999, 4), np.uint8)
    wide[..., 1:] = packed.reshape(2, 999, 3)
    rounded = np.clip(np.rint(array / 256), -(2**23), 2**23 - 1).astype("i4") * 256
    np.testing.assert_array_equal(wide.view("<i4")[..., 0], rounded)
    back, _ = converted((packed, 8_000), "i32", source_format="i24")
    np.testing.assert_array_equal(back, rounded)


@pytest.mark.parametrize("law", ["alaw", "mulaw"])
def test_g711_is_coarse_and_stable(law: str) -> None:
    array = np.arange(-32_768, 32_768, 7, dtype=np.int32).astype("i2")
    codes, _ = converted((array, 8_000), law)
    values, _ = converted((codes, 8_000), "i16", source_format=law)
    assert codes.dtype == np.uint8
    off = np.abs(values.astype("i4") - array)
    assert (off <= np.maximum((np.abs(array.astype("i4")) + 132) // 32, 8) + 1).all()
    # Mu-law has two zeros, of which 255 is the usual one.
    codes = np.where((codes == 127) & (law == "mulaw"), np.uint8(255), codes)
    np.testing.assert_array_equal(converted((values, 8_000), law)[0], codes)


def test_bytes_of_a_pipe_become_samples() -> None:
    # spec: NRA-15
    frames = np.arange(-300, 300, dtype="i2").reshape(-1, 2)
    piped = np.frombuffer(frames.tobytes(), np.uint8).reshape(300, 4)
    result, _ = converted(
        (piped, 8_000), "i16", source_format="i16", source_layout="interleaved", layout="planar"
    )
    np.testing.assert_array_equal(result, frames.T)
    back, _ = converted((result, 8_000), "i16", layout="interleaved")
    assert back.tobytes() == frames.tobytes()


def test_what_is_no_format_is_an_error_that_names_the_parameter() -> None:
    with pytest.raises(Exception, match=r"source_format.*i24"):
        converted((np.zeros(4, "f4"), 8_000), "i16", source_format="i25")
    with pytest.raises(Exception, match="multiple of the 3 bytes"):
        converted((np.zeros(4, "u1"), 8_000), "i16", source_format="i24")


def test_what_a_native_node_gives_is_the_callers_without_a_copy() -> None:
    """spec: NRA-15"""
    ints = np.arange(-50_000, 50_000, dtype=np.int32).astype(np.int16)
    with Pipeline(FormatConverterNode("f32")).session() as session:
        results = [session.process((ints + step, 48_000))[0][0] for step in range(6)]
        metrics = session.get_metrics()
    assert metrics is not None
    assert metrics["node_metrics"][0]["copied_bytes"] == 0
    for step, samples in enumerate(results):
        np.testing.assert_array_equal(samples, (ints + step) / np.float32(32_768))
        assert samples.flags.writeable
        samples[:] = step
    assert [samples[-1] for samples in results] == list(range(6))

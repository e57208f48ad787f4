"""What audio code writes gives the same on RustPython workers, on views in CPython, in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import worker_programs
from remotemedia import AudioView, audio
from view_expressions import EXPRESSIONS

FLOATS = ["float16", "float32", "float64"]
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-12}
"""Views add up in double precision, numpy in the width of the array."""


def operands(kind: str) -> tuple[Any, Any, Any]:
    """Float samples, the same as int16, and complex numbers."""
    generator = np.random.default_rng(5)
    samples = generator.uniform(-1, 1, (2, 50))
    waves = generator.normal(size=(3, 4)) + 1j * generator.normal(size=(3, 4))
    return samples.astype(kind), (samples * 32_767).astype(np.int16), waves


@pytest.fixture(scope="module")
def worker() -> Iterator[Any]:
    runtime = worker_programs.runtime("rustpython")
    with worker_programs.session(runtime, "view_expressions:Evaluate") as opened:
        yield opened


def assert_close(made: Any, expected: Any, tolerance: float) -> None:
    """The same structure, dtypes, shapes and numbers; Python's numbers where numpy has scalars."""
    if isinstance(expected, list | tuple):
        assert len(made) == len(expected)
        for one, other in zip(made, expected, strict=True):
            assert_close(one, other, tolerance)
        return
    if isinstance(expected, np.ndarray):
        seen = np.asarray(made)
        assert str(made.dtype) == str(expected.dtype)
        assert seen.shape == expected.shape
        assert np.allclose(seen, expected, rtol=tolerance, atol=tolerance)
        assert expected.dtype.kind not in "biu" or np.array_equal(seen, expected)
        return
    if isinstance(expected, np.generic):
        expected = expected.item()
    assert type(made) is type(expected)
    assert made == (
        pytest.approx(expected, rel=tolerance, abs=tolerance)
        if isinstance(expected, float | complex)
        else expected
    )


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_worker_without_numpy_gives_what_numpy_gives(worker: Any, name: str) -> None:
    """spec: CARD-05, IOP-36"""
    for kind in FLOATS:
        given = operands(kind)
        ((_, made),) = worker.process([name, *given])
        assert_close(made, EXPRESSIONS[name](*given), 10 * TOLERANCE[kind])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_views_give_what_numpy_gives(name: str) -> None:
    """spec: CARD-05"""
    for kind in FLOATS:
        given = operands(kind)
        made = EXPRESSIONS[name](*map(AudioView, given))
        assert_close(made, EXPRESSIONS[name](*given), 10 * TOLERANCE[kind])


def test_elements_are_numbers_of_python() -> None:
    """spec: CARD-05"""
    samples, whole, _ = map(AudioView, operands("float32"))
    assert {type(samples[0, 0]), type(samples.max()), type(samples.mean())} == {float}
    assert {type(whole[0, 0]), type(whole.sum()), type(samples.argmax())} == {int}
    assert {type((whole > 0)[0, 0]), type((whole > 0).any())} == {bool}
    with pytest.raises(TypeError, match="unhashable"):
        hash(samples)
    with pytest.raises(TypeError):
        round(samples)  # type: ignore[call-overload]


def test_new_arrays_are_numpys_where_numpy_is() -> None:
    """spec: CARD-05, IOP-12"""
    for program, kind in (("rustpython", "remotemedia.AudioView"), ("cpython", "numpy.ndarray")):
        runtime = worker_programs.runtime(program)
        with worker_programs.session(runtime, "view_expressions:Told") as opened:
            ((_, told),) = opened.process(np.zeros(3))
        assert told == [kind] * 4
    # Views stay views in a process that has numpy.
    assert isinstance(audio.concatenate([AudioView([1]), AudioView([2])]), AudioView)
    assert isinstance(audio.stack([AudioView([1]), np.zeros(1)]), np.ndarray)


def test_arrays_that_do_not_fit_are_refused() -> None:
    """spec: CARD-05"""
    views = [AudioView.zeros((2, 3)), AudioView.zeros((3, 3))]
    for refused in ([], views):
        for function, axis in ((audio.concatenate, 1), (audio.stack, 0)):
            with pytest.raises(ValueError, match=r"array|shape"):
                function(refused, axis)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        audio.concatenate(views, 2)
    with pytest.raises(ValueError, match="zero-dimensional"):
        AudioView.concatenate([AudioView(1.5)])


def test_iterators_are_read_to_their_end() -> None:
    """spec: CARD-05"""
    made = AudioView(iter(range(100_000)), "int32")
    assert np.array_equal(np.asarray(made), np.arange(100_000))
    with pytest.raises(TypeError):
        AudioView(iter(["text"]))
    with pytest.raises(OverflowError, match="300"):
        AudioView((number for number in (1, 300)), "uint8")

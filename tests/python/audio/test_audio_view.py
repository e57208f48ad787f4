"""`AudioView` on RustPython: what it shows of itself, and how it says what it has not."""

from __future__ import annotations

import subprocess

import pytest

from places import FIXTURES
from worker_programs import RUSTPYTHON

pytestmark = pytest.mark.rustpython

SCRIPT = FIXTURES / "view_cases.py"


@pytest.fixture(scope="module")
def cases() -> dict[str, str]:
    """What the script prints, by the name of the case."""
    command = [str(RUSTPYTHON), str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def test_views_show_what_they_hold(cases: dict[str, str]) -> None:
    """spec: CARD-05"""
    assert cases["text"] == (
        "[<AudioView of shape (2, 3) and dtype float32 at 16000 Hz>, "
        "<AudioView of shape () and dtype float32>, <AudioView of shape (1,) and dtype float32>, "
        "<AudioView of shape (1, 1) and dtype float32>]"
    )
    assert cases["own"] == "(16000, False, False, 16000)"
    assert cases["changed"] == "['f', (2, 3), [[5.0, 0.0, 6.0], [7.0, 8.0, 9.0]]]"
    assert cases["copied"] == "[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[9.0, 5.0, 6.0]]]"
    assert cases["arrays"].startswith("(array('h', [1, -2, 3]), [1, -2, 3]")
    assert cases["made"] == "([[], []], 'int64')"
    assert cases["bytes"] == "[1, 2]"
    assert cases["halves"] == "([0.0999755859375, 65504.0], b'\\xff{f.')"
    assert cases["iterator"] == "[0, 1, 2, 3, 4]"
    assert cases["buffers"] == "([1, 2], (4, 12))"
    assert cases["same"] == "(True, False)"
    assert cases["documented"] == "[]"


def test_gains_and_mixes_keep_within_the_range(cases: dict[str, str]) -> None:
    """spec: CARD-05"""
    assert cases["totals"] == "(3.8944404818493075, 6.0, 2.160246899469287, 3.0, 0.0)"
    assert cases["scaled"] == (
        "([[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]], [0, -1, 1], [20000, -32768, 32767])"
    )
    assert cases["mixed"].endswith("[20001, -32768, 32767])")
    assert cases["mixed dtypes"] == "([1, -1, 4], [5.0, 3.0, 9.0])"
    assert cases["in place"] == (
        "([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], [[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], "
        "[[1.5, 3.0, 4.5], [6.0, 7.5, 9.0]], [[2.0, 6.0, 5.0], [9.0, 8.0, 12.0]])"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no index", "TypeError: an 'AudioView' takes integers, slices"),
        ("no dtype", "TypeError: a dtype is a name or a type"),
        ("no such dtype", "TypeError: an 'AudioView' has no dtype \"texts\""),
        ("no number", "TypeError: "),
        ("out of range", "OverflowError: Python integer 300 out of bounds for uint8"),
        ("other shape", "ValueError: shapes (2, 3) and (3,) differ"),
        ("other target", "ValueError: shapes (2, 3) and (1,) differ"),
        ("uneven", "ValueError: the nested sequences differ in length"),
        ("without axes", "ValueError: zero-dimensional arrays cannot be concatenated"),
        ("not computed", "TypeError: an 'AudioView' computes with bool, uint8, int16, int32"),
        ("no list", "TypeError: unsupported operand type(s) for +: 'remotemedia.AudioView' and"),
        ("no place", "TypeError: an 'AudioView' takes integers, slices, ..., None and mas"),
        ("no mask", "TypeError: an 'AudioView' takes one mask at a time"),
        ("no method", "AttributeError: "),
        ("no argument", "TypeError: this method of 'AudioView' has no argument 'dtype'"),
    ],
)
def test_views_say_what_they_refuse(cases: dict[str, str], name: str, text: str) -> None:
    """spec: CARD-05"""
    assert cases[name].startswith(text)

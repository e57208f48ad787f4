"""`AudioView` is one class: CPython and RustPython show the same of it, and it is right."""

from __future__ import annotations

import subprocess

import numpy as np

from places import FIXTURES
from remotemedia import AudioView
from worker_programs import PROGRAMS

SCRIPT = FIXTURES / "view_cases.py"


def told(program: str) -> list[str]:
    """What the script prints on an interpreter."""
    command = [str(PROGRAMS[program]), str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_both_interpreters_show_the_same() -> None:
    """spec: CARD-05"""
    assert told("rustpython") == told("cpython")


def test_what_they_show_is_right() -> None:
    """spec: CARD-05"""
    cases = dict(line.split(": ", 1) for line in told("cpython"))
    assert cases["totals"] == "(21.0, 3.5, 3.8944404818493075, 6.0, 2, 0.6666666666666666)"
    assert cases["scaled"] == "([[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]], [0, -1, 1])"
    assert cases["mixed"].endswith("[20001, -32768, 32767])")
    assert cases["changed"] == "['f', (2, 3), [[5.0, 0.0, 6.0], [7.0, 8.0, 9.0]]]"
    assert cases["arrays"].startswith("(array('h', [1, -2, 3]), [1, -2, 3]")
    assert cases["beyond"].startswith("IndexError: index 5 is out of bounds for axis 0")
    assert cases["out of range"].startswith("OverflowError: 1099511627776")
    assert cases["names"].startswith(
        "[<AudioView of shape () and dtype float32>, <AudioView of shape (1,)"
    )
    assert cases["names"].endswith("(1, 1) and dtype float32>]")
    assert (
        cases["in its memory"]
        == "[[[4.0, 1.0, 1.0], [24.0, 36.0, 49.0]], [4.0, 1.0, 1.0], [4.0, 24.0]]"
    )
    assert cases["documented"] == "[]"
    assert (
        cases["masked"] == "([2.0, 3.0, 4.0, 5.0, 6.0], [[4.0, 5.0, 6.0], [1.0, 2.0, 3.0]], (1, 2))"
    )
    assert cases["bits"].startswith("[[-2, 1, -4], [0, 2, 2], 'TypeError: numbers of dtype float32")
    assert cases["no mask"].startswith(
        "IndexError: boolean index did not match indexed array along"
    )
    assert cases["no list"].endswith("for +: 'remotemedia.AudioView' and 'list'")
    assert "no error" not in "".join(cases.values())


def test_numpy_and_views_see_one_memory() -> None:
    """spec: CARD-05"""
    view = AudioView.zeros((2, 3), dtype="float64")
    seen = np.asarray(view)
    seen[1, 2] = 5
    assert view[1, 2] == 5
    assert np.array_equal(np.asarray(view.T), seen.T)

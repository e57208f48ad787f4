"""What only `AudioView` has, or shows in its own way, as text. Run as a script on RustPython.

What it has in common with arrays of numpy is in the table of `array_vectors.py`.
"""

from __future__ import annotations

import array
import operator
from collections.abc import Callable
from typing import Any

from remotemedia import _audio

AudioView: Any = _audio.AudioView
view = AudioView([[1, 2, 3], [4, 5, 6]], sample_rate=16_000)
whole = AudioView(array.array("h", [1, -2, 3]))
halves = AudioView(b"\x66\x2e\xff\x7b", "float16")


def refused(call: Callable[[], Any]) -> str:
    """The error of a call."""
    try:
        return f"no error: {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def changed() -> list[Any]:
    """Elements, rows and columns written to, seen through a `memoryview`."""
    mine = view.copy()
    seen = memoryview(mine)
    mine[0, 0] = 9
    mine[:, 1] = 0
    mine[1] = [7, 8, 9]
    mine[0, ::2] = AudioView([5, 6])
    return [seen.format, seen.shape, seen.tolist()]


def into(call: Callable[[Any], Any]) -> Any:
    """What a call with `out` leaves in a copy, which it gives back."""
    mine = view.copy()
    assert call(mine) is mine
    return mine.tolist()


CASES: dict[str, Callable[[], Any]] = {
    "text": lambda: [view, AudioView(1.5), AudioView([1]), AudioView([[1]])],
    "own": lambda: (view.sample_rate, view.readonly, view.is_shared, (2 * view[0]).sample_rate),
    "totals": lambda: (view.rms(), view.peak(), whole.rms(), whole.peak(), AudioView([]).peak()),
    "scaled": lambda: (
        view.scale(2).tolist(),
        whole.scale(0.6).tolist(),
        whole.scale(2e4).tolist(),
    ),
    "mixed": lambda: (view.mix(view, gain=-1).tolist(), whole.mix(whole, 20_000).tolist()),
    "mixed dtypes": lambda: (whole.mix(view[0], 0.5).tolist(), view[1].mix(whole).tolist()),
    "in place": lambda: (
        into(lambda mine: mine.scale(0.5, out=mine)),
        into(lambda mine: view.scale(0.5, out=mine)),
        into(lambda mine: mine.mix(view, 0.5, out=mine)),
        into(lambda mine: view.mix(mine.T.reshape(2, 3), out=mine)),
    ),
    "changed": changed,
    "made": lambda: (AudioView.zeros((2, 0)).tolist(), AudioView.empty(3, dtype="i8").dtype),
    "bytes": lambda: AudioView(b"\1\0\2\0", dtype="int16").tolist(),
    "halves": lambda: (halves.tolist(), halves[::-1].copy().tobytes()),
    "arrays": lambda: (whole.to_array(), memoryview(whole).tolist(), bytes(whole)),
    "iterator": lambda: AudioView(iter(range(5)), "int32").tolist(),
    "buffers": lambda: (
        view[0][memoryview(array.array("b", [1, 2]))].tolist(),
        memoryview(view.T).strides,
    ),
    "same": lambda: (whole.astype("i2", copy=False) is whole, whole.astype("i2") is whole),
    "documented": lambda: [
        name
        for name in dir(AudioView)
        if not name.startswith("_") and not getattr(AudioView, name).__doc__
    ],
    "no index": lambda: refused(lambda: view["left"]),
    "no dtype": lambda: refused(lambda: AudioView([1], 1.5)),
    "no such dtype": lambda: refused(lambda: AudioView([1], dtype="texts")),
    "no number": lambda: refused(lambda: AudioView(iter(["text"]))),
    "out of range": lambda: refused(lambda: AudioView((number for number in (1, 300)), "uint8")),
    "other shape": lambda: refused(lambda: view.mix(whole)),
    "other target": lambda: refused(lambda: view.scale(2, out=AudioView([1]))),
    "uneven": lambda: refused(lambda: AudioView([[1], [2, 3]])),
    "without axes": lambda: refused(lambda: AudioView.concatenate([AudioView(1.5)])),
    "not computed": lambda: refused(lambda: AudioView([1], "int64") + 1),
    "no list": lambda: refused(lambda: operator.add(view, [1])),
    "no method": lambda: refused(lambda: view.std()),
    "no argument": lambda: refused(lambda: view.mean(0, dtype="float64")),
}

if __name__ == "__main__":
    for name, case in CASES.items():
        print(f"{name}: {case()}")  # noqa: T201

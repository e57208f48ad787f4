"""What `AudioView` does, as text: the same on every interpreter. Run as a script."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

from remotemedia import AudioView

view = AudioView([[1, 2, 3], [4, 5, 6]], sample_rate=16_000)
NO_DTYPE: Any = 1.5
whole = AudioView(array.array("h", [1, -2, 3]))


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


def in_its_memory() -> list[Any]:
    """Operators in place change the view, and so what others see."""
    mine = view.copy()
    seen, column = mine[0], mine[:, 0]
    mine += 1
    mine *= mine
    column -= 1
    seen /= 2
    seen //= 0.5
    seen **= 2
    seen %= 5
    return [mine.tolist(), seen.tolist(), column.tolist()]


def add(mine: Any, other: Any) -> Any:
    """What Python says of operands whose types do not fit."""
    return mine + other


def add_in_place(mine: Any, other: Any) -> Any:
    """The same of the operator in place."""
    mine += other
    return mine


CASES: dict[str, Callable[[], Any]] = {
    "shape": lambda: (view, view.shape, view.ndim, view.size, view.nbytes, len(view)),
    "kind": lambda: (view.dtype, view.sample_rate, view.readonly, view.T.shape),
    "parts": lambda: [view[1, 2], view[-1].tolist(), view[:, ::-2].tolist(), view[..., 0].tolist()],
    "iteration": lambda: [list(row) for row in view],
    "totals": lambda: (view.sum(), view.mean(), view.rms(), view.peak(), whole.sum(), whole.mean()),
    "scaled": lambda: (view.scale(2).tolist(), whole.scale(0.6).tolist()),
    "mixed": lambda: (view.mix(view, gain=-1).tolist(), whole.mix(whole, 20_000).tolist()),
    "in place": lambda: (lambda mine: mine.scale(0.5, out=mine) is mine)(view.copy()),
    "changed": changed,
    "converted": lambda: (whole.astype("float64").tolist(), view.astype("int8").tobytes()),
    "reshaped": lambda: (view.reshape(-1).shape, view.reshape((3, 2)).tolist()),
    "arrays": lambda: (whole.to_array(), memoryview(whole).tolist(), bytes(whole)),
    "made": lambda: (AudioView.zeros((2, 0)).tolist(), AudioView.empty(3, dtype="i8").dtype),
    "bytes": lambda: AudioView(b"\1\0\2\0", dtype="int16").tolist(),
    "halves": lambda: AudioView([0.1, 65504, -1], dtype="float16").tobytes(),
    "complex": lambda: AudioView([1 + 2j, 3], dtype="complex64").tolist(),
    "names": lambda: [AudioView(1.5), AudioView([1]), AudioView([[1]])],
    "arithmetic": lambda: [
        (made.dtype, made.tolist())
        for made in (view * 0.5, 2 + whole, whole / 2, whole // 2, 7 % whole, view**2, -whole)
    ],
    "both": lambda: [(view - view[0]).tolist(), (view * view[:, :1]).tolist()],
    "at its rate": lambda: (2 * view).sample_rate,
    "compared": lambda: [(view > 2).tolist(), (whole == 1).dtype, (whole <= 1).tolist()],
    "in its memory": in_its_memory,
    "of all": lambda: (view.min(), view.max(), view.any(), whole.all(), (view > 9).any()),
    "along": lambda: [
        (made.dtype, made.tolist())
        for made in (view.sum(axis=0), view.mean(-1, True), view.max(axis=1), view.min(0))
    ],
    "along its only axis": lambda: (whole.min(0), whole.sum(-1), whole.mean(0, True).tolist()),
    "cut": lambda: (view.clip(2, 4.5).tolist(), view.clip(max=view[1, :1]).tolist()),
    "turned": lambda: (view.transpose().shape, view.reshape(1, 2, 3).transpose(1, 0, 2).shape),
    "one": lambda: (float(view[:1, :1]), int(whole[-1:]), bool(view[:1, 0]), abs(whole).tolist()),
    "documented": lambda: [
        name
        for name in dir(AudioView)
        if not name.startswith("_") and not getattr(AudioView, name).__doc__
    ],
    "no truth": lambda: refused(lambda: bool(view)),
    "no hash": lambda: refused(lambda: hash(view)),
    "many": lambda: refused(lambda: float(view)),
    "other sort": lambda: refused(lambda: whole.__imul__(0.5)),
    "too large": lambda: refused(lambda: whole + 70_000),
    "apart": lambda: refused(lambda: view + view[:, :2]),
    "no list": lambda: refused(lambda: add(view, [1])),
    "no list in place": lambda: refused(lambda: add_in_place(whole.copy(), [1])),
    "masked": lambda: (view[view > 1].tolist(), view[[1, 0]].tolist(), view[None, ..., 0].shape),
    "two lists": lambda: refused(lambda: view[[0, 1], [1, 0]]),
    "no mask": lambda: refused(lambda: view[view[0] > 1]),
    "no place": lambda: refused(lambda: view[[0.5]]),
    "no index": lambda: refused(lambda: view["left"]),
    "no room": lambda: refused(lambda: whole.__setitem__([0, 1], [1, 2, 3])),
    "bits": lambda: [(~whole).tolist(), (whole & 2).tolist(), refused(lambda: view & 1)],
    "spread": lambda: (view.std(), view.var(0, ddof=1).tolist(), view.prod(), whole.argmax()),
    "no matrix": lambda: refused(lambda: view @ view),
    "no dtype": lambda: refused(lambda: AudioView([1], NO_DTYPE)),
    "same axis": lambda: refused(lambda: view.sum((0, -2))),
    "no axis": lambda: refused(lambda: view.sum(axis=2)),
    "negative power": lambda: refused(lambda: whole**-1),
    "nothing to choose": lambda: refused(lambda: AudioView([]).max()),
    "beyond": lambda: refused(lambda: view[5]),
    "too many axes": lambda: refused(lambda: view[0, 0, 0]),
    "no number": lambda: refused(lambda: AudioView([1], dtype="texts")),
    "out of range": lambda: refused(lambda: whole.__setitem__(0, 1 << 40)),
    "not whole": lambda: refused(lambda: whole.__setitem__(0, 1.5)),
    "other shape": lambda: refused(lambda: view.mix(whole)),
    "uneven": lambda: refused(lambda: AudioView([[1], [2, 3]])),
    "no step": lambda: refused(lambda: view[::0]),
}

if __name__ == "__main__":
    for name, case in CASES.items():
        print(f"{name}: {case()}")  # noqa: T201

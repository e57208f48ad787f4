"""What audio code writes, over arrays of numpy or views alike; no numpy is imported here."""

from __future__ import annotations

import array
import copy
import io
import math
import pickle
import statistics
import struct
import wave
from collections.abc import Callable
from typing import Any

from remotemedia import audio


def assigned(samples: Any, change: Callable[[Any], None]) -> Any:
    """A copy that was changed."""
    mine = samples.copy()
    change(mine)
    return mine


def gated(x: Any) -> Any:
    """Silence below a threshold."""
    mine = x.copy()
    mine[abs(mine) < 0.5] = 0
    return mine


def louder(x: Any) -> Any:
    """Twice the samples that are positive."""
    mine = x.copy()
    mine[mine > 0] *= 2
    return mine


def swapped(x: Any) -> Any:
    """Left for right, in place."""
    mine = x.copy()
    mine[[0, 1]] = mine[[1, 0]]
    return mine


def normalised(x: Any) -> Any:
    """No offset, and deviations of one."""
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


def written(n: Any) -> bytes:
    """A WAV file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(n.shape[0])
        out.setsampwidth(n.itemsize)
        out.setframerate(8000)
        out.writeframes(n.T.tobytes())
        out.writeframes(n[0])
    return file.getvalue()


def filtered(x: Any) -> Any:
    """A moving mean as the product of a matrix and a vector."""
    frames = audio.stack([x[0, start : start + 10] for start in range(40)])
    return frames @ audio.from_samples((0.1 for _ in range(10)), x.dtype)


EXPRESSIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    # x: float samples (2, 50) in [-1, 1], n: the same as int16, c: complex (3, 4)
    "mask": lambda x, n, c: x[x > 0.5],
    "mask of integers": lambda x, n, c: n[(n > 99) | (n < -9_999) & (n != -1)],
    "mask of columns": lambda x, n, c: x[:, x[0] > 0],
    "neither": lambda x, n, c: ~((x > 0.2) ^ (n > 0)),
    "gate": lambda x, n, c: gated(x),
    "louder": lambda x, n, c: louder(x),
    "swap": lambda x, n, c: [swapped(x), x[[1, 0]], x[::-1]],
    "places of the standard library": lambda x, n, c: x[:, array.array("i", [3, 1])],
    "last places": lambda x, n, c: x[:, [0, -1, 5]],
    "new axes": lambda x, n, c: x[None, :, 0] * x[0][:, None],
    "bits": lambda x, n, c: [n & 0xFF, n >> 4, (n << 2) | 1, n ^ n[0], ~n],
    "normalised": lambda x, n, c: normalised(x),
    "spread": lambda x, n, c: [x.std(), n.var(axis=0), x.var(ddof=1), c.std(axis=(0, 1))],
    "all axes": lambda x, n, c: [x.sum((0, 1)), n.max((0, -1), keepdims=True), x.mean(axis=(1,))],
    "places": lambda x, n, c: [x.argmax(), n.argmin(axis=1), abs(x).argmax(axis=0)],
    "running": lambda x, n, c: [x.cumsum(axis=1), n.cumsum(), c.cumsum(axis=0)],
    "rounded": lambda x, n, c: [(x * 100).round(), x.round(2), n.round(-2), c.round(1)],
    "product": lambda x, n, c: [n[0, :5].prod(), x[:, :3].prod(axis=0), c.prod(axis=1)],
    "matrix": lambda x, n, c: [x @ x.T, x[0] @ x[1], x.dot(x[0]), c.conj().T @ c, n[:, :2] @ n],
    "filter": lambda x, n, c: filtered(x),
    "parts": lambda x, n, c: [c.real, c.imag, c.conj(), (c * c.conj()).real],
    "shapes": lambda x, n, c: [x.ravel(), x.T.flatten(), x[:1].squeeze(), x[None].squeeze(0)],
    "sizes": lambda x, n, c: [x.size, x.ndim, n.nbytes, n.itemsize, c.itemsize, len(x), x.T.shape],
    "types": lambda x, n, c: [x.astype(float), (x * 9).astype(int), n.astype(bool), n.astype("f4")],
    "same type": lambda x, n, c: [n.astype(x.dtype), x.astype(x.dtype, copy=False)],
    "names": lambda x, n, c: [
        (str(one.dtype), one.dtype.name, one.dtype.kind, one.dtype.itemsize) for one in (x, n, c)
    ],
    "compared types": lambda x, n, c: [n.dtype == "int16", n.dtype != "int8", n.dtype.kind in "iu"],
    "contains": lambda x, n, c: [n[0, 3] in n, 2.5 in x, 7 in n[:0], x[1, 0] in x.T],
    "copies": lambda x, n, c: [copy.copy(x), copy.deepcopy([n])[0], pickle.loads(pickle.dumps(c))],
    "filled": lambda x, n, c: [assigned(x.T, lambda mine: mine.fill(2)), x[:0].sum(), x[:0].size],
    "bytes": lambda x, n, c: [bytes(n[0]), n.T.tobytes(), bytes(n[:, ::7]), memoryview(n).shape],
    "numbers": lambda x, n, c: [math.sqrt(abs(x.mean())), math.log10(x[0].max()), int(n[0, 0])],
    "statistics": lambda x, n, c: [statistics.median(x[0]), statistics.fmean(n[1])],
    "arrays": lambda x, n, c: [
        array.array("f", x[0].tolist()).tolist(),
        list(array.array("h", n[1])),
    ],
    "structs": lambda x, n, c: struct.pack(f"<{n.shape[1]}h", *n[0]),
    "wave": lambda x, n, c: written(n),
    "text": lambda x, n, c: f"{x[0, 0]:.3f} {n[0, 1]:+d} {x.max():8.2e} {x.mean():.4f}",
    "builtins": lambda x, n, c: [max(x[0]), min(n[1]), sum(n[0].tolist()), sorted(n[1])],
    "sum": lambda x, n, c: sum(x),
    "loops": lambda x, n, c: [[a * b for a, b in zip(*x, strict=True)], list(enumerate(n[0, :3]))],
    "rows": lambda x, n, c: [row.max() for row in x],
    "reversed": lambda x, n, c: list(reversed(n[0])),
    "unpacked": lambda x, n, c: (lambda left, right: left - right)(*x),
    "clipped": lambda x, n, c: (x * 40_000).clip(-32_000, 32_000).astype("int16"),
    "zeros": lambda x, n, c: [audio.zeros((2, 3)), audio.zeros(4, "int16"), audio.zeros(2, bool)],
    "empty": lambda x, n, c: [audio.empty((2, 5), "float64").shape, audio.empty(3).nbytes],
    "tone": lambda x, n, c: audio.from_samples(math.sin(2 * math.pi * t / 8) for t in range(64)),
    "samples": lambda x, n, c: [
        audio.from_samples([1, 2, 3], "int16"),
        audio.from_samples(n[0], int),
    ],
    "joined": lambda x, n, c: [
        audio.concatenate([x, x[:, :7]], axis=1),
        audio.concatenate([n, x]),
        audio.concatenate([n[0], n[1] > 0], -1),
    ],
    "stacked": lambda x, n, c: [
        audio.stack([x[0], n[0]]),
        audio.stack([x[0], x[1]], axis=1),
        audio.stack([n, n, n], axis=-1),
    ],
}


class Evaluate:
    """Evaluates one of them in a worker."""

    def process(self, data: Any) -> Any:
        """What the expression gives."""
        name, *operands = data
        return EXPRESSIONS[name](*operands)


class Told:
    """Says what remotemedia.audio makes, and where."""

    def process(self, data: Any) -> Any:
        """The types of new arrays."""
        made = [audio.zeros(2), audio.from_samples([1.0]), audio.concatenate([data]), data]
        return [f"{type(one).__module__}.{type(one).__name__}" for one in made]

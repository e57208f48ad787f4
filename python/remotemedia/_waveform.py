"""How audio looks in a notebook: a waveform and a player."""

from __future__ import annotations

import base64
import io
import wave
from html import escape
from typing import Any

COLUMNS = 800
"""Columns of a waveform."""
PLAYED_SECONDS = 120
"""The player gets no more than the first two minutes: they travel inside the notebook."""
_LANE = 72
_RATES = range(1_000, 800_000)


class Shown:
    """Audio that a notebook shows as a waveform with a player.

    Args:
        samples: floats in [-1, 1] or integers, of shape (samples,) or (channels, samples).
        sample_rate: in Hz.
    """

    def __init__(self, samples: Any, sample_rate: int) -> None:
        import numpy as np

        array = np.asarray(samples)
        if array.ndim not in (1, 2):
            raise ValueError(f"audio has one or two axes, not {array.ndim}")
        self.samples = array.reshape(1, -1) if array.ndim == 1 else array
        self.sample_rate = int(sample_rate)

    def __repr__(self) -> str:
        channels, samples = self.samples.shape
        seconds = samples / self.sample_rate
        return f"<audio: {channels} channels, {seconds:.2f} s at {self.sample_rate} Hz>"

    def _repr_svg_(self) -> str:
        """The highest and the lowest sample of each column, a lane for each channel."""
        lanes = [self._lane(channel, top) for channel, top in enumerate(self._tops())]
        height = _LANE * len(lanes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS}" height="{height}" '
            f'viewBox="0 0 {COLUMNS} {height}">'
            f'<rect width="{COLUMNS}" height="{height}" fill="#f7f8fa"/>{"".join(lanes)}</svg>'
        )

    def _repr_html_(self) -> str:
        """The waveform, and a player below."""
        played, note = self._wav()
        source = base64.b64encode(played).decode()
        return (
            f"<div>{self._repr_svg_()}</div>"
            f'<audio controls src="data:audio/wav;base64,{source}"></audio>'
            f"<div>{escape(repr(self)[1:-1])}{note}</div>"
        )

    def _tops(self) -> range:
        return range(0, _LANE * len(self.samples), _LANE)

    def _lane(self, channel: int, top: int) -> str:
        import numpy as np

        samples = _as_floats(self.samples[channel])
        middle, reach = top + _LANE / 2, _LANE / 2 - 2
        axis = f'<path d="M0 {middle}h{COLUMNS}" stroke="#ccc"/>'
        if not len(samples):
            return axis
        columns = min(COLUMNS, len(samples))
        starts = np.arange(columns) * len(samples) // columns
        highest = np.maximum.reduceat(samples, starts).clip(-1, 1)
        lowest = np.minimum.reduceat(samples, starts).clip(-1, 1)
        step = COLUMNS / columns
        lines = [
            f"M{(column + 0.5) * step:.1f} {middle - high * reach:.1f}"
            f"V{middle - low * reach + 0.5:.1f}"
            for column, (high, low) in enumerate(zip(highest, lowest, strict=True))
        ]
        return f'{axis}<path d="{"".join(lines)}" stroke="#2f6db3" stroke-width="{step:.2f}"/>'

    def _wav(self) -> tuple[bytes, str]:
        import numpy as np

        most = PLAYED_SECONDS * self.sample_rate
        played = self.samples[:2, :most] if len(self.samples) else np.zeros((1, 0))
        parts = []
        if self.samples.shape[1] > most:
            parts.append(f"first {PLAYED_SECONDS} s")
        if len(self.samples) > 2:
            parts.append("first two channels")
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setnchannels(len(played))
            wav.setsampwidth(2)
            wav.setframerate(self.sample_rate)
            levels = np.stack([_as_floats(channel) for channel in played], axis=1)
            wav.writeframes((levels.clip(-1, 1) * 32767).astype("<i2").tobytes())
        return file.getvalue(), f" (the player has the {' and '.join(parts)})" if parts else ""


def _as_floats(samples: Any) -> Any:
    """Samples as float32 in [-1, 1]; what is no number is silence."""
    import numpy as np

    if samples.dtype.kind == "u":
        half = (np.iinfo(samples.dtype).max + 1) / 2
        return ((samples - half) / half).astype(np.float32)
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    return np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)


def is_audio(value: Any) -> bool:
    """Whether a value is surely audio: a pair of an array with one or two axes and a rate."""
    if type(value) is not tuple or len(value) != 2:
        return False
    array, rate = value
    shape = getattr(array, "shape", None)
    kind = getattr(getattr(array, "dtype", None), "kind", None)
    return (
        isinstance(shape, tuple)
        and len(shape) in (1, 2)
        and kind in ("f", "i", "u")
        and shape[-1] > 0
        and (len(shape) == 1 or 0 < shape[0] <= 64)
        and type(rate) is int
        and rate in _RATES
    )


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext remotemedia`: from then on the notebook shows each result that is a pair
    `(samples, sample_rate)` as a waveform with a player. The results themselves stay as they are.
    """
    html = shell.display_formatter.formatters["text/html"]
    html.for_type(tuple, lambda value: Shown(*value)._repr_html_() if is_audio(value) else None)


def unload_ipython_extension(shell: Any) -> None:
    """Undo `load_ipython_extension`."""
    shell.display_formatter.formatters["text/html"].pop(tuple, None)


__all__ = ["Shown", "is_audio", "load_ipython_extension", "unload_ipython_extension"]

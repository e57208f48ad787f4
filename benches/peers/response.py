"""Draws the measured frequency response of the resampler's filters: docs/resampler-response.png.

An impulse at 16 kHz, made 48 kHz, is the filter itself; its transform is the response.

    .venvs/peers/bin/pip install -r benches/peers/requirements-audio.txt
    .venvs/peers/bin/python benches/peers/response.py docs/resampler-response.png
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from remotemedia import AudioResampleNode

mpl.use("agg")
from matplotlib import pyplot as plt  # needs the backend

LOW, HIGH = 16_000, 48_000
QUALITIES = ("low", "medium", "high", "very_high")


def response(quality: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies as shares of the lower Nyquist frequency, and levels in dB."""
    impulse = np.zeros(8_192, np.float32)
    impulse[4_096] = 1
    made = AudioResampleNode(HIGH, quality).process((impulse, LOW))[0]
    power = np.abs(np.fft.rfft(made.astype(np.float64), 1 << 18)) / (HIGH / LOW)
    share = np.fft.rfftfreq(1 << 18, 1 / HIGH) / (LOW / 2)
    return share, 20 * np.log10(power + 1e-12)


def main() -> None:
    """Write the picture."""
    figure, (whole, edge) = plt.subplots(1, 2, figsize=(10, 4))
    for quality in QUALITIES:
        share, level = response(quality)
        whole.plot(share, level, label=quality, linewidth=0.8)
        edge.plot(share, level, label=quality, linewidth=0.8)
    whole.set(xlim=(0, 2), ylim=(-180, 5), ylabel="dB", title="to twice the Nyquist frequency")
    edge.set(xlim=(0.7, 1.02), ylim=(-6, 0.5), title="end of the passband")
    for axes in (whole, edge):
        axes.set_xlabel("frequency / lower Nyquist frequency")
        axes.grid(visible=True, linewidth=0.3)
    whole.legend()
    figure.tight_layout()
    figure.savefig(sys.argv[1], dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()

"""A session keeps the nodes loaded: feed a recording piece by piece, as it would come in live."""

from __future__ import annotations

from typing import Any

import numpy as np

from remotemedia import AudioResampleNode, Node, Pipeline


class RunningPeak(Node):
    """Remembers the highest peak; state lives as long as the session."""

    def initialize(self) -> None:
        self.peak = 0.0

    def process(self, item: Any) -> tuple[int, float]:
        audio, _ = item
        self.peak = max(self.peak, float(np.abs(audio).max(initial=0.0)))
        return audio.shape[-1], round(self.peak, 3)


node = RunningPeak()
pipeline = Pipeline(AudioResampleNode(target_rate=16000, streaming=True), node)
fade_in = (np.linspace(0, 1, 48000) * np.sin(np.arange(48000) / 20)).astype(np.float32)

total = 0
with pipeline.session() as session:
    for start in range(0, 48000, 9600):
        for samples, peak in session.process((fade_in[start : start + 9600], 48000)):
            total += samples
            print(f"{samples} samples at 16 kHz, peak so far {peak}")
    for samples, _ in session.flush():
        total += samples

print(f"{total} samples in all; the node here knows the peak too: {node.peak:.2f}")

"""One pipeline over three interpreters: native Rust, RustPython and CPython.

Each node runs where it can. `Gate` is plain Python and asks for RustPython, whose workers are small
and start fast; `Spectrum` needs numpy, so it runs on CPython. `explain()` tells where, and why.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from remotemedia import AudioResampleNode, Node, Pipeline


class Gate(Node):
    """Silences frames of 20 ms whose level is below a threshold. Needs nothing but the item."""

    def __init__(self, threshold: float = 0.05) -> None:
        super().__init__(name="gate", runtime_hint="rustpython")
        self.threshold = threshold

    def process(self, item: Any) -> dict[str, Any]:
        audio, rate = item
        samples, length = audio.reshape(-1).tolist(), rate // 50
        frames = [samples[start : start + length] for start in range(0, len(samples), length)]
        levels = [math.sqrt(sum(x * x for x in frame) / len(frame)) for frame in frames]
        loud = [level >= self.threshold for level in levels]
        kept = [x for frame, on in zip(frames, loud, strict=True) if on for x in frame]
        return {"samples": kept, "rate": rate, "frames": len(frames), "kept": sum(loud)}


class Spectrum(Node):
    """Adds the strongest frequency in Hz. numpy is written in C, which RustPython cannot load."""

    def __init__(self) -> None:
        super().__init__(name="spectrum", runtime_hint="cpython")

    def process(self, item: dict[str, Any]) -> dict[str, Any]:
        spectrum = np.abs(np.fft.rfft(item["samples"]))
        strongest = np.fft.rfftfreq(len(item["samples"]), 1 / item["rate"])[spectrum.argmax()]
        return {"frames": item["frames"], "kept": item["kept"], "strongest_hz": float(strongest)}


pipeline = Pipeline(
    AudioResampleNode(target_rate=16000, name="resample"), Gate(), Spectrum(), name="mixed"
)
seconds = np.arange(48000) / 48000
audio = (0.5 * np.sin(2 * np.pi * 440 * seconds) * (seconds < 0.5)).astype(np.float32)

print("where each node would run:")
print(pipeline.explain())
result = pipeline.run((audio, 48000))
print(
    f"{result['kept']} of {result['frames']} frames kept, {result['strongest_hz']:.0f} Hz in them"
)

print("and where each ran:")
metrics = pipeline.get_metrics() or {"nodes": []}
for node in metrics["nodes"]:
    print(f"  {node['node_id']}: {node['runtime']}")

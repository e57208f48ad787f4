"""The main job: find the speech in a recording and measure each segment with a node of our own.

python examples/main_job.py [FILE]      any WAV, FLAC, OGG or MP3

Resampling and speech detection are native nodes; `SegmentLevels` below runs in a worker process.
Then a node crashes on purpose, and nothing but that one run is lost.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from remotemedia import AudioResampleNode, Node, Pipeline, VADNode, WorkerCrashed, read_audio

RECORDINGS = Path(__file__).resolve().parent / "recordings"


class SegmentLevels(Node):
    """Adds to each speech segment its peak, zero crossings and spectral centroid."""

    def process(self, item: Any) -> list[dict[str, float]]:
        audio, rate, info = item
        mono = audio.mean(axis=0)
        measured = []
        for segment in info["segments"]:
            start, end = (round(segment[key] * rate / 1000) for key in ("start_ms", "end_ms"))
            samples = mono[start:end]
            spectrum = np.abs(np.fft.rfft(samples))
            frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
            measured.append(
                {
                    **segment,
                    "peak": float(np.abs(samples).max()),
                    "crossings": float((np.diff(np.signbit(samples)) != 0).mean() * rate),
                    "centroid": float((frequencies * spectrum).sum() / spectrum.sum()),
                }
            )
        return measured


class Crash(Node):
    """Dies as a faulty C extension would."""

    def process(self, item: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)


def speech_pipeline(*further: Node) -> Pipeline:
    return Pipeline(
        AudioResampleNode(target_rate=16000), VADNode(threshold=-30), *further, name="main job"
    )


def show_segments(segments: list[dict[str, float]]) -> None:
    print("  start s    end s  energy dB   peak  crossings/s  centroid Hz")
    for s in segments:
        print(
            f"{s['start_ms'] / 1000:9.2f}{s['end_ms'] / 1000:9.2f}{s['energy_db']:11.1f}"
            f"{s['peak']:7.3f}{s['crossings']:13.0f}{s['centroid']:13.0f}"
        )


def show_metrics(metrics: dict[str, Any]) -> None:
    print("\nnode                     runtime      time us  peak memory MB  worker pid")
    for node in metrics["nodes"]:
        memory = node["peak_memory_bytes"] or 0
        print(
            f"{node['node_id']:<25}{node['runtime']:<12}{node['total_duration_us']:>8.0f}"
            f"{memory / 1e6:>16.1f}  {node['worker_pid'] or '-':>10}"
        )


path = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS / "speech_48k.flac"
audio = read_audio(path)
print(f"{path.name}: {audio[0].shape[1] / audio[1]:.2f} s at {audio[1]} Hz\n")

pipeline = speech_pipeline(SegmentLevels())
segments = pipeline.run(audio)
show_segments(segments)
show_metrics(pipeline.get_metrics() or {"nodes": []})

print("\nThe same with a node that crashes:")
try:
    speech_pipeline(Crash(), SegmentLevels()).run(audio)
except WorkerCrashed as error:
    print(f"  {error}")
    print(f"  node {error.node_id}, signal {error.signal}")

print("\nAnd the next run:")
assert pipeline.run(audio) == segments
print(f"  {len(segments)} segments, the same as before.")

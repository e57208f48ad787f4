"""The Python node of the main job, importable so that manifests can name it."""

from __future__ import annotations

from typing import Any

import numpy as np

from remotemedia import Node


class SegmentPeaks(Node):
    """Adds to each speech segment the largest sample in it."""

    def process(self, data: Any) -> list[dict[str, float]]:
        """Measure."""
        audio, rate, info = data
        mono = np.atleast_2d(audio).mean(axis=0)
        rows = []
        for segment in info["segments"]:
            start, end = (round(segment[key] * rate / 1000) for key in ("start_ms", "end_ms"))
            rows.append({**segment, "peak": float(np.abs(mono[start:end]).max())})
        return rows

"""Tables of where speech starts and ends, and how closely segments follow them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE_MS = 60
REPOSITORY = Path(__file__).resolve().parents[2]
CODEC2_TABLE = json.loads((REPOSITORY / "tests/recordings/codec2_segments.json").read_text())
CODEC2_FOLDER = Path(CODEC2_TABLE["folder"])


def codec2_files() -> list[dict[str, Any]]:
    """The table's entries, where the package is installed; CI must have it."""
    if CODEC2_FOLDER.is_dir():
        files: list[dict[str, Any]] = CODEC2_TABLE["files"]
        return files
    if os.environ.get("CI", "") not in ("", "0", "false"):
        raise RuntimeError("CI needs the Debian package codec2-examples: run .ci/setup")
    return []


@dataclass
class Mark:
    """An edge of speech: where it was marked, and the range that careful people disagree in."""

    edge: str
    earliest_ms: float
    latest_ms: float

    def fits(self, time_ms: float) -> bool:
        """Whether a detected edge is close enough."""
        return self.earliest_ms - TOLERANCE_MS <= time_ms <= self.latest_ms + TOLERANCE_MS


def marks(entry: dict[str, Any]) -> list[Mark]:
    """The edges of an entry in order, start and end in turn."""
    doubtful = {(d["edge"], d["marked_ms"]): d for d in entry.get("doubtful", ())}
    found = []
    for segment in entry["segments"]:
        for edge in ("start", "end"):
            time = segment[f"{edge}_ms"]
            doubt = doubtful.get((edge, time), {"earliest_ms": time, "latest_ms": time})
            earliest, latest = min(doubt["earliest_ms"], time), max(doubt["latest_ms"], time)
            found.append(Mark(edge, earliest, latest))
    return found


def edges(segments: list[dict[str, Any]], entry: dict[str, Any]) -> list[tuple[str, float]]:
    """The edges of detected segments in order. A pause that the table calls doubtful counts as
    speech, as it does in the table.
    """
    found = [(edge, float(s[f"{edge}_ms"])) for s in segments for edge in ("start", "end")]
    for doubt in entry.get("doubtful", ()):
        if doubt["edge"] != "pause":
            continue
        low, high = doubt["earliest_ms"] - TOLERANCE_MS, doubt["latest_ms"] + TOLERANCE_MS
        for index in range(len(found) - 1):
            (edge, end), (_, start) = found[index], found[index + 1]
            if edge == "end" and low <= end and start <= high:
                del found[index : index + 2]
                break
    return found


def mismatches(segments: list[dict[str, Any]], entry: dict[str, Any]) -> list[str]:
    """What is not as the table says; empty when all edges are within 60 ms."""
    expected, found = marks(entry), edges(segments, entry)
    if len(expected) != len(found):
        return [f"{len(found) // 2} segments, expected {len(expected) // 2}: {found}"]
    return [
        f"{edge} at {time:.0f} ms, expected {mark.earliest_ms:.0f} to {mark.latest_ms:.0f} ms"
        for mark, (edge, time) in zip(expected, found, strict=True)
        if edge != mark.edge or not mark.fits(time)
    ]

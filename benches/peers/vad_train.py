"""Makes the weights of VADNode's method "auto": `nodes/src/builtin/vad/weights.rs`.

The network learns from the voices, prompts and music of "train" in `speech.py` only, in the noises
of the table and six more, at levels from -42 to -14 dBFS, a quarter of it with the band of a
telephone, some without noise and some without speech. Labels count pauses of 100 ms and less as
speech.

    .venvs/peers/bin/python benches/peers/vad_train.py nodes/src/builtin/vad/weights.rs
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import sys
from pathlib import Path

import earshot
import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from speech import HOP, NOISES, RATE, VOICES, Mask, Samples, labels, noise, recording, rms
from vad_features import Frames, features

HIDDEN = 24
DRAWS = 19
MORE_NOISES = ("brown", "fan", "band", "clicks", "tones", "any hum")
SNRS_DB = (30, 20, 15, 10, 5, 0, -3)
SHARES = (0.05, 0.15, 0.15, 0.22, 0.22, 0.18, 0.03)
LINE = 98


def coloured(generator: np.random.Generator, count: int, kind: str) -> NDArray[np.float64]:
    """Noise with a spectrum: falling steeply, falling less and swelling, or one band."""
    spectrum = np.fft.rfft(generator.standard_normal(count))
    line = np.maximum(np.arange(len(spectrum)), 1)
    if kind == "band":
        hz = np.fft.rfftfreq(count, 1 / RATE)
        centre = np.exp(generator.uniform(np.log(150), np.log(5_000)))
        outside = (hz < centre / generator.uniform(1.2, 3)) | (
            hz > centre * generator.uniform(1.2, 3)
        )
        spectrum[outside] *= 0.05
        return np.fft.irfft(spectrum, count)
    if kind == "brown":
        return np.fft.irfft(spectrum / line, count)
    swell = np.sin(2 * np.pi * generator.uniform(0.2, 8) * np.arange(count) / RATE)
    made = np.fft.irfft(spectrum / line ** generator.uniform(0.2, 0.9), count)
    return made * (1 + generator.uniform(0, 0.6) * swell)


def eventful(generator: np.random.Generator, count: int, kind: str) -> NDArray[np.float64]:
    """A little noise with clicks or with tones in it."""
    made: NDArray[np.float64] = 0.03 * generator.standard_normal(count)
    for _ in range(3 * count // RATE):
        length = int(
            generator.integers(20, 1_500) if kind == "clicks" else generator.integers(800, 8_000)
        )
        start = int(generator.integers(count - 8_000))
        fade = np.exp(-np.arange(length) / (length / 4))
        if kind == "clicks":
            event = generator.standard_normal(length) * generator.uniform(0.5, 3)
        else:
            turn = 2 * np.pi * generator.uniform(150, 3_000) * np.arange(length) / RATE
            parts = int(generator.integers(2, 8))
            event = sum((np.sin(turn * n) / n for n in range(1, parts)), np.zeros(length))
        made[start : start + length] += fade * event
    return made


def any_hum(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A hum of any pitch and any number of harmonics."""
    times, base = np.arange(count) / RATE, generator.uniform(40, 130)
    made: NDArray[np.float64] = generator.uniform(0.003, 0.05) * generator.standard_normal(count)
    tilt = generator.uniform(0.3, 1.5)
    for n in range(1, int(generator.integers(4, 40))):
        turn = 2 * np.pi * base * n * times + generator.uniform(0, 2 * np.pi)
        made += generator.uniform(0.2, 1) / n**tilt * np.sin(turn)
    return made


def disturbance(generator: np.random.Generator, count: int, kind: str) -> Samples:
    """Noise of a kind, with an RMS level of 1."""
    if kind in NOISES:
        return noise(kind, count, int(generator.integers(1 << 30)), "train")
    if kind == "any hum":
        made = any_hum(generator, count)
    elif kind in ("clicks", "tones"):
        made = eventful(generator, count, kind)
    else:
        made = coloured(generator, count, kind)
    return (made / rms(made)).astype(np.float32)


def voice_scores(samples: Samples) -> NDArray[np.float32]:
    """The scores of earshot, one for each 16 ms."""
    detector = earshot.Detector()
    starts = range(0, len(samples) - 255, 256)
    scores = [detector.predict_f32(np.ascontiguousarray(samples[i : i + 256])) for i in starts]
    return np.array(scores, np.float32)


def draw(generator: np.random.Generator, clean: Samples, kind: str) -> tuple[Frames, Mask]:
    """A recording in noise, as inputs of the network and labels."""
    speech = labels(clean, 10)
    level = 10 ** (generator.uniform(-42, -14) / 20)
    frames = clean[: len(speech) * HOP].reshape(-1, HOP)
    mixed = clean * np.float32(level / rms(frames[speech]))
    if kind == "none":
        mixed, speech = np.zeros_like(mixed), np.zeros_like(speech)
    if kind != "clean":
        chosen = generator.choice((*NOISES, *MORE_NOISES)) if kind in ("none", "any") else kind
        snr_db = 0 if kind == "none" else generator.choice(SNRS_DB, p=SHARES)
        gain = np.float32(level * 10 ** (-snr_db / 20))
        mixed = mixed + disturbance(generator, len(mixed), str(chosen)) * gain
    if generator.random() < 0.25:
        spectrum = np.fft.rfft(mixed)
        spectrum[np.fft.rfftfreq(len(mixed), 1 / RATE) > 3_800] *= generator.choice([0, 0.003])
        mixed = np.fft.irfft(spectrum, len(mixed))
    mixed = np.clip(mixed, -1, 1).astype(np.float32)
    inputs = features(mixed, voice_scores(mixed))
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


def source(model: MLPClassifier, means: Frames, scales: Frames) -> str:
    """The weights as a Rust module."""
    (first, second), (bias, out_bias) = model.coefs_, model.intercepts_
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
{skip} OUT: [f32; HIDDEN] = [\n{rows(second[:, 0], "    ")}\n];
pub(super) const OUT_BIAS: f32 = {rows(out_bias, "").rstrip(",")};
"""


def main() -> None:
    """Draw, fit, write."""
    inputs, truths = [], []
    kinds = (*NOISES, *["any hum"] * 3, "babble", *["any"] * (DRAWS - 11), "clean", "none")
    for number, voice in enumerate(VOICES["train"]):
        clean = recording(voice, 9_000 + number)
        generator = np.random.default_rng(number)
        for kind in kinds if clean.any() else ():
            drawn, speech = draw(generator, clean, kind)
            inputs.append(drawn)
            truths.append(speech)
    everything = np.concatenate(inputs)
    means, scales = everything.mean(0), 1 / everything.std(0)
    model = MLPClassifier(
        (HIDDEN,), alpha=1e-4, max_iter=9, batch_size=4_096, learning_rate_init=4e-3, random_state=1
    )
    model.fit(((everything - means) * scales).astype(np.float32), np.concatenate(truths))
    Path(sys.argv[1]).write_text(source(model, means, scales), encoding="utf-8")


if __name__ == "__main__":
    main()

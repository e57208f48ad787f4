"""Speech, noise and labels for the scripts about VADNode.

Speech is spoken by espeak-ng, and by people where Debian has them: codec2-examples,
asterisk-core-sounds-*-g722, asterisk-moh-opsound-g722 (music); festival with its voices. What is
missing is left out. Voices, prompts and music of "train" are others than those of "test".
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Mask = NDArray[np.bool_]

RATE = 16_000
HOP = 160
NOISES = ("white", "pink", "hum", "babble", "music")
# Kinds of noise that the network of VADNode was not trained on.
UNSEEN_NOISES = ("engine", "rain", "siren")
SNRS_DB = (20, 10, 5, 0)

TEXTS = {
    "en": (
        "The north wind and the sun were disputing which was the stronger.",
        "A traveller came along wrapped in a warm cloak.",
        "Please call me back before noon.",
        "She sells sea shells by the sea shore.",
        "Yes.",
        "Six hundred and forty two.",
    ),
    "de": ("Einst stritten sich Nordwind und Sonne, wer der Stärkere wäre.", "Guten Morgen."),
    "fr": ("La bise et le soleil se disputaient.", "Je voudrais un café, s'il vous plaît."),
    "es": ("El viento norte y el sol porfiaban.", "Quiero comprar dos billetes para Madrid."),
    "it": ("Si bisticciavano un giorno il vento di tramontana e il sole.", "Buongiorno."),
    "pl": ("Północny wiatr i słońce sprzeczali się, kto z nich jest silniejszy.", "Dzień dobry."),
    "nl": ("De noordenwind en de zon hadden een discussie.", "Goedemorgen."),
    "tr": ("Poyraz ile güneş birbirlerinden daha kuvvetli olmak istediler.", "Merhaba."),
    "cs": ("Severní vítr a slunce se hádali, kdo z nich je silnější.", "Dobrý den."),
    "pt": ("O vento norte e o sol discutiam qual dos dois era o mais forte.", "Bom dia."),
}
VOICES = {
    "train": (
        *("espeak:en-us", "espeak:de+f2", "espeak:fr-fr+m3", "espeak:en-gb+f4", "espeak:es+m1"),
        *("espeak:en-us+f1", "espeak:en-us+Alex", "espeak:de+m7", "espeak:fr-fr+f3"),
        *("espeak:es+Alicia", "espeak:en-us+klatt2", "espeak:en-gb+m4", "espeak:en-us+whisper"),
        *("prompts:en", "prompts:es", "prompts:fr") * 6,
        *("festival:voice_kal_diphone", "festival:voice_ked_diphone") * 2,
    ),
    "test": (
        *("espeak:en-gb-scotland+f3", "espeak:pl", "espeak:nl+m5", "espeak:tr+f1"),
        *("espeak:cs+m2", "espeak:pt-br+f5", "espeak:it+Mario", "prompts:ru", "prompts:it"),
        *("festival:voice_cmu_us_slt_arctic_hts", "codec2:raw/hts.raw", "codec2:raw/vk5qi.raw"),
        *("codec2:raw/morig.raw", "codec2:raw/forig.raw", "codec2:wav/wia_16kHz.wav"),
        "codec2:raw/ve9qrp_10s.raw",
    ),
}
CODEC2 = Path("/usr/share/codec2")
PROMPTS = Path("/usr/share/asterisk/sounds")
MUSIC = Path("/usr/share/asterisk/moh")
TRAIN_TRACKS = 2


@dataclass
class Cell:
    """One recording in one noise, with the truth about its frames of 10 ms."""

    samples: Samples
    speech: Mask
    noise: str
    snr_db: int


def decoded(path: Path, *options: str) -> Samples:
    """A file at 16 kHz, mono, through ffmpeg."""
    command = ["ffmpeg", "-v", "error", *options, "-i", str(path), "-f", "s16le", "-ac", "1"]
    raw = subprocess.run([*command, "-ar", str(RATE), "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32_768)


def spoken(command: list[str], text: str | None = None) -> Samples:
    """What a speech synthesis writes to the file that takes the place of `OUT`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "speech.wav")
        told = [str(out) if word == "OUT" else word for word in command]
        given = None if text is None else text.encode()
        subprocess.run(told, input=given, check=True, capture_output=True)
        return decoded(out)


def utterances(voice: str, seed: int, count: int = 7) -> list[Samples]:
    """Utterances of a voice; none where its package is missing."""
    kind, name = voice.split(":")
    dice = random.Random(seed)
    if kind == "codec2":
        path = CODEC2 / name
        options = ("-f", "s16le", "-ar", "8000", "-ac", "1") if path.suffix == ".raw" else ()
        return [decoded(path, *options)] if path.exists() else []
    if kind == "prompts":
        found = [p for p in sorted(PROMPTS.glob(f"{name}*/**/*.g722")) if p.stat().st_size > 12_000]
        found = [path for path in found if "silence" not in str(path)]
        return [decoded(path) for path in dice.sample(found, min(count, len(found)))]
    if kind == "festival":
        if shutil.which("text2wave") is None:
            return []
        command = ["text2wave", "-eval", f"({name})", "-o", "OUT"]
        return [spoken(command, dice.choice(TEXTS["en"])) for _ in range(count)]
    texts = TEXTS[name[:2]]
    return [
        spoken(
            [
                *("espeak-ng", "-v", name, "-s", str(dice.choice([130, 160, 190]))),
                *("-p", str(dice.choice([30, 50, 70])), "-w", "OUT", dice.choice(texts)),
            ]
        )
        for _ in range(count)
    ]


def rms(samples: NDArray[Any]) -> float:
    """The RMS level."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@cache
def recording(voice: str, seed: int) -> Samples:
    """Utterances of one voice at one level, with pauses of 0.4 to 2.5 s around each."""
    return joined(utterances(voice, seed), seed)


def joined(spoken_by_one: list[Samples], seed: int) -> Samples:
    """These utterances at one level, with pauses of 0.4 to 2.5 s around each."""
    dice = random.Random(seed * 7 + 1)
    parts: list[Samples] = []
    for utterance in spoken_by_one:
        centred = utterance - utterance.mean()
        loud = centred[np.abs(centred) > 0.1 * np.abs(centred).max()]
        parts += [np.zeros(int(RATE * dice.uniform(0.4, 2.5)), np.float32)]
        parts += [centred * np.float32(0.05 / (rms(loud) + 1e-9))]
    parts.append(np.zeros(int(RATE * dice.uniform(0.5, 2)), np.float32))
    return np.concatenate(parts).astype(np.float32)[: RATE * 45]


def labels(clean: Samples, filled: int = 0) -> Mask:
    """The truth, from the clean signal: frames less than 30 dB below the loudest tenth, smoothed
    over 30 ms. Pauses of up to `filled` frames count as speech, speech below 30 ms does not.
    """
    count = len(clean) // HOP
    power = np.square(clean[: count * HOP].reshape(count, HOP).astype(np.float64)).mean(1)
    loudest = np.sort(power)[::-1][: max(1, count // 10)].mean()
    speech: Mask = np.convolve(power, np.ones(3) / 3, "same") > loudest * 1e-3
    edges = np.flatnonzero(speech)
    for before, after in pairwise(edges):
        if 1 < after - before <= filled:
            speech[before:after] = True
    change = np.diff(np.r_[0, speech.astype(int), 0])
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    for start, end in zip(starts, ends, strict=True):
        if end - start < 3:
            speech[start:end] = False
    return speech


def noise(kind: str, count: int, seed: int, split: str) -> Samples:
    """Noise with an RMS level of 1."""
    generator = np.random.default_rng(seed)
    if kind == "babble":
        made = babble(generator, count, VOICES[split])
    elif kind == "music":
        made = music(generator, count, split)
    elif kind == "hum":
        made = hum(generator, count)
    elif kind in UNSEEN_NOISES:
        made = {"engine": engine, "rain": rain, "siren": siren}[kind](generator, count)
    else:
        made = steady(generator, count, kind)
    return (made / rms(made)).astype(np.float32)


def steady(generator: np.random.Generator, count: int, kind: str) -> NDArray[np.float64]:
    """White or pink noise."""
    made: NDArray[np.float64] = generator.standard_normal(count)
    if kind == "pink":
        spectrum = np.fft.rfft(made)
        made = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return made


def hum(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Mains hum and its harmonics over a little noise."""
    times = np.arange(count) / RATE
    base = generator.choice([50, 60, 100, 120])
    made: NDArray[np.float64] = 0.02 * generator.standard_normal(count)
    for harmonic in range(1, 20):
        turn = 2 * np.pi * base * harmonic * times + generator.uniform(0, 2 * np.pi)
        made += generator.uniform(0.3, 1) / harmonic * np.sin(turn)
    return made


def engine(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Pulses of 25 to 40 Hz, uneven in time and height, in a body with three resonances."""
    made = np.zeros(count)
    at, period = 0.0, RATE / generator.uniform(25, 40)
    while at < count:
        made[int(at)] = generator.uniform(0.6, 1)
        at += period * generator.uniform(0.93, 1.07)
    times = np.arange(RATE // 5) / RATE
    body = sum(
        np.exp(-times * generator.uniform(40, 120)) * np.sin(2 * np.pi * hz * times)
        for hz in (
            generator.uniform(80, 150),
            generator.uniform(250, 500),
            generator.uniform(900, 2e3),
        )
    )
    length = count + len(body)
    sound = np.fft.irfft(np.fft.rfft(made, length) * np.fft.rfft(body, length), length)[:count]
    return np.asarray(sound / rms(sound) + 0.05 * generator.standard_normal(count))


def rain(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Drops: 300 short clicks a second with heights over 40 dB, over a faint hiss."""
    made: NDArray[np.float64] = np.zeros(count)
    drops = generator.integers(count, size=300 * count // RATE)
    made[drops] = 10 ** generator.uniform(-2, 0, len(drops)) * generator.choice([-1, 1], len(drops))
    times = np.arange(RATE // 100) / RATE
    click = np.exp(-times * 900) * generator.standard_normal(len(times))
    sound = np.convolve(made, click)[:count]
    return np.asarray(sound / rms(sound) + 0.1 * generator.standard_normal(count))


def siren(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A tone with harmonics that sweeps between 500 and 1,500 Hz."""
    times = np.arange(count) / RATE
    hz = 1_000 + 500 * np.sin(2 * np.pi * generator.uniform(0.2, 2) * times)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    tones = sum(np.sin(phase * n) / n**2 for n in range(1, 5))
    return np.asarray(tones + 0.02 * generator.standard_normal(count))


def babble(
    generator: np.random.Generator,
    count: int,
    voices: Sequence[str],
    record: Callable[[str, int], Samples] = recording,
) -> NDArray[np.float64]:
    """Eight voices at once, without their pauses."""
    made = np.zeros(count)
    while not made.any():
        for _ in range(8):
            voice = record(voices[generator.integers(len(voices))], 1_000)
            frames = voice[: len(voice) // HOP * HOP].reshape(-1, HOP)
            power = np.square(frames).mean(1)
            kept = frames[power > power.max() * 1e-4].ravel() if len(power) else frames.ravel()
            if len(kept):
                shift = int(generator.integers(count))
                made += np.roll(np.resize(kept, count), shift) / rms(kept)
    return made


@cache
def track(path: Path) -> Samples:
    """A track of music."""
    return decoded(path)


def music(generator: np.random.Generator, count: int, split: str) -> NDArray[np.float64]:
    """A part of a track, or chords where there are none."""
    found = sorted(MUSIC.glob("*.g722"))
    tracks = found[:TRAIN_TRACKS] if split == "train" else found[TRAIN_TRACKS:]
    if tracks:
        samples = track(tracks[generator.integers(len(tracks))])
        start = int(generator.integers(max(1, len(samples) - count)))
        return np.resize(samples[start : start + count], count).astype(np.float64)
    times = np.arange(count) / RATE
    made = np.zeros(count)
    for start in range(0, count, RATE // 2):
        for hz in generator.choice([131, 165, 196, 220, 262, 330, 392], 3, replace=False):
            tone = np.exp(-times * 3) * np.sin(2 * np.pi * hz * times)
            made[start:] += tone[: count - start]
    return made


def cells(split: str, filled: int = 0, noises: tuple[str, ...] = NOISES) -> Iterator[Cell]:
    """Each recording in each noise, between -32 and -18 dBFS."""
    for number, voice in enumerate(VOICES[split]):
        clean = recording(voice, 500 + number)
        if not clean.any():
            continue
        speech = labels(clean, filled)
        level = 10 ** (np.random.default_rng(number).uniform(-32, -18) / 20)
        frames = clean[: len(speech) * HOP].reshape(-1, HOP)
        clean = clean * np.float32(level / rms(frames[labels(clean)]))
        for place, kind in enumerate(noises):
            added = noise(kind, len(clean), number * 31 + place, split) * np.float32(level)
            for snr_db in SNRS_DB:
                mixed = clean + added * np.float32(10 ** (-snr_db / 20))
                yield Cell(np.clip(mixed, -1, 1).astype(np.float32), speech, kind, snr_db)

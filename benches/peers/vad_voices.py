"""Voices for the training in `vad_train.py`, beside those of "train" in `speech.py`.

Voices of espeak-ng and flite, people of fillets-ng-data-cs and asterisk-prompt-es-co. What is
missing is left out. Some voices are held out, to tune with.
"""

from __future__ import annotations

import random
import shutil
from functools import cache
from pathlib import Path

from speech import TEXTS, VOICES, Samples, decoded, joined, recording, spoken

MORE_TEXTS = {
    "en": (
        *TEXTS["en"],
        "Your call is important to us, please stay on the line.",
        "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening.",
        "What time does the next train leave for the coast?",
        "Nine, four, seven, one.",
        "I am afraid that we have run out of milk, sugar and patience.",
    ),
    "de": (
        *TEXTS["de"],
        "Können Sie mir bitte sagen, wie ich zum Bahnhof komme?",
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Deich.",
        "Nein, danke.",
    ),
    "fr": (
        *TEXTS["fr"],
        "Portez ce vieux whisky au juge blond qui fume.",
        "Il fera beau demain sur toute la côte.",
        "Merci beaucoup.",
    ),
    "es": (
        *TEXTS["es"],
        "El veloz murciélago hindú comía feliz cardillo y kiwi.",
        "No sé a qué hora empieza la película.",
        "Muchas gracias.",
    ),
    "sv": ("Nordanvinden och solen tvistade om vem som var starkast.", "God morgon, hur är det?"),
    "fi": ("Pohjantuuli ja aurinko väittelivät kummalla olisi enemmän voimaa.", "Hyvää huomenta."),
    "hu": ("Az északi szél és a nap vitatkoztak, melyikük az erősebb.", "Jó reggelt kívánok."),
    "ro": ("Vântul de nord și soarele se certau care dintre ei e mai puternic.", "Bună dimineața."),
    "da": ("Nordenvinden og solen kom engang i strid om hvem der var stærkest.", "Godmorgen."),
    "id": ("Angin utara dan matahari berdebat siapa yang lebih kuat.", "Selamat pagi, apa kabar?"),
    "sw": ("Upepo wa kaskazini na jua zilikuwa zikibishana.", "Habari ya asubuhi."),
    "ru": ("Северный ветер и солнце поспорили, кто из них сильнее.", "Доброе утро."),
    "el": ("Ο βοριάς και ο ήλιος μάλωναν ποιος είναι ο πιο δυνατός.", "Καλημέρα σας."),  # noqa: RUF001
    "hi": ("उत्तरी हवा और सूरज में बहस हो रही थी कि कौन अधिक बलवान है।", "नमस्ते।"),
}
MORE_VOICES = (
    *("espeak:sv+f4", "espeak:fi+m1", "espeak:hu+f2", "espeak:ro+m3", "espeak:da", "espeak:id+f1"),
    *("espeak:sw+m4", "espeak:ru+f2", "espeak:el+m7", "espeak:hi+f4", "espeak:en-us+m6"),
    *("espeak:de", "espeak:fr-fr", "espeak:es+f4", "espeak:en-gb+f2", "espeak:en-us+Annie"),
    *("flite:awb", "flite:rms", "flite:kal16") * 2,
    *("files:/usr/share/games/fillets-ng/sound/*/cs/*.ogg",) * 8,
)
HELD_OUT = (
    *("espeak:es+Alicia", "espeak:de+m7", "espeak:en-us+klatt2", "espeak:en-gb+f4", "prompts:fr"),
    *("festival:voice_ked_diphone", "espeak:ro+m3", "espeak:hi+f4", "flite:rms"),
    "files:/usr/share/asterisk/sounds/es*/**/*.gsm",
)
FITTED = tuple(voice for voice in (*VOICES["train"], *MORE_VOICES) if voice not in HELD_OUT)
PROGRAMS = {
    "espeak": ("espeak-ng", "-v", "VOICE", "-s", "SPEED", "-p", "PITCH", "-w", "OUT", "TEXT"),
    "flite": ("flite", "-voice", "VOICE", "-o", "OUT", "-t", "TEXT"),
}


def more_utterances(voice: str, seed: int, count: int = 7) -> list[Samples]:
    """Utterances of one of `MORE_VOICES`; none where its package is missing."""
    kind, name = voice.split(":")
    dice = random.Random(seed)
    if kind == "files":
        found = [path for path in paths(name) if path.stat().st_size > 3_000]
        return [decoded(path) for path in dice.sample(found, min(count, len(found)))]
    if shutil.which(PROGRAMS[kind][0]) is None:
        return []
    made = []
    for _ in range(count):
        text = dice.choice(MORE_TEXTS["en" if kind == "flite" else name[:2]])
        told = {"VOICE": name, "TEXT": text, "SPEED": str(dice.choice([130, 160, 190]))}
        told["PITCH"] = str(dice.choice([30, 50, 70]))
        made.append(spoken([told.get(word, word) for word in PROGRAMS[kind]]))
    return made


@cache
def any_recording(voice: str, seed: int) -> Samples:
    """As `recording`, of one of `MORE_VOICES` as well."""
    if voice in VOICES["train"]:
        return recording(voice, seed)
    return joined(more_utterances(voice, seed), seed)


@cache
def paths(pattern: str) -> list[Path]:
    """The files of a pattern."""
    return sorted(Path("/").glob(pattern.lstrip("/")))

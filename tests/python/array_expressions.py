"""What audio code writes, as text: evaluated over arrays of numpy and over `AudioView`s alike.

`array_vectors.py` makes the table of expressions and results; `test_array_vectors.py` runs it on
both interpreters. No numpy is imported here.
"""

from __future__ import annotations

import array
import copy
import io
import math
import pickle
import statistics
import struct
import wave
from typing import Any

from remotemedia import audio


def after(samples: Any, code: str) -> Any:
    """A copy called `m` of the samples, changed by a statement."""
    names = {**NAMES, **ARRAYS, "m": samples.copy()}
    exec(code, names)  # the statements are those of the table
    return names["m"]


def written(samples: Any) -> bytes:
    """A WAV file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(samples.shape[0])
        out.setsampwidth(samples.itemsize)
        out.setframerate(8000)
        out.writeframes(samples.T.tobytes())
        out.writeframes(samples[0])
    return file.getvalue()


ARRAYS: dict[str, Any] = {}
"""The arrays that expressions name, while these are evaluated."""

MODULES = (array, audio, copy, math, pickle, statistics, struct)
NAMES: dict[str, Any] = {module.__name__.rpartition(".")[2]: module for module in MODULES}
NAMES |= {"after": after, "written": written}


def evaluated(arrays: dict[str, Any], expressions: list[str]) -> list[Any]:
    """The result of each expression, or the name and the text of its error."""
    ARRAYS.clear()
    ARRAYS.update(arrays)
    results: list[Any] = []
    for expression in expressions:
        try:
            results.append(("result", eval(expression, {**NAMES, **arrays})))
        except Exception as error:
            kinds = (OverflowError, AttributeError, TypeError, ValueError, IndexError)
            kind = next((kind for kind in kinds if isinstance(error, kind)), type(error))
            results.append(("error", kind.__name__, str(error)))
    return results


class Evaluate:
    """Evaluates expressions in a worker."""

    def process(self, data: Any) -> Any:
        """The results, each beside a word that says whether it is one."""
        return evaluated(*data)


class Told:
    """Says which arrays `remotemedia.audio` makes."""

    def process(self, data: Any) -> Any:
        """The types of new arrays."""
        made = [audio.zeros(2), audio.from_samples([1.0]), audio.concatenate([data]), data]
        return [f"{type(one).__module__}.{type(one).__name__}" for one in made]

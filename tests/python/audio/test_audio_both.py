"""The audio nodes in Python give the same with numpy and without, on both interpreters."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import interpreters

pytestmark = pytest.mark.rustpython

TOLERANCE = 1e-6
"""Largest difference of a sample or an energy in [-1, 1]: sums of float32 are rounded."""

PROGRAM = """
import asyncio, json, math, sys
try:
    import numpy as np
    def array(x, dtype): return np.array(x, dtype=dtype)
except ImportError:
    from remotemedia._audio import AudioView
    def array(x, dtype): return AudioView(x, dtype)
from remotemedia.nodes import (
    AudioBuffer, AudioTransform, ExtractAudioDataNode, VoiceActivityDetector
)

wave = [[math.sin(i / 7) * (0.5 if i > 300 else 0.01) for i in range(1000)], [0.25] * 1000]
floats = array(wave, "float32"), 8000
whole = array([[int(v * 30000) for v in row] for row in wave], "int16"), 8000
single = array(wave[0], "float32"), 8000

async def stream(node, *items):
    async def given():
        for item in items:
            yield item
    return [output async for output in node.process(given())]

def run(node, *items):
    return asyncio.run(stream(node, *items))

answer = {
    "extract": ExtractAudioDataNode().process(floats).tolist(),
    "buffer": [[a.tolist(), r] for a, r in run(AudioBuffer(300), floats, whole)],
    "detector": [info for _, info in run(VoiceActivityDetector(), floats, whole, single)],
    "filtered": len(run(VoiceActivityDetector(filter_mode=True, speech_threshold=0.2), single)),
    "single": AudioTransform(8000, 2).process((*single, "rest"))[0].tolist(),
}
for channels in (1, 2, 3):
    samples, rate = AudioTransform(8000, channels).process(whole)
    answer[f"transform to {channels}"] = [list(samples.shape), samples.tolist(), rate]
for bad in ([1.0], ("text", 8000), (floats[0], 8000.5)):
    try:
        AudioTransform(8000, 1).process(bad)
    except TypeError as error:
        answer[f"refused {type(bad).__name__} {len(bad)}"] = str(error)
sys.stdout.write(json.dumps(answer))
sys.stdout.flush()
"""


def assert_close(one: Any, other: Any, path: str) -> None:
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            assert_close(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for place, pair in enumerate(zip(one, other, strict=True)):
            assert_close(*pair, f"{path}[{place}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=TOLERANCE), path
    else:
        assert one == other, path


def test_audio_nodes_give_the_same_on_both_interpreters(tmp_path: Path) -> None:
    # spec: IOP-12, IOP-36
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    here = json.loads(interpreters.run(sys.executable, script))
    there = json.loads(interpreters.run(interpreters.RUSTPYTHON, script))
    assert len(here) == 10
    assert_close(there, here, "answer")

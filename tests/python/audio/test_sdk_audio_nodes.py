"""The audio nodes that are Python of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np
import pytest

from remotemedia import (
    AudioBuffer,
    AudioTransform,
    ExtractAudioDataNode,
    StatefulCounter,
    VoiceActivityDetector,
)


def _stream(node: Any, items: Iterable[Any]) -> list[Any]:
    async def feed() -> AsyncIterator[Any]:
        for item in items:
            yield item

    async def collect() -> list[Any]:
        return [output async for output in node.process(feed())]

    return asyncio.run(collect())


def _tone(samples: int, amplitude: float = 0.5) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (amplitude * np.sin(np.arange(samples) / 5)).astype(np.float32)[np.newaxis]


def test_audio_buffer_cuts_without_loss() -> None:
    audio = _tone(1000)
    pieces = [(audio[:, a:b], 16000) for a, b in ((0, 130), (130, 700), (700, 1000))]
    chunks = _stream(AudioBuffer(256), pieces)
    assert [chunk.shape[1] for chunk, _ in chunks] == [256, 256, 256, 232]
    assert np.array_equal(np.concatenate([chunk for chunk, _ in chunks], axis=1), audio)
    assert {rate for _, rate in chunks} == {16000}
    assert _stream(AudioBuffer(256), []) == []


def test_extract_gives_one_dimension() -> None:
    audio = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert ExtractAudioDataNode().process((audio, 8000)).tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(TypeError):
        ExtractAudioDataNode().process(("text", 8000))


def test_audio_transform_changes_channels() -> None:
    stereo = np.stack([np.ones(4), np.zeros(4)]).astype(np.float32)
    mono, rate, meta = AudioTransform(8000, 1).process((stereo, 8000, {"id": 1}))
    assert mono.tolist() == [[0.5] * 4]
    assert (rate, meta) == (8000, {"id": 1})
    three, _ = AudioTransform(8000, 3).process((stereo, 8000))
    assert three[:, 0].tolist() == [1, 0, 0]
    doubled, _ = AudioTransform(8000, 2).process((np.full(4, 16384, np.int16), 8000))
    assert doubled.tolist() == [[0.5] * 4] * 2


def test_the_detector_tells_speech_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = (0.002 * rng.standard_normal((1, 1600))).astype(np.float32)
    items = [(noise, 16000), (_tone(1600), 16000), (noise, 16000)]
    tagged = _stream(VoiceActivityDetector(), items)
    assert [info["is_speech"] for _, info in tagged] == [False, True, False]
    assert tagged[1][1]["speech_ratio"] == 1.0
    assert tagged[1][1]["avg_energy"] == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert tagged[0][1]["frame_duration_ms"] == 30
    (only,) = _stream(VoiceActivityDetector(filter_mode=True), items)
    assert only[0] is items[1][0]
    plain = _stream(VoiceActivityDetector(include_metadata=False), items)
    assert len(plain) == 3
    silent = _stream(VoiceActivityDetector(), [(np.zeros((1, 0), np.float32), 16000)])
    assert not silent[0][1]["is_speech"]


def test_the_counter_goes_on_counting() -> None:
    counter = StatefulCounter(initial_value=5)
    assert _stream(counter, "ab") == [(5,), (6,)]
    assert _stream(counter, "c") == [(7,)]

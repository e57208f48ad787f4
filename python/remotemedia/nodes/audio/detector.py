"""A streaming voice activity detector whose threshold follows the noise of the recording."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes.audio._item import frame_rms, split

# Number of most recent frames from which the noise level is estimated.
_HISTORY_FRAMES = 200
_NOISE_PERCENTILE = 30
_ABOVE_NOISE = 2.5
# Weight of the noise estimate in the threshold; the rest is the weight of `energy_threshold`.
_ADAPTIVE_SHARE = 0.7


class VoiceActivityDetector(Node):
    """Detects for each item of a stream whether it contains speech.

    Yields `((array, sample_rate), info)`, where `info` is `{"is_speech", "speech_ratio",
    "avg_energy", "frame_duration_ms"}`, and the entries of a dict at the item's end; energies are
    linear RMS.

    Args:
        frame_duration_ms: length of a frame.
        energy_threshold: RMS above which a frame counts as speech, before the threshold adapts.
        speech_threshold: share of speech frames from which on an item counts as speech.
        filter_mode: yield only items with speech, as `(array, sample_rate)` without `info`.
        include_metadata: whether to yield `info`.
        **kwargs: see `Node`.
    """

    is_streaming = True

    def __init__(
        self,
        frame_duration_ms: int = 30,
        energy_threshold: float = 0.02,
        speech_threshold: float = 0.3,
        filter_mode: bool = False,
        include_metadata: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if frame_duration_ms < 1:
            raise ConfigurationError("frame_duration_ms must be at least 1")
        self.frame_duration_ms = frame_duration_ms
        self.energy_threshold = energy_threshold
        self.speech_threshold = speech_threshold
        self.filter_mode = filter_mode
        self.include_metadata = include_metadata

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[Any]:
        """Yield the items, with `info` or filtered."""
        history: list[float] = []
        async for item in data:
            samples, rate, rest = split(item, type(self).__name__)
            energies = frame_rms(samples, max(1, rate * self.frame_duration_ms // 1000))
            # The item itself is not part of the noise, or steady speech would raise its threshold.
            info = self._judge(energies, history)
            if rest and isinstance(rest[-1], dict):
                info = {**rest[-1], **info}
            history = [*history, *energies][-_HISTORY_FRAMES:]
            audio = (samples if isinstance(item, dict) else item[0], rate)
            if self.filter_mode:
                if info["is_speech"]:
                    yield audio
            else:
                yield (audio, info) if self.include_metadata else audio

    def _judge(self, energies: list[float], history: list[float]) -> dict[str, Any]:
        threshold = self.energy_threshold
        if history:
            adaptive = _ABOVE_NOISE * _percentile(history, _NOISE_PERCENTILE)
            threshold = _ADAPTIVE_SHARE * adaptive + (1 - _ADAPTIVE_SHARE) * threshold
        count = len(energies)
        ratio = sum(energy > threshold for energy in energies) / count if count else 0.0
        return {
            "is_speech": ratio >= self.speech_threshold and count > 0,
            "speech_ratio": ratio,
            "avg_energy": math.fsum(energies) / count if count else 0.0,
            "frame_duration_ms": self.frame_duration_ms,
        }


def _percentile(values: list[float], percent: float) -> float:
    """The percentile of some values, interpolated linearly between two neighbours."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


__all__ = ["VoiceActivityDetector"]

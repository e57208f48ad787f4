"""Native nodes that encode and decode Opus packets, in builds with the feature `opus` only.

Other builds raise a ConfigurationError that says how to get one. `read_audio` and `AudioSource`
read Opus in Ogg in every build.
"""

from __future__ import annotations

from typing import Any

from remotemedia.nodes._native_backed import NativeBackedNode


class OpusEncoderNode(NativeBackedNode):
    """Encodes audio as packets of Opus (`bytes`) of 20 ms each, several for an item or none.

    A decoder gives the sound 6.5 ms later, with `application="low_delay"` 2.5 ms. Items have one or
    two channels; rates that Opus does not have (8, 12, 16, 24 and 48 kHz) become 48 kHz.

    Args:
        bitrate: bits of a second, of all channels together, from 6,000 to 510,000.
        application: "audio", "voip" (speech), or "low_delay".
        complexity: from 0, which takes least time, to 10.
        streaming: items are pieces of one recording; the last packet comes with the flush.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.

    Raises:
        ConfigurationError: this build has no Opus.
    """

    native_type = "OpusEncoderNode"

    def __init__(
        self,
        bitrate: int = 64_000,
        application: str = "audio",
        *,
        complexity: int = 10,
        streaming: bool = False,
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.bitrate = bitrate
        self.application = application
        self.complexity = complexity
        self.streaming = streaming
        self.sample_rate = sample_rate
        super().__init__(**kwargs)
        self._native()  # fails where there is no Opus

    def native_params(self) -> dict[str, Any]:
        """The parameters by their native names."""
        names = ("bitrate", "application", "complexity", "streaming", "sample_rate")
        return {name: getattr(self, name) for name in names}


class OpusDecoderNode(NativeBackedNode):
    """Decodes packets of Opus (`bytes`) to `(array, sample_rate)`, float32 of shape (channels,
    samples). An empty packet stands for one that was lost, and is filled.

    Args:
        sample_rate: of the sound, in Hz: 8000, 12000, 16000, 24000 or 48000.
        channels: of the sound: 1 or 2.
        **kwargs: see `Node`.

    Raises:
        ConfigurationError: this build has no Opus.
    """

    native_type = "OpusDecoderNode"

    def __init__(self, sample_rate: int = 48_000, channels: int = 1, **kwargs: Any) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        super().__init__(**kwargs)
        self._native()  # fails where there is no Opus

    def native_params(self) -> dict[str, Any]:
        """The parameters by their native names."""
        return {"sample_rate": self.sample_rate, "channels": self.channels}


__all__ = ["OpusDecoderNode", "OpusEncoderNode"]

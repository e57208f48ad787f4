"""Where audio enters and leaves a pipeline: files, pipes, and live devices.

Both nodes run in your program, not in a worker.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

from remotemedia._load import native
from remotemedia.audio import AudioFile
from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import ConfigurationError
from remotemedia.nodes.audio import _live
from remotemedia.nodes.audio._item import split_raw

_WHOLE = 1 << 48
_LIVE_PIECE_MS = 20.0
_LIVE_RATE_HZ = 48_000


class AudioSource(CallerSource):
    """Items `(array, sample_rate)` from an audio file, a pipe or a live device.

    Without `piece_ms` a file is one item. With it, items are pieces of that length, the last one
    shorter, and only one piece is in memory, however long the file; nodes that follow need
    `streaming=True` to take them as one recording. A file that is cut off or damaged gives what it
    has, with a `UserWarning`.

    Args:
        path: the file; "-" is standard input; None is the live device.
        piece_ms: length of an item, for the device by default 20.
        sample_rate: for the device by default 48,000 Hz; for a file it says that the file has no
            header, and what its rate is.
        channels: of the device or the headerless file.
        sample_format: of the headerless file, as FormatConverterNode names it.
        device: number or name of the device, as `sounddevice` lists them; None is the default.
        seconds: how long to record from the device; None until `close`.
        name: the node's name.

    Raises:
        OSError: from `run`: the file cannot be read.
        ConfigurationError: from `run`: the file is no audio, or there is no device. A device needs
            `pip install remotemedia[live]`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        piece_ms: float | None = None,
        sample_rate: int | None = None,
        channels: int = 1,
        sample_format: str = "i16",
        device: int | str | None = None,
        seconds: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if piece_ms is not None and not 0 < piece_ms < math.inf:
            raise ConfigurationError(f"piece_ms must be above 0, not {piece_ms!r}")
        self.path = path
        self.piece_ms = piece_ms
        self.sample_rate = sample_rate
        self.channels = channels
        self.sample_format = sample_format
        self.device = device
        self.seconds = seconds
        self._is_closed = False

    def items(self) -> Iterator[Any]:
        """The recording, or its pieces."""
        if self.path is None:
            return self._recorded()
        return self._read(self.path)

    def close(self) -> None:
        """End a recording from a device, from any thread."""
        self._is_closed = True

    def _read(self, path: str | os.PathLike[str]) -> Iterator[Any]:
        raw = None
        if self.sample_rate is not None:
            raw = (self.sample_rate, self.channels, self.sample_format)
        reader = native().AudioReader(_path(path, "/dev/stdin"), raw)
        rate = reader.sample_rate
        samples = _WHOLE if self.piece_ms is None else max(1, round(rate * self.piece_ms / 1000))
        piece = reader.read(samples)
        if piece is None and self.piece_ms is None:
            import numpy as np

            piece = np.zeros((reader.channels, 0), np.float32)
        while piece is not None:
            yield piece, rate
            piece = reader.read(samples)
        for text in reader.damage():
            warnings.warn(text, stacklevel=2)

    def _recorded(self) -> Iterator[Any]:
        self._is_closed = False
        rate = self.sample_rate or _LIVE_RATE_HZ
        samples = max(1, round(rate * (self.piece_ms or _LIVE_PIECE_MS) / 1000))
        left = math.inf if self.seconds is None else round(self.seconds * rate)
        with _live.input_stream(self.device, rate, self.channels) as stream:
            while left > 0 and not self._is_closed:
                frames, has_lost = stream.read(int(min(samples, left)))
                if has_lost:
                    self.logger.warning("%s lost samples: the pipeline is too slow", self.name)
                left -= len(frames)
                yield frames.T.copy(), rate


class AudioSink(CallerSink):
    """Writes audio to a file or a pipe, or plays it, item by item as one recording.

    The first item decides rate and channels. `run` returns nothing of what was written.

    Args:
        path: the file, which is replaced; WAV, or headerless for `.raw` and `.pcm`; "-" is standard
            output, headerless; None is the live device.
        sample_format: as FormatConverterNode names it; by default that of the first item's dtype.
        device: number or name of the device, as `sounddevice` lists them; None is the default.
        name: the node's name.

    Raises:
        OSError: from `run`: the file cannot be written.
        ConfigurationError: from `run`: there is no device (see `AudioSource`).
        ValueError: from `run`: an item has another rate or other channels than the first.
    """

    is_final = True
    _transient: ClassVar[frozenset[str]] = CallerSink._transient | {"_open", "_rate"}

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sample_format: str | None = None,
        device: int | str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.path = path
        self.sample_format = sample_format
        self.device = device
        self._open: AudioFile | _live.Player | None = None
        self._rate = 0

    def deliver(self, value: Any) -> None:
        """Write an item `(array, sample_rate)`."""
        samples, rate, _ = split_raw(value, type(self).__name__)
        if self._open is None:
            self._open = self._opened(samples, rate)
            self._rate = rate
        elif rate != self._rate:
            raise ValueError(
                f"{self.name} began with {self._rate} Hz and got an item of {rate} Hz: resample it "
                "first"
            )
        self._open.write(samples)

    def end(self) -> None:
        """Finish the file."""
        done, self._open = self._open, None
        if done is not None:
            done.close()

    def cleanup(self) -> None:
        """Finish the file."""
        self.end()

    def _opened(self, samples: Any, rate: int) -> AudioFile | _live.Player:
        channels = samples.shape[0]
        if self.path is None:
            return _live.Player(self.device, rate, channels)
        is_pipe = os.fspath(self.path) == "-"
        return AudioFile(
            _path(self.path, "/dev/stdout"),
            rate,
            channels,
            self.sample_format or samples.dtype.name,
            raw=True if is_pipe else None,
        )


def _path(path: str | os.PathLike[str], standard: str) -> str:
    text = os.fspath(path)
    return standard if text == "-" else text


__all__ = ["AudioSink", "AudioSource"]

"""Sound from and to devices through `sounddevice`, which is imported when a device is opened."""

from __future__ import annotations

from typing import Any

from remotemedia.core.exceptions import ConfigurationError

_INSTALL = "pip install 'remotemedia[live]'"


def input_stream(device: int | str | None, rate: int, channels: int) -> Any:
    """A started `sounddevice.InputStream` of float32.

    Raises:
        ConfigurationError: there is no such device, or `sounddevice` cannot be used.
    """
    return _opened("InputStream", device, rate, channels)


class Player:
    """Plays what is written to it.

    Raises:
        ConfigurationError: there is no such device, or `sounddevice` cannot be used.
    """

    def __init__(self, device: int | str | None, rate: int, channels: int) -> None:
        self._stream = _opened("OutputStream", device, rate, channels)
        self._stream.start()

    def write(self, samples: Any) -> None:
        """Play samples of shape (channels, samples); waits while the device's buffer is full."""
        import numpy as np

        if np.issubdtype(samples.dtype, np.integer):
            samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
        self._stream.write(np.ascontiguousarray(samples.T, np.float32))

    def close(self) -> None:
        """Wait until all has been played, and release the device."""
        self._stream.stop()
        self._stream.close()


def _opened(kind: str, device: int | str | None, rate: int, channels: int) -> Any:
    sounddevice = _sounddevice()
    which = "the default device" if device is None else f"the device {device!r}"
    try:
        return getattr(sounddevice, kind)(
            samplerate=rate, channels=channels, device=device, dtype="float32"
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ConfigurationError(
            f"{which} cannot be opened for {rate} Hz and {channels} channel(s): {error}; "
            "`python -m sounddevice` lists the devices of this machine"
        ) from error


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigurationError(
            f"a live device needs the package sounddevice: {_INSTALL}"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            "a live device needs the PortAudio library, which this machine lacks "
            "(on Debian: apt install libportaudio2)"
        ) from error
    return sounddevice


__all__ = ["Player", "input_stream"]

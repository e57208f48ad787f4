"""`RuntimeData`: a value with its kind and metadata, as the original SDK's nodes passed it.

Plain values travel between nodes here, so no node needs it. It can be pickled, and its arrays
travel as all arrays do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from remotemedia import _pickle
from remotemedia.core.multiprocessing.metadata import (
    AudioFormat,
    AudioMetadata,
    ControlMessageMetadata,
    ControlMessageType,
    DataType,
    FileMetadata,
    TensorMetadata,
    TensorType,
    TextMetadata,
    VideoFormat,
    VideoMetadata,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_METADATA = {
    DataType.AUDIO: AudioMetadata,
    DataType.VIDEO: VideoMetadata,
    DataType.TENSOR: TensorMetadata,
}


@dataclass
class RuntimeData:
    """A value with its kind.

    Attributes:
        type: the kind.
        payload: an array, bytes, a text (kept as UTF-8) or a dict.
        session_id: a text of the user.
        timestamp: in seconds since 1970; now if None is given.
        metadata: an object that fits the kind.

    Raises:
        ValueError: the metadata does not fit the kind.
    """

    type: DataType
    payload: Any
    session_id: str
    timestamp: float | None
    metadata: Any = None

    def __post_init__(self) -> None:
        """Check and complete the values."""
        if self.timestamp is None:
            self.timestamp = time.time()
        wanted = _METADATA.get(self.type)
        if wanted is not None and not isinstance(self.metadata, wanted):
            raise ValueError(f"{self.type.name} needs {wanted.__name__} as metadata")
        if self.type is DataType.TEXT:
            if isinstance(self.payload, str):
                self.payload = self.payload.encode()
            self.metadata = self.metadata or TextMetadata()
        elif self.type is DataType.CONTROL_MESSAGE:
            self._complete_control_message()
        elif self.type is DataType.FILE and not isinstance(self.metadata, FileMetadata):
            if not isinstance(self.payload, Mapping) or "path" not in self.payload:
                raise ValueError("FILE needs FileMetadata, or a dict with a path as payload")
            known = {each.name for each in fields(FileMetadata)}
            self.metadata = FileMetadata(**{k: v for k, v in self.payload.items() if k in known})

    def _complete_control_message(self) -> None:
        if isinstance(self.metadata, ControlMessageMetadata):
            return
        payload = self.payload
        if isinstance(payload, bytes):
            payload = json.loads(payload)
        if not isinstance(payload, Mapping):
            raise ValueError("CONTROL_MESSAGE needs ControlMessageMetadata, or JSON as payload")
        self.metadata = ControlMessageMetadata.from_json(payload)

    @property
    def size(self) -> int:
        """Size of the payload in bytes; 0 for a dict."""
        nbytes = getattr(self.payload, "nbytes", None)
        if isinstance(nbytes, int):
            return nbytes
        return len(self.payload) if isinstance(self.payload, bytes | str) else 0

    def data_type(self) -> str:
        """The kind as a text, such as "audio"."""
        return self.type.name.lower()

    def as_numpy(self) -> NDArray[Any]:
        """The payload as an array; bytes as unsigned ones.

        Raises:
            ValueError: the payload is neither.
        """
        import numpy as np

        if isinstance(self.payload, np.ndarray):
            return self.payload
        if isinstance(self.payload, bytes):
            return np.frombuffer(self.payload, dtype=np.uint8)
        raise ValueError(f"{type(self.payload).__name__} is no array")

    def as_text(self, encoding: str = "utf-8") -> str:
        """The text.

        Raises:
            ValueError: it is no text.
        """
        if self.type is not DataType.TEXT:
            raise ValueError(f"{self.type.name} is no text")
        payload: bytes = self.payload
        return payload.decode(encoding)

    def is_text(self) -> bool:
        """Whether it is a text."""
        return self.type is DataType.TEXT

    def is_audio(self) -> bool:
        """Whether it is audio."""
        return self.type is DataType.AUDIO

    def is_video(self) -> bool:
        """Whether it is a frame."""
        return self.type is DataType.VIDEO

    def is_tensor(self) -> bool:
        """Whether it is a tensor."""
        return self.type is DataType.TENSOR

    def is_file(self) -> bool:
        """Whether it stands for a file."""
        return self.type is DataType.FILE

    def is_control_message(self) -> bool:
        """Whether it is a control message."""
        return self.type is DataType.CONTROL_MESSAGE

    def is_cancellation(self) -> bool:
        """Whether it is the control message that cancels a speculation."""
        return (
            self.is_control_message()
            and self.metadata.message_type is ControlMessageType.CANCEL_SPECULATION
        )

    def get_file_path(self) -> str:
        """The path of the file.

        Raises:
            ValueError: it does not stand for a file.
        """
        if not isinstance(self.metadata, FileMetadata):
            raise ValueError(f"{self.type.name} is no file")
        return self.metadata.path

    def is_json(self) -> bool:
        """Whether it is a text that holds a JSON value."""
        try:
            self.as_json()
        except ValueError:
            return False
        return True

    def as_json(self) -> Any:
        """The JSON value that the text holds.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.as_text())

    def to_bytes(self) -> bytes:
        """A pickle of it, for `from_bytes`."""
        return _pickle.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> RuntimeData:
        """What `to_bytes` was called on. Loading a pickle can run code: pass only your own.

        Raises:
            ValueError: it was no `RuntimeData`.
        """
        loaded = _pickle.loads(data)
        if not isinstance(loaded, cls):
            raise ValueError(f"the pickle holds {type(loaded).__name__}, not {cls.__name__}")
        return loaded

    @classmethod
    def audio(
        cls,
        samples: Any,
        sample_rate: int,
        channels: int = 1,
        session_id: str = "",
        format: AudioFormat = AudioFormat.F32,  # noqa: A002  # the original's word
    ) -> RuntimeData:
        """Samples, interleaved if there are several channels; a list becomes float32."""
        if not hasattr(samples, "dtype"):
            import numpy as np

            samples = np.array(samples, dtype=np.float32)
        length_ms = int(len(samples) / channels / sample_rate * 1000)
        metadata = AudioMetadata(sample_rate, channels, format, length_ms)
        return cls(DataType.AUDIO, samples, session_id, time.time(), metadata)

    @classmethod
    def video(
        cls,
        frame: Any,
        width: int,
        height: int,
        format: VideoFormat = VideoFormat.RGB,  # noqa: A002
        fps: float = 30.0,
        session_id: str = "",
    ) -> RuntimeData:
        """A frame, as an array or bytes.

        Raises:
            ValueError: it is neither.
        """
        if not (hasattr(frame, "dtype") or isinstance(frame, bytes)):
            raise ValueError(f"a frame is an array or bytes, not {type(frame).__name__}")
        metadata = VideoMetadata(width, height, format, fps)
        return cls(DataType.VIDEO, frame, session_id, time.time(), metadata)

    @classmethod
    def text(
        cls, text: str, session_id: str = "", language: str | None = None, channel: str = "tts"
    ) -> RuntimeData:
        """A text."""
        metadata = TextMetadata("utf-8", language, channel)
        return cls(DataType.TEXT, text, session_id, time.time(), metadata)

    @classmethod
    def json(cls, value: Any, session_id: str = "") -> RuntimeData:
        """A text that holds a JSON value."""
        return cls.text(json.dumps(value), session_id)

    @classmethod
    def tensor(
        cls, data: Any, session_id: str = "", dtype: TensorType = TensorType.F32
    ) -> RuntimeData:
        """A tensor, as an array or nested lists."""
        if not hasattr(data, "dtype"):
            import numpy as np

            data = np.array(data)
        metadata = TensorMetadata(data.shape, dtype)
        return cls(DataType.TENSOR, data, session_id, time.time(), metadata)

    @classmethod
    def numpy(cls, array: NDArray[Any], session_id: str = "") -> RuntimeData:
        """An array as it is."""
        return cls(DataType.NUMPY, array, session_id, time.time())

    @classmethod
    def control_message(
        cls,
        message_type: ControlMessageType,
        segment_id: str | None = None,
        session_id: str = "",
        **details: Any,
    ) -> RuntimeData:
        """A control message with the further fields of `ControlMessageMetadata`, and `metadata`."""
        extra = details.pop("metadata", None)
        metadata = ControlMessageMetadata(message_type, segment_id, **details, extra=extra)
        payload = {"message_type": message_type.value, "segment_id": segment_id, **details}
        if extra is not None:
            payload["metadata"] = extra
        return cls(DataType.CONTROL_MESSAGE, payload, session_id, time.time(), metadata)

    @classmethod
    def file(cls, path: str, session_id: str = "", **about: Any) -> RuntimeData:
        """A file by its path; further arguments are the fields of `FileMetadata`."""
        metadata = FileMetadata(path, **about)
        return cls(DataType.FILE, dict(vars(metadata)), session_id, time.time(), metadata)


__all__ = [
    "AudioFormat",
    "AudioMetadata",
    "ControlMessageMetadata",
    "ControlMessageType",
    "DataType",
    "FileMetadata",
    "RuntimeData",
    "TensorMetadata",
    "TensorType",
    "TextMetadata",
    "VideoFormat",
    "VideoMetadata",
]

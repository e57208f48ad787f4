"""Kinds of `RuntimeData`, and what is known about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class DataType(Enum):
    """The kind of a `RuntimeData`."""

    AUDIO = 1
    VIDEO = 2
    TEXT = 3
    TENSOR = 4
    CONTROL_MESSAGE = 5
    NUMPY = 6
    FILE = 7


class AudioFormat(Enum):
    """Formats of samples."""

    F32 = 1
    I16 = 2
    I24 = 3
    I32 = 4
    U8 = 5


class VideoFormat(Enum):
    """Formats of pixels."""

    RGB = 1
    RGBA = 2
    YUV420 = 3
    YUV422 = 4
    YUV444 = 5
    BGR = 6


class TensorType(Enum):
    """Types of a tensor's elements."""

    F32 = 1
    F64 = 2
    I32 = 3
    I64 = 4
    U8 = 5
    U16 = 6


class ControlMessageType(Enum):
    """Kinds of control messages."""

    CANCEL_SPECULATION = "CancelSpeculation"
    BATCH_HINT = "BatchHint"
    DEADLINE_WARNING = "DeadlineWarning"


@dataclass
class AudioMetadata:
    """About samples; `sample_rate` in Hz, `duration_ms` in milliseconds."""

    sample_rate: int
    channels: int
    format: AudioFormat
    duration_ms: int
    annotations: dict[str, Any] | None = None


@dataclass
class VideoMetadata:
    """About a frame; sizes in pixels, `fps` in frames per second."""

    width: int
    height: int
    format: VideoFormat
    fps: float


@dataclass
class TextMetadata:
    """About a text: its encoding, its language as in ISO 639-1, and the channel it is meant for."""

    encoding: str = "utf-8"
    language: str | None = None
    channel: str = "tts"


@dataclass
class TensorMetadata:
    """About a tensor."""

    shape: tuple[int, ...]
    dtype: TensorType


@dataclass
class ControlMessageMetadata:
    """About a control message; timestamps in microseconds."""

    message_type: ControlMessageType
    segment_id: str | None = None
    from_timestamp: int | None = None
    to_timestamp: int | None = None
    suggested_batch_size: int | None = None
    deadline_us: int | None = None
    extra: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ControlMessageMetadata:
        """Read it from `{"message_type": {NAME: {...}}, "segment_id", "metadata"}`.

        Raises:
            ValueError: the name is unknown.
        """
        named = data.get("message_type", {})
        details: Mapping[str, Any] = {}
        for kind in ControlMessageType:
            if kind.value in named:
                details = named[kind.value] if isinstance(named, Mapping) else {}
                break
        else:
            known = ", ".join(kind.value for kind in ControlMessageType)
            raise ValueError(f"unknown control message {named!r}; known: {known}")
        return cls(
            kind,
            data.get("segment_id"),
            details.get("from_timestamp"),
            details.get("to_timestamp"),
            details.get("suggested_batch_size"),
            details.get("deadline_us"),
            data.get("metadata"),
        )


@dataclass
class FileMetadata:
    """A file by its path; sizes and places in bytes. It does not hold the content."""

    path: str
    filename: str | None = None
    mime_type: str | None = None
    size: int | None = None
    offset: int | None = None
    length: int | None = None
    stream_id: str | None = None

    @classmethod
    def from_ipc(cls, *values: Any) -> FileMetadata:
        """Make it of its fields in order."""
        return cls(*values)


__all__ = [
    "AudioFormat",
    "AudioMetadata",
    "ControlMessageMetadata",
    "ControlMessageType",
    "DataType",
    "FileMetadata",
    "TensorMetadata",
    "TensorType",
    "TextMetadata",
    "VideoFormat",
    "VideoMetadata",
]

"""Types of the original SDK for what its nodes take and return, for annotations in old programs.

Errors are raised here (docs/migration.md), so no node returns one of the types for errors.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

CalculatorOperation = Literal["add", "multiply", "subtract", "divide", "power", "modulo"]
PassThroughInput = PassThroughOutput = BufferInput = Any
DataTransformInput = DataTransformOutput = Any
FormatConverterInput = FormatConverterOutput = Any
TextTransformInput = TextTransformOutput = str | tuple[Any, ...]
ExtractAudioDataOutput = Any


class _Error(TypedDict):
    error: str
    input: Any
    processed_by: str


class PassThroughError(_Error):
    """An error of `PassThroughNode`."""


class BufferError(_Error):  # noqa: A001  # the original's name
    """An error of `BufferNode`."""


class DataTransformError(_Error):
    """An error of `DataTransform`."""


class FormatConverterError(_Error):
    """An error of `FormatConverter`."""


class TextTransformError(_Error):
    """An error of `TextTransformNode`."""


class AudioTransformError(_Error):
    """An error of `AudioTransform`."""


class AudioResamplerError(_Error):
    """An error of `AudioResampler`."""


class ExtractAudioDataError(_Error):
    """An error of `ExtractAudioDataNode`."""


class BufferOutput(TypedDict):
    """Collected items."""

    buffer: list[Any]
    count: int
    processed_by: str


class _Audio(TypedDict):
    audio_data: Any
    sample_rate: int


class AudioTransformInput(_Audio):
    """An item of `AudioTransform`."""


class AudioTransformOutput(_Audio):
    """An output of `AudioTransform`."""

    processed_by: str
    node_config: dict[str, Any]


class AudioResamplerInput(_Audio):
    """An item of `AudioResampler`."""


class AudioResamplerOutput(_Audio):
    """An output of `AudioResampler`."""

    processed_by: str


class ExtractAudioDataInput(_Audio):
    """An item of `ExtractAudioDataNode`."""


class CalculatorInput(TypedDict):
    """An item of `CalculatorNode`."""

    operation: CalculatorOperation
    args: list[float]


class CalculatorOutput(CalculatorInput):
    """An output of `CalculatorNode`."""

    result: float
    processed_by: str
    node_config: dict[str, Any]


class CalculatorError(TypedDict):
    """An error of `CalculatorNode`."""

    error: str
    operation: str | None
    args: Any
    processed_by: str


class TextProcessorInput(TypedDict):
    """An item of `TextProcessorNode`."""

    text: str
    operations: list[str]


class TextProcessorOutput(TypedDict):
    """An output of `TextProcessorNode`."""

    original_text: str
    operations: list[str]
    results: dict[str, Any]
    processed_by: str
    node_config: dict[str, Any]


class TextProcessorError(TextProcessorInput):
    """An error of `TextProcessorNode`."""

    error: str
    processed_by: str


class CodeExecutorInput(TypedDict):
    """An item of `CodeExecutorNode`."""

    code: str
    input: Any


class CodeExecutorOutput(TypedDict):
    """An output of `CodeExecutorNode`."""

    executed_code: str
    input: Any
    result: Any
    processed_by: str
    node_config: dict[str, Any]


class CodeExecutorError(TypedDict):
    """An error of `CodeExecutorNode`."""

    error: str
    code: str | None
    input: Any
    processed_by: str


class SerializedClassExecutorInput(TypedDict):
    """An item of `SerializedClassExecutorNode`."""

    serialized_object: str
    method_name: str
    method_args: list[Any] | None
    method_kwargs: dict[str, Any] | None


class SerializedClassExecutorOutput(TypedDict):
    """An output of `SerializedClassExecutorNode`."""

    result: Any
    updated_serialized_object: str
    processed_by: str


class SerializedClassExecutorError(TypedDict):
    """An error of `SerializedClassExecutorNode`."""

    error: str
    error_type: str
    method_name: str | None
    processed_by: str

"""`Serializer` with its two kinds. Items need neither: they travel to workers by themselves."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from remotemedia import _pickle


class Serializer(ABC):
    """Makes bytes of a value, and a value of bytes."""

    @abstractmethod
    def serialize(self, data: Any) -> bytes:
        """The value as bytes."""

    @abstractmethod
    def deserialize(self, data: bytes) -> Any:
        """The value that `serialize` was given."""


class JSONSerializer(Serializer):
    """As JSON in UTF-8: tuples become lists, and only plain values are possible."""

    def serialize(self, data: Any) -> bytes:
        """The value as bytes.

        Raises:
            TypeError: JSON cannot hold it.
        """
        return json.dumps(data).encode()

    def deserialize(self, data: bytes) -> Any:
        """The value.

        Raises:
            ValueError: the bytes are not JSON.
        """
        return json.loads(data)


class PickleSerializer(Serializer):
    """As a pickle, with classes and functions that another process could not import."""

    def serialize(self, data: Any) -> bytes:
        """The value as bytes.

        Raises:
            TypeError: it cannot be pickled.
        """
        try:
            return _pickle.dumps(data)
        except _pickle.UnpicklableError as problem:
            raise TypeError(
                f"value{problem.path} ({problem.type_name}) cannot be pickled: {problem.reason}"
            ) from problem

    def deserialize(self, data: bytes) -> Any:
        """The value. Loading a pickle can run code: pass only your own."""
        return _pickle.loads(data)


__all__ = ["JSONSerializer", "PickleSerializer", "Serializer"]

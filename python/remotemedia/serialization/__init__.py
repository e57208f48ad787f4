"""Values as bytes and back, under the names of the original SDK."""

from remotemedia.serialization.base import JSONSerializer, PickleSerializer, Serializer

__all__ = ["JSONSerializer", "PickleSerializer", "Serializer"]

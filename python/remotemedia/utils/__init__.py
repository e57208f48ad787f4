"""Helpers under the names of the original SDK."""

from remotemedia._lazy import lazy_attributes
from remotemedia.utils.logging import setup_logging

__getattr__, __dir__ = lazy_attributes(__name__, {}, modules=("logging",))

__all__ = ["setup_logging"]

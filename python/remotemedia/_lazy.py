"""Package attributes that are imported on first use (PEP 562).

This keeps `import remotemedia` quick: it imports neither numpy nor the native module. Names and
modules of the original SDK that are not part of this package are found here too (`_elsewhere`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


_HISTORIC = frozenset(
    {
        *("audio_pressure", "channel", "control", "data", "examples", "get_grpc_stream_manager"),
        *("grpc_source", "ml", "multiprocess_test_nodes", "omniasr", "packaging", "persistence"),
        *("pipeline", "remote", "runner", "runtime_data", "runtime_wrapper", "session"),
        *("setup_signal_handlers", "simple_pytorch_test", "test_echo", "text_collector"),
        *("transcription", "tts", "tts_cosyvoice3", "tts_vibevoice", "tts_voxtral", "video"),
        "webrtc",
    }
)
"""Names in lower case that packages here have only in `_elsewhere`. Python asks a package for other
such names too: those of its own modules, whenever one is imported from it.
"""


def lazy_attributes(
    package: str, homes: Mapping[str, tuple[str, ...]], modules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions `__getattr__` and `__dir__` of a package.

    Args:
        package: `__name__` of the package.
        homes: for each module of the package the names that it provides.
        modules: modules of the package that are attributes of it without having been imported.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def get_attribute(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in home_of:
            return historic(package, name)
        value = getattr(importlib.import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of, *modules})

    return get_attribute, list_attributes


def historic(module: str, name: str) -> Any:
    """What the original SDK had under a name that a module does not have here.

    Raises:
        AttributeError: it had no such name.
    """
    if name in _HISTORIC or not (name.islower() or name.startswith("_")):
        from remotemedia import _elsewhere

        return _elsewhere.attribute(module, name)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


class HistoricModules:
    """An import finder, last in `sys.meta_path`, of the original's modules that have no file."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The spec of such a module; None for all other names."""
        if not name.startswith("remotemedia."):
            return None
        from remotemedia import _elsewhere

        return _elsewhere.spec(name)


def find_historic_modules() -> None:
    """Have the import system find the original's modules."""
    if HistoricModules not in sys.meta_path:
        sys.meta_path.append(HistoricModules)


__all__ = ["HistoricModules", "find_historic_modules", "historic", "lazy_attributes"]

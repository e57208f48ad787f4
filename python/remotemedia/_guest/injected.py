"""Modules that the configuration provides to workers: the table `[python] modules`."""

from __future__ import annotations

import sys
from typing import Any


class Injected:
    """Finds and loads the modules of the configuration; they take precedence over all others.

    Args:
        modules: for each name `{"file": path}` or `{"source": text}`.
    """

    def __init__(self, modules: dict[str, dict[str, str]]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a module of the configuration, or None for any other name."""
        given = self._modules.get(name)
        if given is None:
            return None
        from importlib.machinery import ModuleSpec

        origin = given.get("file") or f"<injected {name}>"
        is_package = any(other.startswith(f"{name}.") for other in self._modules)
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: Any) -> None:
        """Return None: Python makes the module object."""

    def exec_module(self, module: Any) -> None:
        """Run the module's source.

        Raises:
            ImportError: the file with the source cannot be read.
        """
        import linecache

        name, origin = module.__name__, module.__spec__.origin
        text = self.get_source(name)
        if "file" not in self._modules[name]:
            linecache.cache[origin] = (len(text), None, text.splitlines(keepends=True), origin)
        exec(compile(text, origin, "exec", dont_inherit=True), vars(module))

    def get_source(self, name: str) -> str:
        """The source of a module, also used for tracebacks and by `inspect`.

        Raises:
            ImportError: the file with the source cannot be read.
        """
        given = self._modules[name]
        if "file" not in given:
            return given["source"]
        try:
            with open(given["file"], encoding="utf-8") as file:  # noqa: PTH123  (no pathlib here)
                return file.read()
        except OSError as problem:
            raise ImportError(
                f"cannot read {given['file']!r}, the configured file of module {name!r}: {problem}",
                name=name,
                path=given["file"],
            ) from problem


def install(modules: str) -> None:
    """Make the configured modules importable. A second call replaces those of the first.

    Args:
        modules: the argument of `Injected` as JSON; empty for no modules.
    """
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, Injected)]
    if modules:
        import json

        sys.meta_path.insert(0, Injected(json.loads(modules)))

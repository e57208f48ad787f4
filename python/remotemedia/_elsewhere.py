"""Names of the original SDK whose subjects are not part of this package.

Each of them can be imported from its historic places. Calling it, subclassing it or reading an
attribute of it raises an error that says what to use instead. The table is `_elsewhere_names`;
modules that have no file here are made from it when they are imported (see `_lazy`).
"""

from __future__ import annotations

import importlib.machinery
import types
from collections.abc import Iterable
from functools import partial
from importlib.abc import Loader
from typing import Any, NoReturn

from remotemedia._elsewhere_names import ADVICE, MOVED, NAMES

_ROOT = "remotemedia."


class _Elsewhere(type):
    """The type of such names: they are classes, so that `isinstance` and annotations work."""

    _subject: str

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> _Elsewhere:
        for base in bases:
            if isinstance(base, _Elsewhere):
                base._refuse()
        return super().__new__(cls, name, bases, attributes)

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise the error."""
        cls._refuse()

    def __getattr__(cls, name: str) -> NoReturn:
        """Raise the error; an AttributeError for private names, which tools look for."""
        if name.startswith("_"):
            raise AttributeError(name)
        cls._refuse()

    def __bool__(cls) -> bool:
        """False, for flags such as `RUNTIME_DATA_AVAILABLE`."""
        return False

    def _refuse(cls) -> NoReturn:
        from remotemedia.core.error import RemoteMediaError

        raise RemoteMediaError(
            f"{cls.__name__} of the original SDK is not part of RemoteMedia: "
            f"{ADVICE[cls._subject]} (docs/migration.md)",
            operation="use",
        )


def find(package: str, name: str) -> Any:
    """What a module has under a historic name, or None.

    Args:
        package: full name of the module.
        name: the name in it.
    """
    # The original had all names of its nodes at the top level too.
    place = "remotemedia.nodes" if package == "remotemedia" else package
    home = _MOVED.get(place, {}).get(name)
    if home is not None:
        return getattr(importlib.import_module(home), name)
    subject = _SUBJECTS.get(place, {}).get(name)
    if subject is None:
        return None
    made = _made.get((subject, name))
    if made is None:
        made = _made[subject, name] = _make(package, name, subject)
    return made


def attribute(module: str, name: str) -> Any:
    """What a module has under a historic name, or a historic module in it.

    Raises:
        AttributeError: it has neither.
    """
    if (found := find(module, name)) is not None:
        return found
    if is_module(f"{module}.{name}"):
        return importlib.import_module(f"{module}.{name}")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def is_module(name: str) -> bool:
    """Whether there is a historic module, or package of such modules, of this full name."""
    return any(module == name or module.startswith(f"{name}.") for module in _MODULES)


def spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """The spec to import a historic module that has no file here; None for any other name."""
    if not is_module(name):
        return None
    is_package = any(module.startswith(f"{name}.") for module in _MODULES)
    return importlib.machinery.ModuleSpec(name, _Loader(), is_package=is_package)


class _Loader(Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        names = [*_SUBJECTS.get(spec.name, ()), *_MOVED.get(spec.name, ())]
        module = types.ModuleType(spec.name, "A module of the original SDK (docs/migration.md).")
        vars(module).update(
            __all__=sorted(names),
            __getattr__=partial(attribute, spec.name),
            __dir__=lambda: sorted({*vars(module), *names}),
        )
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Does nothing: names are found when they are asked for."""


def _read(rows: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """By full name of the module, what the rows say about each of its names."""
    by_module: dict[str, dict[str, str]] = {}
    for modules, said, names in rows:
        for module in modules.split():
            by_module.setdefault(_ROOT + module, {}).update(dict.fromkeys(names.split(), said))
    return by_module


_SUBJECTS = _read((modules, subject, names) for subject, modules, names in NAMES)
_MOVED = _read((module, _ROOT + home, names) for module, home, names in MOVED)
_MODULES = (*_SUBJECTS, *_MOVED)
_made: dict[tuple[str, str], Any] = {}
"""The stand-ins: one object for all modules that have the same name and subject."""


def _make(package: str, name: str, subject: str) -> Any:
    if name.endswith("Error"):
        # `except` takes classes of exceptions only.
        from remotemedia.core.error import RemoteMediaError

        return type(
            name, (RemoteMediaError, RuntimeError), {"__module__": package, "of_original": True}
        )
    return _Elsewhere(name, (), {"__module__": package, "_subject": subject})


__all__ = ["attribute", "find", "is_module", "spec"]

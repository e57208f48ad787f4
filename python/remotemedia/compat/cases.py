"""The cases that show what runs where: small programs with the value that they must give.

They stand in `data/language/*.toml` (features of the language) and `data/modules/*.toml` (modules
of the standard library). A file begins with its `area` and holds blocks

    [[case]]
    name = "what it shows"       # for modules: `module = "json"`, and a `name` where it has several
    code = '''...'''             # ends with an assignment to `result`
    gives = "..."                # repr of `result`
    needs = "_tkinter"           # an extension module that not every build of CPython has
    note = "..."                 # what is true and cannot be shown in one run
    [[case.differs]]             # a known difference
    on = ["rustpython", "3.12+"] # where: RustPython, or CPython from a version on
    shows = "..."                # what happens there instead, as `measure.Outcome.shows` words it
    reason = "..."
    workaround = "..."           # may be left out
    refused = true               # a worker refuses it unless the configuration allows it
    names = ["module.Name", ...] # what a program that comes upon it names; may be left out

A difference is exact: an interpreter that shows something else than recorded, the right value
included, is not what the record says.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGE = "language"
MODULES = "modules"


@dataclass(frozen=True)
class Target:
    """An interpreter as differences name it: its implementation, and (major, minor)."""

    implementation: str
    version: tuple[int, int]

    def is_meant_by(self, name: str) -> bool:
        """Whether `rustpython` or `3.12+` means this one."""
        if name == "rustpython" or self.implementation != "cpython":
            return name == self.implementation
        return self.version >= _from_version(name)

    @property
    def label(self) -> str:
        """As people write it."""
        if self.implementation == "rustpython":
            return "RustPython"
        return f"CPython {self.version[0]}.{self.version[1]}"


# As differences name it; its version decides nothing there.
RUSTPYTHON = Target("rustpython", (3, 14))


def _from_version(name: str) -> tuple[int, int]:
    major, _, minor = name.removesuffix("+").partition(".")
    return int(major), int(minor)


@dataclass(frozen=True)
class Difference:
    """What some interpreters show instead, why, and what to do about it."""

    on: tuple[str, ...]
    shows: str
    reason: str
    workaround: str = ""
    refused: bool = False
    names: tuple[str, ...] = ()

    def applies(self, target: Target) -> bool:
        """Whether it is one on `target`."""
        return any(target.is_meant_by(name) for name in self.on)


@dataclass(frozen=True)
class Case:
    """One small program. `module` is what it exercises, or None for a language feature."""

    id: str
    area: str
    name: str
    code: str
    gives: str
    module: str | None = None
    needs: str | None = None
    note: str = ""
    differs: tuple[Difference, ...] = ()

    def difference(self, target: Target) -> Difference | None:
        """The difference recorded for `target`."""
        return next((d for d in self.differs if d.applies(target)), None)

    def expected(self, target: Target) -> str:
        """What it has to show there."""
        difference = self.difference(target)
        return difference.shows if difference else self.gives


@cache
def cases(kind: str) -> tuple[Case, ...]:
    """The cases of `LANGUAGE` or of `MODULES`, in the order of their files."""
    folder = files("remotemedia.compat") / "data" / kind
    tables = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    found: list[Case] = []
    for table in tables:
        content = tomllib.loads(table.read_text(encoding="utf-8"))
        found.extend(_case(content["area"], entry) for entry in content["case"])
    return tuple(found)


def _tuples(entry: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(entry.get(name, ())) for name in ("on", "names")}


def _case(area: str, entry: dict[str, Any]) -> Case:
    differs = [Difference(**{**d, **_tuples(d)}) for d in entry.pop("differs", ())]
    module = entry.get("module")
    name = entry.pop("name", module)
    return Case(
        id=f"{area}: {name}" if name != module else f"{module}",
        area=area,
        name=name,
        differs=tuple(differs),
        **entry,
    )


__all__ = ["LANGUAGE", "MODULES", "RUSTPYTHON", "Case", "Difference", "Target", "cases"]

"""The cases of the language and the standard library: small programs with the value that they give.

They stand in `data/language/*.toml` (features of the language) and `data/modules/*.toml` (modules
of the standard library). A file begins with its `area` and holds blocks

    [[case]]
    name = "what it shows"       # for modules: `module = "json"`, and a `name` where it has several
    code = '''...'''             # ends with an assignment to `result`
    gives = "..."                # repr of `result`
    needs = "_tkinter"           # an extension module that not every build of CPython has
    note = "..."                 # a difference that one run cannot show
    [[case.differs]]             # a known difference
    on = ["rustpython", "3.12+"] # where: RustPython, or CPython from a version on
    shows = "..."                # what happens there instead, as in `measure.Outcome.shows`
    reason = "..."
    workaround = "..."           # may be left out
    refused = true               # a worker refuses it unless the configuration allows it

A difference is exact: a test fails when an interpreter shows anything else than recorded, even the
right value.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
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
        """The name with its version."""
        if self.implementation == "rustpython":
            return "RustPython"
        return f"CPython {self.version[0]}.{self.version[1]}"


# Differences name it without a version.
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
        """What it must show on `target`."""
        difference = self.difference(target)
        return difference.shows if difference else self.gives


@cache
def cases(kind: str) -> tuple[Case, ...]:
    """The cases of `LANGUAGE` or of `MODULES`, in the order of their files."""
    tables = sorted((DATA / kind).glob("*.toml"))
    found: list[Case] = []
    for table in tables:
        content = tomllib.loads(table.read_text(encoding="utf-8"))
        found.extend(_case(content["area"], entry) for entry in content["case"])
    return tuple(found)


def _case(area: str, entry: dict[str, Any]) -> Case:
    differs = [Difference(**{**d, "on": tuple(d["on"])}) for d in entry.pop("differs", ())]
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

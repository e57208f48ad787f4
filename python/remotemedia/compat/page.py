"""`docs/compatibility.md` and the command's tables, made of what is recorded with the cases."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from remotemedia.compat.cases import LANGUAGE, MODULES, RUSTPYTHON, Case, Target, cases
from remotemedia.compat.measure import GONE

CPYTHONS = tuple(Target("cpython", (3, minor)) for minor in (11, 12, 13))

_HEAD = """\
# Compatibility

What runs on CPython 3.11 to 3.13 and on RustPython. Made by `make compatibility` from the cases in
`python/remotemedia/compat/data`, which the tests run on every interpreter: a row that is no longer
true fails them. `remotemedia compat --measure` runs them on your machine, and
`remotemedia compat my_nodes.py` tells the same of your own nodes.
"""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    name: str
    cpython: str
    rustpython: str
    reason: str = ""
    workaround: str = ""

    @property
    def why(self) -> str:
        """Reason and workaround in one text."""
        return "; ".join(text for text in (self.reason, self.workaround) if text)

    def as_json(self) -> dict[str, str]:
        """The row with the columns' names."""
        return vars(self)

    def as_markdown(self) -> str:
        """The row of a table."""
        cells = (f"`{self.name}`", self.cpython, self.rustpython, self.reason, self.workaround)
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def modules_table() -> list[Row]:
    """A row for each module of CPython 3.11's standard library."""
    by_module: dict[str, list[Case]] = {}
    for case in cases(MODULES):
        by_module.setdefault(str(case.module), []).append(case)
    return [_module_row(name, of_it) for name, of_it in sorted(by_module.items())]


def _module_row(name: str, of_it: Sequence[Case]) -> Row:
    cpython = _on_cpython([target for target in CPYTHONS if _status(of_it, target) == "works"])
    status = _status(of_it, RUSTPYTHON)
    told = [case for case in of_it if case.difference(RUSTPYTHON)]
    return Row(
        name,
        cpython,
        status,
        _joined(told, lambda d: d.reason) or "; ".join(case.note for case in of_it if case.note),
        _joined(told, lambda d: d.workaround),
    )


def _joined(of_it: Iterable[Case], text: Any) -> str:
    parts = []
    for case in of_it:
        difference = case.difference(RUSTPYTHON)
        if difference and text(difference):
            name = "" if case.name == case.module else f"`{case.name}`: "
            parts.append(name + text(difference))
    return "; ".join(parts)


def _status(of_it: Sequence[Case], target: Target) -> str:
    """works, partly, refused or missing."""
    differs = [case.difference(target) for case in of_it]
    if not any(differs):
        return "works"
    for case, difference in zip(of_it, differs, strict=True):
        if case.name == case.module and difference:
            if difference.refused:
                return "refused" if all(d and d.refused for d in differs) else "partly"
            if difference.shows in GONE:
                return "missing"
    return "partly"


def _on_cpython(works: Sequence[Target]) -> str:
    if len(works) == len(CPYTHONS):
        return "works"
    if not works:
        return "missing"
    return f"up to {works[-1].version[0]}.{works[-1].version[1]}"


def language_table() -> list[Row]:
    """A row for each area of the language, and one for each case that differs."""
    rows = []
    areas: dict[str, list[Case]] = {}
    for case in cases(LANGUAGE):
        areas.setdefault(case.area, []).append(case)
    for area, of_it in areas.items():
        same = [case for case in of_it if not case.differs]
        if same:
            rows.append(Row(area, f"{len(same)} cases", f"{len(same)} cases"))
    for case in cases(LANGUAGE):
        difference = case.difference(RUSTPYTHON)
        if difference:
            told = (_short(case.gives), _short(difference.shows))
            rows.append(Row(case.name, *told, difference.reason, difference.workaround))
    return rows


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def nodes_table(kind: str) -> list[Row]:
    """A row for each node of the SDK (`node`) or each example (`example`)."""
    return [
        Row(
            entry["name"],
            "works",
            entry["rustpython"],
            entry.get("reason", ""),
            entry.get("workaround", ""),
        )
        for entry in recorded(kind)
    ]


def recorded(kind: str) -> list[dict[str, Any]]:
    """The entries `node` or `example` of data/nodes.toml."""
    text = (files("remotemedia.compat") / "data" / "nodes.toml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)[kind]
    return entries


def page() -> str:
    """The whole page."""
    modules = modules_table()
    counts: dict[str, int] = {}
    for row in modules:
        counts[row.rustpython] = counts.get(row.rustpython, 0) + 1
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return "\n".join(
        [
            _HEAD,
            f"{len(cases(LANGUAGE))} cases of the language, {len(cases(MODULES))} cases of the "
            f"{len(modules)} modules\nof CPython 3.11's standard library. On RustPython: {told}.\n",
            *_table("Nodes of the SDK", "node", nodes_table("node")),
            *_table("Examples", "example", nodes_table("example")),
            *_table("Language", "feature", language_table()),
            *_table("Standard library", "module", modules),
        ]
    )


def _table(title: str, first: str, rows: Sequence[Row]) -> list[str]:
    return [
        f"## {title}\n",
        f"| {first} | CPython | RustPython | reason | workaround |",
        "|---|---|---|---|---|",
        *(row.as_markdown() for row in rows),
        "",
    ]


__all__ = ["CPYTHONS", "Row", "language_table", "modules_table", "nodes_table", "page", "recorded"]

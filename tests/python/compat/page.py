"""Makes `docs/compatibility.md` of what is recorded with the cases: in full what differs, and one
sentence for the rest. `python -m compat.page` prints it.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from compat.cases import DATA, LANGUAGE, MODULES, RUSTPYTHON, Case, Difference, Target, cases
from compat.measure import GONE

CPYTHONS = tuple(Target("cpython", (3, minor)) for minor in (11, 12, 13))
WORKS = "works"

_HEAD = """\
# Compatibility

What differs between CPython 3.11 to 3.13 and RustPython. `make compatibility` writes this page from
the cases in `tests/python/compat/data`, which the tests run on every interpreter: a line that is no
longer true fails them. `remotemedia compat my_nodes.py` shows which of your own nodes work on which
interpreter.
"""


@dataclass(frozen=True)
class Row:
    """One module of the standard library."""

    name: str
    cpython: str
    rustpython: str
    reason: str = ""
    workaround: str = ""

    @property
    def differs(self) -> bool:
        """Whether there is anything to say about it."""
        return (self.cpython, self.rustpython) != (WORKS, WORKS) or bool(self.reason)


def modules_table() -> list[Row]:
    """A row for each module of CPython 3.11's standard library."""
    by_module: dict[str, list[Case]] = {}
    for case in cases(MODULES):
        by_module.setdefault(str(case.module), []).append(case)
    return [_module_row(name, of_it) for name, of_it in sorted(by_module.items())]


def _module_row(name: str, of_it: Sequence[Case]) -> Row:
    cpython = _on_cpython([target for target in CPYTHONS if _status(of_it, target) == WORKS])
    notes = "; ".join(case.note for case in of_it if case.note)
    return Row(
        name,
        cpython,
        _status(of_it, RUSTPYTHON),
        _joined(of_it, lambda difference: difference.reason) or notes,
        _joined(of_it, lambda difference: difference.workaround),
    )


def _joined(of_it: Iterable[Case], text: Callable[[Difference], str]) -> str:
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
        return WORKS
    for case, difference in zip(of_it, differs, strict=True):
        if case.name == case.module and difference:
            if difference.refused:
                return "refused" if all(d and d.refused for d in differs) else "partly"
            if difference.shows in GONE:
                return "missing"
    return "partly"


def _on_cpython(works: Sequence[Target]) -> str:
    if len(works) == len(CPYTHONS):
        return WORKS
    if not works:
        return "missing"
    return f"up to {works[-1].version[0]}.{works[-1].version[1]}"


def recorded(kind: str) -> list[dict[str, Any]]:
    """The entries `node` or `example` of data/nodes.toml."""
    entries: list[dict[str, Any]] = tomllib.loads((DATA / "nodes.toml").read_text("utf-8"))[kind]
    return entries


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_library(), *_language(), *_nodes(), *_examples()])


def _library() -> list[str]:
    rows = modules_table()
    same = [f"`{row.name}`" for row in rows if not row.differs]
    sentence = (
        f"Of the {len(rows)} modules of CPython 3.11's standard library these {len(same)} work on "
        f"both: {', '.join(same)}."
    )
    head = ("module", "CPython", "RustPython", "why", "use instead")
    differing = [
        (f"`{row.name}`", row.cpython, row.rustpython, row.reason, row.workaround)
        for row in rows
        if row.differs
    ]
    return ["## Standard library\n", *_table(head, differing), _wrapped(sentence), ""]


def _language() -> list[str]:
    differing, same = [], dict[str, int]()
    for case in cases(LANGUAGE):
        difference = case.difference(RUSTPYTHON)
        if difference is None:
            same[case.area] = same.get(case.area, 0) + 1
            continue
        shows = (_short(case.gives), _short(difference.shows))
        differing.append((case.name, *shows, difference.reason, difference.workaround))
    areas = ", ".join(f"{area} {count}" for area, count in same.items())
    sentence = f"The other {sum(same.values())} cases give the same on both: {areas}."
    head = ("feature", "CPython", "RustPython", "why", "use instead")
    return ["## Language\n", *_table(head, differing), _wrapped(sentence), ""]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nodes() -> list[str]:
    alike: dict[tuple[str, str, str], list[str]] = {}
    for entry in recorded("node"):
        texts = (entry["rustpython"], entry.get("reason", ""), entry.get("workaround", ""))
        alike.setdefault(texts, []).append(f"`{entry['name']}`")
    same = alike.pop((WORKS, "", ""), [])
    sentence = f"The other nodes give the same on both: {', '.join(same)}."
    head = ("nodes", "where they run when RustPython is chosen", "why", "use instead")
    rows = [(", ".join(names), *texts) for texts, names in alike.items()]
    return ["## Nodes of the SDK\n", *_table(head, rows), _wrapped(sentence), ""]


def _examples() -> list[str]:
    sentence = "Every program in `examples/` prints the same on both."
    lines = [f"- `{entry['name']}`: {entry['reason']}." for entry in recorded("example")]
    return ["## Examples\n", sentence, "", *lines, ""]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    table = [head, ["---"] * len(head), *lines]
    return [*(f"| {' | '.join(row)} |" for row in table), ""]


__all__ = ["CPYTHONS", "Row", "modules_table", "page", "recorded"]

if __name__ == "__main__":
    print(page(), end="")  # noqa: T201

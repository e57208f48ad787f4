"""Makes `docs/original-names.md`: every public name of the original SDK, by importing it.

`python -m original.page` prints it.
"""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from remotemedia import RemoteMediaError
from remotemedia._elsewhere import _Elsewhere

HERE = Path(__file__).parent
TESTS = HERE.parent

_HEAD = """\
# Names of the original SDK

Every public name of the original SDK, in version 0.2.0 ("V") and in its last state ("H"), and what
an import gives here. `make original-names` writes this page by importing each from all its places;
a test fails while it is out of date, and when an import fails. Differences in behaviour are in
[migration.md](migration.md).

- "here": the name is here and does what it did. The last column has the file below
  `tests/python` that tests it; types for annotations have none.
- Anything else: the import works, and using the name raises an error with this advice.
"""


@dataclass(frozen=True)
class Name:
    """A name with its places.

    Attributes:
        name: the name.
        places: full names of modules.
        versions: "VH", "V" or "H".
    """

    name: str
    places: tuple[str, ...]
    versions: str

    def found(self) -> Any:
        """What its first place has. All others must have the same."""
        objects = [getattr(importlib.import_module(place), self.name) for place in self.places]
        for place, value in zip(self.places, objects, strict=True):
            assert value is objects[0], f"{place}.{self.name} is another object"
        return objects[0]

    def advice(self) -> str | None:
        """What to use instead; None if it is here."""
        value = self.found()
        if isinstance(value, _Elsewhere):
            try:
                value()
            except RemoteMediaError as refused:
                return refused.message.partition("RemoteMedia: ")[2].removesuffix(
                    " (docs/migration.md)"
                )
        if hasattr(value, "of_original"):
            return "an exception that nothing raises here"
        return None

    def is_type_only(self) -> bool:
        """Whether it is a type for annotations or metadata, without behaviour of its own."""
        value = self.found()
        return (
            getattr(value, "__module__", "") in ("remotemedia.nodes._shapes", "typing", "types")
            or not callable(value)
            or self.name.startswith("__")
        )

    def tested_in(self) -> str:
        """A file below tests/python that uses the name."""
        word = re.compile(rf"\b{re.escape(self.name)}\b")
        users = [path for path, text in _texts() if word.search(text)]
        return users[0] if users else ""


@cache
def _texts() -> Sequence[tuple[str, str]]:
    """Test files with their text, those of this folder first."""
    files = sorted(TESTS.rglob("test_*.py"), key=lambda path: (path.parent != HERE, path))
    return [(path.relative_to(TESTS).as_posix(), path.read_text()) for path in files]


def names() -> Iterator[Name]:
    """All names, in the order of the file; one of a package stands where it is defined too."""
    with (HERE / "names.toml").open("rb") as file:
        modules = tomllib.load(file)["module"]
    for module in modules:
        for name in module["names"]:
            yield Name(name, (module["name"], *module.get("also", ())), module["since"])


_EITHER = {True, False}


def page() -> str:
    """The page."""
    rows = [(name, name.advice()) for name in names()]
    lines = [_HEAD, "| | V | H |", "|---|---|---|"]
    for title, wanted in (("imports", _EITHER), ("here", {True}), ("say what to use", {False})):
        counts = [
            sum((advice is None) in wanted and version in name.versions for name, advice in rows)
            for version in "VH"
        ]
        lines.append(f"| {title} | {counts[0]} | {counts[1]} |")
    before = None
    for name, advice in rows:
        if name.places[0] != before:
            before = name.places[0]
            lines += [
                "",
                f"## `{before}`",
                "",
                "| name | | status | tested in |",
                "|---|---|---|---|",
            ]
        tested = "" if advice or name.is_type_only() else name.tested_in()
        more = "".join(f", also `{place}`" for place in name.places[1:])
        status = advice or "here"
        lines.append(f"| `{name.name}`{more} | {name.versions} | {status} | {tested} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

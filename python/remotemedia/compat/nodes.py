"""Where each node of somebody's file or package would run, and why: what its source imports, and
what happens when both interpreters load it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remotemedia.compat import _load_node
from remotemedia.compat.cases import MODULES, RUSTPYTHON, Case, cases
from remotemedia.compat.measure import GONE, Measured, Outcome, measure
from remotemedia.compat.scan import Import, NodeSource, nodes_in

_LOADED = "'loaded'"


@dataclass(frozen=True)
class Lack:
    """Why RustPython cannot import a module, or load a node.

    `reason` is `c_extension`, `stdlib_missing`, `not_installed`, `blocked` or `unsupported`, `path`
    a compiled file that cannot be used (or empty).
    """

    module: str
    reason: str
    path: str
    suggestion: str


@dataclass(frozen=True)
class Verdict:
    """One node: whether each interpreter runs it.

    `lacks` says why RustPython does not, `cpython_error` why CPython does not; `guarded` are
    modules that RustPython lacks and the node can do without; `notes` are parts of modules that
    the file names and RustPython does not have; `beside` are imports that the node does not use.
    """

    node: NodeSource
    lacks: tuple[Lack, ...]
    cpython_error: str
    guarded: tuple[Lack, ...]
    notes: tuple[str, ...]
    beside: tuple[str, ...]

    @property
    def on_rustpython(self) -> bool:
        """Whether RustPython would run it."""
        return not self.lacks

    @property
    def on_cpython(self) -> bool:
        """Whether this CPython would."""
        return not self.cpython_error

    def as_json(self) -> dict[str, Any]:
        """The verdict as data."""
        return {
            "node": self.node.name,
            "file": str(self.node.file),
            "line": self.node.line,
            "rustpython": self.on_rustpython,
            "cpython": self.on_cpython,
            "cpython_error": self.cpython_error,
            "lacks": [vars(lack) for lack in self.lacks],
            "can_do_without": [vars(lack) for lack in self.guarded],
            "notes": list(self.notes),
            "uses": sorted({used.module for used in self.node.uses}),
            "does_not_use": list(self.beside),
        }


def judge(
    path: Path, rustpython: str, cpython: str = sys.executable
) -> tuple[list[Verdict], list[str]]:
    """The verdicts on the nodes of a file or folder, in the order of their files and lines; and
    what is wrong with files that could not be looked at.

    Raises:
        Unusable: an interpreter does not run scripts.
    """
    nodes, problems = nodes_in(path)
    if not nodes:
        return [], problems
    search = [str(path.resolve().parent), *_installed()]
    todo = [_import_case(u, search) for u in sorted({_what(u) for n in nodes for u in n.uses})]
    todo += [_load_case(node, path, search) for node in nodes]
    there, here = measure([rustpython], todo), measure([cpython], todo)
    return [_verdict(node, there, here) for node in nodes], problems


def _installed() -> list[str]:
    """Where the packages of this environment are; the rest of sys.path is CPython's own library."""
    return [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]


def _what(used: Import) -> str:
    """The statement that imports it alone. What a file of one's own holds is found by loading it,
    and a star may stand in modules only.
    """
    is_of_library = used.module.partition(".")[0] in sys.stdlib_module_names
    if is_of_library and used.name not in ("", "*"):
        return f"from {used.module} import {used.name}"
    return f"import {used.module}"


def _import_case(statement: str, search: Sequence[str]) -> Case:
    code = f"import sys\nsys.path[:0] = {list(search)!r}\n{statement}\nresult = 'loaded'\n"
    return Case(statement, "imports", statement, code, _LOADED)


def _load_case(node: NodeSource, path: Path, search: Sequence[str]) -> Case:
    module = path.stem
    if path.is_dir():
        dotted = [path.resolve().name, *node.file.relative_to(path).with_suffix("").parts]
        module = ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)
    where = f"{list(search)!r}, {module!r}, {str(node.file.resolve())!r}, {node.name!r}"
    code = f"{inspect.getsource(_load_node)}\n\nresult = load({where}, {node.needs!r})\n"
    return Case(_load_id(node), "nodes", node.name, code, _LOADED)


def _load_id(node: NodeSource) -> str:
    return f"{node.file}:{node.line}"


def _verdict(node: NodeSource, there: Measured, here: Measured) -> Verdict:
    lacks: dict[str, Lack] = {}
    guarded: dict[str, Lack] = {}
    for used in node.uses:
        outcome = there.outcomes[_what(used)]
        if outcome.shows != _LOADED:
            (guarded if used.guarded else lacks).setdefault(
                used.module, _lack(used.module, outcome)
            )
    for lack in _refused(node):
        lacks.setdefault(lack.module, lack)
    loading = there.outcomes[_load_id(node)]
    # What is missing and used is also what loading fails for.
    if loading.shows != _LOADED and not (lacks and loading.shows in GONE):
        lacks[node.name] = _lack(node.name, loading)
    return Verdict(
        node,
        tuple(lacks.values()),
        _cpython_error(node, here),
        tuple(guarded.values()),
        tuple(_notes(node)),
        tuple(sorted({b.module for b in node.beside} - {u.module for u in node.uses})),
    )


def _lack(name: str, outcome: Outcome) -> Lack:
    if outcome.about:
        about = outcome.about
        # Of `ssl` it is `_ssl` that is missing; nobody imports that.
        module = about["root_package"].lstrip("_")
        return Lack(module, about["reason"], about["path"], about["suggestion"])
    told = f"{name} {outcome.shows}" + (f": {outcome.message}" if outcome.message else "")
    return Lack(name, "unsupported", "", f'{told}; runtime_hint="cpython" runs the node on CPython')


def _cpython_error(node: NodeSource, here: Measured) -> str:
    """What loading it or importing what it needs raised."""
    todo = [_what(u) for u in node.uses if not u.guarded] + [_load_id(node)]
    outcomes = (here.outcomes[case] for case in todo)
    return next((o.message or o.shows for o in outcomes if o.shows != _LOADED), "")


def _refused(node: NodeSource) -> Iterable[Lack]:
    """Parts of modules that it uses and a worker refuses, although their modules are there."""
    for case in cases(MODULES):
        difference = case.difference(RUSTPYTHON)
        if difference is not None and difference.refused:
            for name in sorted(node.parts.intersection(difference.names)):
                yield Lack(name, "blocked", "", f"{difference.reason}; {difference.workaround}")


def _notes(node: NodeSource) -> Iterable[str]:
    """Parts of the modules that it uses which are known to differ, where the file names them."""
    text = node.file.read_text(encoding="utf-8")
    used = {u.module.partition(".")[0] for u in node.uses}
    for case in cases(MODULES):
        difference = case.difference(RUSTPYTHON)
        if difference is None or case.module not in used:
            continue
        part = case.name.rpartition(".")[2]
        named = case.name != case.module and part in text
        if node.parts.intersection(difference.names):
            continue  # it stands among what the node lacks
        if named or (difference.refused and case.name == case.module):
            yield f"{case.name}: {difference.reason}; {difference.workaround}"


__all__ = ["Lack", "Verdict", "judge"]

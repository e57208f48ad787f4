"""Where each node of somebody's file or package would run, and why: what its source imports, and
what happens when both interpreters load it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from remotemedia.compat import _load_node
from remotemedia.compat.cases import MODULES, Case, cases
from remotemedia.compat.classify import RUSTPYTHON, UNSUPPORTED, Lack, lack
from remotemedia.compat.measure import GONE, Measured, Outcome, measure
from remotemedia.compat.refused import REFUSED
from remotemedia.compat.scan import Import, NodeSource, nodes_in

_LOADED = "'loaded'"


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


def judge(path: Path, rustpython: str, cpython: str = sys.executable) -> list[Verdict]:
    """The verdicts on the nodes of a file or folder, in the order of their files and lines.

    Raises:
        OSError: a file cannot be read.
        SyntaxError: one is not Python.
        Unusable: an interpreter does not run scripts.
    """
    nodes = nodes_in(path)
    search = [str(_root(path)), *_installed()]
    todo = [_import_case(m, search) for m in sorted({u.module for n in nodes for u in n.uses})]
    todo += [_load_case(node, path, search) for node in nodes]
    if not nodes:
        return []
    there, here = measure([rustpython], todo), measure([cpython], todo)
    return [_verdict(node, search, there, here) for node in nodes]


def _root(path: Path) -> Path:
    """The folder that has to be on sys.path."""
    return path.resolve().parent


def _installed() -> list[str]:
    """Where the packages of this environment are; the rest of sys.path is CPython's own library."""
    return [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]


def _import_case(module: str, search: Sequence[str]) -> Case:
    code = f"import sys\nsys.path[:0] = {list(search)!r}\nimport {module}\nresult = 'loaded'\n"
    return Case(f"import {module}", "imports", module, code, _LOADED)


def _load_case(node: NodeSource, path: Path, search: Sequence[str]) -> Case:
    module = path.stem
    if path.is_dir():
        dotted = [path.resolve().name, *node.file.relative_to(path).with_suffix("").parts]
        module = ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)
    unused = [(found.line, found.binds) for found in node.beside if not found.guarded]
    file = str(node.file.resolve())
    where = f"{list(search)!r}, {module!r}, {file!r}, {node.name!r}"
    call = f"load({where}, unused={unused!r}, needs={node.needs!r})"
    code = f"{inspect.getsource(_load_node)}\n\nresult = {call}\n"
    return Case(_load_id(node), "nodes", node.name, code, _LOADED)


def _load_id(node: NodeSource) -> str:
    return f"{node.file}:{node.line}"


def _verdict(node: NodeSource, search: Sequence[str], there: Measured, here: Measured) -> Verdict:
    lacks: dict[str, Lack] = {}
    guarded: dict[str, Lack] = {}
    for used in node.uses:
        found = _import_lack(used, search, there.outcomes[f"import {used.module}"])
        if found:
            (guarded if used.guarded else lacks).setdefault(found.module, found)
    loading = there.outcomes[_load_id(node)]
    # What is missing and used is also what loading fails for.
    if loading.shows != _LOADED and not (lacks and loading.shows in GONE):
        found = _load_lack(node, search, loading)
        lacks[found.module] = found
    return Verdict(
        node,
        tuple(lacks.values()),
        _cpython_error(node, here),
        tuple(guarded.values()),
        tuple(_notes(node)),
        tuple(sorted({b.module for b in node.beside} - {u.module for u in node.uses})),
    )


def _import_lack(used: Import, search: Sequence[str], outcome: Outcome) -> Lack | None:
    # What the policy refuses would import in a script, and does not in a worker.
    if _is_refused(used.module):
        return lack(used.module, search)
    if outcome.shows == _LOADED:
        return None
    culprit = lack(outcome.missing or used.module, search, outcome.message)
    # A package that wraps a missing part of its own is itself what is missing.
    own = lack(used.module, search, outcome.message)
    return culprit if own.reason == UNSUPPORTED else own


def _is_refused(module: str) -> bool:
    return module.partition(".")[0] in REFUSED and module != "multiprocessing.dummy"


def _load_lack(node: NodeSource, search: Sequence[str], outcome: Outcome) -> Lack:
    if outcome.missing:
        return lack(outcome.missing.partition(".")[0], search, outcome.message)
    told = f"loading it {outcome.shows}" + (f": {outcome.message}" if outcome.message else "")
    return Lack(node.name, UNSUPPORTED, str(node.file), told, 'runtime_hint="cpython"')


def _cpython_error(node: NodeSource, here: Measured) -> str:
    """What loading it or importing what it needs raised."""
    todo = [f"import {u.module}" for u in node.uses if not u.guarded] + [_load_id(node)]
    outcomes = (here.outcomes[case] for case in todo)
    return next((o.message or o.shows for o in outcomes if o.shows != _LOADED), "")


def _notes(node: NodeSource) -> Iterable[str]:
    text = node.file.read_text(encoding="utf-8")
    used = {u.module.partition(".")[0] for u in node.uses}
    for case in cases(MODULES):
        difference = case.difference(RUSTPYTHON)
        if difference is None or case.module not in used or case.name == case.module:
            continue
        if case.name.rpartition(".")[2] in text:
            yield f"{case.name}: {difference.reason}"


__all__ = ["Verdict", "judge"]

"""Runs cases inside the interpreter that is measured: `PROGRAM _runner.py CASES RESULTS`.

A script of its own that needs nothing of the package: it has to run wherever CPython does. Each
case is a module of its own; what its name `result` holds at the end is what it gives. The line
that says that a case begins is written before it runs, so that whoever reads RESULTS knows
which case ended the process.
"""

from __future__ import annotations

import io
import json
import linecache
import os
import sys
import types
from collections.abc import Callable
from typing import Any

Explain = Callable[[BaseException], "dict[str, str] | None"]


def _module_of(case: dict[str, Any]) -> types.ModuleType:
    """A module for the case that pickles and tracebacks find."""
    module = types.ModuleType(case["module"])
    module.__file__ = file = f"<{case['id']}>"
    lines = case["code"].splitlines(keepends=True)
    linecache.cache[file] = (len(case["code"]), None, lines, file)
    sys.modules[module.__name__] = module
    return module


def _as_in_a_worker() -> Explain:
    """What a worker does with imports: RustPython's refuses some, and both explain those that fail.

    Gives the function that explains.
    """
    try:
        from remotemedia._guest import imports, policy, search
    except ModuleNotFoundError:
        if sys.implementation.name == "cpython":
            return lambda error: None
        raise
    search.install()
    imports.install()
    policy.install()
    return imports.explain


def run(case: dict[str, Any], explain: Explain) -> dict[str, Any]:
    """What the case gives, or what it raises."""
    module = _module_of(case)
    try:
        code = compile(case["code"], str(module.__file__), "exec", dont_inherit=True)
        exec(code, module.__dict__)
        return {"gives": repr(module.__dict__["result"])}
    except BaseException as error:
        return {
            "raises": type(error).__qualname__,
            "message": str(error)[:300],
            "missing": error.name if isinstance(error, ImportError) else None,
            "about": explain(error),
        }
    finally:
        sys.modules.pop(module.__name__, None)


def main(cases: str, results: str) -> None:
    """Run all of them. What they print goes nowhere."""
    # The folder of this script holds modules that cases do not mean.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [entry for entry in sys.path if entry != here]
    with open(cases, encoding="utf-8") as file:  # noqa: PTH123  (no pathlib before it is measured)
        todo = json.load(file)
    explain = _as_in_a_worker()
    out = os.open(results, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(line: dict[str, Any]) -> None:
        os.write(out, (json.dumps(line) + "\n").encode())

    version = ".".join(map(str, sys.version_info[:3]))
    tell({"implementation": sys.implementation.name, "version": version})
    streams = sys.stdout, sys.stderr
    for case in todo:
        tell({"begin": case["id"]})
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        outcome = run(case, explain)
        sys.stdout, sys.stderr = streams
        tell({"id": case["id"], **outcome})
    tell({"end": True})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

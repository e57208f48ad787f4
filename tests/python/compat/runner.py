"""Runs cases inside the interpreter that is measured: `PROGRAM runner.py CASES RESULTS`.

A script that needs nothing but the interpreter's own library. Each case is a module; the value of
its name `result` is what it gives. Before a case runs, a line with its id is written to RESULTS, so
that the reader knows which case ended the process.
"""

from __future__ import annotations

import io
import json
import linecache
import os
import signal
import sys
import types
from typing import Any


def _module_of(case: dict[str, Any]) -> types.ModuleType:
    """A module for the case that pickles and tracebacks find."""
    module = types.ModuleType(case["module"])
    module.__file__ = file = f"<{case['id']}>"
    lines = case["code"].splitlines(keepends=True)
    linecache.cache[file] = (len(case["code"]), None, lines, file)
    sys.modules[module.__name__] = module
    return module


def _prepare() -> None:
    """Ready RustPython as a worker does, which refuses some modules. CPython stays as it is."""
    if sys.implementation.name == "rustpython":
        from remotemedia._guest import process

        process.prepare(None, lambda spared: None)  # cases leave no processes
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(case: dict[str, Any]) -> dict[str, Any]:
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
        }
    finally:
        sys.modules.pop(module.__name__, None)


def main(cases: str, results: str) -> None:
    """Run all cases. What they print is dropped."""
    # The folder of this script holds modules of our own, which no case means.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    with open(cases, encoding="utf-8") as file:
        todo = json.load(file)
    _prepare()
    out = os.open(results, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(line: dict[str, Any]) -> None:
        os.write(out, (json.dumps(line) + "\n").encode())

    version = ".".join(map(str, sys.version_info[:3]))
    tell({"implementation": sys.implementation.name, "version": version})
    streams = sys.stdout, sys.stderr
    for case in todo:
        tell({"begin": case["id"]})
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        outcome = run(case)
        sys.stdout, sys.stderr = streams
        tell({"id": case["id"], **outcome})
    tell({"end": True})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

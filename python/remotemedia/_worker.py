"""The entry point of a CPython worker: `python -P -m remotemedia._worker`.

Only the orchestrator starts it, with the worker's end of the connection as standard input. With the
argument `zygote` the process forks workers instead.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

from remotemedia._load import native


def _given() -> tuple[str | None, int]:
    """Number of the flight recorder's descriptor, and process id of the orchestrator. In a zygote
    it returns in each forked worker.
    """
    if sys.argv[1:] == ["zygote"]:
        from remotemedia._guest import zygote

        return zygote.serve(native().__version__)
    return os.environ.pop("REMOTEMEDIA_BLACKBOX_FD", None), os.getppid()


def _serve() -> int:
    gc.disable()  # it would look through all that is imported now, which stays
    given = _given()
    importlib.import_module("remotemedia._guest")
    gc.enable()
    code: int = native().worker_main(*given)
    gc.freeze()  # the interpreter's end would look for cycles in all that libraries have made
    return code


if __name__ == "__main__":
    sys.exit(_serve())

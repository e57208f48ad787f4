"""The entry point of a CPython worker: `python -P -m remotemedia._worker`.

Only the orchestrator starts it, with the worker's end of the connection as standard input. With the
argument `zygote` the process forks workers instead.
"""

from __future__ import annotations

import os
import sys

from remotemedia._load import native

if __name__ == "__main__":
    if sys.argv[1:] == ["zygote"]:
        from remotemedia._guest import zygote

        recorder: str | None = zygote.serve(native().__version__)  # returns in each worker
    else:
        recorder = os.environ.pop("REMOTEMEDIA_BLACKBOX_FD", None)
    sys.exit(native().worker_main(recorder))

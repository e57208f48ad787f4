"""The entry point of a CPython worker: `python -P -m remotemedia._worker`.

Only the orchestrator starts it, with the worker's end of the connection as standard input.
"""

from __future__ import annotations

import os
import sys

from remotemedia._load import native

if __name__ == "__main__":
    sys.exit(native().worker_main(os.environ.pop("REMOTEMEDIA_BLACKBOX_FD", None)))

"""Readies the worker process before any node is made."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from remotemedia._guest import imports, injected, policy, search


def prepare(recorder: int | None) -> int:
    """Leave Ctrl-C to the orchestrator, and have crashes write the Python stack.

    Args:
        recorder: descriptor of the flight recorder, or None to use standard error.

    Returns:
        The descriptor that the stack is written to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own = 2
    if recorder is not None:
        # A descriptor of its own, which no child process inherits; the stack goes behind the note
        # of the running node.
        own = os.dup(recorder)
        os.close(recorder)
        os.lseek(own, 64, os.SEEK_SET)
    faulthandler.enable(file=own)
    # `python -m` put the module's own search path first; a caller's module may have any name.
    sys.argv = [""]
    search.install()
    imports.install()
    policy.install(os.environ.pop("REMOTEMEDIA_ALLOW_MODULES", ""))
    injected.install(os.environ.pop("REMOTEMEDIA_INJECT_MODULES", ""))
    return own

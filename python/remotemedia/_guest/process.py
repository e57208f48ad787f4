"""Readies the worker process before any node is made, and ends what nodes left at its end."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Callable

from remotemedia._guest import hygiene, imports, injected, interrupts, policy, search

EndGroup = Callable[[list[int]], None]
"""`end_group(spared)` ends the other processes of the worker's process group but these."""

is_worker = False
"""Whether this process has been made a worker."""
state = hygiene.Table([])
"""The state of this process that sessions find; empty in a process that is no worker."""


def prepare(recorder: int | None, end_group: EndGroup, glance: hygiene.Glance | None = None) -> int:
    """Leave Ctrl-C to the orchestrator, have crashes write the Python stack, and have the worker's
    process group end with the worker.

    Args:
        recorder: descriptor of the flight recorder, or None to use standard error.
        end_group: see `EndGroup`.
        glance: see `hygiene.Glance`.

    Returns:
        The descriptor that the stack is written to.
    """
    # Functions that are registered later run earlier: those of nodes and their libraries.
    atexit.register(_end_children, os.getpid(), end_group)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # Programs that nodes start would inherit an ignored signal, but not a handler.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
    interrupts.install()
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
    global is_worker, state
    is_worker = True
    state = hygiene.Table(hygiene.rows_of_worker(own), glance)
    return own


def _end_children(worker: int, end_group: EndGroup) -> None:
    """End the processes that nodes left running. A resource tracker comes last: it removes named
    semaphores and shared memory once no process uses it, and ignores signals until then.
    """
    if os.getpid() != worker:  # a child that a node forked ends
        return
    modules = [
        module for name, module in [*sys.modules.items()] if name.endswith("resource_tracker")
    ]
    trackers = [getattr(module, "_resource_tracker", None) for module in modules]
    pids = [getattr(tracker, "_pid", None) for tracker in trackers]
    end_group([pid for pid in pids if pid is not None])
    for tracker in trackers:
        # The name is private; where it is missing, the tracker ends after the worker.
        with contextlib.suppress(AttributeError, OSError):
            tracker._stop()  # type: ignore[union-attr]

"""Prepares the worker process before any node is made, and ends the nodes' processes at its end."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Callable

from remotemedia._guest import (
    breakpoints,
    hygiene,
    imports,
    injected,
    interrupts,
    policy,
    pools,
    search,
)

EndGroup = Callable[[list[int]], None]
"""`end_group(spared)` ends what nodes have left running, without the processes whose ids are in
`spared`."""

_TRIES = 100
is_worker = False
"""Whether this process is a worker."""
state = hygiene.Table([])
"""The state of this process that every session must find; an empty table outside a worker."""


def prepare(
    recorder: int | None,
    end_group: EndGroup,
    glance: hygiene.Glance | None = None,
    attributes: hygiene.Attributes | None = None,
) -> int:
    """Prepare this process as a worker: ignore Ctrl-C, which the orchestrator handles; have crashes
    write the Python stack; end what nodes have left running when the worker ends.

    Args:
        recorder: descriptor of the flight recorder; None writes the stack to standard error.
        end_group: see `EndGroup`.
        glance: see `hygiene.Glance`.
        attributes: see `hygiene.Attributes`.

    Returns:
        The descriptor to which crashes write the stack.
    """
    # Registered first, so it runs after the `atexit` functions of nodes and their libraries.
    atexit.register(_end_children, os.getpid(), end_group)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        # An empty handler, because programs that nodes start would inherit an ignored signal.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
    interrupts.install()
    own = 2
    if recorder is not None:
        # Make a descriptor that child processes do not inherit. The stack is written behind the
        # note of the running node (`PYTHON_STACK_AT` in `ipc-protocol/src/recorder.rs`).
        own = os.dup(recorder)
        os.close(recorder)
        os.lseek(own, 64, os.SEEK_SET)
    faulthandler.enable(file=own)
    interrupts.record_stacks(own)
    # `python -m` has put the path of this package into `sys.argv`; sessions set the caller's.
    sys.argv = [""]
    search.install()
    pools.install()
    imports.install()
    breakpoints.install("PYTHONBREAKPOINT" in os.environ)
    policy.install(os.environ.pop("REMOTEMEDIA_ALLOW_MODULES", ""))
    injected.install(os.environ.pop("REMOTEMEDIA_INJECT_MODULES", ""))
    global is_worker, state
    is_worker = True
    state = hygiene.Table(hygiene.rows_of_worker(own, attributes), glance)
    return own


def calm() -> None:
    """Stop the timers of nodes: a handler of theirs might raise in the code that follows. Repeated,
    since it may do so here as well.
    """
    for _ in range(_TRIES if is_worker else 0):
        try:
            for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
                signal.setitimer(timer, 0)
        except BaseException:
            continue
        return


def _end_children(worker: int, end_group: EndGroup) -> None:
    """End the processes that nodes have left running. Resource trackers of `multiprocessing` come
    last: they ignore signals, and clean up named semaphores and shared memory when no process uses
    them any more.
    """
    if os.getpid() != worker:  # this process is a child that a node has forked
        return
    modules = [
        module for name, module in [*sys.modules.items()] if name.endswith("resource_tracker")
    ]
    trackers = [getattr(module, "_resource_tracker", None) for module in modules]
    pids = [getattr(tracker, "_pid", None) for tracker in trackers]
    end_group([pid for pid in pids if pid is not None])
    for tracker in trackers:
        # `_stop` is private. Without it the tracker ends some time after the worker.
        with contextlib.suppress(AttributeError, OSError):
            tracker._stop()  # type: ignore[union-attr]

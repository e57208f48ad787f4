"""Starts a program's first worker early: when a node that needs one is added to a pipeline."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from remotemedia._attributes import attribute_of
from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.manifest import runs_natively
from remotemedia.core.manifest_node import ManifestNode

if TYPE_CHECKING:
    from remotemedia.core.pipeline import Pipeline


def start_worker_for(pipeline: Pipeline, node: Any) -> None:
    """Have the pipeline's runtime start its first worker if the node needs one. Does not wait for
    the worker, and hides errors, because they will appear again when the pipeline runs.

    Does nothing in a worker or in a process of `multiprocessing`: it may never run the pipeline.
    """
    if not _needs_worker(node) or _is_at_work_for_others():
        return
    with contextlib.suppress(Exception):
        runtime = pipeline.native_runtime()
        if runtime.is_started():
            return
        from remotemedia.core.caller import this_process

        hint = str(attribute_of(node, "runtime_hint", "auto")).lower()
        wanted = pipeline.interpreter if hint == "auto" else hint
        pool = attribute_of(node, "pool")
        named = pool if isinstance(pool, str) and pool else pipeline.pool
        runtime.warm(runtime=wanted, pool=named, caller=this_process())


def _needs_worker(node: Any) -> bool:
    at_caller = isinstance(node, CallerSource | CallerSink)
    return not (at_caller or isinstance(node, ManifestNode) or runs_natively(node))


def _is_at_work_for_others() -> bool:
    """Whether this process is a worker, or was started by `multiprocessing`."""
    guest = sys.modules.get("remotemedia._guest.process")
    if getattr(guest, "is_worker", False):  # another thread may be importing the module
        return True
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


__all__ = ["start_worker_for"]

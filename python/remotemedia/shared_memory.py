"""Arrays that travel without a copy, because they are in shared memory from the start.

Any array may be passed to a pipeline; one in ordinary memory is copied on its way, once. These are
not: nodes look at the very memory that the caller writes to.

    frame = remotemedia.empty((480, 640, 3), dtype="uint8")
    while camera.read_into(frame):
        pipeline.run(frame)

So they alias, as arrays passed within one process do. Nodes see them read-only, and what the caller
writes later shows in the inputs that nodes keep, unless these are so small that they travel inside
a message (`inline_max` in the configuration). That holds for contiguous views of such arrays too,
and for asynchronous sessions, which copy every other input when they take it.

Nodes may call both functions as well: there the arrays are in the memory that a worker sends from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from remotemedia._load import native

if TYPE_CHECKING:
    from remotemedia.runtime import Runtime


def empty(
    shape: SupportsIndex | Sequence[SupportsIndex], dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """A new array in shared memory, its elements in an unknown state.

    Raises:
        TypeError: elements of this dtype are objects, or it says more than where its fields lie
            (metadata, alignment, numpy.record).
        MemoryError: no shared memory is left.
    """
    axes = shape if isinstance(shape, Sequence) else (shape,)
    made: NDArray[Any] = native().empty_shared(np.dtype(dtype), [int(axis) for axis in axes])
    return made


def asarray_shared(x: ArrayLike) -> NDArray[Any]:
    """The array in shared memory: itself if it is there, else a copy.

    The result of a pipeline is in shared memory as a rule, and aliases from then on. Only to the
    worker that made it it goes as a copy.

    Raises:
        TypeError: as for `empty`.
        MemoryError: no shared memory is left.
    """
    shared: NDArray[Any] = native().asarray_shared(np.asarray(x))
    return shared


def shared_memory_stats(runtime: Runtime | None = None) -> dict[str, Any]:
    """Who holds how much shared memory, and for how long.

    Args:
        runtime: one runtime; None for all of this process.

    Returns:
        `workers`, one dict for each worker that runs: `pid`; `made_bytes`, the memory that was made
        for it, with `used_bytes` (in blocks that are in use) and `idle_bytes` (waiting for their
        next use); `mapped_bytes`, the memory that it made; `pinned_by_worker`, the inputs that it
        holds, each with `node_id`, `bytes` and `seconds`; `pinned_by_caller`, its outputs that this
        process holds, each with `bytes` and `seconds`; oldest first. And `arrays`, the memory of
        `empty` and `asarray_shared` in this process: `made_bytes`, `used_bytes`, `idle_bytes`.
    """
    natives = native().all_runtimes() if runtime is None else [runtime.native]
    workers = [worker for each in natives for worker in each.shared_memory()]
    return {"workers": workers, "arrays": native().own_memory()}


__all__ = ["asarray_shared", "empty", "shared_memory_stats"]

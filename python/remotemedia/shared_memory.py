"""Arrays that are never copied, because they are in shared memory from the start.

Any array may be passed to a pipeline; one in ordinary memory is copied once on its way. The arrays
of this module are not copied: nodes read the same memory that the caller writes to.

    frame = remotemedia.empty((480, 640, 3), dtype="uint8")
    while camera.read_into(frame):
        pipeline.run(frame)

So they alias, like arrays passed within one process. Nodes see them read-only. If a node keeps such
an input, it sees what the caller writes to the array later, unless the array is so small that it
travels inside a message (`inline_max` in the configuration). The same holds for contiguous views of
such arrays, and in asynchronous sessions, which copy all other inputs.

Nodes may call `empty` and `asarray_shared` too; outputs that they make in such arrays are not
copied.
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
    """A new array in shared memory, with arbitrary contents.

    Raises:
        TypeError: the dtype has object elements, or properties that cannot be sent (metadata,
            alignment, `numpy.record`).
        MemoryError: no shared memory is left.
    """
    axes = shape if isinstance(shape, Sequence) else (shape,)
    made: NDArray[Any] = native().empty_shared(np.dtype(dtype), [int(axis) for axis in axes])
    return made


def asarray_shared(x: ArrayLike) -> NDArray[Any]:
    """An array in shared memory: `x` itself if it lies there already, otherwise a copy.

    Large outputs of a pipeline usually lie in shared memory already; from this call on they alias
    as described above. Such an output is still copied when it is sent to the worker that made it.

    Raises:
        TypeError: see `empty`.
        MemoryError: no shared memory is left.
    """
    shared: NDArray[Any] = native().asarray_shared(np.asarray(x))
    return shared


def shared_memory_stats(runtime: Runtime | None = None) -> dict[str, Any]:
    """The shared memory that each process holds, and for how long.

    Args:
        runtime: one runtime; None for all runtimes of this process.

    Returns:
        A dict with `workers` and `arrays`. `workers` has one dict for each running worker: `pid`;
        `made_bytes`, the memory that this process has made for the worker, of which `used_bytes`
        are in use and `idle_bytes` wait for reuse; `mapped_bytes`, the memory that the worker has
        made; `pinned_by_worker`, the inputs that the worker holds, each with `node_id`, `bytes` and
        `seconds`; `pinned_by_caller`, the worker's outputs that this process holds, each with
        `bytes` and `seconds`; both oldest first. `arrays` is the memory of `empty` and
        `asarray_shared` in this process: `made_bytes`, `used_bytes` and `idle_bytes`.
    """
    natives = native().all_runtimes() if runtime is None else [runtime.native]
    workers = [worker for each in natives for worker in each.shared_memory()]
    return {"workers": workers, "arrays": native().own_memory()}


__all__ = ["asarray_shared", "empty", "shared_memory_stats"]

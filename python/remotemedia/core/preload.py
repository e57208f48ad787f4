"""What nodes make in `preload`, once for several workers.

One worker calls `preload` of all nodes that have it. What this sets as attributes comes back, its
arrays in shared memory, and goes to the other workers with the nodes.
"""

from __future__ import annotations

import copy
import inspect
import logging
from typing import TYPE_CHECKING, Any

from remotemedia._attributes import PRELOADED, attribute_of
from remotemedia.core.exceptions import MarshalingError
from remotemedia.core.manifest import class_path
from remotemedia.core.node import Node

if TYPE_CHECKING:
    from remotemedia.core import capturing
    from remotemedia.core._async import CancelPoint
    from remotemedia.core.between_runs import BetweenRuns


class Preloader(Node):
    """Calls `preload` of another node, in a worker as that node would get it."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.node = node
        self.function_path = class_path(node)
        for name in ("pool", "runtime_hint", "timeout_ms", "limits"):
            value = attribute_of(node, name)
            if value is not None and not callable(value):
                setattr(self, name, value)

    async def process(self, _item: Any, /) -> dict[str, Any]:
        """What `preload` sets as attributes of the node."""
        before = dict(vars(self.node))
        made = self.node.preload()
        if inspect.isawaitable(made):
            await made
        return {
            name: value
            for name, value in vars(self.node).items()
            if name not in before or before[name] is not value
        }


def preloaded(
    pipeline: BetweenRuns,
    instances: dict[str, Any],
    point: CancelPoint,
    capture: capturing.Option = None,
) -> dict[str, Any]:
    """The node objects as other workers get them: those with a `preload` have its results.

    A node whose results cannot be sent stays as it is: each worker calls its `preload`.

    Args:
        pipeline: the pipeline of the nodes, for its runtime and pool.
        instances: the node objects by id.
        point: cancels the call.
        capture: where nodes whose `preload` fails are kept.

    Raises:
        NodeError: a `preload` failed.
    """
    from remotemedia.core.pipeline import Pipeline

    made = dict(instances)
    for node_id, node in instances.items():
        if not _has_preload(node):
            continue
        loading = Pipeline(runtime=pipeline.runtime, pool=pipeline.pool, capture=capture)
        loading.interpreter = pipeline.interpreter
        loading.add_node(Preloader(node), id=node_id)
        try:
            # A copy, so that the worker's memory is free again.
            attributes = copy.deepcopy(loading.run_until(point, 0))
        except MarshalingError as problem:
            logging.getLogger("remotemedia").warning(
                "what preload() of node %r makes cannot be shared: each worker makes its own: %s",
                node_id,
                problem,
            )
            continue
        made[node_id] = copy.copy(node)
        vars(made[node_id]).update(attributes, **{PRELOADED: True})
    return made


def _has_preload(node: Any) -> bool:
    return callable(getattr(type(node), "preload", None)) and hasattr(node, "__dict__")


__all__ = ["Preloader", "preloaded"]

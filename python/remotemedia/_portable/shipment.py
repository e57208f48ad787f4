"""Pickles the node objects of a session for workers of any interpreter."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from remotemedia._portable import opening
from remotemedia._portable.opening import Call, Later
from remotemedia._portable.spaces import Findings
from remotemedia._portable.writing import Pickler, dumps, lock, problem_with
from remotemedia._unpicklable import UnpicklableError, culprit

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays


class PortableShipment:
    """The node objects of a session, pickled once for workers of any interpreter.

    Attributes:
        instances: One pickle with all node objects and the definitions that they need, and the
            levels of the caller's loggers.
        arrays: Large arrays of the nodes that were left out of the pickle, in the pickle's order.
        shipped: Tokens that every worker of the session knows from the start.
        refused: Why a node cannot be pickled, by its index; `instances` has ``None`` in its place.
    """

    def __init__(
        self,
        nodes: Sequence[object],
        log_levels: Mapping[str, int] = {},
        left: LeftArrays | None = None,
        others: Mapping[int, object] = {},
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            left: Takes large arrays out of the pickle.
            others: By index, nodes that run elsewhere. Those to which ``nodes`` refer go with them.
        """
        self.refused: dict[int, UnpicklableError] = {}
        found, going = Findings(), list[object]()
        file = io.BytesIO()
        file.write(opening.PREFIX + opening.SHIPMENT)
        with lock:
            for index, node in enumerate(nodes):
                error = problem_with(node, found=found)
                if error is not None:
                    self.refused[index] = culprit(node, error, problem_with)
                # So that the receiver knows for which node the next definitions are made.
                going += [Call(opening.work_for, (index,)), node if error is None else None]
            pickler = Pickler(file, found=found, left=left)
            with_them = Later(lambda: (tuple, (_met(pickler, others),)))
            # The order matters: the nodes have been pickled when `with_them` is.
            pickler.dump((going, dict(log_levels), True, with_them))
        self.instances = file.getvalue()
        self.arrays = [] if left is None else left.arrays
        self.shipped = frozenset(found.tokens)

    def dumps(self, value: object) -> bytes:
        """Pickle an item for any worker of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        return dumps(value, self.shipped)


def _met(pickler: Pickler, objects: Mapping[int, object]) -> list[tuple[int, object]]:
    """The objects that have been pickled already, with their keys."""
    met = {id(one) for one in pickler.members()}
    return [(key, one) for key, one in objects.items() if id(one) in met]


__all__ = ["PortableShipment"]

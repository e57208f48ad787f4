"""Writes portable pickles of items and of the nodes of a session."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from remotemedia._portable import opening
from remotemedia._portable.opening import Call
from remotemedia._portable.pickler import Nowhere, Pickler
from remotemedia._portable.spaces import Findings
from remotemedia._unpicklable import UnpicklableError, culprit

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable

_lock = threading.RLock()


def dumps(value: object, shipped: frozenset[str] = frozenset()) -> bytes:
    """Pickle an item for receivers that know the tokens ``shipped``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    file = io.BytesIO()
    file.write(opening.PREFIX + opening.VALUE)
    try:
        with _lock:
            Pickler(file, shipped).dump(value)
    except Exception as error:
        raise culprit(value, error, lambda part: _problem(part, shipped)) from error
    return file.getvalue()


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with _lock:
        Pickler(file, foresee=foresee).dump(value)


def _problem(
    part: object, shipped: frozenset[str] = frozenset(), found: Findings | None = None
) -> Exception | None:
    """Why an object cannot be pickled; None if it can."""
    try:
        with _lock:
            Pickler(Nowhere(), shipped, found, is_trial=True).dump(part)
    except Exception as error:
        return error
    return None


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
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            left: Takes large arrays out of the pickle.
        """
        self.refused: dict[int, UnpicklableError] = {}
        found, going = Findings(), list[object]()
        file = io.BytesIO()
        file.write(opening.PREFIX + opening.SHIPMENT)
        with _lock:
            for index, node in enumerate(nodes):
                error = _problem(node, found=found)
                if error is not None:
                    self.refused[index] = culprit(node, error, _problem)
                # So that the receiver knows for which node the next definitions are made.
                going += [Call(opening.work_for, (index,)), node if error is None else None]
            Pickler(file, found=found, left=left).dump((going, dict(log_levels), True))
        self.instances = file.getvalue()
        self.arrays = [] if left is None else left.arrays
        self.shipped = frozenset(found.tokens)

    def dumps(self, value: object) -> bytes:
        """Pickle an item for any worker of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        return dumps(value, self.shipped)


__all__ = ["PortableShipment", "dump_into", "dumps"]

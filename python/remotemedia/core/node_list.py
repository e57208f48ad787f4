"""`Pipeline.nodes`: the nodes of a graph as a list, whose changes change the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from typing import Any, SupportsIndex, overload

from remotemedia.core.arguments import node_arguments
from remotemedia.core.graph import Entry, Graph


class NodeList(MutableSequence[Any]):
    """The nodes in the order in which they were added. A node that is inserted comes between two
    neighbours; the successors of one that is removed get its predecessors.

    Args:
        graph: the graph.
        before_change: called before each change; raises an error to refuse it.
        added: called with each node that was added.
    """

    def __init__(
        self, graph: Graph, before_change: Callable[[], None], added: Callable[[Any], None]
    ) -> None:
        self._graph = graph
        self._before_change = before_change
        self._added = added

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        """The node at a place, or a plain list of nodes."""
        entries = self._graph.entries[index]
        return entries.node if isinstance(entries, Entry) else [entry.node for entry in entries]

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self._graph.entries)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Put another node in the place of one."""
        if isinstance(index, slice):
            raise TypeError("nodes are replaced one by one")
        self._before_change()
        entry = self._graph.entries[index]
        entry.node, given_id = node_arguments((value,), None)
        entry.given_id = given_id or entry.given_id
        self._added(entry.node)

    def __delitem__(self, index: Any) -> None:
        """Remove a node, or several."""
        self._before_change()
        found = self._graph.entries[index]
        for entry in [found] if isinstance(found, Entry) else list(found):
            self._graph.remove(entry)

    def insert(self, index: SupportsIndex, value: Any) -> None:
        """Add a node before the one at a place; it gets that one's predecessors."""
        self._before_change()
        entries = self._graph.entries
        node, given_id = node_arguments((value,), None)
        place = index.__index__()
        place = max(0, len(entries) + place) if place < 0 else place
        if place >= len(entries):
            self._graph.add(node, given_id, None)
        else:
            follower = entries[place]
            entry = self._graph.add(node, given_id, [])
            entries.insert(place, entries.pop())
            entry.after, follower.after = follower.after, [entry]
        self._added(node)

    def __add__(self, others: Iterable[Any]) -> list[Any]:
        """A plain list of the nodes and others; the graph stays as it is."""
        return [*self, *others]

    def __eq__(self, other: object) -> bool:
        """Whether another list has the same nodes."""
        return isinstance(other, Iterable) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """As a list."""
        return repr(list(self))


__all__ = ["NodeList"]

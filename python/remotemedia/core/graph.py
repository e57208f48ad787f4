"""The graph of a `Pipeline`: its nodes, their ids and their connections.

Pure data. An id is `<name>_<index>` unless given. Each entry keeps its predecessors, in the order
in which they were named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from remotemedia.core.exceptions import ConfigurationError, PipelineError
from remotemedia.core.function import FunctionNode
from remotemedia.core.manifest import name_of, safe_id

_ID = re.compile(r"[a-zA-Z0-9_-]+")


class Entry:
    """One node of the graph with its predecessors."""

    __slots__ = ("after", "given_id", "node")

    def __init__(self, node: Any, given_id: str | None, after: list[Entry]) -> None:
        self.node = node
        self.given_id = given_id
        self.after = after


class Graph:
    """Nodes in the order in which they were added."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, node: Any, given_id: str | None, after: Iterable[Any] | None) -> Entry:
        """Add a node.

        Args:
            node: the node object.
            given_id: the id, or None for the default.
            after: its predecessors (nodes, ids or names); None for the node added last.

        Raises:
            ConfigurationError: the id is malformed or in use.
            PipelineError: a predecessor is not in the graph.
        """
        if given_id is not None:
            self._check_id(given_id)
        if after is None:
            predecessors = self.entries[-1:]
        else:
            predecessors = [self.find(reference) for reference in after]
        entry = Entry(node, given_id, predecessors)
        self.entries.append(entry)
        return entry

    def find(self, reference: Any) -> Entry:
        """The entry of a node, given as the node object, a function, an id or a name.

        Raises:
            PipelineError: there is no such node, or several nodes have this name or function.
        """
        for entry in self.entries:
            if entry.node is reference:
                return entry
        made = [entry for entry in self.entries if _is_made_of(entry.node, reference)]
        if len(made) == 1:
            return made[0]
        by_id = dict(zip(self.ids(), self.entries, strict=True))
        if isinstance(reference, str):
            if reference in by_id:
                return by_id[reference]
            named = [entry for entry in self.entries if name_of(entry.node) == reference]
            if len(named) == 1:
                return named[0]
            made = named
        if made:
            raise PipelineError(
                f"{len(made)} nodes are called {name_of(made[0].node)!r}: "
                f"use the node object or one of the ids {', '.join(by_id)}"
            )
        known = ", ".join(by_id) or "none"
        raise PipelineError(f"{reference!r} is not in the pipeline; its nodes: {known}")

    def remove(self, entry: Entry) -> None:
        """Remove a node; its successors get its predecessors."""
        self.entries.remove(entry)
        for other in self.entries:
            if entry in other.after:
                at = other.after.index(entry)
                spliced = [e for e in entry.after if e not in other.after]
                other.after[at : at + 1] = spliced

    def connect(self, source: Entry, target: Entry) -> None:
        """Add a connection from `source` to `target`."""
        target.after.append(source)

    def ids(self) -> list[str]:
        """The id of each entry, in order."""
        taken = {entry.given_id for entry in self.entries if entry.given_id is not None}
        ids: list[str] = []
        for index, entry in enumerate(self.entries):
            node_id = entry.given_id
            if node_id is None:
                node_id = f"{safe_id(name_of(entry.node))}_{index}"
                while node_id in taken:
                    node_id += "_"
                taken.add(node_id)
            ids.append(node_id)
        return ids

    def id_of(self, entry: Entry) -> str:
        """The id of one entry."""
        return self.ids()[self.entries.index(entry)]

    def connections(self) -> list[dict[str, str]]:
        """The connections, as a manifest has them."""
        id_of = dict(zip(self.entries, self.ids(), strict=True))
        return [
            {"from": id_of[source], "to": id_of[target]}
            for target in self.entries
            for source in target.after
        ]

    def roots(self) -> Iterator[Entry]:
        """The entries without a predecessor."""
        return (entry for entry in self.entries if not entry.after)

    def sinks(self) -> list[Entry]:
        """The entries without a successor."""
        followed = {source for entry in self.entries for source in entry.after}
        return [entry for entry in self.entries if entry not in followed]

    def _check_id(self, given_id: str) -> None:
        if not _ID.fullmatch(given_id):
            raise ConfigurationError(
                f"node id {given_id!r} may contain only letters, digits, '_' and '-', "
                f"for example {safe_id(given_id) or 'node'!r}"
            )
        if given_id in self.ids():
            raise ConfigurationError(f"node id {given_id!r} is already in use")


def _is_made_of(node: Any, reference: Any) -> bool:
    return isinstance(node, FunctionNode) and node.is_made_of(reference)


__all__ = ["Entry", "Graph"]

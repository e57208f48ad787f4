"""The graph of a pipeline in the form for the native runtime, at the time when a run opens."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import GraphError, RemoteMediaError
from remotemedia.core.manifest import (
    VERSION,
    flag_of,
    has_checkpoint,
    is_source,
    name_of,
    run_entry,
    runs_natively,
)
from remotemedia.core.manifest_node import ManifestNode
from remotemedia.core.replicas import check_replicas, is_replicated

if TYPE_CHECKING:
    from remotemedia.core.graph import Graph

_PASS_THROUGH = "PassThroughNode"


@dataclass
class RunPlan:
    """The graph at the time when the run opens, in the form for the native runtime.

    Attributes:
        manifest: the manifest.
        nodes: the caller's node object by id.
        sinks: the name of each sink by id.
        taps: sinks at the caller that further nodes follow, by the id of a node of their own, which
            gets the same items.
        roots: ids of the nodes without a predecessor.
        instances: by id, the node objects to pickle, in the order of the manifest's `instance`
            numbers.
    """

    manifest: dict[str, Any]
    nodes: dict[str, Any]
    sinks: dict[str, str]
    roots: list[str]
    instances: dict[str, Any] = field(default_factory=dict)
    taps: dict[str, CallerSink] = field(default_factory=dict)

    @property
    def keeps_items(self) -> bool:
        """Whether items are read after the caller goes on: a sink in the caller's process may
        change an input that is still in use, and a node with a checkpoint gets items again in later
        calls.
        """
        nodes = self.nodes.values()
        return any(isinstance(node, CallerSink) or has_checkpoint(node) for node in nodes)

    @property
    def hears_pieces(self) -> bool:
        """Whether a native node takes pieces of one stream: where failing items are captured, it
        keeps those before.
        """
        configs = [getattr(node, "config", None) for node in self.nodes.values()]
        return any(isinstance(config, dict) and config.get("streaming") for config in configs)

    def manifest_text(self, strict: bool) -> str:
        """The manifest as JSON; unless `strict`, without what this version does not know."""
        text = json.dumps(self.manifest)
        if strict:
            return text
        from remotemedia.core import lenient

        return lenient.without_unknown(text)

    def source_items(self) -> Iterable[Any] | None:
        """The items of a run without input: those of a `CallerSource`, or None if source nodes
        produce them.

        Raises:
            GraphError: there is no source.
        """
        roots = [self.nodes[node_id] for node_id in self.roots]
        at_caller = [node for node in roots if isinstance(node, CallerSource)]
        if at_caller:
            if len(roots) > 1:
                raise GraphError(
                    f"{name_of(at_caller[0])} feeds the pipeline from your program, so it must be "
                    "the only node without a predecessor"
                )
            return at_caller[0].items()
        # The node of a manifest entry may be a source; only the orchestrator knows.
        if not any(is_source(node) or isinstance(node, ManifestNode) for node in roots):
            names = ", ".join(name_of(node) for node in roots)
            raise GraphError(
                f"run() got no input, and the first node ({names}) is not a source: pass the input "
                "as in run(data), or set is_source = True on a first node whose process() yields "
                "items"
            )
        return None


def plan_run(
    graph: Graph,
    name: str,
    pool: str | None = None,
    *,
    apart: Collection[str] = (),
    lane: bool = False,
) -> RunPlan:
    """Describe the graph for a run.

    Args:
        graph: the nodes and connections.
        name: the pipeline's name.
        pool: the pool of the Python nodes that name none.
        apart: ids of nodes that get workers of their own in this run.
        lane: whether the plan is for a lane of a map, which has one of each node.

    Raises:
        GraphError: there are no nodes.
        ConfigurationError: a node with replicas cannot have them.
        RemoteMediaError: a node is marked to run on another machine.
    """
    if not graph.entries:
        raise GraphError("the pipeline has no nodes: add at least one node with add_node()")
    check_replicas(graph)
    ids = dict(zip(graph.entries, graph.ids(), strict=True))
    sinks = graph.sinks()
    plan = RunPlan(
        manifest={"version": VERSION, "metadata": {"name": name[:255] or "pipeline"}},
        nodes={node_id: entry.node for entry, node_id in ids.items()},
        sinks={ids[entry]: name_of(entry.node) for entry in sinks},
        roots=[ids[entry] for entry in graph.roots()],
    )
    entries: list[dict[str, Any]] = []
    connections = graph.connections()
    for entry, node_id in ids.items():
        node = entry.node
        if flag_of(node, "is_remote"):
            raise RemoteMediaError(
                "remote execution is not part of this version: run the node itself, "
                "without a remote configuration",
                node_id=node_id,
                operation="plan",
            )
        if isinstance(node, CallerSource | CallerSink):
            entries.append({"id": node_id, "node_type": _PASS_THROUGH, "params": {}})
            if isinstance(node, CallerSink) and entry not in sinks:
                tap = f"{node_id}_delivers"
                plan.taps[tap] = node
                connections.append({"from": node_id, "to": tap})
        elif isinstance(node, ManifestNode) or runs_natively(node):
            entries.append(run_entry(node, node_id, None))
        else:
            entries.append(run_entry(node, node_id, len(plan.instances)))
            plan.instances[node_id] = node
        if node_id in apart:
            entries[-1]["isolated"] = True
        if lane:
            entries[-1].pop("replicas", None)
    entries += [{"id": tap, "node_type": _PASS_THROUGH, "params": {}} for tap in plan.taps]
    plan.manifest["nodes"] = entries
    plan.manifest["connections"] = connections
    if pool is not None:
        plan.manifest["pool"] = pool
    return plan


def shares_worker(node: Any) -> bool:
    """Whether a node is an object that runs in a worker with others."""
    at_caller = isinstance(node, CallerSource | CallerSink)
    is_object = not (at_caller or isinstance(node, ManifestNode) or runs_natively(node))
    return is_object and not flag_of(node, "isolated") and not is_replicated(node)


__all__ = ["RunPlan", "plan_run", "shares_worker"]

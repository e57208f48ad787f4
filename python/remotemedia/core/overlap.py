"""Which nodes of a run over several items get workers of their own, so that they work while others
do.

Nodes that follow one another share a worker, which is quickest for quick nodes. Where they are
slow, a run over several items takes as long as its slowest worker: so some nodes are taken apart,
by the times of the run before. What is decided here holds for the whole run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

SLOW_SECONDS = 0.01
"""Nodes that take less for an item stay where they are: handing an item over takes a part of a
millisecond, or some for large arrays."""
SAVED_SECONDS = 0.1
"""What a run must save at least: another worker has to make its nodes first."""


@dataclass(frozen=True)
class Choice:
    """The nodes that get workers of their own, with the reasons.

    Attributes:
        nodes: ids of the nodes.
        reasons: a sentence part for each node that was looked at.
    """

    nodes: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)


def choose(
    seconds: Mapping[str, float],
    shared: Mapping[str, Collection[str]],
    *,
    workers: int,
    items: int | None,
    forced: bool = False,
) -> Choice:
    """Choose nodes.

    Args:
        seconds: how long each Python node took for an item in the run before; these nodes share a
            worker so far. Without that, 0.
        shared: for each node the ids of others with which it has something in common.
        workers: how many workers the run may have.
        items: the number of items; None: it is not known.
        forced: whether times do not count.
    """
    left = dict(seconds)
    chosen: list[str] = []
    reasons: dict[str, str] = {}
    for node_id in sorted(seconds, key=lambda node_id: -seconds[node_id]):
        took = f"{seconds[node_id] * 1e3:,.0f} ms an item in the run before"
        if not forced and seconds[node_id] < SLOW_SECONDS:
            continue
        if shared[node_id]:
            with_others = ", ".join(sorted(shared[node_id]))
            reasons[node_id] = f"stays with {with_others}: they may share an object or a global"
            continue
        if len(left) == 1 or len(chosen) + 1 >= workers:
            continue
        del left[node_id]
        chosen.append(node_id)
        reasons[node_id] = "overlaps with the others, as asked" if forced else f"overlaps: {took}"
    if not forced and not _pays(seconds, left, chosen, items):
        return Choice()
    return Choice(tuple(chosen), reasons)


def _pays(
    seconds: Mapping[str, float],
    left: Mapping[str, float],
    chosen: Collection[str],
    items: int | None,
) -> bool:
    if not chosen:
        return True  # the reasons say why not
    saved = sum(seconds.values()) - max(sum(left.values()), *(seconds[n] for n in chosen))
    rounds = 1_000 if items is None else items - 1
    return saved >= SLOW_SECONDS and saved * rounds >= SAVED_SECONDS


def times_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """How long each node took for an item, by the metrics of a run. Runs without workers have no
    times.
    """
    return {
        node["node_id"]: node["total_duration_us"] / 1e6 / node["execution_count"]
        for node in metrics["nodes"]
        if node.get("execution_count") and "total_duration_us" in node
    }


__all__ = ["Choice", "choose", "times_of"]

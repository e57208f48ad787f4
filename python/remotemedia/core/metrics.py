"""Puts the metrics of several sessions of one pipeline together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

_LARGEST = ("peak", "max", "memory", "delta", "array")
_FIXED = ("_id", "_type", "runtime", "fallback", "worker_pid", "status", "node_count")


def merged(metrics: Iterable[str]) -> str:
    """The metrics of sessions that ran side by side, as if one had done it all (JSON).

    Counts and times are added up, those of whole calls (`total_duration_us`) too. Peaks are the
    greatest of them.
    """
    documents = [json.loads(text) for text in metrics]
    if len(documents) == 1:
        return json.dumps(documents[0])
    nodes = [
        _rates(_together(entries)) for entries in zip(*(d["nodes"] for d in documents), strict=True)
    ]
    whole = _together([{**d, "nodes": None, "node_metrics": None} for d in documents])
    return json.dumps({**whole, "nodes": nodes, "node_metrics": nodes})


def _together(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    entries = list(entries)
    return {name: _value(name, [entry[name] for entry in entries]) for name in entries[0]}


def _value(name: str, values: list[Any]) -> Any:
    present = [value for value in values if value is not None]
    if not present:
        return None
    first = present[0]
    if isinstance(first, dict):
        return first if name == "fallback" else _together(present)
    if name == "status":
        return "failed" if "failed" in present else max(present, key=present.count)
    if isinstance(first, str | bool | list) or any(part in name for part in _FIXED):
        return first
    return _combined(name)(present)


def _combined(name: str) -> Callable[[list[Any]], Any]:
    if name.startswith("min_"):
        return lambda values: min((value for value in values if value), default=0)
    return max if name.startswith(_LARGEST) else sum


def _rates(node: dict[str, Any]) -> dict[str, Any]:
    calls = node["execution_count"]
    node["success_rate"] = node["success_count"] / calls if calls else 1.0
    node["avg_duration_us"] = node["total_duration_us"] // calls if calls else 0
    return node


__all__ = ["merged"]

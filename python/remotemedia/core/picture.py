"""Pictures of pipelines for notebooks: SVG and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from remotemedia.core.graph import Entry, Graph

_WIDTH, _HEIGHT = 176, 60
_GAP_X, _GAP_Y, _EDGE = 44, 18, 8
_COLOURS = {
    "rust_native": ("#fbe3d3", "#c4551b", "native"),
    "cpython": ("#dce9f7", "#2f6db3", "CPython"),
    "rustpython": ("#e2f2df", "#3b8a3b", "RustPython"),
    "in_process": ("#eeeeee", "#777777", "this process"),
}
_UNKNOWN = ("#f6f6f6", "#999999", "")
_LETTERS = 22


def svg(graph: Graph, runs_on: dict[str, str], shares: dict[str, float]) -> str:
    """The graph as SVG.

    Args:
        graph: the graph.
        runs_on: by id, where a node runs: "rust_native", "cpython", "rustpython", "in_process".
        shares: by id, the node's share of the time in all nodes, between 0 and 1.
    """
    ids = dict(zip(graph.entries, graph.ids(), strict=True))
    places = _places(graph)
    width = _EDGE * 2 + max((x + _WIDTH for x, _ in places.values()), default=_WIDTH)
    height = _EDGE * 2 + max((y + _HEIGHT for _, y in places.values()), default=_HEIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="{-_EDGE} {-_EDGE} {width} {height}" font-family="sans-serif">',
        '<defs><marker id="rm-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>',
    ]
    for entry, (x, y) in places.items():
        for before in entry.after:
            from_x, from_y = places[before]
            parts.append(_arrow(from_x + _WIDTH, from_y + _HEIGHT // 2, x, y + _HEIGHT // 2))
    for entry, (x, y) in places.items():
        node_id = ids[entry]
        parts.append(_box(x, y, node_id, runs_on.get(node_id), shares.get(node_id)))
    if not places:
        parts.append('<text x="8" y="30" font-size="13">a pipeline without nodes</text>')
    return "".join([*parts, "</svg>"])


def _places(graph: Graph) -> dict[Entry, tuple[int, int]]:
    """The upper left corner of each node's box: a column for each step from the first nodes."""
    column: dict[Entry, int] = {}

    def column_of(entry: Entry, under: tuple[Entry, ...] = ()) -> int:
        if entry not in column:
            before = [e for e in entry.after if e not in (*under, entry)]  # a cycle ends here
            column[entry] = 1 + max((column_of(e, (*under, entry)) for e in before), default=-1)
        return column[entry]

    used: dict[int, int] = {}
    places = {}
    for entry in graph.entries:
        x = column_of(entry)
        y = used.get(x, 0)
        used[x] = y + 1
        places[entry] = (x * (_WIDTH + _GAP_X), y * (_HEIGHT + _GAP_Y))
    return places


def _arrow(from_x: int, from_y: int, to_x: int, to_y: int) -> str:
    middle = (from_x + to_x) // 2
    line = f"M{from_x} {from_y} C{middle} {from_y} {middle} {to_y} {to_x} {to_y}"
    return f'<path d="{line}" fill="none" stroke="#666" marker-end="url(#rm-arrow)"/>'


def _box(x: int, y: int, node_id: str, runtime: str | None, share: float | None) -> str:
    fill, line, name = _COLOURS.get(runtime or "", _UNKNOWN)
    told = " \N{MIDDLE DOT} ".join(part for part in (name, _percent(share)) if part)
    shown = (
        node_id if len(node_id) <= _LETTERS else f"{node_id[: _LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    )
    bar = ""
    if share is not None:
        bar = (
            f'<rect x="{x + 10}" y="{y + _HEIGHT - 10}" width="{_WIDTH - 20}" height="4" '
            f'fill="#fff"/><rect x="{x + 10}" y="{y + _HEIGHT - 10}" '
            f'width="{round((_WIDTH - 20) * share)}" height="4" fill="{line}"/>'
        )
    return (
        f'<g><title>{escape(node_id)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" rx="7" fill="{fill}" stroke="{line}"/>'
        f'<text x="{x + 10}" y="{y + 23}" font-size="13" fill="#222">{escape(shown)}</text>'
        f'<text x="{x + 10}" y="{y + 42}" font-size="11" fill="{line}">{escape(told)}</text>'
        f"{bar}</g>"
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def table(rows: Sequence[Sequence[str]], below: str) -> str:
    """A table as HTML, its head first, with a line of text below."""
    head, *body = rows
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr>{cells}</tr>"]
    for row in body:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table><div>{escape(below)}</div>"


def facts(metrics: dict[str, Any] | None) -> tuple[dict[str, str], dict[str, float]]:
    """From the metrics of a run: where each node ran, and its share of the time in all nodes."""
    nodes = [] if metrics is None else metrics["nodes"]
    runs_on = {node["node_id"]: node["runtime"] for node in nodes}
    times = {node["node_id"]: node.get("execution_time_us", 0) for node in nodes}
    whole = sum(times.values())
    return runs_on, {node_id: time / whole for node_id, time in times.items()} if whole else {}


__all__ = ["facts", "svg", "table"]

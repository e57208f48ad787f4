"""Where the time of a run goes, node by node: the result of `Pipeline.profile`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remotemedia.core.execution import Execution


@dataclass(frozen=True)
class NodeProfile:
    """Where the time of one node's calls went, in milliseconds.

    Attributes:
        node_id: id of the node.
        runtime: "rust_native", "cpython" or "rustpython".
        worker_pid: process id of its worker; None for native nodes.
        replica_pids: those of the workers of all its replicas, None where one had no worker; empty
            for a node without replicas.
        calls: number of calls of `process`.
        node_ms: time inside the node.
        marshalling_ms: conversion of values to Python objects and back, in the worker.
        waiting_ms: from when an item was ready to when its call began, and while a call was not
            allowed to send more outputs. For nodes that are called together it is that of all, at
            the first of them; the same for `transport_ms`.
        transport_ms: the rest of the calls: copies to shared memory, the socket, waking up.
    """

    node_id: str
    runtime: str
    worker_pid: int | None
    calls: int
    node_ms: float
    marshalling_ms: float
    waiting_ms: float
    transport_ms: float
    replica_pids: tuple[int | None, ...] = ()

    def pid_of(self, replica: int) -> int | None:
        """The process id of the worker of a replica."""
        return self.replica_pids[replica] if self.replica_pids else self.worker_pid

    @property
    def where(self) -> str:
        """Where the node ran, for people."""
        pids = self.replica_pids or (self.worker_pid,)
        return " ".join([self._engine, ", ".join(str(pid) for pid in pids if pid)]).rstrip()

    @property
    def _engine(self) -> str:
        name = {"rust_native": "native", "cpython": "CPython", "rustpython": "RustPython"}
        return name.get(self.runtime, self.runtime)

    def places(self) -> dict[int, str]:
        """The process ids of its workers, with names for people."""
        pids = self.replica_pids or (self.worker_pid,)
        return {pid: f"{self._engine} {pid}" for pid in pids if pid}


@dataclass(frozen=True)
class Profile:
    """Where the time of a run, or of a session so far, went. Its `str` is a table.

    Attributes:
        nodes: a `NodeProfile` for each node, in the order of the data.
        opening_ms: time to start the nodes.
        closing_ms: time to clean them up; 0 while a session is open.
        converting_ms: conversion of inputs and outputs in your process.
        total_ms: time of the calls of `run` or of the session's methods.
        result: what the run returned; None for a session.
    """

    nodes: tuple[NodeProfile, ...]
    opening_ms: float
    closing_ms: float
    converting_ms: float
    total_ms: float
    result: Any = field(default=None, repr=False)
    _recording: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, execution: Execution, result: Any = None) -> Profile | None:
        """The profile of an execution; None if it records nothing."""
        recorded = execution.trace()
        if recorded is None:
            return None
        recording = json.loads(recorded)
        metrics = json.loads(execution.metrics())
        known = {node["node_id"]: node for node in metrics["nodes"]}
        nodes = tuple(
            NodeProfile(
                node["node_id"],
                known[node["node_id"]]["runtime"],
                known[node["node_id"]]["worker_pid"],
                node["calls"],
                node["node_us"] / 1e3,
                node["marshalling_us"] / 1e3,
                node["waiting_us"] / 1e3,
                node["transport_us"] / 1e3,
                tuple(known[node["node_id"]]["replica_pids"]),
            )
            for node in recording["nodes"]
        )
        return cls(
            nodes,
            recording["opening_us"] / 1e3,
            recording["closing_us"] / 1e3,
            recording["converting_us"] / 1e3,
            metrics["total_duration_us"] / 1e3,
            result,
            recording,
        )

    def __getitem__(self, node_id: str) -> NodeProfile:
        """The profile of the node with this id.

        Raises:
            KeyError: there is no such node.
        """
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise KeyError(node_id)

    def rows(self) -> list[tuple[str, ...]]:
        """The table, its head first; times in milliseconds."""
        head = ("node", "where", "calls", "node", "marshalling", "waiting", "transport", "share")
        rows: list[tuple[str, ...]] = [head]
        whole = sum(node.node_ms for node in self.nodes) or 1.0
        for node in self.nodes:
            times = (node.node_ms, node.marshalling_ms, node.waiting_ms, node.transport_ms)
            share = f"{node.node_ms / whole:.0%}"
            rows.append(
                (node.node_id, node.where, str(node.calls), *(f"{t:.2f}" for t in times), share)
            )
        return rows

    def summary(self) -> str:
        """The times that belong to no node, in one line."""
        return (
            f"{self.total_ms:.2f} ms for the items, {self.converting_ms:.2f} ms of it to convert "
            f"inputs and outputs here; opened in {self.opening_ms:.2f} ms, closed in "
            f"{self.closing_ms:.2f} ms"
        )

    def __str__(self) -> str:
        """A table with a line for each node, times in milliseconds."""
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, self.summary()])

    def _repr_html_(self) -> str:
        from remotemedia.core.picture import table

        return table(self.rows(), self.summary())

    def trace(self) -> dict[str, Any]:
        """The calls as trace events, a format that https://ui.perfetto.dev and chrome://tracing
        open. The first 100,000 calls are in it. The length of each span was measured; where a
        node's span lies within its call is assumed: in the middle of what is left for transport.
        """
        events = [*self._names(), *self._own_spans()]
        for number, call in enumerate(self._recording["calls"]):
            events += self._call_spans(number, call)
        left_out = self._recording["left_out"]
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"left_out": left_out} if left_out else {},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `trace` to a file, as JSON."""
        Path(path).write_text(json.dumps(self.trace()))

    def _stages(self) -> dict[int, list[NodeProfile]]:
        stages: dict[int, list[NodeProfile]] = {}
        for node, recorded in zip(self.nodes, self._recording["nodes"], strict=True):
            stages.setdefault(recorded["stage"], []).append(node)
        return stages

    def _names(self) -> Iterator[dict[str, Any]]:
        own = os.getpid()
        yield _name("process", own, 0, "caller")
        yield _name("thread", own, 0, "session")
        for stage, nodes in self._stages().items():
            title = " > ".join(node.node_id for node in nodes)
            places = nodes[0].places()
            for pid, where in places.items():
                yield _name("process", pid, 0, f"worker: {where}")
            for pid in places or (own,):
                yield _name("thread", pid, stage + 1, title)

    def _own_spans(self) -> Iterator[dict[str, Any]]:
        pid = os.getpid()
        yield _span("open", pid, 0, 0.0, self.opening_ms * 1e3)
        for conversion in self._recording["conversions"]:
            name = "convert input" if conversion["is_input"] else "convert output"
            yield _span(name, pid, 0, conversion["begin_us"], conversion["took_us"])

    def _call_spans(self, number: int, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        nodes = self._stages()[call["stage"]]
        own, thread = os.getpid(), call["stage"] + 1
        pid = nodes[0].pid_of(call["replica"]) or own
        title = " > ".join(node.node_id for node in nodes)
        begin, end = call["begin_us"], call["end_us"]
        if call["ready_us"] is not None and call["ready_us"] < begin:
            waits = {"cat": "waiting", "name": f"{title} waits", "id": number, "pid": own, "tid": 0}
            yield {**waits, "ph": "b", "ts": call["ready_us"]}
            yield {**waits, "ph": "e", "ts": begin}
        facts = {key: call[key] for key in ("outputs", "has_failed", "suspended_us")}
        yield _span(title, pid, thread, begin, end - begin, **facts)
        at = begin + call["transport_us"] / 2
        for node, (node_us, marshalling_us) in zip(nodes, call["nodes"], strict=True):
            took = node_us + marshalling_us
            yield _span(
                node.node_id, pid, thread, at, min(took, end - at), marshalling_us=marshalling_us
            )
            at += took


def _name(what: str, pid: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": f"{what}_name", "pid": pid, "tid": thread, "args": {"name": name}}


def _span(
    name: str, pid: int, thread: int, begin_us: float, took_us: float, **facts: Any
) -> dict[str, Any]:
    span = {"ph": "X", "name": name, "cat": "remotemedia", "pid": pid, "tid": thread}
    return {**span, "ts": begin_us, "dur": max(0.0, took_us), "args": facts}


__all__ = ["NodeProfile", "Profile"]

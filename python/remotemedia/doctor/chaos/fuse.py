"""The fuse of a misbehaviour: what tells a node to misbehave, once, and how."""

from __future__ import annotations

from typing import Any

HOUR = 3600
"""Seconds that hanging nodes sleep, and programs that they leave."""

Fuse = dict[str, Any]
"""`file`: path of a file that exists until the misbehaviour begins; `how`: its name; `caller`: id
of the process that runs the matrix, in which nothing misbehaves."""


def note(fuse: Fuse, pid: int, kind: str) -> None:
    """Record a process: the `worker`, one that it `started`, which must not outlive the session, or
    one that has `detached` itself, which must not outlive the worker.
    """
    with open(f"{fuse['file']}.{kind}", "a") as noted:  # noqa: PTH123
        noted.write(f"{pid}\n")


__all__ = ["HOUR", "Fuse", "note"]

"""What a database knows about a run: the run, its steps, their attempts, and failures."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


@dataclass(frozen=True)
class Failure:
    """Why an attempt, a step or a run failed.

    Attributes:
        kind: "raised", "crashed", "timed_out", "limit_exceeded", "not_kept", "uncertain",
            "not_started", "no_worker" or "run_timed_out".
        task: name of the task; empty if it is the run as a whole.
        type_name: the exception's class, a signal or an exit code.
        message: the exception's message, or what happened.
        traceback: the traceback in the worker, or the stacks at its death.
        text: all that in one line.
    """

    kind: str
    task: str
    type_name: str
    message: str
    traceback: str
    text: str

    def __str__(self) -> str:
        """The failure in one line."""
        return self.text


@dataclass(frozen=True)
class Step:
    """A step of a run: a task (`name`), an element of a mapped one (`name[2]`), or a step inside a
    task (`name/inner`).

    Attributes:
        name: its name.
        status: "waiting", "started", "completed", "failed", "skipped" or "cancelled".
        attempts: how many attempts have begun.
        raised: how many of them raised.
        crashes: in how many of them the process died.
        failure: the last failure, or None.
        due: when it is due again, or None.
        event: the event that it waits for, or None.
        started: when its first attempt began.
        ended: when it ended.
    """

    name: str
    status: str
    attempts: int
    raised: int
    crashes: int
    failure: Failure | None
    due: datetime | None
    event: str | None
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class Attempt:
    """An attempt of a step that is over.

    Attributes:
        step: name of the step.
        number: its number, from 1 on.
        pid: process id of the worker, or None.
        signal: the signal that ended the worker, or None.
        result: "completed", "suspended", "cancelled", or the kind of the failure.
        error: the failure in one line, or None.
        tail: the last lines that it printed or logged, or None.
        started: when it began.
        ended: when it ended.
    """

    step: str
    number: int
    pid: int | None
    signal: str | None
    result: str
    error: str | None
    tail: str | None
    started: datetime
    ended: datetime


@dataclass(frozen=True)
class RunInfo:
    """A run, as the database has it.

    Attributes:
        id: its name.
        workflow: name of its workflow.
        version: version of its workflow.
        hash: digest of its graph and code.
        status: "running", "completed", "failed" or "cancelled".
        failure: why it failed, or None.
        parent: the run that it was forked from, or None.
        created: when it was submitted.
        ended: when it ended.
        waits_for_code: whether it waits until its workflow is registered with the runner, because
            workers cannot import its functions. Only `Run.info` knows that.
    """

    id: str
    workflow: str
    version: str
    hash: str
    status: str
    failure: Failure | None
    parent: str | None
    created: datetime
    ended: datetime | None
    waits_for_code: bool = False


def failure(row: dict[str, Any] | None) -> Failure | None:
    """The failure of a row."""
    return None if row is None else Failure(**row)


def run_info(row: dict[str, Any]) -> RunInfo:
    """The run of a row."""
    names = ("id", "workflow", "version", "hash", "status", "parent")
    return RunInfo(
        **{name: row[name] for name in names},
        failure=failure(row["failure"]),
        created=datetime.fromtimestamp(row["created_ms"] / 1000, UTC),
        ended=_time(row["ended_ms"]),
    )


def step(row: dict[str, Any]) -> Step:
    """The step of a row."""
    names = ("name", "status", "attempts", "raised", "crashes", "event")
    return Step(
        **{name: row[name] for name in names},
        failure=failure(row["failure"]),
        due=_time(row["due_ms"]),
        started=_time(row["started_ms"]),
        ended=_time(row["ended_ms"]),
    )


def attempt(row: dict[str, Any]) -> Attempt:
    """The attempt of a row."""
    names = ("step", "number", "pid", "signal", "result", "error", "tail")
    return Attempt(
        **{name: row[name] for name in names},
        started=datetime.fromtimestamp(row["started_ms"] / 1000, UTC),
        ended=datetime.fromtimestamp(row["ended_ms"] / 1000, UTC),
    )


def needs_registration(row: dict[str, Any]) -> bool:
    """Whether a run goes on only with a runner that has its workflow: it is bound to the code that
    it began with, or workers cannot import one of its functions.
    """
    graph = json.loads(row["graph"])
    is_sent = any(given.get("function") is None for given in graph["tasks"])
    return is_sent or graph.get("on_change") == "pin"


def progress(row: dict[str, Any]) -> tuple[int, int]:
    """How many steps of a run have ended, and how many it has as far as is known: a mapped task
    has as many as the list that it gets.
    """
    steps = {step["name"]: step["ended_ms"] is not None for step in row["steps"]}
    done, total = 0, 0
    for given in json.loads(row["graph"])["tasks"]:
        name = given["name"]
        elements = [
            end for step, end in steps.items() if re.fullmatch(rf"{re.escape(name)}\[\d+\]", step)
        ]
        done += sum(elements) if elements else steps.get(name, False)
        total += max(1, len(elements))
    return done, total


__all__ = [
    "Attempt",
    "Failure",
    "RunInfo",
    "Step",
    "attempt",
    "failure",
    "needs_registration",
    "progress",
    "run_info",
    "step",
]

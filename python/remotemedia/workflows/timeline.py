"""A run as text: its steps with their attempts, in the order in which they began."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from remotemedia.workflows import facts
from remotemedia.workflows.facts import Attempt, RunInfo, Step

HOW = "as in Runner(url, workflows=[...])"
"""How a runner gets a workflow."""


def timeline(row: dict[str, Any]) -> str:
    """A run with its steps and attempts, as text."""
    info = facts.run_info(row)
    lines = [
        f"run {info.id}: {info.status}",
        f"  workflow  {info.workflow} {info.version}".rstrip(),
    ]
    lines.append(f"  created   {clock(info.created)}, {took(info)}")
    if info.parent:
        lines.append(f"  fork of   {info.parent}")
    if info.failure:
        lines.append(f"  failure   {info.failure}")
    if info.status == "running" and facts.needs_registration(row):
        lines.append(
            f"  code      is not kept: it goes on with a runner that has its workflow, {HOW}"
        )
    attempts: dict[str, list[Attempt]] = {}
    for each in row["attempts"]:
        attempt = facts.attempt(each)
        attempts.setdefault(attempt.step, []).append(attempt)
    steps = [facts.step(each) for each in row["steps"]]
    steps.sort(key=lambda step: (step.started is None, step.started, step.name))
    for step in steps:
        lines.append(f"  {step.status:<10} {step.name}{_waits(step)}")
        for attempt in attempts.get(step.name, []):
            lines += _attempt_lines(attempt, info)
    return "\n".join(lines)


def _attempt_lines(attempt: Attempt, info: RunInfo) -> list[str]:
    begun = (attempt.started - info.created).total_seconds()
    took = (attempt.ended - attempt.started).total_seconds()
    died = f", {attempt.signal}" if attempt.signal else ""
    lines = [
        f"      +{begun:.3f} s  {took:.3f} s  attempt {attempt.number}, pid {attempt.pid}{died}: "
        f"{attempt.error or attempt.result}"
    ]
    if attempt.tail and attempt.error:
        lines += [f"        | {line}" for line in attempt.tail.splitlines()]
    return lines


def _waits(step: Step) -> str:
    if step.event:
        return f", waits for event {step.event!r}"
    return f", due {clock(step.due)}" if step.due and step.status == "waiting" else ""


def took(info: RunInfo) -> str:
    """How long a run took, in words."""
    if info.ended is None:
        return "not ended"
    return f"took {(info.ended - info.created).total_seconds():.3f} s"


def clock(time: datetime | None) -> str:
    """A time of this machine's time zone."""
    return "" if time is None else time.astimezone().isoformat(sep=" ", timespec="seconds")


__all__ = ["HOW", "clock", "timeline", "took"]

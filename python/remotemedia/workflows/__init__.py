"""Durable workflows: tasks with dependencies, run in isolated worker processes, whose state is in
SQLite or PostgreSQL, so that a run survives the end of any process.

    from remotemedia.workflows import Runner, Workflow, task

    @task
    def fetch(day):
        return {"rows": load(day)}

    @task(retries=3, timeout=30)
    def clean(fetch):                 # the parameter's name is that of the task before
        return {"rows": tidy(fetch["rows"])}

    with Runner("sqlite:///etl.db", workflows=[etl := Workflow("etl", [fetch, clean])]) as runner:
        run = runner.submit(etl, {"day": "2026-11-20"}, id="etl-2026-11-20")
        print(run.result().outputs["clean"])

See docs/workflows.md.
"""

from __future__ import annotations

from remotemedia.workflows.conditions import (
    Condition,
    all_of,
    always,
    any_of,
    cancelled,
    completed,
    failed,
    none_of,
    skipped,
    value,
)
from remotemedia.workflows.exceptions import (
    DatabaseError,
    DatabaseInUse,
    NotKept,
    RunFailed,
    RunnerClosed,
    RunNotFound,
    RunRefused,
    WorkflowCycle,
    WorkflowError,
)
from remotemedia.workflows.facts import Attempt, Failure, RunInfo, Step
from remotemedia.workflows.runner import Runner
from remotemedia.workflows.runs import Run, RunResult
from remotemedia.workflows.tasks import Task, pipeline_task, task
from remotemedia.workflows.workflow import Workflow

__all__ = [
    "Attempt",
    "Condition",
    "DatabaseError",
    "DatabaseInUse",
    "Failure",
    "NotKept",
    "Run",
    "RunFailed",
    "RunInfo",
    "RunNotFound",
    "RunRefused",
    "RunResult",
    "Runner",
    "RunnerClosed",
    "Step",
    "Task",
    "Workflow",
    "WorkflowCycle",
    "WorkflowError",
    "all_of",
    "always",
    "any_of",
    "cancelled",
    "completed",
    "failed",
    "none_of",
    "pipeline_task",
    "skipped",
    "task",
    "value",
]

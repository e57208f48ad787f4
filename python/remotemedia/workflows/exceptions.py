"""The exceptions of workflows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from remotemedia.core.error import RemoteMediaError

if TYPE_CHECKING:
    from remotemedia.workflows.facts import Failure


class WorkflowError(RemoteMediaError, ValueError):
    """A workflow, one of its tasks, a schedule or the input of a run is not valid."""


class WorkflowCycle(WorkflowError):
    """Tasks depend on each other in a circle.

    Attributes:
        tasks: names of the tasks of the circle; the first one stands at the end again.
    """

    def __init__(self, message: str = "", *, tasks: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.tasks = list(tasks)


class NotKept(RemoteMediaError, TypeError):
    """A value cannot be kept in a database. The message has its path, such as `input.a.b`."""


class DatabaseError(RemoteMediaError, OSError):
    """The database cannot be opened, read or written."""


class DatabaseInUse(DatabaseError):
    """Another engine uses the database."""


class RunNotFound(RemoteMediaError, KeyError):
    """There is no run with this id."""


class RunRefused(RemoteMediaError, RuntimeError):
    """What is asked of a run is not possible in its state, or for its steps."""


class RunnerClosed(RemoteMediaError, RuntimeError):
    """The runner has been closed, or its database is lost."""


class RunFailed(RemoteMediaError, RuntimeError):
    """A run has not completed.

    Attributes:
        run: id of the run.
        status: "failed" or "cancelled".
        failure: why it failed, or None.
    """

    def __init__(
        self, message: str = "", *, run: str = "", status: str = "", failure: Failure | None = None
    ) -> None:
        super().__init__(message)
        self.run = run
        self.status = status
        self.failure = failure
        if failure is not None and failure.traceback:
            self.add_note(f"\nIn the worker:\n{failure.traceback.rstrip()}")


__all__ = [
    "DatabaseError",
    "DatabaseInUse",
    "NotKept",
    "RunFailed",
    "RunNotFound",
    "RunRefused",
    "RunnerClosed",
    "WorkflowCycle",
    "WorkflowError",
]

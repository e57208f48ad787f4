"""The names of Cloacina over `remotemedia.workflows`, with PostgreSQL alone."""

from remotemedia.workflows.unified import UnifiedExecutor as _UnifiedExecutor
from remotemedia.workflows.unified import Workflow, clear_tasks, get_all_python_tasks, task


class UnifiedExecutor(_UnifiedExecutor):
    """Runs workflows on PostgreSQL."""

    backends = ("postgres",)


__all__ = ["UnifiedExecutor", "Workflow", "clear_tasks", "get_all_python_tasks", "task"]

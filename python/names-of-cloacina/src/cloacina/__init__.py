"""The names of Cloacina over `remotemedia.workflows`; the database is chosen by its URL."""

from remotemedia.workflows.unified import (
    UnifiedExecutor,
    Workflow,
    backends,
    clear_tasks,
    get_all_python_tasks,
    task,
)

__all__ = [
    "UnifiedExecutor",
    "Workflow",
    "backends",
    "clear_tasks",
    "get_all_python_tasks",
    "task",
]

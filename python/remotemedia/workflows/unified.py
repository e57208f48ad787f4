"""The names of Cloacina: `task(task_id=...)`, `Workflow("name")`, `UnifiedExecutor`. The packages
`cloacina`, `cloacina_sqlite` and `cloacina_postgres` have them from here.

Tasks are registered for the whole process. A workflow without tasks of its own takes those that are
registered, and tasks that name no dependencies run in the order of their registration. A task gets
the context as a dict, and what it returns is merged into it.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, overload

from remotemedia._load import native
from remotemedia.workflows import tasks as plain
from remotemedia.workflows.exceptions import RunnerClosed, WorkflowError
from remotemedia.workflows.runner import Runner
from remotemedia.workflows.runs import Run
from remotemedia.workflows.tasks import Task
from remotemedia.workflows.workflow import Workflow as PlainWorkflow

_SCHEMES = {"sqlite": ("sqlite", ""), "postgres": ("postgresql", "postgres")}


class Registry:
    """The tasks of this process, by id, in the order of their registration."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def add(self, made: Task) -> None:
        """Register a task.

        Raises:
            WorkflowError: another definition has this id.
        """
        with self._lock:
            known = self._tasks.get(made.name)
            # A cell of a notebook that is run again, or a module that is reloaded, is no duplicate.
            if known is not None and known.place != made.place:
                raise WorkflowError(
                    f"task id {made.name!r} is registered twice: {known.place} and {made.place}; "
                    "give one another task_id"
                )
            self._tasks[made.name] = made

    def all(self) -> list[Task]:
        """All tasks."""
        with self._lock:
            return list(self._tasks.values())

    def clear(self) -> None:
        """Forget all tasks."""
        with self._lock:
            self._tasks.clear()


registry = Registry()


@overload
def task(function: Callable[..., Any], /) -> Task: ...
@overload
def task(
    function: None = None,
    /,
    *,
    task_id: str | None = None,
    dependencies: Iterable[Any] = (),
    **options: Any,
) -> Callable[[Callable[..., Any]], Task]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    task_id: str | None = None,
    dependencies: Iterable[Any] = (),
    **options: Any,
) -> Any:
    """Register a function as a task, with the further options of `remotemedia.workflows.task`.

    Args:
        function: the function; it takes the context, a dict.
        task_id: the task's id; by default the function's name.
        dependencies: tasks or their ids that come before.
        **options: further options.

    Raises:
        WorkflowError: another definition has this id.
    """
    if function is None:
        return lambda function: _registered(function, task_id, dependencies, options)
    return _registered(function, task_id, dependencies, options)


def _registered(
    function: Callable[..., Any],
    task_id: str | None,
    dependencies: Iterable[Any],
    options: dict[str, Any],
) -> Task:
    before = [getattr(given, "name", given) for given in dependencies]
    name = task_id or getattr(function, "__name__", None)
    made: Task = plain.task(name=name, after=before, **options)(_taking_context(function))
    registry.add(made)
    return made


def _taking_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with `context` as the name of its parameter."""
    names = [name for name, _ in Task(function, "task", {}).parameters()]
    if not names or names[0] in ("context", "ctx"):
        return function

    def call(context: dict[str, Any]) -> Any:
        return function(context)

    call.__name__ = getattr(function, "__name__", "task")
    call.__wrapped__ = function  # type: ignore[attr-defined]
    # Its parameter must not be looked up in the function that it wraps.
    call.__signature__ = inspect.signature(_takes_context)  # type: ignore[attr-defined]
    return call


def _takes_context(context: dict[str, Any]) -> None:
    """The form of a task of Cloacina."""


class Workflow:
    """A workflow of registered tasks.

    Args:
        name: its name.
        tasks: ids of the tasks, or the tasks; by default all that are registered when it runs.
        description: for people.
    """

    def __init__(
        self, name: str, tasks: Iterable[Any] | None = None, description: str | None = None
    ) -> None:
        self.name = name
        self.description = description
        self._tasks = None if tasks is None else list(tasks)

    def add_task(self, given: Any) -> Workflow:
        """Add a task or its id."""
        self._tasks = [*(self._tasks or []), given]
        return self

    def build(self) -> PlainWorkflow:
        """The workflow as it runs now.

        Raises:
            WorkflowError: a task is not registered, or the tasks are no graph.
        """
        known = {made.name: made for made in registry.all()}
        chosen = list(known.values()) if self._tasks is None else []
        for given in self._tasks or []:
            made = given if isinstance(given, Task) else known.get(given)
            if made is None:
                raise WorkflowError(f"no task with the id {given!r} is registered")
            chosen.append(made)
        if not chosen:
            raise WorkflowError(f"workflow {self.name!r} has no tasks: register some with @task")
        ordered: list[Task] = []
        for made in chosen:
            if ordered and not made.options.get("after"):
                made = made.with_options(after=[ordered[-1].name])
            ordered.append(made)
        return PlainWorkflow(self.name, ordered)


class _Done(dict[str, Any]):
    """A result that is there: it can be awaited as well."""

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        """Return the result itself."""
        return self._itself().__await__()

    async def _itself(self) -> dict[str, Any]:
        return self

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class UnifiedExecutor:
    """Runs workflows on a database. Its methods can be awaited, and block where no event loop runs.

    Args:
        workers: how many tasks run at once; by default one for each processor.
    """

    backends: tuple[str, ...] = tuple(_SCHEMES)

    def __init__(self, *, workers: int | None = None) -> None:
        self._workers = workers
        self._runner: Runner | None = None

    def initialize(self, database_url: str) -> Any:
        """Open the database.

        Raises:
            ValueError: the URL is not one of this executor's databases.
        """
        native().check_database_url(database_url)
        scheme = database_url.partition("://")[0] if "://" in database_url else ""
        if not any(scheme in _SCHEMES[name] for name in self.backends):
            shown = native().check_database_url(database_url)
            known = ", ".join(self.backends)
            raise ValueError(f"Invalid database URL format for this backend ({known}): {shown}")

        def open_runner() -> _Done:
            self.shutdown()
            self._runner = Runner(database_url, workers=self._workers)
            return _Done()

        return _now_or_awaited(open_runner)

    def execute(self, workflow: Workflow, input: dict[str, Any] | None = None) -> Any:  # noqa: A002
        """Run a workflow to its end. Returns a dict with `status` ("Completed", "Failed" or
        "Cancelled"), `final_context`, `task_results`, `execution_id`, `start_time`, `end_time` and
        `error`.
        """
        if self._runner is None:
            raise RunnerClosed(
                "the executor is not initialized: call initialize(database_url) first"
            )
        run = self._runner.submit(workflow.build(), input)
        return _now_or_awaited(lambda: _as_dict(run))

    def shutdown(self) -> None:
        """Close the database."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def __enter__(self) -> UnifiedExecutor:
        """Return the executor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.shutdown()


def _now_or_awaited(call: Callable[[], _Done]) -> _Done | Coroutine[Any, Any, _Done]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    return asyncio.to_thread(call)


def _as_dict(run: Run) -> _Done:
    result = run.result()
    steps = {step.name: step for step in run.steps()}
    task_results = {
        name: {
            "status": step.status.capitalize(),
            "output": result.outputs.get(name),
            "error": None if step.failure is None else str(step.failure),
            "traceback": None if step.failure is None else step.failure.traceback,
            "start_time": step.started,
            "end_time": step.ended,
        }
        for name, step in steps.items()
    }
    return _Done(
        status=result.status.capitalize(),
        final_context=result.context,
        task_results=task_results,
        execution_id=run.id,
        start_time=result.info.created,
        end_time=result.info.ended,
        error=None if result.failure is None else str(result.failure),
    )


def backends() -> list[str]:
    """The databases that this build has."""
    return list(_SCHEMES)


def get_all_python_tasks() -> list[Task]:
    """The registered tasks, in the order of their registration."""
    return registry.all()


def clear_tasks() -> None:
    """Forget all registered tasks."""
    registry.clear()


__all__ = [
    "Registry",
    "UnifiedExecutor",
    "Workflow",
    "backends",
    "clear_tasks",
    "get_all_python_tasks",
    "registry",
    "task",
]

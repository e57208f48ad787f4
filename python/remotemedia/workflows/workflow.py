"""Workflows: tasks as a graph, checked when it is made."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from remotemedia import _pickle
from remotemedia._load import native
from remotemedia.core.shipping import definition_digest
from remotemedia.workflows.arguments import is_text, milliseconds
from remotemedia.workflows.conditions import form_of
from remotemedia.workflows.exceptions import WorkflowError
from remotemedia.workflows.tasks import Seconds, Task, settings, task

ON_CHANGE = ("continue", "pin", "restart")


class Workflow:
    """A graph of tasks.

    Args:
        name: its name.
        tasks: tasks, or functions to make tasks of.
        version: a version of yours. Runs in flight belong to a name and a version.
        timeout: longest time of a run from its submission on, in seconds.
        on_change: what runs in flight do when a workflow of this name and version is registered
            with other code: "continue" with the new code and their own graph, "pin" (they wait
            until the code is registered with which they began), or "restart" from the beginning.

    Raises:
        WorkflowError: two tasks have one name, a task depends on one that is missing, an option is
            wrong, or a function cannot be sent to workers.
        WorkflowCycle: tasks depend on each other in a circle.

    Attributes:
        order: names of the tasks in an order in which they could run.
        hash: digest of the graph and of the code of its tasks.
    """

    def __init__(
        self,
        name: str,
        tasks: Iterable[Any] = (),
        *,
        version: str = "",
        timeout: Seconds | None = None,
        on_change: str = "continue",
    ) -> None:
        if not is_text(name):
            raise WorkflowError(f"a workflow's name is a text, not {name!r}")
        if on_change not in ON_CHANGE:
            known = ", ".join(ON_CHANGE)
            raise WorkflowError(f"on_change is one of {known}, not {on_change!r}")
        if version and not is_text(str(version)):
            raise WorkflowError(f"a workflow's version is a text, not {version!r}")
        self.name = name
        self.version = str(version)
        self.tasks = _distinct(name, tasks)
        self._graph = self._make_graph(timeout, on_change)
        self.order: list[str] = native().check_workflow(json.dumps({**self._graph, "hash": ""}))
        self.codes = [
            (made.name, _pickled(made)) for made in self.tasks.values() if made.import_name is None
        ]
        state = hashlib.sha256(json.dumps(self._graph, sort_keys=True).encode())
        for made in self.tasks.values():
            state.update(definition_digest(inspect.unwrap(made.function)).encode())
        self.hash = state.hexdigest()
        self.graph = json.dumps({**self._graph, "hash": self.hash})

    def _make_graph(self, timeout: Seconds | None, on_change: str) -> dict[str, Any]:
        timeout_ms = milliseconds(f"the timeout of workflow {self.name!r}", timeout)
        return {
            "name": self.name,
            "version": self.version,
            "on_change": on_change,
            "timeout_ms": timeout_ms,
            "tasks": [self._entry(made) for made in self.tasks.values()],
        }

    def _entry(self, made: Task) -> dict[str, Any]:
        takes = [
            {"name": name, "source": self._source(made, name)} for name, _ in made.parameters()
        ]
        return {
            **settings(made),
            "takes": takes,
            "after": _names_in_after(made),
            "when": form_of(made.options.get("when"), self.tasks.__contains__),
        }

    def _source(self, made: Task, parameter: str) -> str:
        if parameter == "ctx":
            return "handle"
        if parameter == "context":
            return "context"
        is_task = parameter in self.tasks and parameter != made.name
        return "task" if is_task else "input"

    def inputs(self) -> dict[str, list[str]]:
        """The keys that a run's input must have, each with the tasks that take it."""
        wanted: dict[str, list[str]] = {}
        for made in self.tasks.values():
            for name, has_default in made.parameters():
                if not has_default and self._source(made, name) == "input":
                    wanted.setdefault(name, []).append(made.name)
        return wanted

    def checked_input(self, given: Any) -> dict[Any, Any]:
        """The input of a run.

        Raises:
            WorkflowError: it is no dict, or lacks what a task takes.
        """
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            raise WorkflowError(
                f"the input of workflow {self.name!r} is a dict, not a {type(given).__name__}"
            )
        for name, takers in self.inputs().items():
            if name not in given:
                raise WorkflowError(
                    f"the input of workflow {self.name!r} has no {name!r}, which task "
                    f"{takers[0]!r} takes; it is neither the name of a task"
                )
        return dict(given)

    def __repr__(self) -> str:
        """The workflow's name, version and tasks."""
        version = f" version {self.version}" if self.version else ""
        return f"<workflow {self.name!r}{version}: {', '.join(self.order)}>"


def _distinct(workflow: str, tasks: Iterable[Any]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    if not isinstance(tasks, Iterable):
        raise WorkflowError(f"the tasks of workflow {workflow!r} are a list, not {tasks!r}")
    for given in tasks:
        made = given if isinstance(given, Task) else task(given)
        known = found.get(made.name)
        if known is not None:
            raise WorkflowError(
                f"two tasks of workflow {workflow!r} are named {made.name!r}: {known.place} and "
                f"{made.place}; give one another name"
            )
        found[made.name] = made
    return found


def _names_in_after(made: Task) -> list[str]:
    given = made.options.get("after", ())
    is_one = isinstance(given, str) or callable(given) or not isinstance(given, Iterable)
    return [_name_in_after(made, before) for before in ((given,) if is_one else given)]


def _name_in_after(made: Task, before: Any) -> str:
    if isinstance(before, str):
        return before
    name = before.name if isinstance(before, Task) else getattr(before, "__name__", None)
    if not isinstance(name, str):
        raise WorkflowError(
            f"task {made.name!r}: after= takes tasks or their names, not {before!r}"
        )
    return name


def _pickled(made: Task) -> bytes:
    """The function of a task for workers, which cannot import it."""
    try:
        return _pickle.dumps(made.function)
    except _pickle.UnpicklableError as problem:
        raise WorkflowError(
            f"task {made.name!r} ({made.place}) cannot be sent to a worker, and no worker can "
            f"import it: {problem.path or 'it'} ({problem.type_name}): {problem.reason}. Define it "
            "at the top level of a module, or make what it needs inside it"
        ) from problem


__all__ = ["ON_CHANGE", "Workflow"]

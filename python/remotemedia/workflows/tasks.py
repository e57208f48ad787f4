"""Tasks: functions with what is done when they fail."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from remotemedia._importable import is_importable
from remotemedia._signatures import signature
from remotemedia.workflows.arguments import is_text, milliseconds
from remotemedia.workflows.exceptions import WorkflowError

if TYPE_CHECKING:
    from remotemedia.core.pipeline import Pipeline
    from remotemedia.workflows.conditions import Condition

BACKOFFS = ("fixed", "linear", "exponential")
Seconds = float | timedelta


class Task:
    """A function that a workflow calls in a worker process. Calling the task calls the function.

    Attributes:
        name: its name in workflows.
        function: the function.
        options: the arguments of `task`.
    """

    def __init__(self, function: Callable[..., Any], name: str, options: dict[str, Any]) -> None:
        self.function = function
        self.name = name
        self.options = options
        functools.update_wrapper(self, function)
        # Workers find the function of a task that they import by this name.
        self.__task_function__ = function

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call the function here, without a workflow."""
        return self.function(*args, **keywords)

    def __repr__(self) -> str:
        """The task and where it is defined."""
        return f"<task {self.name!r}, {self.place}>"

    def with_options(self, **options: Any) -> Task:
        """The same task with other options, such as another `name`."""
        return _made(self.function, {"name": self.name, **self.options, **options})

    @property
    def place(self) -> str:
        """Where the function is defined: file and line."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        if code is None:
            return f"{type(self.function).__module__}.{type(self.function).__qualname__}"
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def import_name(self) -> str | None:
        """`module:name`, if a worker can import the function by it; else None."""
        module_name = getattr(self.function, "__module__", None)
        name = getattr(self.function, "__qualname__", "")
        module = sys.modules.get(module_name or "")
        if module is None or module_name == "__main__" or "<" in name or not name:
            return None
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        found = getattr(found, "__task_function__", found)
        if found is not self.function or not is_importable(module.__name__, module):
            return None
        return f"{module_name}:{name}"

    def parameters(self) -> list[tuple[str, bool]]:
        """Names of the function's parameters, and whether each has a default.

        Raises:
            WorkflowError: it has parameters that cannot be filled by their names.
        """
        try:
            found = signature(self.function).parameters.values()
        except (TypeError, ValueError):
            raise WorkflowError(
                f"task {self.name!r}: the parameters of {self.function!r} are unknown; wrap it in "
                "a function of yours"
            ) from None
        names = []
        for parameter in found:
            if parameter.kind is parameter.VAR_KEYWORD:
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise WorkflowError(
                    f"task {self.name!r}: parameters are filled by their names, which "
                    f"{parameter.name!r} does not take"
                )
            names.append((parameter.name, parameter.default is not parameter.empty))
        return names


@overload
def task(function: Callable[..., Any], /) -> Task: ...
@overload
def task(
    function: None = None,
    /,
    *,
    name: str | None = None,
    after: Iterable[Any] | Task | str = (),
    when: Condition | str | None = None,
    map: str | None = None,
    retries: int = 0,
    retry_on: type[BaseException] | Iterable[type[BaseException]] = (),
    delay: Seconds = 1.0,
    backoff: str = "exponential",
    max_delay: Seconds = 3600.0,
    jitter: float = 0.0,
    crash_retries: int | None = None,
    timeout: Seconds | None = None,
    cpu: Seconds | None = None,
    memory: str | int | None = None,
    output_size: str | int | None = None,
    once: bool = False,
) -> Callable[[Callable[..., Any]], Task]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:  # noqa: D417
    """Make a task of a function, as a decorator with or without arguments.

    The function's parameters are filled by their names: `ctx` gets what a task can ask of its run
    (see `remotemedia._task_host.Context`), `context` a dict of the run's input and all that earlier
    tasks have returned as dicts, the name of a task what that has returned, any other name a key of
    the run's input.

    Args:
        function: the function; it may be `async def`.
        name: its name in workflows; by default the function's name.
        after: a task, or several, or their names, that must have ended before, besides those of its
            parameters.
        when: a condition; by default all tasks before must have completed, else it is skipped.
        map: name of the parameter whose list it runs over, once for each element.
        retries: how often it is called again after an exception.
        retry_on: the classes of exceptions for that; by default all.
        delay: the first pause before that, in seconds.
        backoff: how pauses grow: "fixed", "linear" or "exponential".
        max_delay: the longest pause, in seconds.
        jitter: the part of a pause by which it may be shorter or longer, from 0 to 1.
        crash_retries: how often it is started again after its process has died; 1 by default, and
            never with `once`.
        timeout: longest time of an attempt, in seconds; then it is stopped, whatever it does. The
            time between two calls of a task that pauses or waits for an event does not count.
        cpu: longest time of processor that its worker may use, in seconds.
        memory: how much memory its worker may use, in bytes or as "512 MB", at least 32 MiB; beyond
            that its process is killed.
        output_size: largest result, in bytes or as "1 MB".
        once: it is never started twice; if its end is unknown after a crash, it has failed.

    Raises:
        WorkflowError: an option is unknown or has a wrong value.
    """
    if function is not None:
        return _made(function, {})
    return lambda function: _made(function, options)


_OPTIONS = {
    "name", "after", "when", "map", "retries", "retry_on", "delay", "backoff", "max_delay",
    "jitter", "crash_retries", "timeout", "cpu", "memory", "output_size", "once",
}  # fmt: skip


def _made(function: Callable[..., Any], options: dict[str, Any]) -> Task:
    if isinstance(function, Task):
        return function.with_options(**options)
    if not callable(function):
        raise WorkflowError(f"{function!r} is not callable, so it is no task")
    name = options.get("name") or getattr(function, "__name__", type(function).__name__)
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], _OPTIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise WorkflowError(f"task {name!r}: there is no option {unknown[0]!r}{hint}")
    if not isinstance(name, str) or not is_text(name) or set(name) & set("/[]"):
        raise WorkflowError(f"a task's name is a text without / and brackets, not {name!r}")
    made = Task(function, name, options)
    _settings(made)  # wrong values are found where the task is defined
    return made


def _settings(made: Task) -> dict[str, Any]:
    """The options of a task as the engine has them, without its dependencies."""
    options = made.options
    once = bool(options.get("once", False))
    retries = _count(made, "retries", 0)
    crash_retries = _count(made, "crash_retries", 0 if once else 1)
    if once and (retries or crash_retries):
        raise WorkflowError(
            f"task {made.name!r}: once=True means that it is never started twice, so it can have "
            "no retries"
        )
    backoff = options.get("backoff", "exponential")
    if backoff not in BACKOFFS:
        raise WorkflowError(
            f"task {made.name!r}: backoff is one of {', '.join(BACKOFFS)}, not {backoff!r}"
        )
    jitter = options.get("jitter", 0.0)
    if not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise WorkflowError(f"task {made.name!r}: jitter is from 0 to 1, not {jitter!r}")
    cpu_ms = _ms(made, "cpu", None)
    limits = {
        "memory_hard": _size(made, "memory"),
        "output_size": _size(made, "output_size"),
        "cpu_time": None if cpu_ms is None else f"{cpu_ms} ms",
    }
    mapped = options.get("map")
    if mapped is not None and not is_text(mapped):
        raise WorkflowError(f"task {made.name!r}: map is the name of a parameter, not {mapped!r}")
    return {
        "name": made.name,
        "function": made.import_name,
        "map": mapped,
        "retry": {
            "retries": retries,
            "on": _class_names(made, options.get("retry_on", ())),
            "backoff": backoff,
            "delay_ms": _ms(made, "delay", 1.0),
            "max_delay_ms": _ms(made, "max_delay", 3600.0),
            "jitter": float(jitter),
        },
        "crash_retries": crash_retries,
        "timeout_ms": _ms(made, "timeout", None),
        "limits": {name: limit for name, limit in limits.items() if limit is not None},
        "once": once,
    }


def settings(made: Task) -> dict[str, Any]:
    """The options of a task as the engine has them, without its dependencies.

    Raises:
        WorkflowError: one has a wrong value.
    """
    return _settings(made)


def _count(made: Task, name: str, default: int) -> int:
    number = made.options.get(name)
    if number is None:
        return default
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 31:
        raise WorkflowError(f"task {made.name!r}: {name} is a number from 0 on, not {number!r}")
    return number


def _size(made: Task, name: str) -> str | None:
    """A size with its unit. The engine reads it, and knows which sizes are allowed."""
    given = made.options.get(name)
    if given is None:
        return None
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return f"{given} B"
    if not is_text(given):
        raise WorkflowError(
            f'task {made.name!r}: {name} is a number of bytes or a text such as "512 MB", not '
            f"{given!r}"
        )
    return str(given)


def _ms(made: Task, name: str, default: float | None) -> int | None:
    given = made.options.get(name)
    is_limit = name in ("timeout", "cpu")
    return milliseconds(
        f"task {made.name!r}: {name}", default if given is None else given, may_be_zero=not is_limit
    )


def _class_names(made: Task, classes: Any) -> list[str]:
    names = []
    for kind in classes if isinstance(classes, Iterable) else (classes,):
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise WorkflowError(
                f"task {made.name!r}: retry_on has classes of exceptions, not {kind!r}"
            )
        name = kind.__qualname__
        names.append(name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}")
    return names


class _PipelineFunction:
    """Runs a pipeline in the worker of a task, without further processes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, item: Any) -> Any:
        """The result of the pipeline for one item, in the form of `Pipeline.run`."""
        return self._pipeline.run([item], use_rust=False)


def pipeline_task(name: str, pipeline: Pipeline, takes: str, **options: Any) -> Task:
    """A task that is a pipeline: it is run over one item, in the task's own worker process.

    Args:
        name: the task's name.
        pipeline: the pipeline.
        takes: what the item is: the name of a task or a key of the run's input.
        **options: as for `task`.
    """
    run = _PipelineFunction(pipeline)
    parameter = inspect.Parameter(takes, inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def call(**given: Any) -> Any:
        return run(given[takes])

    call.__name__ = call.__qualname__ = name
    call.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    made: Task = task(name=name, **options)(call)
    return made


__all__ = ["BACKOFFS", "Task", "pipeline_task", "settings", "task"]

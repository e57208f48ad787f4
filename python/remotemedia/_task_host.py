"""The node that calls the tasks of workflows in a worker. The other half is in Rust
(`durable/src/runner/call.rs`).

An item says which function is called with what. The outputs are tuples that begin with a word: how
the call ended, and before that a "note" for each inner step that a task has kept.
"""

from __future__ import annotations

import inspect
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from remotemedia import _pickle
from remotemedia._changes import Snapshot


class Suspend(BaseException):
    """Ends a call whose task waits, so that it needs no worker meanwhile."""

    def __init__(self, *until: Any) -> None:
        super().__init__("this task waits; do not catch this exception")
        self.until = until


class Context(dict[str, Any]):
    """What a task gets as its parameter `ctx`: the run's input and what earlier tasks have
    returned, as a dict, and what it can ask of its run.

    Attributes:
        run: id of the run.
        attempt: which attempt this is, from 1 on.
        attempt_key: a text that is the same in each attempt of this step of this run, and different
            in any other: pass it to other systems, so that what they do for it is done once.
    """

    def __init__(self, values: dict[str, Any], item: dict[str, Any], tell: Callable[..., None]):
        super().__init__(values)
        self.run: str = item["run"]
        self.attempt: int = item["attempt"]
        self.attempt_key = f"{item['run']}/{item['step']}"
        self._inner: dict[str, Any] = item["inner"]
        self._events: dict[str, Any] = item["events"]
        self._tell = tell
        self._pauses = 0

    def step(self, name: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """Call a function and keep its result: later attempts of this task get it from the
        database, without another call. Names are unique in the task.
        """
        if name in self._inner:
            return self._inner[name]
        result = function(*args, **keywords)
        if inspect.iscoroutine(result):
            result = _finished(result)
        self._inner[name] = result
        self._tell("note", name, result)
        return result

    def sleep(self, seconds: float, name: str | None = None) -> None:
        """Pause the task without a worker. It is called again afterwards, and comes here again:
        what it did before belongs into steps.
        """
        self._pauses += 1
        name = name or f"sleep-{self._pauses}"
        if name not in self._inner:
            self._suspend("pause", name, max(0, round(seconds * 1000)))

    def event(self, name: str) -> Any:
        """Wait for an event of the run (`Run.signal`) without a worker, and return what came with
        it.
        """
        if name not in self._events:
            self._suspend("event", name)
        return self._events[name]

    def _suspend(self, *until: Any) -> NoReturn:
        raise Suspend(*until)


class TaskHost:
    """Calls tasks, one after another."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}

    def process(self, item: dict[str, Any]) -> Any:
        """Call a task. A task with `ctx` is called in a thread of its own, so that its inner steps
        are reported while it runs.
        """
        kinds = [kind for _, kind, _ in item["arguments"]]
        if "handle" not in kinds:
            return self._call(item, None)
        return self._with_notes(item)

    def _with_notes(self, item: dict[str, Any]) -> Iterator[Any]:
        told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        passed_on: queue.SimpleQueue[None] = queue.SimpleQueue()

        def tell(*note: Any) -> None:
            told.put(note)
            passed_on.get()

        def call() -> None:
            told.put(self._call(item, tell))

        threading.Thread(target=call, name="task", daemon=True).start()
        while True:
            output = told.get()
            yield output
            if output[0] != "note":
                return
            passed_on.put(None)

    def _call(self, item: dict[str, Any], tell: Callable[..., None] | None) -> tuple[Any, ...]:
        try:
            arguments, contexts = {}, []
            for name, kind, value in item["arguments"]:
                if kind == "handle":
                    assert tell is not None
                    value = Context(value, item, tell)
                if kind != "value":
                    contexts.append((value, Snapshot(value)))
                arguments[name] = value
            result = self._function(item)(**arguments)
            if inspect.iscoroutine(result):
                result = _finished(result)
            if result is None and contexts:
                result = {}
                for context, before in contexts:
                    result |= before.changes(context)
        except Suspend as wait:
            kind, *until = wait.until
            return (kind, os.getpid(), *until)
        except BaseException as error:  # SystemExit and the like end the task, not the worker
            if isinstance(error, KeyboardInterrupt) and tell is None:
                raise  # the worker is interrupted, because the task is to stop
            return ("raised", os.getpid(), *_described(error))
        return ("returned", os.getpid(), result)

    def _function(self, item: dict[str, Any]) -> Callable[..., Any]:
        known = item["code_id"] or item["function"]
        function = self._functions.get(known)
        if function is None:
            function = _loaded(item)
            self._functions[known] = function
        return function


def _loaded(item: dict[str, Any]) -> Callable[..., Any]:
    if item["code"] is not None:
        found: Any = _pickle.loads(item["code"])
    elif item["function"] is not None:
        module, _, name = item["function"].partition(":")
        __import__(module)
        found = sys.modules[module]
        for part in name.split("."):
            found = getattr(found, part)
    else:
        raise LookupError(
            f"the code of task {item['step']!r} is not there: start the runner with its workflow, "
            "as in Runner(url, workflows=[...])"
        )
    function: Callable[..., Any] = getattr(found, "__task_function__", found)
    return function


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _described(error: BaseException) -> tuple[list[str], str, str]:
    """Names of the exception's class and its bases, its message and its traceback."""
    classes = [_name_of(base) for base in type(error).__mro__ if base is not object]
    try:
        message = str(error)
    except Exception as problem:
        message = f"(its text cannot be made: {type(problem).__name__})"
    # The frames of this file are of no interest to the author of a task.
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return classes, message, "".join(lines)


def _name_of(kind: type) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"


__all__ = ["Context", "Suspend", "TaskHost"]

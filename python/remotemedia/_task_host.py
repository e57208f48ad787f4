"""The node that calls the tasks of workflows in a worker. The other half is in Rust
(`durable/src/runner/call.rs`).

An item says which function is called with what. The output is a tuple that begins with a word:
how the call ended, or a "note" with an inner step that is to be kept. After a note the task waits
for an item that is None: its step is durable then.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from remotemedia import _pickle
from remotemedia._changes import Snapshot, Watched

if TYPE_CHECKING:
    from datetime import timedelta


_LONGEST_PAUSE = 1e9
"""The longest pause, in seconds: 31 years."""
_INTERRUPT_SECONDS = 0.2
"""How long a task that is interrupted may take to end."""


class Suspend(BaseException):
    """Ends a call whose task waits, so that it needs no worker meanwhile."""

    def __init__(self, *until: Any) -> None:
        super().__init__("this task waits; do not catch this exception")
        self.until = until


class Context(Watched):
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
        self._uses: dict[str, int] = {}
        self._names: set[str] = set()

    def step(self, name: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """Call a function and keep its result: later attempts of this task get it from the
        database, without another call. It is in the database when this returns.

        Further steps of the same name are numbered in the order of their calls, `name`, `name#2`,
        `name#3`: that order must be the same in each attempt. In a coroutine an `async def`
        function is awaited: `await ctx.step("load", load)`.

        Raises:
            ValueError: another step has got this name by its number.
            TypeError: the function returns a coroutine without being `async def`, in a coroutine.
        """
        key = self._distinct(name)
        if _loop_runs() and _is_async(function):
            return self._awaited(key, function, args, keywords)
        if key in self._inner:
            return self._inner[key]
        result = function(*args, **keywords)
        if inspect.iscoroutine(result):
            if _loop_runs():
                result.close()
                raise TypeError(
                    f"step {name!r} is a coroutine inside a coroutine: give ctx.step the `async "
                    "def` function itself with its arguments, and await it"
                )
            result = _finished(result)
        return self._kept(key, result)

    async def _awaited(
        self, key: str, function: Callable[..., Any], args: Any, keywords: Any
    ) -> Any:
        if key in self._inner:
            return self._inner[key]
        return self._kept(key, await function(*args, **keywords))

    def _kept(self, key: str, result: Any) -> Any:
        self._tell("note", key, result)
        self._inner[key] = result
        return result

    def _distinct(self, name: str) -> str:
        """The name under which a step is kept."""
        _check_name("a step", name)
        number = self._uses[name] = self._uses.get(name, 0) + 1
        key = name if number == 1 else f"{name}#{number}"
        if key in self._names:
            raise ValueError(
                f"two steps are named {key!r}: one by its number, one by itself; rename one"
            )
        self._names.add(key)
        return key

    def sleep(self, seconds: float | timedelta, name: str | None = None) -> None:
        """Pause the task without a worker. It is called again afterwards, and comes here again:
        what it did before belongs into steps.
        """
        seconds = seconds if isinstance(seconds, int | float) else seconds.total_seconds()
        if not 0 <= seconds < _LONGEST_PAUSE:
            raise ValueError(f"a pause is a number of seconds below 10**9, not {seconds!r}")
        self._pauses += 1
        key = self._distinct(name or f"sleep-{self._pauses}")
        if key not in self._inner:
            self._suspend("pause", key, round(seconds * 1000))

    def event(self, name: str) -> Any:
        """Wait for an event of the run (`Run.signal`) without a worker, and return what came with
        it.
        """
        _check_name("an event", name)
        if name not in self._events:
            self._suspend("event", name)
        return self._events[name]

    def _suspend(self, *until: Any) -> NoReturn:
        raise Suspend(*until)


class TaskHost:
    """Calls tasks, one after another."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._thread: TaskThread | None = None

    def process(self, item: dict[str, Any] | None) -> Any:
        """Call a task, or let it go on after a note. A task with `ctx` is called in a thread of its
        own, which waits while its inner steps are written.
        """
        if item is None:
            assert self._thread is not None
            return self._thread.go_on()
        self.cleanup()
        kinds = [kind for _, kind, _ in item["arguments"]]
        if "handle" not in kinds:
            return self._call(item, None)
        self._thread = TaskThread(lambda tell: self._call(item, tell))
        return self._thread.next()

    def cleanup(self) -> None:
        """Interrupt a task whose run was stopped, or whose step cannot be kept."""
        if self._thread is not None:
            self._thread.interrupt()
            self._thread = None

    def _call(self, item: dict[str, Any], tell: Callable[..., None] | None) -> tuple[Any, ...]:
        try:
            arguments, changes = {}, []
            for name, kind, value in item["arguments"]:
                if kind == "handle":
                    assert tell is not None
                    value = Context(value, item, tell)
                    changes.append(value.changes)
                elif kind == "context":
                    changes.append(functools.partial(Snapshot(value).changes, value))
                arguments[name] = value
            result = self._function(item)(**arguments)
            if inspect.iscoroutine(result):
                result = _finished(result)
            if isinstance(result, Context):
                result = dict(result)
            if result is None and changes:
                result = {}
                for changed in changes:
                    result |= changed()
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


class TaskThread:
    """The thread of a task with `ctx`. It and the thread of the worker take turns."""

    def __init__(self, call: Callable[[Callable[..., None]], tuple[Any, ...]]) -> None:
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._passed_on: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(call,), name="task", daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[Callable[..., None]], tuple[Any, ...]]) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # one that came after the task's end
            self._told.put(call(self._tell))

    def _tell(self, *note: Any) -> None:
        self._told.put(note)
        self._passed_on.get()

    def next(self) -> Any:
        """The next note, or how the task has ended."""
        try:
            return self._told.get()
        except KeyboardInterrupt:
            self.interrupt()
            raise

    def go_on(self) -> Any:
        """Let the task go on after its note; what follows."""
        self._passed_on.put(None)
        return self.next()

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the task, and give it a moment to end. One that waits in C
        code gets it only afterwards; the process then ends with it.
        """
        if self._thread.is_alive():
            import ctypes

            raised = ctypes.py_object(KeyboardInterrupt)
            number = ctypes.c_ulong(self._thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, raised)
            self._passed_on.put(None)
            self._thread.join(_INTERRUPT_SECONDS)


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

    return asyncio.run(_ended(coroutine))


async def _ended(coroutine: Coroutine[Any, Any, Any]) -> Any:
    result = await coroutine
    while inspect.iscoroutine(result):  # of `return ctx.step(...)` without `await`
        result = await result
    return result


def _check_name(of: str, name: Any) -> None:
    """Refuse names that a database cannot keep."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of {of} is a text, not {name!r}")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"the name of {of} has characters that no database keeps: {name!r}")


def _loop_runs() -> bool:
    """Whether the caller is inside a coroutine."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio is not None and bool(asyncio.get_running_loop())
    except RuntimeError:
        return False


def _is_async(function: Callable[..., Any]) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004  # an object's own one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


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
    return classes, _printable(message), _printable("".join(lines))


def _printable(text: str) -> str:
    """The text, with halves of surrogate pairs as they are written in Python."""
    return text.encode(errors="backslashreplace").decode()


def _name_of(kind: type) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"


__all__ = ["Context", "Suspend", "TaskHost"]

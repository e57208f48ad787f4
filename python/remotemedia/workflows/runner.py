"""The runner: begins runs, finds them, and goes on with those that the last engine has left."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from remotemedia._load import native
from remotemedia.core.caller import this_process
from remotemedia.runtime import Runtime
from remotemedia.workflows import facts
from remotemedia.workflows.arguments import is_text
from remotemedia.workflows.exceptions import RunnerClosed, RunNotFound, WorkflowError
from remotemedia.workflows.facts import RunInfo
from remotemedia.workflows.runs import Run
from remotemedia.workflows.workflow import Workflow

if TYPE_CHECKING:
    from remotemedia._native import WorkflowRunner

log = logging.getLogger(__name__)
_open: weakref.WeakSet[Runner] = weakref.WeakSet()


class Runner:
    """Runs workflows on a database, and goes on with the runs in it that have not ended.

    Args:
        url: the database: `sqlite:///path.db`, `sqlite://:memory:`, `postgresql://host/database`,
            or the path of a SQLite file. `?sync=normal` trades the last moments before a power cut
            for speed; the end of any process costs nothing either way.
        workflows: workflows whose runs may go on. Those whose functions can be imported need not be
            named.
        workers: how many tasks run at once; by default one for each processor. With 0 nothing runs
            here: what is submitted begins with the next runner.
        runtime: the pool of workers; by default one of its own.

    Close it, or use it in a `with` statement. One that nothing refers to any more, not even a
    `Run`, closes by itself: tasks that run are given up.

    Raises:
        ValueError: the URL is not valid.
        DatabaseInUse: another engine uses the database.
        DatabaseError: it cannot be opened.
    """

    def __init__(
        self,
        url: str,
        *,
        workflows: Iterable[Workflow] = (),
        workers: int | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        if workers is None:
            workers = len(os.sched_getaffinity(0))
        if not isinstance(workers, int) or workers < 0:
            raise WorkflowError(f"workers is a number from 0 on, not {workers!r}")
        self.url: str = native().check_database_url(url)
        self._own_runtime = None if runtime else Runtime(workers={"max": workers + 1})
        pool = runtime or self._own_runtime
        assert pool is not None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._registered: set[str] = set()
        # Runs that were to go on: what is heard of their ends may be about an earlier one.
        self._resumed: set[str] = set()
        self._closed: str | None = None
        self._native: WorkflowRunner = native().WorkflowRunner(
            url, workers, pool.native, this_process()
        )
        self._lock_descriptor = self._native.lock_descriptor()
        _open.add(self)
        self._unused = weakref.finalize(
            self, _close_unused, self._native, self._own_runtime, self._waiting, self._owner
        )
        self._unused.atexit = False  # `_close_all` does it
        for workflow in workflows:
            self.register(workflow)
        thread = threading.Thread(
            target=_hear,
            args=(self._native, weakref.ref(self)),
            name="remotemedia-runs",
            daemon=True,
        )
        thread.start()

    @property
    def native(self) -> WorkflowRunner:
        """The native runner.

        Raises:
            RunnerClosed: this one is closed, or belongs to the process from which this one forked.
        """
        if os.getpid() != self._owner:
            raise RunnerClosed("this runner belongs to the parent process; make one here")
        if self._closed is not None:
            raise RunnerClosed(self._closed)
        return self._native

    def register(self, workflow: Workflow) -> None:
        """Make a workflow known, so that runs of it can go on. `submit` does it too."""
        _check_workflow(workflow)
        if workflow.hash not in self._registered:
            self.native.register(workflow.graph, workflow.codes)
            self._registered.add(workflow.hash)

    def submit(
        self,
        workflow: Workflow,
        input: Any = None,  # noqa: A002
        *,
        id: str | None = None,  # noqa: A002  # the word of the database
    ) -> Run:
        """Begin a run. It is in the database when this returns.

        Args:
            workflow: what runs.
            input: a dict of values that can be kept; tasks take its keys by their names.
            id: the run's name; by default one is made. If there is a run of this name, that one is
                returned, and nothing begins.

        Raises:
            WorkflowError: the input lacks what a task takes.
            NotKept: a value of the input cannot be kept.
            DatabaseError: the database refuses it.
        """
        return self.submit_many(workflow, [input], ids=None if id is None else [id])[0]

    def submit_many(
        self, workflow: Workflow, inputs: Iterable[Any], *, ids: Iterable[str] | None = None
    ) -> list[Run]:
        """Begin many runs in one transaction; see `submit`."""
        _check_workflow(workflow)
        inputs = [workflow.checked_input(given) for given in inputs]
        names = (
            [self.new_id() for _ in inputs] if ids is None else [_checked_id(name) for name in ids]
        )
        if len(names) != len(inputs):
            raise WorkflowError(f"there are {len(inputs)} inputs and {len(names)} ids")
        self.register(workflow)
        rows = [(name, workflow.hash, given) for name, given in zip(names, inputs, strict=True)]
        self.native.submit(rows)
        return [Run(self, name) for name in names]

    def get(self, id: str) -> Run:  # noqa: A002
        """The run with this id.

        Raises:
            RunNotFound: there is none.
        """
        if self.native.find(id) is None:
            raise RunNotFound(f"there is no run {id!r}")
        return Run(self, id)

    def runs(
        self,
        workflow: str | Workflow | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[RunInfo]:
        """Runs, the last ones first, of one workflow and with one status if these are given."""
        name = workflow.name if isinstance(workflow, Workflow) else workflow
        return [facts.run_info(row) for row in self.native.list(name, status, limit)]

    def schedule(
        self,
        name: str,
        workflow: Workflow,
        cron: str,
        *,
        timezone: str = "UTC",
        input: Any = None,  # noqa: A002
        catch_up: bool = False,
    ) -> None:
        """Begin a run at each time of a schedule, named `name@time`. Adding it again changes it.

        Args:
            name: its name.
            workflow: what runs.
            cron: minute, hour, day of the month, month, day of the week, as cron has them.
            timezone: the time zone of these.
            input: the input of each run.
            catch_up: whether runs begin for all times that have passed while no runner was there;
                otherwise only for the last one.

        Raises:
            WorkflowError: the times cannot be read.
        """
        _check_workflow(workflow)
        if not is_text(name):
            raise WorkflowError(f"the name of a schedule is a text, not {name!r}")
        given = workflow.checked_input(input)
        self.register(workflow)
        self.native.schedule(name, workflow.hash, cron, timezone, given, catch_up)

    def unschedule(self, name: str) -> None:
        """Remove a schedule."""
        self.native.unschedule(name)

    def schedules(self) -> list[str]:
        """Names of all schedules."""
        return [name for name, _, _, _ in self.native.schedules()]

    def prune(self, older_than: timedelta = timedelta(0)) -> int:
        """Remove runs that ended longer ago than this, with what only they have kept. Returns their
        number.
        """
        return self.native.prune(round((time.time() - older_than.total_seconds()) * 1000))

    def ended(self, id: str) -> Future[None]:  # noqa: A002
        """A future that is done when the run has ended."""
        native = self.native
        with self._lock:
            future = self._waiting.get(id)
            if future is not None:
                return future
            future = self._waiting[id] = Future()
        try:
            row = native.find(id)
            if row is None:
                raise RunNotFound(f"there is no run {id!r}")
        except Exception as problem:
            self._settle(id, problem)  # others may have begun to wait for it
            raise
        if row["status"] != "running":
            self._settle(id)
        return future

    def resume(self, id: str, from_step: str | None) -> None:  # noqa: A002
        """Let a run go on; see `Run.retry`. Those who wait for it wait for its next end."""
        native = self.native
        self._resumed.add(id)
        native.resume(id, from_step)

    def _has_ended(self, id: str) -> None:  # noqa: A002
        try:
            row = self._native.find(id) if id in self._resumed else None
        except Exception as problem:
            self._settle(id, problem)
            return
        if row is None or row["status"] != "running":
            self._settle(id)

    def _settle(self, id: str, problem: Exception | None = None) -> None:  # noqa: A002
        with self._lock:
            future = self._waiting.pop(id, None)
        if future is None or future.done():
            return
        if problem is None:
            future.set_result(None)
        else:
            future.set_exception(problem)

    def _is_over(self, reason: str) -> None:
        """No run will end any more."""
        with self._lock:
            self._closed = self._closed or reason
            waiting = list(self._waiting.values())
            self._waiting.clear()
        _give_up(waiting, reason)

    def close(self) -> None:
        """End the runner. Tasks that run are given up; the next runner on the database runs them
        again. Further calls do nothing.
        """
        if self._closed is not None or os.getpid() != self._owner:
            return
        self._is_over("the runner has been closed")
        self._unused.detach()
        self._native.close()
        if self._own_runtime is not None:
            self._own_runtime.shutdown()

    @staticmethod
    def new_id() -> str:
        """A name for a run that no other one has."""
        return str(uuid.uuid4())

    def __enter__(self) -> Runner:
        """Return the runner itself."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the runner."""
        self.close()

    def __repr__(self) -> str:
        """The database."""
        return f"<runner on {self.url}>"


def _check_workflow(workflow: object) -> None:
    if not isinstance(workflow, Workflow):
        raise WorkflowError(f"a runner runs a Workflow, not {workflow!r}")


def _checked_id(id: str) -> str:  # noqa: A002
    if not is_text(id) or len(id) > 500:
        raise WorkflowError(f"the id of a run is a text of at most 500 characters, not {id!r}")
    return id


def _give_up(waiting: Iterable[Future[None]], reason: str) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(RunnerClosed(reason))


def _close_unused(
    native: WorkflowRunner,
    own_runtime: Runtime | None,
    waiting: dict[str, Future[None]],
    owner: int,
) -> None:
    """Close what belongs to a runner that nothing refers to any more."""
    if os.getpid() != owner:
        return  # a child has none of the threads
    _give_up(list(waiting.values()), "nothing refers to the runner any more, so it was closed")
    native.close()
    if own_runtime is not None:
        own_runtime.shutdown()


def _hear(native: WorkflowRunner, owner: weakref.ref[Runner]) -> None:
    """Log the troubles of the native runner, and tell its owner which runs end, until it ends."""
    while (notice := native.next_notice()) is not None:
        kind, text = notice
        runner = owner()
        if kind == "trouble":
            log.warning("%s; it is tried again", text)
        elif runner is not None and kind == "ended":
            runner._has_ended(text)
        elif runner is not None:
            runner._is_over(f"the database is lost: {text}")
        del runner


def _after_fork() -> None:
    """In a child: let go of the databases, which the parent holds."""
    for runner in list(_open):
        held, runner._lock_descriptor = runner._lock_descriptor, None
        if held is not None and runner._closed is None:
            os.close(held)
    _open.clear()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _close_all() -> None:
    for runner in list(_open):
        runner.close()


__all__ = ["Runner"]

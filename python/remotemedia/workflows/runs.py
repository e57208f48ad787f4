"""One run of a workflow: its state, its result, and what can be done with it."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import math
import time
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remotemedia._progress import Option, Progress
from remotemedia.workflows import facts
from remotemedia.workflows.arguments import is_text
from remotemedia.workflows.exceptions import RunFailed, RunNotFound, WorkflowError
from remotemedia.workflows.facts import Attempt, Failure, RunInfo, Step
from remotemedia.workflows.timeline import HOW, timeline

if TYPE_CHECKING:
    from remotemedia.workflows.runner import Runner


_LOOK_SECONDS = 0.25
"""How often a bar looks at the database."""


@dataclass(frozen=True)
class RunResult:
    """What a run that has ended has given.

    Attributes:
        info: the run.
        outputs: what each task that has completed has returned, by name.
        context: the run's input, with the dicts that tasks have returned; later tasks replace
            earlier ones.
    """

    info: RunInfo
    outputs: dict[str, Any]
    context: dict[str, Any]

    @property
    def status(self) -> str:
        """How the run has ended: "completed", "failed" or "cancelled"."""
        return self.info.status

    @property
    def failure(self) -> Failure | None:
        """Why it failed, or None."""
        return self.info.failure

    def checked(self) -> RunResult:
        """The result itself, if the run has completed.

        Raises:
            RunFailed: it has not.
        """
        if self.status == "completed":
            return self
        why = f": {self.failure}" if self.failure else ""
        raise RunFailed(
            f"run {self.info.id!r} {_PAST[self.status]}{why}",
            run=self.info.id,
            status=self.status,
            failure=self.failure,
        )


_PAST = {"failed": "has failed", "cancelled": "was cancelled"}


class Run:
    """A run. `await run` waits for its result as `result()` does.

    Attributes:
        id: its name.
    """

    def __init__(self, runner: Runner, id: str) -> None:  # noqa: A002  # the word of the database
        self._runner = runner
        self.id = id

    def _row(self) -> dict[str, Any]:
        row = self._runner.native.find(self.id)
        if row is None:
            raise RunNotFound(f"there is no run {self.id!r}")
        return row

    @property
    def status(self) -> str:
        """Where it stands: "running", "completed", "failed" or "cancelled"."""
        return facts.run_info(self._row()).status

    def info(self) -> RunInfo:
        """The run as the database has it, and whether it waits for its code."""
        info = facts.run_info(self._row())
        return dataclasses.replace(info, waits_for_code=self._waits_for_code(info.status))

    def _waits_for_code(self, status: str = "running") -> bool:
        return status == "running" and self._runner.native.waits_for_code(self.id)

    def steps(self) -> list[Step]:
        """Its steps, in the order of the graph."""
        rows = [facts.step(row) for row in self._row()["steps"]]
        return sorted(rows, key=lambda row: (row.started is None, row.started, row.name))

    def attempts(self) -> list[Attempt]:
        """All attempts of its steps that are over, in the order of their beginning."""
        return [facts.attempt(row) for row in self._row()["attempts"]]

    def wait(self, timeout: float | None = None, progress: Option = False) -> None:
        """Wait until it ends.

        Args:
            timeout: how long to wait, in seconds.
            progress: whether a bar shows meanwhile how many of its steps have ended, in a terminal
                or notebook; or a function that is called with this number and that of all steps.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds. It goes on.
        """
        try:
            self._wait(timeout, progress)
        except TimeoutError:
            goes_on = "it waits for its code, which a runner has with its workflow: " + HOW
            raise TimeoutError(
                f"run {self.id!r} has not ended after {timeout} s; "
                f"{goes_on if self._waits_for_code() else 'it goes on'}"
            ) from None

    def _wait(self, timeout: float | None, progress: Option) -> None:
        ended = self._runner.ended(self.id)
        if progress is False:
            ended.result(timeout)
            return
        until = math.inf if timeout is None else time.monotonic() + timeout
        with Progress(progress, label=f"run {self.id}", unit="steps") as bar:
            while True:
                is_last = ended.done()
                bar.update(*facts.progress(self._row()))
                if is_last:
                    return
                left = max(0.0, until - time.monotonic())
                try:
                    ended.result(min(left, _LOOK_SECONDS))
                except TimeoutError:
                    if left <= _LOOK_SECONDS:
                        raise

    def result(self, timeout: float | None = None, progress: Option = False) -> RunResult:
        """Wait until it ends as `wait` does, and return what it has given, also if it has failed.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds. It goes on.
        """
        self.wait(timeout, progress)
        return self._result()

    def _result(self) -> RunResult:
        values = self._runner.native.result(self.id)
        return RunResult(self.info(), values["outputs"], values["context"])

    def __await__(self) -> Generator[Any, None, RunResult]:
        """Wait for the result without blocking the event loop."""
        return self._awaited().__await__()

    async def _awaited(self) -> RunResult:
        ended: Future[None] = self._runner.ended(self.id)
        # Cancelling the wait must not cancel what others wait for.
        await asyncio.shield(asyncio.wrap_future(ended))
        return await asyncio.to_thread(self._result)

    def cancel(self) -> None:
        """Stop it. Tasks that run get a KeyboardInterrupt, and are killed if they go on.

        Raises:
            RunRefused: it has ended.
        """
        self._runner.native.cancel(self.id)

    def signal(self, event: str, payload: Any = None) -> None:
        """Give it an event, for which a task may wait with `ctx.event`. A second one of the same
        name is ignored.

        Raises:
            RunRefused: it has ended.
            WorkflowError: the name is no text.
        """
        if not is_text(event):
            raise WorkflowError(f"the name of an event is a text, not {event!r}")
        self._runner.native.signal(self.id, event, payload)

    def retry(self, from_step: Any = None) -> Run:
        """Let a run go on that has failed or was cancelled: what has completed is kept, all else
        runs again.

        Args:
            from_step: a task. It and all that follow from it run again, even if they have
                completed.

        Raises:
            RunRefused: it has not ended, or has no such task.
        """
        name = getattr(from_step, "name", from_step)
        self._runner.resume(self.id, name)
        return self

    resume = retry

    def fork(self, from_step: Any, input: Any = None, id: str | None = None) -> Run:  # noqa: A002
        """Begin another run that takes over what this one has done before a task.

        Args:
            from_step: the first task that runs again, with all that follow from it.
            input: another input; by default this run's.
            id: name of the new run; by default one is made.

        Raises:
            RunRefused: there is no such task, or the name is taken.
        """
        new = self._runner.new_id() if id is None else id
        name = getattr(from_step, "name", from_step)
        self._runner.native.fork(self.id, new, name, input)
        return Run(self._runner, new)

    def _repr_html_(self) -> str:
        """What a notebook shows: the run with its steps and attempts as they are now."""
        return f"<pre>{html.escape(timeline(self._row()))}</pre>"

    def __repr__(self) -> str:
        """The run's id."""
        return f"<run {self.id!r}>"


__all__ = ["Run", "RunResult"]

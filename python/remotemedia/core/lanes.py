"""The lanes of a map: threads that drive one session each, and what they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from remotemedia.core._async import CancelPoint
from remotemedia.core.dispatch import Dispatch
from remotemedia.core.exceptions import MarshalingError, Overloaded
from remotemedia.core.outputs import run_result

if TYPE_CHECKING:
    from remotemedia.core.execution import Execution

OpenLane = Callable[[CancelPoint, "Execution | None"], "Execution"]
"""Opens a session: the first one, or one like the first, which raises Overloaded instead of waiting
for a worker."""


class Failed:
    """Stands for the result of an item that failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Lanes:
    """What the lanes of a map and the thread that asks for its results share.

    Attributes:
        metrics: the metrics of each session that has ended, as JSON.
        failed: what a lane ended with other than the failure of an item.
    """

    def __init__(self, open_lane: OpenLane, dispatch: Dispatch) -> None:
        self.metrics: list[str] = []
        self.failed: BaseException | None = None
        self._open_lane = open_lane
        self._dispatch = dispatch
        self._changed = threading.Condition()
        self._lanes: list[_Lane] = []
        self._first: Execution | None = None
        self._opening = threading.Lock()
        self._opened = 0
        self._idle = 0
        self._is_stopped = False
        self._has_all_items = False

    # For the thread that asks for results.

    def give(self, item: Any) -> None:
        """Convert an item, as it is now, and let a lane take it. The first one opens a session."""
        if self._first is None:
            # Here the caller gets the errors of opening. Other lanes follow the first.
            point = CancelPoint()
            self._first = self._open_lane(point, None)
            self._opened = 1
            self._start(self._first, point)
        try:
            converted = self._first.convert(item)
        except MarshalingError as error:
            with self._changed:
                self._dispatch.add_done(Failed(error))
            return
        with self._changed:
            self._dispatch.add(converted)
            if self._idle:
                self._changed.notify_all()
            has_too_few = len(self._lanes) < self._dispatch.lanes and self._is_short()
        if has_too_few:
            self._start(None, CancelPoint())

    def _is_short(self) -> bool:
        return sum(lane.is_idle for lane in self._lanes) < self._dispatch.waiting

    def end_items(self) -> None:
        """No further item comes."""
        with self._changed:
            self._has_all_items = True
            self._changed.notify_all()

    def room(self) -> int:
        """How many items lanes may soon need."""
        with self._changed:
            return 0 if self._has_all_items or self._is_stopped else self._dispatch.room

    @property
    def is_through(self) -> bool:
        """Whether all results have been passed on, and no item follows."""
        return self._has_all_items and self._dispatch.is_idle

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be waited for."""
        return self._dispatch.is_ready or self.is_through or self._is_stopped or bool(self.failed)

    def wait(self, done: int) -> int:
        """Wait until `is_ready`, or until another number of items is done than `done`. Returns that
        number.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.is_ready or self._dispatch.done != done)
            return self._dispatch.done

    def pass_on(self) -> list[Any]:
        """The next results, which may be `Failed`; none after the last one.

        Raises:
            BaseException: what a lane ended with.
        """
        with self._changed:
            passed = self._dispatch.pass_on()
        if not passed and self.failed is not None:
            raise self.failed
        return passed

    def stop(self) -> None:
        """Cancel what runs, from any thread."""
        with self._changed:
            self._is_stopped = True
            lanes = list(self._lanes)
            self._changed.notify_all()
        for lane in lanes:
            lane.point.cancel()

    def join(self) -> None:
        """Wait until all lanes have ended."""
        for lane in list(self._lanes):
            lane.thread.join()

    def _start(self, execution: Execution | None, point: CancelPoint) -> None:
        lane = _Lane(self, execution, point)
        with self._changed:
            self._lanes.append(lane)
            if self._is_stopped:
                point.cancel()
        lane.thread.start()

    # For lanes.

    def next_batch(self, lane: _Lane) -> list[tuple[int, Any]] | None:
        """The items that a lane works on next; None: it is no longer needed."""
        with self._changed:
            lane.is_idle = True
            self._idle += 1
            self._changed.wait_for(
                lambda: self._is_stopped or self._dispatch.has_work or self._has_all_items
            )
            self._idle -= 1
            lane.is_idle = False
            if self._is_stopped or not self._dispatch.has_work:
                return None
            return self._dispatch.take()

    def finish(self, results: list[tuple[int, Any]], seconds: float) -> None:
        """Results of a lane."""
        with self._changed:
            self._dispatch.finish(results, seconds)
            self._changed.notify_all()

    def open_further(self, point: CancelPoint) -> Execution | None:
        """A session for another lane, as soon as a worker is free for it: that is looked at again
        when further items are done. None when no lane is needed any more.
        """
        further = 16
        while True:
            try:
                # One after the other: a request that has to queue behind another is refused.
                with self._opening:
                    if self._is_stopped:
                        return None
                    execution = self._open_lane(point, self._first)
            except Overloaded:
                if not self._is_needed_after(further):
                    return None
                further *= 2
                continue
            with self._changed:
                self._opened += 1
                self._dispatch.lanes = max(self._dispatch.lanes, self._opened)
            return execution

    def _is_needed_after(self, further: int) -> bool:
        with self._changed:
            self._dispatch.lanes = max(1, self._opened)
            due = self._dispatch.done + further
            self._changed.wait_for(
                lambda: self._is_stopped or self._has_all_items or self._dispatch.done >= due
            )
            return not self._is_stopped and (self._dispatch.has_work or not self._has_all_items)

    def ended(self, lane: _Lane, metrics: str | None, error: BaseException | None) -> None:
        """A lane has closed its session."""
        with self._changed:
            self._lanes.remove(lane)
            if metrics is not None:
                self.metrics.append(metrics)
            if error is not None and not self._is_stopped:
                self.failed = self.failed or error
            self._changed.notify_all()


class _Lane:
    """A thread that drives one session.

    Attributes:
        point: cancels the session.
        is_idle: whether it waits for items.
    """

    def __init__(self, owner: Lanes, execution: Execution | None, point: CancelPoint) -> None:
        self.point = point
        self.is_idle = True
        self._owner = owner
        self._execution = execution
        self.thread = threading.Thread(target=self._drive, name="remotemedia-map", daemon=True)

    def _drive(self) -> None:
        error: BaseException | None = None
        metrics = None
        try:
            if self._execution is None:
                self._execution = self._owner.open_further(self.point)
            if self._execution is not None:
                try:
                    self._serve(self._execution)
                finally:
                    self._execution.end()
        except BaseException as raised:  # the thread that asks for results raises it
            error = raised
        if self._execution is not None:
            metrics = self._execution.metrics()
        self._owner.ended(self, metrics, error)

    def _serve(self, execution: Execution) -> None:
        sinks = execution.plan.sinks
        while (batch := self._owner.next_batch(self)) is not None:
            began = time.perf_counter()
            results: list[tuple[int, Any]] = []
            processed = execution.process_each([item for _, item in batch])
            for (number, _), (pairs, error) in zip(batch, processed, strict=True):
                if pairs is not None:
                    results.append((number, run_result(pairs, sinks)))
                elif isinstance(error, Exception):
                    results.append((number, Failed(error)))
                elif error is not None:
                    raise error
            self._owner.finish(results, time.perf_counter() - began)


__all__ = ["Failed", "Lanes", "OpenLane"]

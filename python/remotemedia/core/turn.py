"""Whose turn it is to use a session."""

from __future__ import annotations

import threading
from types import TracebackType

from remotemedia.core.exceptions import PipelineError


class Turn:
    """A lock for calls from several threads. A call from within a call, as from a callback or a
    signal handler, would wait for itself; it is refused.
    """

    __slots__ = ("_is_taken", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_taken = False

    def acquire(self) -> None:
        """Wait for the turn.

        Raises:
            PipelineError: this thread has it already.
        """
        self._lock.acquire()
        if self._is_taken:
            self._lock.release()
            raise PipelineError(
                "this session is at work for a call further up in this thread, so a callback or "
                "signal handler cannot use it: do that after the call, or open a session of its own"
            )
        self._is_taken = True

    def release(self) -> None:
        """End the turn."""
        self._is_taken = False
        self._lock.release()

    def __enter__(self) -> None:
        """As `acquire`."""
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """As `release`."""
        self.release()


__all__ = ["Turn"]

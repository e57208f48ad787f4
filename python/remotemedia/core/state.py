"""Per-session state of a node: values kept by session id and dropped after a time to live.

The state belongs to one node object, so it lives in one worker and is not shared between processes.
A session id is any text that the user's items carry; it has nothing to do with
`Pipeline.session()`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

DEFAULT_TTL = timedelta(hours=24)


def _now() -> datetime:
    return datetime.now()


@dataclass
class SessionState:
    """The values of one session id.

    `created_at` and `last_accessed` are local times. Every access updates `last_accessed`.
    """

    session_id: str
    data: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now)
    last_accessed: datetime = field(default_factory=_now)
    metadata: dict[str, Any] = field(default_factory=dict)

    def update_access_time(self) -> None:
        """Set `last_accessed` to now."""
        self.last_accessed = _now()

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        self.last_accessed = _now()
        return self.data.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Set the value under `key`."""
        self.last_accessed = _now()
        self.data[key] = value

    def update(self, values: Mapping[str, Any]) -> None:
        """Set every value of `values`."""
        self.last_accessed = _now()
        self.data.update(values)

    def clear(self) -> None:
        """Drop all values."""
        self.last_accessed = _now()
        self.data.clear()


class StateManager:
    """The session states of one node.

    Args:
        default_ttl: a session expires when it has not been accessed for this time (default 24
            hours).
        max_sessions: how many sessions are kept; the least recently accessed is dropped first.
        enable_persistence: accepted for compatibility; sessions live in memory only.
    """

    def __init__(
        self,
        default_ttl: timedelta | None = None,
        max_sessions: int | None = None,
        enable_persistence: bool = False,
    ) -> None:
        if max_sessions is not None and max_sessions < 1:
            raise ValueError(f"max_sessions must be at least 1, not {max_sessions}")
        self.default_ttl = DEFAULT_TTL if default_ttl is None else default_ttl
        self.max_sessions = max_sessions
        # Set for one that a node makes by itself, see `remotemedia.core.node.leaves_behind`.
        self.is_default = False
        self._sessions: dict[str, SessionState] = {}
        self._lock = threading.RLock()
        self._cleanup_task: asyncio.Task[None] | None = None

    def get_or_create_session(self, session_id: str) -> SessionState:
        """The state of `session_id`; a new empty one if there is none or it has expired."""
        with self._lock:
            session = self.get_session(session_id)
            if session is None:
                self._make_room()
                session = self._sessions[session_id] = SessionState(session_id)
            return session

    def get_session(self, session_id: str) -> SessionState | None:
        """The state of `session_id`; None if there is none or it has expired."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                return None
            if self._expired(session, _now()):
                del self._sessions[session_id]
                return None
            session.last_accessed = _now()
            return session

    def delete_session(self, session_id: str) -> bool:
        """Drop a session; returns False if there was none."""
        with self._lock:
            return self._sessions.pop(session_id, None) is not None

    def get_all_sessions(self) -> dict[str, SessionState]:
        """All sessions that have not expired, by id."""
        with self._lock:
            now = _now()
            return {k: s for k, s in self._sessions.items() if not self._expired(s, now)}

    def clear_all_sessions(self) -> None:
        """Drop all sessions."""
        with self._lock:
            self._sessions.clear()

    def cleanup_expired_sessions(self) -> int:
        """Drop the expired sessions; returns their number."""
        with self._lock:
            now = _now()
            expired = [k for k, s in self._sessions.items() if self._expired(s, now)]
            for session_id in expired:
                del self._sessions[session_id]
            return len(expired)

    def start_cleanup_task(self, interval: timedelta = timedelta(minutes=5)) -> None:
        """Drop expired sessions every `interval`, on the running event loop, until stopped. Does
        nothing where no loop runs.

        This only frees their memory earlier: expired sessions are never returned in any case.
        """
        from remotemedia.core._async import is_loop_running

        if is_loop_running() and (self._cleanup_task is None or self._cleanup_task.done()):
            import asyncio

            self._cleanup_task = asyncio.get_running_loop().create_task(self._clean_up(interval))

    def stop_cleanup_task(self) -> None:
        """Stop the task that `start_cleanup_task` has started."""
        if self._cleanup_task is not None:
            self._cleanup_task.cancel()
            self._cleanup_task = None

    async def _clean_up(self, interval: timedelta) -> None:
        import asyncio

        while True:
            await asyncio.sleep(interval.total_seconds())
            self.cleanup_expired_sessions()

    def _expired(self, session: SessionState, now: datetime) -> bool:
        return now - session.last_accessed > self.default_ttl

    def _make_room(self) -> None:
        if self.max_sessions is None or len(self._sessions) < self.max_sessions:
            return
        self.cleanup_expired_sessions()
        while len(self._sessions) >= self.max_sessions:
            oldest = min(self._sessions.values(), key=lambda s: s.last_accessed)
            del self._sessions[oldest.session_id]

    def __getstate__(self) -> dict[str, Any]:
        """The settings and sessions; the lock and the task are not pickled."""
        left = ("_lock", "_cleanup_task")
        return {name: value for name, value in vars(self).items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the settings and sessions, with a new lock and without a task."""
        vars(self).update(state)
        self._lock = threading.RLock()
        self._cleanup_task = None


__all__ = ["DEFAULT_TTL", "SessionState", "StateManager"]

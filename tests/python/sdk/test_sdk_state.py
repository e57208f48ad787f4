"""`StateManager` and `SessionState`."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta

import pytest

from remotemedia import StateManager


def _age(manager: StateManager, session_id: str, by: timedelta) -> None:
    manager._sessions[session_id].last_accessed -= by


def test_values_stay_with_their_session() -> None:
    manager = StateManager()
    first = manager.get_or_create_session("a")
    first.set("n", 1)
    first.update({"m": 2})
    assert manager.get_or_create_session("a") is first
    assert first.get("n") == 1
    assert manager.get_or_create_session("b").get("n", 0) == 0
    first.clear()
    assert first.get("m") is None


def test_expired_sessions_are_gone() -> None:
    manager = StateManager(default_ttl=timedelta(minutes=1))
    for session_id in ("a", "b", "c"):
        manager.get_or_create_session(session_id)
    _age(manager, "a", timedelta(minutes=2))
    _age(manager, "b", timedelta(minutes=2))
    assert manager.get_session("a") is None
    assert set(manager.get_all_sessions()) == {"c"}
    assert manager.cleanup_expired_sessions() == 1
    assert manager.delete_session("c")
    assert not manager.delete_session("c")


def test_the_session_used_longest_ago_makes_room() -> None:
    manager = StateManager(max_sessions=2)
    for session_id in ("a", "b"):
        manager.get_or_create_session(session_id)
    _age(manager, "b", timedelta(minutes=1))
    manager.get_or_create_session("c")
    assert set(manager.get_all_sessions()) == {"a", "c"}
    manager.clear_all_sessions()
    assert manager.get_all_sessions() == {}


def test_a_manager_can_be_pickled() -> None:
    manager = StateManager()
    manager.get_or_create_session("a").set("n", 1)
    copy = pickle.loads(pickle.dumps(manager))
    assert copy.get_or_create_session("a").get("n") == 1


class Noticing(StateManager):
    """Says when it has cleaned up."""

    cleaned: asyncio.Event

    def start_cleanup_task(self, interval: timedelta = timedelta()) -> None:
        self.cleaned = asyncio.Event()
        super().start_cleanup_task(interval)

    def cleanup_expired_sessions(self) -> int:
        count = super().cleanup_expired_sessions()
        self.cleaned.set()
        return count


def test_the_cleanup_task_stops() -> None:
    async def scenario() -> bool:
        manager = Noticing(default_ttl=timedelta(minutes=1))
        manager.get_or_create_session("a")
        _age(manager, "a", timedelta(minutes=2))
        manager.start_cleanup_task(timedelta())
        await manager.cleaned.wait()
        assert not manager._sessions
        task = manager._cleanup_task
        assert task is not None
        manager.stop_cleanup_task()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(scenario())


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        StateManager(max_sessions=0)

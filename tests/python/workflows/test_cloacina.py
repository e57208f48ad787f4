"""The names of Cloacina, and the examples of its document as they are written there."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remotemedia.workflows import RunnerClosed, WorkflowError
from remotemedia.workflows.unified import registry

sys.path.insert(0, str(Path(__file__).parents[3] / "python" / "names-of-cloacina" / "src"))

import cloacina
import cloacina_postgres
import cloacina_sqlite


@pytest.fixture(autouse=True)
def _no_tasks() -> Iterator[None]:
    registry.clear()
    yield
    registry.clear()


def test_sqlite_complete_workflow() -> None:
    # spec: CLO-21
    # spec: CLO-01
    async def example() -> None:
        # Create temporary database
        with tempfile.NamedTemporaryFile(suffix=".db") as db_file:
            # Register tasks using decorator
            @cloacina_sqlite.task(task_id="process_data")
            def process_data(context: Any) -> Any:
                return {"processed": True, "count": context.get("count", 0) + 1}

            # Create and initialize executor
            executor = cloacina_sqlite.UnifiedExecutor()
            await executor.initialize(f"sqlite:///{db_file.name}")

            # Execute workflow
            workflow = cloacina_sqlite.Workflow("test_workflow")
            result = await executor.execute(workflow, {"input": "test"})

            # Verify results
            assert result["status"] == "Completed"
            assert result["final_context"]["processed"] is True
            assert result["final_context"]["count"] == 1
            executor.shutdown()

    asyncio.run(example())


def test_postgres_complete_workflow(postgres_server: str) -> None:
    # spec: CLO-21
    # spec: CLO-05
    async def example() -> None:
        from cloacina import task

        @task(task_id="process_data")
        def process_data(context: Any) -> Any:
            # Python task implementation
            return {"processed": True}

        executor = cloacina_postgres.UnifiedExecutor()
        await executor.initialize(f"{postgres_server}?schema=cloacina")
        result = await executor.execute(
            cloacina_postgres.Workflow("test_workflow"), {"input": "test"}
        )
        assert result["status"] == "Completed"
        assert result["final_context"] == {"input": "test", "processed": True}
        executor.shutdown()

    asyncio.run(example())


def test_the_loop_goes_on_while_a_task_runs() -> None:
    # spec: CLO-04
    @cloacina.task
    def slow(context: Any) -> None:
        import time

        time.sleep(0.3)
        context["slow"] = True

    async def example() -> int:
        executor = cloacina.UnifiedExecutor()
        await executor.initialize("sqlite://:memory:")
        pending = asyncio.ensure_future(executor.execute(cloacina.Workflow("w")))
        turns = 0
        while not pending.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert pending.result()["final_context"] == {"slow": True}, "an edit in place counts"
        executor.shutdown()
        return turns

    assert asyncio.run(example()) > 5


def test_plain_code_blocks_and_tasks_run_in_their_order() -> None:
    # spec: CLO-01
    # spec: CLO-04
    # spec: CLO-06
    @cloacina.task
    def first(data: dict[str, Any]) -> dict[str, Any]:
        return {"n": data["n"] + 1, "by": ["first"]}

    @cloacina.task(task_id="second", retries=1, delay=0.01)
    def another(context: dict[str, Any]) -> dict[str, Any]:
        return {"n": context["n"] * 10, "by": [*context["by"], "second"]}

    @cloacina.task(dependencies=["first"])
    def third(context: dict[str, Any]) -> None:
        raise ValueError(f"it was {context['n']}")

    assert first.function is not None
    assert another({"n": 1, "by": []})["n"] == 10, "a task is still a function"
    with cloacina.UnifiedExecutor(workers=2) as executor:
        with pytest.raises(RunnerClosed, match="call initialize"):
            executor.execute(cloacina.Workflow("w"))
        executor.initialize("sqlite://:memory:")
        good = executor.execute(cloacina.Workflow("good", ["first", "second"]), {"n": 1})
        assert good.status == "Completed"
        assert good["final_context"] == {"n": 20, "by": ["first", "second"]}
        assert good["task_results"]["first"]["output"] == {"n": 2, "by": ["first"]}
        assert good["start_time"] <= good["task_results"]["second"]["end_time"] <= good["end_time"]
        assert len(good["execution_id"]) == 36
        bad = executor.execute(cloacina.Workflow("all"), {"n": 1})
        assert bad["status"] == "Failed"
        assert bad["error"] == "task 'third': ValueError: it was 2"
        assert "raise ValueError" in bad["task_results"]["third"]["traceback"]


def test_the_registry_is_one_and_names_both_definitions() -> None:
    # spec: CLO-02
    def register(number: int) -> None:
        cloacina.task(task_id=f"task-{number}")(lambda context: None)

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {made.name for made in cloacina_postgres.get_all_python_tasks()}
    assert found == {f"task-{number}" for number in range(8)}
    with pytest.raises(WorkflowError, match=r"'task-1' is registered twice: .*:\d+ and .*:\d+"):
        cloacina_sqlite.task(task_id="task-1")(lambda context: 1)
    with pytest.raises(WorkflowError, match="no task with the id 'other'"):
        cloacina.Workflow("w", ["other"]).build()


def test_each_backend_wants_its_own_urls() -> None:
    # spec: CLO-04
    # spec: CLO-22
    assert cloacina.backends() == ["sqlite", "postgres"]
    with pytest.raises(TypeError):
        cloacina.UnifiedExecutor().initialize()  # type: ignore[call-arg]
    for executor, url in [
        (cloacina_sqlite.UnifiedExecutor(), "postgresql://user:secret@host/d"),
        (cloacina_postgres.UnifiedExecutor(), "sqlite://:memory:"),
        (cloacina.UnifiedExecutor(), "mysql://user:secret@host/d"),
    ]:
        with pytest.raises(ValueError, match="nvalid database URL") as raised:
            executor.initialize(url)
        assert "secret" not in str(raised.value)

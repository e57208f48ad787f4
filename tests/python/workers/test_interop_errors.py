"""What a Python node raises, as the caller sees it."""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

from e2e_nodes import Apply, Fails, Identity, Journal, Pid, node_metrics, run_script
from places import FIXTURES
from remotemedia import Node, NodeError, Pipeline, RemoteMediaError, Runtime


def failure(node: Node, item: Any = 1) -> NodeError:
    """The error of a run of this node."""
    with pytest.raises(NodeError) as caught:
        Pipeline([node]).run(item)
    return caught.value


def test_an_exception_of_a_node_is_caught_and_told() -> None:
    # spec: IOP-03, IOP-23, IOP-24
    error = failure(Fails(lambda: ValueError("bad pitch: 7"), name="pitch"))
    assert isinstance(error, RuntimeError)
    assert isinstance(error, RemoteMediaError)
    assert (error.node_id, error.operation) == ("pitch_0", "process")
    assert error.remote_type == "ValueError"
    assert "ValueError: bad pitch: 7" in str(error)
    text = error.remote_traceback
    assert text is not None
    assert text.startswith("Traceback (most recent call last):\n")
    assert f'File "{FIXTURES / "e2e_nodes.py"}", line ' in text
    assert "    raise self.make()" in text
    assert text.rstrip().endswith("ValueError: bad pitch: 7")


def test_an_uncaught_error_shows_both_tracebacks() -> None:
    # spec: IOP-03, IOP-24
    error = failure(Fails(lambda: KeyError("pitch")))
    shown = "".join(traceback.format_exception(error))
    assert "Pipeline([node]).run(item)" in shown
    assert "raise self.make()" in shown
    assert pickle.loads(pickle.dumps(error)).remote_traceback == error.remote_traceback


def test_source_lines_of_a_script_and_of_exec(tmp_path: Path) -> None:
    # spec: IOP-24
    printed = run_script(
        tmp_path,
        """
        from remotemedia import Node, NodeError, Pipeline

        class Main(Node):
            def process(self, data):
                return deeper(data)  # through here

        def deeper(data):
            return data["missing"]  # and here

        try:
            Pipeline([Main()]).run({"a": 1})
        except NodeError as error:
            print(error.remote_type)
            print(error.remote_traceback)
        """,
    )
    assert printed.startswith("KeyError\n")
    assert "script.py" in printed
    assert 'return data["missing"]  # and here' in printed
    assert "return deeper(data)  # through here" in printed
    assert printed.rstrip().endswith("KeyError: 'missing'")


class NodeTrouble(Exception):
    """An exception of the user, with a constructor that unpickling could not call."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"trouble {code}: {hint}")


def test_the_class_of_an_exception_of_the_user() -> None:
    # spec: IOP-24
    error = failure(Fails(lambda: NodeTrouble(7, hint="retune")))
    assert error.remote_type == f"{__name__}.NodeTrouble"
    assert "trouble 7: retune" in str(error)


def chained() -> Exception:
    error = LookupError("no pitch")
    try:
        int("seven")
    except ValueError as cause:
        error.__cause__ = cause
    return error


def from_itself() -> Exception:
    """As `raise error from error` makes it."""
    error = ValueError("round and round")
    error.__cause__ = error
    return error


def in_a_circle() -> Exception:
    first, second = ValueError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def grouped() -> Exception:
    return ExceptionGroup("two nodes", [ValueError("one"), chained()])


def unpicklable() -> BaseException:
    return RuntimeError("holds a lock", threading.Lock())


class Mute(Exception):
    def __str__(self) -> str:
        raise TypeError("no words")


@pytest.mark.parametrize(
    ("make", "remote_type", "parts"),
    [
        (chained, "LookupError", ["invalid literal", "direct cause", "LookupError: no pitch"]),
        (grouped, "ExceptionGroup", ["two nodes", "ValueError: one", "invalid literal"]),
        (from_itself, "ValueError", ["round and round"]),
        (in_a_circle, "ValueError", ["first", "second"]),
        (unpicklable, "RuntimeError", ["holds a lock"]),
        (Mute, f"{__name__}.Mute", ["Mute"]),
        (lambda: ValueError(), "ValueError", ["ValueError"]),
        (lambda: ValueError("lone \ud800 surrogate"), "ValueError", ["surrogate"]),
        (lambda: ValueError("x" * 300_000), "ValueError", ["xxx"]),
        (lambda: SystemExit(3), "SystemExit", ["3"]),
        (lambda: KeyboardInterrupt(), "KeyboardInterrupt", ["KeyboardInterrupt"]),
        (lambda: GeneratorExit(), "GeneratorExit", ["GeneratorExit"]),
        (lambda: StopIteration(5), "StopIteration", ["StopIteration"]),
        (lambda: MemoryError(), "MemoryError", ["MemoryError"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_exception_is_one_error(make: Any, remote_type: str, parts: Any) -> None:
    # spec: IOP-23, IOP-24
    def sometimes(item: Any) -> Any:
        if item == "bad":
            raise make()
        return os.getpid()

    with Pipeline([Apply(sometimes)]).session() as session:
        (pid,) = session.process("good")
        with pytest.raises(NodeError) as caught:
            session.process("bad")
        assert type(caught.value) is NodeError
        assert caught.value.remote_type == remote_type
        told = f"{caught.value}\n{caught.value.remote_traceback}"
        assert all(part in told for part in parts), told
        # It was no exit: the same process serves on.
        assert session.process("good") == [pid]


class Loud(Node):
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fail(self, here: str) -> None:
        if here == self.where:
            raise OSError(f"failed in {here}")

    def initialize(self) -> None:
        self.fail("initialize")

    def process(self, data: Any, /) -> Any:
        self.fail("process")
        return data

    def flush(self) -> Any:
        self.fail("flush")

    def cleanup(self) -> None:
        self.fail("cleanup")


@pytest.mark.parametrize("where", ["initialize", "process", "flush", "cleanup"])
def test_the_operation_is_told(where: str) -> None:
    # spec: IOP-24
    error = failure(Loud(where))
    assert (error.node_id, error.operation) == ("Loud_0", where)
    assert f"failed in {where}" in str(error)
    assert f'self.fail("{where}")' in (error.remote_traceback or "")
    # What the run gave before is not lost with it.
    assert error.partial_results == ([1] if where in ("flush", "cleanup") else [])
    assert Pipeline([Pid()]).run(1)


def test_a_failed_run_cleans_up_and_its_worker_serves_on(tmp_path: Path) -> None:
    # spec: IOP-25, CARD-02
    journal = tmp_path / "journal"
    with Runtime() as runtime:
        (pid,) = {Pipeline([Pid()], runtime=runtime).run(n) for n in range(2)}
        with pytest.raises(NodeError):
            Pipeline([Journal(str(journal), fail_at=1, name="n")], runtime=runtime).run([1])
        assert journal.read_text().splitlines() == ["n initialize", "n process 1", "n cleanup"]
        assert Pipeline([Pid()], runtime=runtime).run(1) == pid


def test_an_error_in_the_middle_stops_the_pipeline(tmp_path: Path) -> None:
    # spec: IOP-25
    journal = tmp_path / "journal"
    nodes = [
        Journal(str(journal), fail_at=3 if name == "middle" else None, name=name)
        for name in ("first", "middle", "last")
    ]
    pipeline = Pipeline(nodes)
    with pytest.raises(NodeError) as caught:
        pipeline.run([1, 2, 3, 4, 5])
    error = caught.value
    assert (error.node_id, error.remote_type) == ("middle_1", "ValueError")
    assert error.partial_results == [1, 2]
    lines = journal.read_text().splitlines()
    assert_cleaned_up(lines)
    assert "last process 3" not in lines
    assert "first process 5" not in lines
    assert not [line for line in lines if line.endswith("flush")]
    # The worker is as good as new.
    assert Pipeline([Pid()]).run(1) == node_metrics(pipeline.get_metrics())["first_0"]["worker_pid"]


def assert_cleaned_up(lines: list[str]) -> None:
    """Every node of the journal was cleaned up once, after everything else that it did."""
    for name in ("first", "middle", "last"):
        own = [line for line in lines if line.startswith(name)]
        assert own.index(f"{name} cleanup") == len(own) - 1


def test_an_error_in_the_middle_of_separate_workers(tmp_path: Path) -> None:
    # spec: IOP-25
    journal = tmp_path / "journal"
    nodes = [
        Journal(str(journal), fail_at=3 if name == "middle" else None, name=name, isolated=True)
        for name in ("first", "middle", "last")
    ]
    with pytest.raises(NodeError) as caught:
        Pipeline(nodes).run([1, 2, 3, 4, 5])
    assert caught.value.node_id == "middle_1"
    assert caught.value.partial_results == [1, 2][: len(caught.value.partial_results)]
    lines = journal.read_text().splitlines()
    assert_cleaned_up(lines)
    assert "last process 3" not in lines


def test_a_node_that_cannot_start_leaves_the_others_clean(tmp_path: Path) -> None:
    # spec: IOP-25
    journal = tmp_path / "journal"
    pipeline = Pipeline([Journal(str(journal), name="ready"), Loud("initialize"), Identity()])
    with pytest.raises(NodeError, match="failed in initialize"):
        pipeline.run([1])
    assert journal.read_text() == "ready initialize\nready cleanup\n"

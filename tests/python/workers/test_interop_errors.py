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


class Refused(OSError):
    """An exception of the user with attributes, one of which is no plain data."""

    def __init__(self, *, code: int, lock: Any = None) -> None:
        super().__init__(13, "refused")
        self.code = code
        self.lock = lock


def whole() -> BaseException:
    """An exception with all that an exception can have."""
    inner = Refused(code=7, lock=threading.Lock())
    inner.add_note("a note")
    error = ExceptionGroup("both", [inner, NodeTrouble(1, hint="x")])
    error.__cause__ = KeyError("cause")
    error.__cause__.__context__ = ZeroDivisionError("context")
    return error


def shown(error: BaseException | None) -> Any:
    """The classes, texts, notes, causes, contexts and members of an exception."""
    if error is None:
        return None
    told = [type(error), str(error), getattr(error, "__notes__", []), error.__suppress_context__]
    behind = [shown(error.__cause__), shown(error.__context__)]
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return told, behind, [shown(one) for one in members]


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
@pytest.mark.parametrize(
    "make",
    [
        whole,
        chained,
        lambda: NodeTrouble(7, hint="retune"),
        lambda: FileNotFoundError(2, "no such file", "x.wav"),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        lambda: ImportError("no", name="part", path="p"),
        lambda: KeyboardInterrupt("stop"),
        lambda: SystemExit(3),
        lambda: StopIteration(5),
        lambda: ValueError("x", (1, [b"2", {"a": None}])),
    ],
    ids=[
        "whole",
        "chained",
        "user",
        "file",
        "unicode",
        "import",
        "interrupt",
        "exit",
        "stop",
        "arguments",
    ],
)
def test_the_cause_is_the_exception_itself(make: Any, interpreter: str) -> None:
    """spec: IOP-24, IOP-23"""
    with pytest.raises(NodeError) as caught:
        Pipeline([Fails(make)], runtime=interpreter, fallback=False).run(1)
    cause, own = caught.value.__cause__, make()
    assert shown(cause) == shown(own)
    assert cause is not None
    if not isinstance(own, BaseExceptionGroup):
        assert cause.args == own.args


def test_attributes_of_the_cause() -> None:
    """spec: IOP-24: those that are plain data."""
    cause = failure(Fails(lambda: Refused(code=7, lock=threading.Lock()))).__cause__
    assert isinstance(cause, Refused)
    assert (cause.code, cause.errno, cause.strerror) == (7, 13, "refused")
    assert not hasattr(cause, "lock")
    lacks = failure(Fails(lambda: ImportError("no", name="part", path="p"))).__cause__
    assert isinstance(lacks, ImportError)
    assert (lacks.name, lacks.path) == ("part", "p")


def test_a_cause_whose_class_is_not_loaded_here_is_none() -> None:
    """spec: IOP-24"""

    def fail(_item: Any) -> None:
        import wave

        class Local(wave.Error):
            """Exists in the worker only."""

        raise Local("no wave")

    error = failure(Apply(fail))
    assert error.__cause__ is None
    assert str(error.remote_type).endswith("Local")
    assert "no wave" in str(error)


def test_a_cause_of_every_way_to_get_an_error() -> None:
    """spec: IOP-24, IOP-25"""
    pipeline = Pipeline(lambda item: 1 / item)
    (_, error) = pipeline.map([1, 0], errors="return")
    assert isinstance(error.__cause__, ZeroDivisionError)
    skipped: list[Any] = []
    assert list(pipeline.stream([0, 1], on_error=skipped.append)) == [1]
    assert isinstance(skipped[0].__cause__, ZeroDivisionError)
    with pipeline.session() as session:
        with pytest.raises(NodeError) as caught:
            session.process(0)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_cause_that_is_its_own_cause() -> None:
    """spec: IOP-24"""
    cause = failure(Fails(from_itself)).__cause__
    assert cause is not None
    assert cause.__cause__ is cause

"""The progress bar of long runs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest

from remotemedia import AddNode, DataSinkNode, NodeError, Pipeline, Runtime, _progress
from remotemedia._progress import Progress
from seen_nodes import Many, Sleeps, Third
from worker_programs import PROGRAMS, runtime


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        yield where


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("remotemedia._progress.time.monotonic", lambda: self.now)


def test_a_function_gets_the_count_of_a_run_and_of_a_stream(one: Runtime) -> None:
    pipeline = Pipeline([AddNode(addend=1), Many()], runtime=one)
    calls: list[tuple[int, int | None]] = []
    pipeline.run([1, 1, 1], progress=lambda *seen: calls.append(seen))
    assert calls[-1] == (3, 3)
    counts = [done for done, _ in calls]
    assert counts == sorted(counts)
    assert counts[0] < 3, "each item is counted when it is done"
    calls.clear()
    outputs = pipeline.stream(iter([1, 2]), progress=lambda *seen: calls.append(seen))
    assert list(outputs) == [0, 1, 0, 1, 2]
    assert calls == [(1, None), (2, None), (2, 2)]
    calls.clear()
    with pytest.raises(NodeError):
        Pipeline([Third()], runtime=one).run([1] * 9, progress=lambda *seen: calls.append(seen))
    assert calls[-1][0] < 9


def test_items_that_wait_are_not_done(one: Runtime) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            taken.append(number)
            yield number

    taken_when: dict[int, int] = {}
    Pipeline([Sleeps()], runtime=one).run(
        items(), progress=lambda done, _total: taken_when.setdefault(done, len(taken))
    )
    assert taken_when[1] > 1, "further items were taken before the first was done"
    assert max(taken_when) == 4


def test_a_pipeline_with_a_sink_at_the_caller_has_it_too(one: Runtime) -> None:
    calls: list[Any] = []
    got: list[Any] = []
    pipeline = Pipeline([Many(), DataSinkNode(callback=got.append)], runtime=one)
    pipeline.run([1, 2], progress=lambda *seen: calls.append(seen))
    assert got == [0, 0, 1]
    assert calls[-1] == (2, 2)


def test_what_the_function_raises_ends_the_run(one: Runtime) -> None:
    def stop(done: int, _total: int | None) -> None:
        raise LookupError(done)

    pipeline = Pipeline([Sleeps()], runtime=one)
    with pytest.raises(LookupError):
        pipeline.run([1, 2, 3], progress=stop)
    assert pipeline.run(4) == 4


def test_in_process_runs_have_it_too() -> None:
    calls: list[Any] = []
    Pipeline([Many()]).run([1, 1], use_rust=False, progress=lambda *seen: calls.append(seen))
    assert calls[-1] == (2, 2)


def test_short_runs_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    clock = Clock(monkeypatch)
    with Progress(True, 10) as progress:
        progress.update(5)
        clock.now += 0.4
        progress.update(10)
    assert stream.getvalue() == ""


def test_a_terminal_gets_one_line_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    clock = Clock(monkeypatch)
    with Progress(True, 40, "resample") as progress:
        for done in range(1, 41):
            clock.now += 0.0625
            progress.update(done)
    shown = stream.getvalue()
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    assert re.search(r"\r\[#{15}\.{15}\] resample: 2[01]/40 items, 0:01, 0:01 left, 16.0/s", shown)
    assert f"[{'#' * 30}] resample: 40/40 items, 0:02, 16.0/s" in shown
    assert shown.count("\r") <= 18, "at most ten times a second, and at the end"


def test_a_file_gets_the_last_state_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    clock = Clock(monkeypatch)
    with Progress(True) as progress:
        for done in range(1, 4):
            clock.now += 1
            progress.update(done)
    assert stream.getvalue() == "3 items, 0:03, 1.0/s\n"


def test_a_stderr_that_is_closed_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    clock = Clock(monkeypatch)
    progress = Progress(True, 3)
    clock.now += 1
    stream.close()
    progress.update(1)
    progress.close()


def test_a_notebook_gets_one_output_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, bar: Any) -> None:
            shown.append(bar._repr_html_())

    def display(bar: Any, display_id: bool) -> Handle:
        assert display_id
        shown.append(bar._repr_html_())
        return Handle()

    notebook = _progress._Notebook(display)
    monkeypatch.setattr(_progress, "_notebook", lambda: notebook)
    clock = Clock(monkeypatch)
    with Progress(True, 2, "<b>") as progress:
        for done in (1, 2):
            clock.now += 1
            progress.update(done)
    assert shown[0].startswith('<progress value="1" max="2"></progress> &lt;b&gt;: 1/2 items')
    assert shown[-1].startswith('<progress value="2" max="2">')

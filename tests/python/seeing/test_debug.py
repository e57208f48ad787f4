"""REMOTEMEDIA_DEBUG and `debug=True`: each crossing is logged."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from places import FIXTURES
from remotemedia import (
    ConfigurationError,
    NodeError,
    PassThroughNode,
    Pipeline,
    Runtime,
    WorkerCrashed,
)
from remotemedia._native import brief
from seen_nodes import Dies, Many, Says, Third
from worker_programs import PROGRAMS, runtime


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline before."""
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        yield where


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [record for record in caplog.records if record.name == "remotemedia.debug"]
    assert all(record.levelno == logging.DEBUG for record in records)
    return [line for record in records for line in record.getMessage().splitlines()]


def test_each_crossing_is_logged(one: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """spec: IOP-33, IOP-34"""
    audio = np.ones((2, 4000), np.float32)
    pipeline = Pipeline([PassThroughNode(), Third(9)], runtime=one)
    assert pipeline.run([(1, "x"), 2], debug=True) is not None
    lines = _lines(caplog)
    text = "\n".join(lines)
    assert any(line.startswith("-> Runtime.open(") for line in lines), text
    assert any(line.startswith("<- Session.run(") and " ms" in line for line in lines), text
    assert "input: (1, 'x') became (1, \"x\") in " in text
    assert any(line.startswith("call Third_1 in worker ") for line in lines), text
    assert any(line.startswith("Third_1 done in ") for line in lines), text
    assert any(line.startswith("session closed in ") for line in lines), text
    caplog.clear()
    with pipeline.session(debug=True) as session:
        session.process(audio)
    text = "\n".join(_lines(caplog))
    assert "-> Session.process(ndarray float32 (2, 4000))" in text
    assert "ndarray float32 (2, 4000) became array <f4 (2, 4000), 32000 bytes in" in text
    assert "32000 in shared memory" in text
    assert "became ndarray float32 (2, 4000) in" in text


def test_an_error_is_logged_with_its_crossing(
    one: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = Pipeline([Third(1)], runtime=one, debug=True)
    with pytest.raises(NodeError):
        pipeline.run(5)
    text = "\n".join(_lines(caplog))
    assert "raised NodeError in" in text
    assert "Third_0 failed in" in text


def test_a_crash_is_logged_with_what_led_to_it(
    one: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """spec: IOP-33"""
    with Pipeline([Dies()], runtime=one, debug=True).session() as session:
        session.process("a")
        with pytest.raises(WorkerCrashed):
            session.process(9)
        text = "\n".join(_lines(caplog))
        for line in ("-> Session.process('a')", "-> Session.process(9)", "with 9: sent in"):
            assert line in text
        assert text.splitlines()[-1].startswith("<- Session.process(...) raised WorkerCrashed in")


class _Awaits(logging.Handler):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.has_come = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.has_come.set()


def test_an_open_session_shows_its_lines_by_itself(one: Runtime) -> None:
    """spec: IOP-33"""
    logger = logging.getLogger("remotemedia.debug")
    awaits = _Awaits("<- Session.process(...) = [('Third_0', 1)] in ")
    logger.addHandler(awaits)
    try:
        with Pipeline([Third(9)], runtime=one, debug=True).session() as session:
            session.process(1)
            assert awaits.has_come.wait(60)
    finally:
        logger.removeHandler(awaits)


def test_what_nodes_log_is_in_its_place(one: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """spec: IOP-33"""
    Pipeline([Says()], runtime=one).run([1, 2], debug=True)
    records = [record for record in caplog.records if record.name in ("remotemedia.debug", "seen")]
    lines = [line for record in records for line in record.getMessage().splitlines()]
    begins = ("-> Session.run(", "call Says_0 ", "here is 1", "here is 2", "<- Session.run(")
    found = [begin for line in lines for begin in begins if line.startswith(begin)]
    assert found == [*begins[:3], begins[1], *begins[3:]]


class _Shy:
    def __repr__(self) -> str:
        raise AssertionError("the repr of an object of the user is not called")


def test_objects_are_shown_in_short() -> None:
    """spec: IOP-34"""
    deep: list[object] = []
    deep.append(deep)
    for value, shown in [
        (True, "True"),
        (2**70, str(2**70)),
        (2**700, "int of 701 bits"),
        (-1.5, "-1.5"),
        ("it's", '"it\'s"'),
        ("x" * 100, repr("x" * 60) + "... 100 characters"),
        (b"ab", "b'ab'"),
        (bytes(100), "bytes[100]"),
        ((1,), "(1,)"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, ... 9 in all]"),
        ({"a": {"b": None}}, "{'a': {'b': None}}"),
        (frozenset({1}), "frozenset({1})"),
        (deep, "[[[[... 1 in all]]]]"),
        ([_Shy()], "[<_Shy>]"),
        (np.zeros((2, 3), np.int16), "ndarray int16 (2, 3)"),
        (np.float32(1), "float32 float32 ()"),
    ]:
        assert brief(value) == shown


def test_nothing_is_logged_without_it(one: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Pipeline([Third()], runtime=one).run(1)
    assert _lines(caplog) == []


def test_the_environment_turns_it_on(
    one: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: IOP-33"""
    pipeline = Pipeline([Third()], runtime=one)
    monkeypatch.setenv("REMOTEMEDIA_DEBUG", "1")
    pipeline.run(1)
    assert any("Session.run" in line for line in _lines(caplog))
    caplog.clear()
    pipeline.run(1, debug=False)
    assert _lines(caplog) == []
    monkeypatch.setenv("REMOTEMEDIA_DEBUG", "perhaps")
    with pytest.raises(ConfigurationError, match="REMOTEMEDIA_DEBUG"):
        pipeline.run(1)


def test_a_program_without_logging_writes_to_stderr() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(FIXTURES)!r})\n"
        "from remotemedia import AddNode, Pipeline\n"
        "print(Pipeline([AddNode(addend=1)]).run(1, debug=True))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
    assert "-> Session.run(" in done.stderr

"""What nodes print and log arrives at the caller, with the node's name."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import stdlib_nodes
from e2e_nodes import Identity
from remotemedia import Node, Pipeline, Runtime
from stdlib_nodes import Talk


class Talks(Node):
    """Prints in every way there is."""

    def initialize(self) -> None:
        print("waking up")  # noqa: T201

    def process(self, data: Any, /) -> Any:
        print("printed", data)  # noqa: T201
        print("to stderr", data, file=sys.stderr)  # noqa: T201
        return data

    def cleanup(self) -> None:
        print("going to sleep")  # noqa: T201


class Logs(Node):
    """Logs in the node's own logger and in another."""

    def process(self, data: Any, /) -> Any:
        self.logger.warning("level of %s is %.1f", data, 0.25)
        logging.getLogger("studio.mixer").error("clipping")
        logging.getLogger("studio.mixer").debug("quiet detail")
        try:
            int("x")
        except ValueError:
            self.logger.exception("not a number")
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
        return data


class WritesLow(Node):
    """Writes past Python: to the descriptors, and from a child process."""

    def process(self, data: Any, /) -> Any:
        os.write(1, b"low stdout\n")
        os.write(2, b"low stderr\n")
        subprocess.run(["/bin/sh", "-c", "echo from a child"], check=True)
        return data


def test_prints_keep_their_stream_and_get_the_nodes_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = Pipeline([Identity(), Talks(name="talker")])
    assert pipeline.run(["x", "y"]) == ["x", "y"]
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "[talker_1] waking up",
        "[talker_1] printed x",
        "[talker_1] printed y",
        "[talker_1] going to sleep",
    ]
    assert captured.err.splitlines() == ["[talker_1] to stderr x", "[talker_1] to stderr y"]


def test_a_line_without_an_end_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    class Unfinished(Node):
        def process(self, data: Any, /) -> Any:
            sys.stdout.write("loading")
            sys.stdout.write("...")
            return data

    Pipeline([Unfinished(name="loader")]).run(1)
    assert capsys.readouterr().out == "[loader_0] loading...\n"


def test_each_line_has_the_name_of_the_node_that_ran(capsys: pytest.CaptureFixture[str]) -> None:
    class Says(Node):
        def process(self, data: Any, /) -> Any:
            print(f"I am {self.name}\nand say two lines")  # noqa: T201
            return data

    Pipeline([Says(name="one"), Says(name="two")]).run(1)
    assert capsys.readouterr().out.splitlines() == [
        "[one_0] I am one",
        "[one_0] and say two lines",
        "[two_1] I am two",
        "[two_1] and say two lines",
    ]


def test_log_records_reach_the_callers_loggers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.warns(DeprecationWarning, match="old call"):
        Pipeline([Logs(name="logger")]).run("take 1")
    records = {record.getMessage().splitlines()[0]: record for record in caplog.records}
    level = records["level of take 1 is 0.2"]
    assert level.levelno == logging.WARNING
    assert level.name == f"{__name__}.Logs"
    assert vars(level)["node_id"] == "logger_0"
    clipping = records["clipping"]
    assert (clipping.levelno, clipping.name) == (logging.ERROR, "studio.mixer")
    assert "quiet detail" not in records
    assert "ValueError: invalid literal" in records["not a number"].getMessage()


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_a_record_names_the_line_that_logged_it(
    interpreter: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a class that is imported there, and of one whose source goes there."""

    class Local:
        def process(self, data: Any, /) -> Any:
            logging.getLogger("studio.local").warning("from here")
            return self.complain(data)

        def complain(self, data: Any) -> Any:
            try:
                int("x")
            except ValueError:
                logging.getLogger("studio.local").exception("not a number")
            return data

    with (
        Runtime("[fallback]\nenabled = false\n") as runtime,
        caplog.at_level(logging.WARNING),
    ):
        pipeline = Pipeline([Talk(), Local()], runtime=runtime)
        pipeline.run("take 1", runtime=interpreter)
    records = {record.getMessage().splitlines()[0]: record for record in caplog.records}
    for message, file, code, function in (
        ("logged take 1", stdlib_nodes.__file__, '.warning("logged %s", data)', "process"),
        ("from here", __file__, '.warning("from here")', "process"),
        ("not a number", __file__, '.exception("not a number")', "complain"),
    ):
        record, lines = records[message], Path(file).read_text().splitlines()
        assert record.pathname == file
        assert lines[record.lineno - 1].endswith(code)
        assert record.funcName == function
        assert (record.filename, record.module) == (Path(file).name, Path(file).stem)


@pytest.mark.rustpython
@pytest.mark.parametrize("is_awaited", [False, True])
def test_what_remotemedia_says_names_the_line_that_called_it(
    is_awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is awaited is called by a thread of RemoteMedia's own: nobody's line."""

    class Sums:
        def process(self, data: Any) -> int:
            import numpy as np

            return int(np.sum(data))

    async def awaited() -> Any:
        return await pipeline.run((1, 2), runtime="rustpython")

    with Runtime() as runtime, caplog.at_level(logging.WARNING, logger="remotemedia"):
        pipeline = Pipeline([Sums()], runtime=runtime)
        if is_awaited:
            assert asyncio.run(awaited()) == 3
        else:
            assert pipeline.run((1, 2), runtime="rustpython") == 3
    (record,) = [one for one in caplog.records if "moves from RustPython" in one.getMessage()]
    if is_awaited:
        assert (record.pathname, record.lineno) == ("(unknown file)", 0)
        return
    assert record.pathname == __file__
    assert "pipeline.run((1, 2)" in Path(__file__).read_text().splitlines()[record.lineno - 1]
    assert record.funcName == "test_what_remotemedia_says_names_the_line_that_called_it"


def test_debug_records_come_when_they_are_wanted(caplog: pytest.LogCaptureFixture) -> None:
    debug = caplog.at_level(logging.DEBUG, logger="studio.mixer")
    with debug, pytest.warns(DeprecationWarning, match="old call"):
        Pipeline([Logs(name="logger")]).run("take 1")
    assert "quiet detail" in [record.getMessage() for record in caplog.records]


def test_what_goes_past_python_arrives_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Pipeline([WritesLow(name="low")]).session() as session:
        assert session.process(1) == [1]
        assert session.process(2) == [2]
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    for text in ("low stdout", "low stderr", "from a child"):
        assert [line for line in lines if text in line] == [f"[low_0] {text}"] * 2


def test_a_flood_of_output_does_not_block_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    class Floods(Node):
        def process(self, data: Any, /) -> Any:
            for number in range(2_000):
                print(number, "x" * 100)  # noqa: T201
            os.write(1, b"y" * 300_000 + b"\n")
            return data

    assert Pipeline([Floods(name="flood")]).run(1) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "xxx" in line] == [
        f"[flood_0] {number} {'x' * 100}" for number in range(2_000)
    ]


def test_a_long_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    class Long(Node):
        def process(self, data: Any, /) -> Any:
            print("z" * 200_000)  # noqa: T201
            print("end")  # noqa: T201
            return data

    Pipeline([Long(name="long")]).run(1)
    assert capsys.readouterr().out.splitlines() == [f"[long_0] {'z' * 200_000}", "[long_0] end"]


def test_text_without_utf8_is_shown_and_harms_nobody(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Node):
        def process(self, data: Any, /) -> Any:
            print("printed \ud800")  # noqa: T201
            self.logger.warning("logged \udfff of %s", data)
            return data

    assert Pipeline([Odd(name="odd")]).run(1) == 1
    assert "printed" in capsys.readouterr().out
    assert any("logged" in record.getMessage() for record in caplog.records)


def test_output_can_be_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    with Runtime("[output]\nforward_output = false\n") as runtime:
        assert Pipeline([Talks(name="talker")], runtime=runtime).run("x") == "x"
    captured = capsys.readouterr()
    assert "printed" not in captured.out + captured.err

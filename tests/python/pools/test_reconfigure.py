"""A configuration that changes while pipelines run: nothing is lost, and what changes is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pool_nodes import Hungry, Logging, Pid, Slow, Where
from processes import until
from remotemedia import ConfigurationError, NodeError, NodeTimeout, Pipeline
from remotemedia.runtime import Runtime


def test_the_answer_says_which_keys_changed_and_when_they_count() -> None:
    """spec: CARD-09"""
    with Runtime(workers={"max": 2}) as runtime:
        assert runtime.reconfigure(workers={"max": 2}) == {}
        told = runtime.reconfigure(
            workers={"max": 3},
            python={"preload": ["json"]},
            calls={"timeout": "5 s", "window": 8},
            status={"socket": False},
        )
        assert told == {
            "[workers] max": "at once",
            "[python] preload": "next worker",
            "[calls] timeout": "at once",
            "[calls] window": "next session",
            "[status] socket": "restart",
        }
        assert runtime.pools()[0]["max"] == 3, "earlier settings stay"
        assert runtime.reconfigure("[workers]\nmin = 1\n") == {"[workers] min": "at once"}


def test_a_wrong_configuration_changes_nothing() -> None:
    """spec: CARD-09"""
    with Runtime("[workers]\nmax = 2\n") as runtime:
        with pytest.raises(ConfigurationError, match="did you mean `max`"):
            runtime.reconfigure(workers={"max": 5, "maxx": 3})
        assert runtime.pools()[0]["max"] == 2
        assert Pipeline(Pid(), runtime=runtime).run(1)[0] == 1


def test_files_are_read_again(tmp_path: Path) -> None:
    """spec: CARD-09"""
    path = tmp_path / "runtime.toml"
    path.write_text("[workers]\nmax = 2\n")
    with Runtime(path) as runtime:
        path.write_text("[workers]\nmax = 6\n[pools.gpu]\n")
        assert set(runtime.reconfigure()) == {"[workers] max", "[pools.gpu]"}
        assert Pipeline(Where(), pool="gpu", runtime=runtime).run(([],))
        path.write_text("")
        runtime.reconfigure()
        pipeline = Pipeline(Where(), pool="gpu", runtime=runtime)
        with pytest.raises(ValueError, match="no pool 'gpu'"):
            pipeline.run(([],))


def test_a_call_that_runs_gets_the_new_time_limit() -> None:
    """spec: CARD-09, CARD-08"""
    with Runtime() as runtime, Pipeline(Slow(), runtime=runtime).session() as session:
        session.process(0.0)
        later = threading.Timer(0.3, lambda: runtime.reconfigure(calls={"timeout": "200 ms"}))
        later.start()
        began = time.monotonic()
        with pytest.raises(NodeTimeout):
            session.process(60.0)
        later.join()
        assert time.monotonic() - began < 30
        runtime.reconfigure(calls={"timeout": 0})
        assert session.process(0.4) == [0.4], "the limit is gone, and the session goes on"


def test_an_open_session_gets_the_new_limits_of_its_worker() -> None:
    """spec: CARD-09"""
    with Runtime() as runtime, Pipeline(Hungry(), runtime=runtime).session() as session:
        assert session.process(600) == [600 << 20]
        runtime.reconfigure(limits={"memory": "300 MiB"})
        with pytest.raises(NodeError, match="MemoryError"):
            session.process(600)
        runtime.reconfigure(limits={"memory": 0})
        assert session.process(600) == [600 << 20]


def test_the_log_level_counts_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """spec: CARD-09"""
    caplog.set_level("INFO")
    with Runtime() as runtime, Pipeline(Logging(), runtime=runtime).session() as session:
        session.process(1)
        runtime.reconfigure(output={"log_level": "warning"})
        session.process(2)
        session.process(3)
    told = [record.message for record in caplog.records if record.message.startswith("an ")]
    assert told == ["an information"]
    assert caplog.messages.count("a warning") == 3


def test_sizes_change_under_load_without_losing_an_item() -> None:
    """spec: CARD-09: sizes up and down, limits, recycling, while sessions run."""
    with Runtime(workers={"max": 4, "acquire_timeout": "60 s"}) as runtime:
        stop = threading.Event()
        counted: list[int] = []
        failures: list[BaseException] = []

        def live() -> None:
            done = 0
            try:
                while not stop.is_set():
                    with Pipeline(Pid(), runtime=runtime).session() as session:
                        for number in range(20):
                            ((item, _),) = session.process(number)
                            assert item == number
                            done += 1
            except BaseException as error:
                failures.append(error)
            counted.append(done)

        threads = [threading.Thread(target=live) for _ in range(6)]
        for thread in threads:
            thread.start()
        for size in (1, 6, 2, 8, 3):
            runtime.reconfigure(workers={"max": size}, limits={"open_files": 200 + size})
            runtime.recycle("cpython")
            time.sleep(0.3)
            alive = [w for w in runtime.pools()[0]["workers"] if w["state"] != "draining"]
            assert len(alive) <= max(size, 8)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert all(counted)
        runtime.reconfigure(workers={"max": 1})
        until(lambda: len(runtime.pools()[0]["workers"]) <= 1)


def test_a_recycled_worker_is_replaced_when_its_session_ends() -> None:
    """spec: CARD-09"""
    with Runtime() as runtime:
        pipeline = Pipeline(Pid(), runtime=runtime)
        with pipeline.session() as session:
            ((_, first),) = session.process(1)
            runtime.recycle("cpython")
            assert session.process(2) == [(2, first)], "the open session keeps its worker"
        assert pipeline.run(3)[1] != first
        misses = runtime.pools()[0]["misses"]
        assert "recycled" in misses or runtime.pools()[0]["spare_hits"]


def test_a_removed_pool_ends_when_its_sessions_do() -> None:
    with Runtime("[pools.gpu]\nmin = 1\n") as runtime:
        with Pipeline(Pid(), pool="gpu", runtime=runtime).session() as session:
            session.process(1)
            runtime.reconfigure("[workers]\nmax = 3\n")
            assert session.process(2)[0][0] == 2
        runtime.reconfigure(workers={"idle_timeout": "1 ms"})
        assert "gpu" not in {p["name"] for p in runtime.pools() if not p["is_removed"]}


PROGRAM = """
import sys, time
from remotemedia.runtime import Runtime
with Runtime(sys.argv[1]) as runtime:
    print("ready", flush=True)
    seen = runtime.pools()[0]["max"]
    while True:
        now = runtime.pools()[0]["max"]
        if now != seen:
            print(now, flush=True)
            seen = now
        time.sleep(0.01)
"""


def test_a_watched_file_is_followed_and_one_with_an_error_is_not(tmp_path: Path) -> None:
    """spec: CARD-09"""
    path = tmp_path / "runtime.toml"
    path.write_text("[config]\nwatch = true\n[workers]\nmax = 2\n")
    command = [sys.executable, "-c", PROGRAM, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        path.write_text("[config]\nwatch = true\n[workers]\nmax = 5\n")
        assert program.stdout.readline() == "5\n"
        path.write_text("")  # as who writes it slowly
        time.sleep(0.5)
        path.write_text("[config]\nwatch = true\n[workers]\nmax = 6\n")
        assert program.stdout.readline() == "6\n", "an empty file is being written"
        path.write_text("[config]\nwatch = true\n[workers]\nmaxx = 5\n")
        replaced = tmp_path / "new.toml"
        replaced.write_text("[config]\nwatch = true\n[workers]\nmax = 7\n")
        replaced.rename(path)  # as editors do
        assert program.stdout.readline() == "7\n"
        program.kill()


def test_a_link_that_is_exchanged_is_followed(tmp_path: Path) -> None:
    """spec: CARD-09: as in folders that Kubernetes mounts."""
    for number, size in enumerate((2, 5)):
        (tmp_path / f"data{number}").mkdir()
        text = f"[config]\nwatch = true\n[workers]\nmax = {size}\n"
        (tmp_path / f"data{number}" / "runtime.toml").write_text(text)
    (tmp_path / "data").symlink_to("data0")
    (tmp_path / "runtime.toml").symlink_to("data/runtime.toml")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "runtime.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        (tmp_path / "new").symlink_to("data1")
        (tmp_path / "new").rename(tmp_path / "data")
        assert program.stdout.readline() == "5\n"
        program.kill()


ERRORS = """
import logging, sys, threading, time
from remotemedia import Node, Pipeline
from remotemedia.runtime import Runtime

class Same(Node):
    def process(self, item):
        return item

told = []
logger = logging.getLogger("remotemedia.config")
logger.addFilter(lambda record: told.append(record) or False)
path = sys.argv[1]
with Runtime(path) as runtime:
    pipeline = Pipeline(Same(), runtime=runtime)
    with open(path, "w") as file:
        file.write("[workers]\\nmaxx = 5\\n")
    while not told:
        pipeline.run(1)
        time.sleep(0.01)
    time.sleep(1)
    pipeline.run(1)
    print(len(told), flush=True)
"""


def test_an_error_in_a_watched_file_is_told_once(tmp_path: Path) -> None:
    """spec: CARD-09"""
    path = tmp_path / "runtime.toml"
    path.write_text("[config]\nwatch = true\n")
    command = [sys.executable, "-c", ERRORS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def _long_run(folder: Path, config: str) -> tuple[subprocess.Popen[str], Callable[[], str]]:
    """A command line that runs until its input ends, and what it says next on stderr."""
    (folder / "runtime.toml").write_text(config)
    (folder / "pipeline.json").write_text(
        '{"version": "v1", "nodes": [{"id": "pid", "node_type": "pool_nodes:Pid"}]}'
    )
    command = [sys.executable, "-m", "remotemedia", "run", str(folder / "pipeline.json")]
    command += ["--config", str(folder / "runtime.toml"), "--input", "-"]
    fixtures = Path(__file__).parents[1] / "fixtures"
    program = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=fixtures,
        start_new_session=True,
        # The tests may run under nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    assert program.stderr is not None
    return program, program.stderr.readline


def test_sighup_has_a_long_run_read_its_configuration_again(tmp_path: Path) -> None:
    """spec: CARD-09"""
    program, said = _long_run(tmp_path, "[workers]\nmax = 2\n")
    with program:
        assert program.stdin is not None
        assert program.stdout is not None

        def send(number: int) -> Any:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(f"{number}\n")
            program.stdin.flush()
            return program.stdout.readline()

        assert '"output"' in send(1)
        (tmp_path / "runtime.toml").write_text("[workers]\nmax = 3\n[python]\npreload = ['json']\n")
        os.kill(program.pid, signal.SIGHUP)
        line = said()
        assert "[workers] max (at once)" in line
        assert "[python] preload (from the next worker on" in line
        (tmp_path / "runtime.toml").write_text("[workers]\nmax = 'x'\n")
        os.kill(program.pid, signal.SIGHUP)
        assert "nothing is changed" in said()
        assert '"output"' in send(2), "the run goes on"
        program.stdin.close()
        assert program.wait() == 0

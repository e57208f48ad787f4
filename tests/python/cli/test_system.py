"""What the operating system withholds or sends: one clear error, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processes import wait_until_gone

SHORT_OF_FILES = """
import json
import os
import resource
from remotemedia import Pipeline, RemoteMediaError, Runtime, StatefulCounter

def attempt():
    with Runtime() as runtime:
        Pipeline([StatefulCounter()], runtime=runtime).run("item")

attempt()  # what is imported on the way is imported now
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
outcomes = []
for spare in range(64):
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
    try:
        attempt()
        outcomes.append("done")
    except RemoteMediaError as error:
        outcomes.append(str(error))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if outcomes[-2:] == ["done", "done"]:
        break
print(json.dumps(outcomes))
"""
# Waits until its input, a file, exists.
WAITS = """
import os, time
from remotemedia import Node

class Waits(Node):
    def process(self, path):
        print("waits", flush=True)
        while not os.path.exists(path):
            time.sleep(0.01)
        return 1
"""
# A node that has another program do something, as one that decodes with ffmpeg.
NODES = """
import subprocess

class Starts:
    def process(self, data):
        program = subprocess.Popen(["sleep", "1000"])
        print("started", program.pid, flush=True)
        program.wait()
"""


def test_a_limit_on_open_files_is_named_wherever_it_is_met() -> None:
    """From the first descriptor that is missing to the last."""
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_FILES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert outcomes[-1] == "done"
    failed = [outcome for outcome in outcomes if outcome != "done"]
    assert all("Too many open files" in text for text in failed), failed
    # What is short in the caller, not in the worker, is not blamed on the interpreter.
    assert not any("[python] interpreter" in text for text in failed), failed
    assert any("ulimit -n" in text for text in failed), failed


def test_a_folder_that_may_not_be_entered_keeps_no_worker_from_starting(tmp_path: Path) -> None:
    """As after `sudo -u somebody` in one's own folder: the program stands in it all the same."""
    script = """
import os
from remotemedia import Pipeline, StatefulCounter
os.chmod(".", 0)
print(Pipeline([StatefulCounter()]).run("item"))
"""
    # Root may enter every folder, but for what it gives up.
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    command = [*(without if os.geteuid() == 0 else []), sys.executable, "-c", script]
    try:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        tmp_path.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(0,)\n"


@pytest.mark.rustpython
def test_paths_of_the_configuration_may_begin_at_home(tmp_path: Path) -> None:
    # spec: IOP-39
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$0" > {tmp_path}/started\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "levels.py").write_text("LEVEL = 7\n")
    work = tmp_path / "work"
    work.mkdir()
    (work / "at_home.py").write_text(
        """
class Tells:
    def process(self, data):
        import levels
        import numpy
        return levels.LEVEL + int(numpy.sum(data))
"""
    )
    config = """
[python]
interpreter = "~/bin/python"
modules = { levels = "~/levels.py" }
"""
    script = f"""
import at_home
from remotemedia import Pipeline, Runtime
with Runtime({config!r}) as runtime:
    print(Pipeline([at_home.Tells()], runtime=runtime).run((1,), runtime="rustpython"))
"""
    (work / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=work, env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8\n"
    assert (tmp_path / "started").read_text() == f"{python}\n"
    assert not (work / "~").exists()


def test_metrics_that_cannot_be_written_are_told_before_the_run(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    node = {"id": "add", "node_type": "AddNode", "params": {"addend": 1}}
    manifest.write_text(json.dumps({"version": "v1", "nodes": [node], "connections": []}))
    place = tmp_path / "nowhere" / "metrics.json"
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", "run", str(manifest), "--metrics", str(place),
         "--input", "-"],
        input="1\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert str(place) in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("program", ["cpython", "rustpython"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_command_line_ends_what_its_nodes_have_started(
    tmp_path: Path, number: signal.Signals, program: str
) -> None:
    (tmp_path / "starting_nodes.py").write_text(NODES)
    manifest = tmp_path / "manifest.json"
    node = {"id": "starts", "node_type": "starting_nodes:Starts"}
    manifest.write_text(json.dumps({"version": "v1", "nodes": [node], "connections": []}))
    # nohup and shells in the background leave signals ignored, and so would the command line.
    as_usual = ["env", "--default-signal"]
    command = [sys.executable, "-m", "remotemedia", "run", str(manifest), "--input", "-"]
    with subprocess.Popen(
        [*as_usual, *command, "--runtime", program, "--no-fallback"],
        cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write("1\n")
        running.stdin.close()
        line = running.stderr.readline()
        assert line.startswith("[starts] started "), line
        running.send_signal(number)
        rest = running.stderr.read()
        assert running.wait() == -number
        wait_until_gone({int(line.split()[-1])})
    assert rest == ""


def test_the_end_of_its_terminal_ends_the_command_line(tmp_path: Path) -> None:
    """At any other SIGHUP it reads its configuration again."""
    (tmp_path / "starting_nodes.py").write_text(NODES)
    manifest = tmp_path / "manifest.json"
    node = {"id": "starts", "node_type": "starting_nodes:Starts"}
    manifest.write_text(json.dumps({"version": "v1", "nodes": [node], "connections": []}))
    command = [sys.executable, "-m", "remotemedia", "run", str(manifest), "--input", "-"]
    ours, theirs = os.openpty()
    with subprocess.Popen(
        ["env", "--default-signal", "setsid", "--ctty", *command],
        cwd=tmp_path, stdin=theirs, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        os.close(theirs)
        assert running.stderr is not None
        os.write(ours, b"1\n")
        line = running.stderr.readline()
        assert line.startswith("[starts] started "), line
        os.close(ours)
        assert running.wait() == -signal.SIGHUP
        wait_until_gone({int(line.split()[-1])})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_at_the_start_does_not_end_the_command_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As nohup and shells in the background want it."""
    (tmp_path / "waiting_nodes.py").write_text(WAITS)
    manifest = tmp_path / "manifest.json"
    node = {"id": "waits", "node_type": "waiting_nodes:Waits"}
    manifest.write_text(json.dumps({"version": "v1", "nodes": [node], "connections": []}))
    ignoring = ["env", "--default-signal", f"--ignore-signal={number.name.removeprefix('SIG')}"]
    command = [sys.executable, "-m", "remotemedia", "run", str(manifest), "--input", "-"]
    with subprocess.Popen(
        [*ignoring, *command],
        cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(json.dumps(str(tmp_path / "go")))
        running.stdin.close()
        assert running.stderr.readline().startswith("[waits] waits")
        running.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.3)
        (tmp_path / "go").touch()
        assert running.wait() == 0
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["output"] == 1

"""Processes that nodes start: what RustPython workers refuse, and what works once it is allowed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from processes import children, wait_until_gone
from remotemedia import NodeError, Pipeline, Runtime
from subprocess_nodes import Forks
from worker_programs import PROGRAMS, RUSTPYTHON, runtime, session

pytestmark = pytest.mark.rustpython

FORKS = ("os.fork", "os.forkpty", "pty.fork")
STARTS = ("", "fork", "spawn", "forkserver")
SAMPLES = 100_000


def allowed(names: str) -> Runtime:
    """A runtime whose RustPython workers allow this."""
    return runtime("rustpython", f'[rustpython]\nallow_modules = "{names}"\n')


@pytest.mark.parametrize("way", FORKS)
def test_a_fork_is_refused_with_what_to_use_instead(way: str) -> None:
    """spec: IOP-28: the child would share the worker's connection."""
    with runtime("rustpython") as workers, session(workers, "subprocess_nodes:Forks") as opened:
        with pytest.raises(NodeError) as caught:
            opened.process(way)
        assert caught.value.import_reason == "blocked"
        name = "os.forkpty" if way == "pty.fork" else way
        for text in (f"{name} is not allowed", "subprocess", "ThreadPool", "allow_modules"):
            assert text in str(caught.value)


def test_a_node_that_forks_moves_to_cpython() -> None:
    # spec: IOP-28, IOP-39
    with Runtime("[workers]\nmax = 2\n") as where:
        pipeline = Pipeline([Forks()], runtime=where)
        assert pipeline.run_sync(["os.fork"], runtime="rustpython") == ("cpython", 5)
        (placement,) = pipeline.explain(runtime="rustpython")
        assert placement.runtime == "cpython"
        assert "os.fork" in placement.why


@pytest.mark.parametrize("names", ["os.fork", "ctypes, multiprocessing"])
def test_the_configuration_allows_forks(names: str) -> None:
    # spec: IOP-28
    with allowed(names) as workers, session(workers, "subprocess_nodes:Forks") as opened:
        for way in FORKS:
            ((_, result),) = opened.process(way)
            assert result == ("rustpython", 5)


def test_allowing_forks_allows_nothing_else() -> None:
    # spec: IOP-28
    with (
        allowed("os.fork") as workers,
        session(workers, "subprocess_nodes:Multiprocesses") as opened,
        pytest.raises(NodeError, match=r"multiprocessing\.\w+ is not allowed"),
    ):
        opened.process("fork")


@pytest.mark.filterwarnings("default")  # processes with threads should not fork, says Python 3.12
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_forked_child_writes_is_its_own(program: str) -> None:
    """spec: CARD-05: what a node makes lies in memory that the caller maps too."""
    array = np.arange(SAMPLES, dtype=np.float32)
    more = '[rustpython]\nallow_modules = "os.fork"\n'
    with (
        runtime(program, more) as workers,
        session(workers, "subprocess_nodes:ForkWrites") as opened,
    ):
        for _ in range(3):
            ((_, (of_child, first, made)),) = opened.process(array)
            assert (of_child, first) == ("7 7", 0.0)
            assert (made == array * 2).all()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("start", STARTS)
def test_multiprocessing_works_where_it_is_allowed(program: str, start: str) -> None:
    """spec: IOP-28: with every start method, the interpreter's own first."""
    before = children()
    more = '[rustpython]\nallow_modules = "multiprocessing"\n'
    with runtime(program, more) as workers:
        with session(workers, "subprocess_nodes:Multiprocesses") as opened:
            ((_, result),) = opened.process(start)
        with session(workers, "subprocess_nodes:Shares") as opened:
            ((_, found),) = opened.process(b"samples")
    assert result == [True, 0, [1, 4, 9], 16, [25, 36]]
    assert found == b"samples"
    wait_until_gone(children() - before)


def test_the_program_takes_what_python_gives_to_its_children(tmp_path: Path) -> None:
    """spec: IOP-28: a flag that says how it runs anyway is none that is unknown."""
    script = tmp_path / "said.py"
    script.write_text("import sys\nprint(sys.argv[1:])\n")
    for command in (["-B", "-S", "-P", "-c", script.read_text(), "-B"], ["-P", str(script), "-B"]):
        done = subprocess.run([RUSTPYTHON, *command], capture_output=True, text=True, check=True)
        assert done.stdout == "['-B']\n"
    done = subprocess.run([RUSTPYTHON, "-Q", "-c", ""], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown argument -Q" in done.stderr

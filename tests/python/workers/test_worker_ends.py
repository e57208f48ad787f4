"""Workers that are not needed any more end by themselves, and leave nothing behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from places import FIXTURES
from processes import children, until, wait_for_children, wait_until_gone
from remotemedia import NodeTimeout, Runtime, WorkerCrashed
from worker_programs import PROGRAMS, runtime, session

HERE = str(FIXTURES)
ALLOWED = '[rustpython]\nallow_modules = "multiprocessing"\n'
KILLED = -9

# Runs a program, and prints what became of it and of every process that it left.
HARNESS = """
import ctypes, json, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become ours
done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True)
statuses = {}
try:
    while True:
        pid, status = os.wait()
        statuses[pid] = os.waitstatus_to_exitcode(status)
except ChildProcessError:
    print(json.dumps([done.returncode, done.stdout, done.stderr, list(statuses.items())]))
"""

# Uses two runtimes, each with a warm worker, and ends as its argument says.
PROGRAM = f"""
import asyncio, atexit, os, signal, sys, threading, time
sys.path.insert(0, {HERE!r})
from worker_programs import runtime, session

def use(where):
    for _ in range(3):
        with session(where, "ending_nodes:" + node) as opened:
            ((_, pid),) = opened.process(folder)
    print(pid, flush=True)

# A shell that runs the tests in the background leaves SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
program, node, folder, ending = sys.argv[1:]
runtimes = [runtime(program, {ALLOWED!r}) for _ in range(2)]
for where in runtimes:
    use(where)
exec(ending)
"""

ENDINGS = {
    "the last line": ("", 0),
    "an exception": ("raise ValueError('the last line')", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "sys.exit in an atexit function": ("atexit.register(sys.exit, 4)", 0),
    "a daemon thread that runs on": (
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        0,
    ),
    "Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(1000)", -2),
    "an event loop": ("asyncio.run(asyncio.sleep(0))", 0),
    "runtimes that are shut down": ("[where.shutdown() for where in runtimes]", 0),
    "runtimes that are dropped": ("del runtimes[:], where", 0),
    "a forked child that ends first": ("os.fork() or sys.exit(); os.wait()", 0),
}


def ended(*command: str) -> tuple[int, list[int], dict[int, int]]:
    """Run a program to its end: its exit code, its workers, and the exit codes of its orphans."""
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, *command],
        cwd=HERE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, out, err, orphans = json.loads(done.stdout)
    workers = [int(number) for number in re.findall(r"\d+", out)]
    assert workers, err
    return code, workers, dict(orphans)


def run_to_end(program: str, folder: Path, ending: str, code: int) -> bool:
    """Whether every worker of a program outlived it and came to its own end."""
    (folder / "outlives").touch()
    found, workers, orphans = ended("-c", PROGRAM, program, "Leaves", str(folder), ending)
    assert found == code
    names = {entry.name for entry in folder.iterdir()}
    # One whose time is over is killed, perhaps after its last function.
    finished = {pid for pid in workers if f"{pid}.ended" in names and orphans.get(pid, 0) == 0}
    for pid in orphans.keys() & set(workers):  # a program that is slow to end reaps some itself
        assert orphans[pid] == (0 if pid in finished else KILLED)
    return finished == set(workers) and not any(n.startswith("temporary") for n in names)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_workers_of_a_program_that_ends_come_to_their_own_end(
    tmp_path: Path, ending: str
) -> None:
    code, number = ENDINGS[ending]
    # A program waits 10 ms for its workers at most; on a busy machine that may not be enough.
    assert any(run_to_end("cpython", make(tmp_path, n), code, number) for n in range(5))


def test_rustpython_workers_of_a_program_that_ends_come_to_their_own_end(tmp_path: Path) -> None:
    assert any(run_to_end("rustpython", make(tmp_path, n), "", 0) for n in range(5))


def make(folder: Path, name: object) -> Path:
    """A new folder in another."""
    made = folder / str(name)
    made.mkdir()
    return made


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("ending", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_program_that_ends_at_once_takes_its_workers_along(
    tmp_path: Path, program: str, ending: str
) -> None:
    """spec: CARD-08"""
    (tmp_path / "outlives").touch()
    _, workers, orphans = ended("-c", PROGRAM, program, "Leaves", str(tmp_path), ending)
    assert [orphans[pid] for pid in workers] == [KILLED] * len(workers)


def leave(program: str, folder: Path, node: str) -> bool:
    """Whether all workers of a program came to their own end; the harness waits for every process
    that they left. One that is replaced because of them may end before the program.
    """
    code, workers, orphans = ended("-c", PROGRAM, program, node, str(folder), "")
    assert code == 0
    return all(orphans.get(pid, 0) == 0 for pid in workers)


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_nodes_leave_ends_with_a_program(tmp_path: Path, program: str) -> None:
    """spec: CARD-08: processes, and names in shared memory."""
    for node in ("Starts", "Shares"):
        folders = (make(tmp_path, f"{node}{n}") for n in range(5))
        folder = next(folder for folder in folders if leave(program, folder, node))
    assert len(names(folder)) == 2 * 3 * 2
    assert not left(names(folder))


def names(folder: Path) -> set[str]:
    """The names in shared memory that nodes have noted."""
    return set((folder / "names").read_text().split())


def left(names: set[str]) -> set[str]:
    """Those of the names that are there."""
    return {name for name in names if Path("/dev/shm", name).exists()}


class Watched:
    """A runtime whose workers run under a shell, which notes their exit codes in a folder."""

    def __init__(self, program: str, folder: Path, pool: str) -> None:
        self.folder = folder
        shell = folder / "python"
        shell.write_text(f'#!/bin/sh\n"{PROGRAMS[program]}" "$@"\necho $? > {folder}/$$.code\n')
        shell.chmod(0o755)
        chosen = f'[python]\nruntime = "{program}"\n[fallback]\nenabled = false\n'
        if program == "rustpython":
            pools = f'[rustpython]\nexecutable = "{shell}"\n{pool}'
        else:
            pools = f"[workers]\n{pool}"
            chosen = chosen.replace("[fallback]", f'interpreter = "{shell}"\n[fallback]')
        self.runtime = Runtime(f"{chosen}{pools}")

    def use(self, node: str = "ending_nodes:Leaves") -> tuple[int, int]:
        """Run a node: its worker, as the runtime knows it and as the node does."""
        with session(self.runtime, node) as opened:
            ((_, pid),) = opened.process(str(self.folder))
            (worker,) = [w for w in self.runtime.workers() if w["state"] == "busy"]
            return int(worker["pid"]), pid

    def has_come_to_its_end(self, worker: tuple[int, int]) -> bool:
        """Whether a worker ended by itself, with exit code 0, and left nothing."""
        code, trace = (self.folder / name for name in (f"{worker[0]}.code", f"{worker[1]}.ended"))
        if not code.exists() or not code.read_text():
            return False
        assert code.read_text() == "0\n"
        assert trace.exists()
        assert not list(self.folder.glob(f"temporary{worker[1]}-*"))
        return True


def shut_down(watched: Watched) -> None:
    """The runtime, while its program lives on."""
    watched.use()
    watched.runtime.shutdown()


def wait_for_timeout(watched: Watched) -> None:
    """The worker is idle for too long."""
    until(lambda: not watched.runtime.workers())


def use_up(watched: Watched) -> None:
    """The worker serves its last sessions."""
    watched.use()
    watched.use()


def replace(watched: Watched) -> None:
    """A worker of another kind needs its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "7")
        watched.use()


def grow(watched: Watched) -> None:
    """The worker is larger than it may be after any session."""


WAYS: dict[str, tuple[str, Callable[[Watched], None]]] = {
    "shutdown": ("", shut_down),
    "idle_timeout": ('min = 0\nidle_timeout = "50 ms"\n', wait_for_timeout),
    "max_sessions": ("max_sessions = 3\n", use_up),
    "room for another kind": ("min = 0\nmax = 1\n", replace),
    "too much memory": ('recycle_above_memory = "1 MiB"\n', grow),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("way", WAYS)
def test_a_retired_worker_comes_to_its_own_end(tmp_path: Path, program: str, way: str) -> None:
    pool, retire = WAYS[way]
    watched = Watched(program, tmp_path, pool)
    with watched.runtime:
        worker = watched.use()
        retire(watched)
        until(lambda: watched.has_come_to_its_end(worker))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_worker_whose_modules_changed_comes_to_its_own_end(tmp_path: Path, program: str) -> None:
    source = "from ending_nodes import Leaves\nclass Changes(Leaves):\n    text = {!r}\n"
    module = tmp_path / "changing_node.py"
    watched = Watched(program, tmp_path, "")
    with watched.runtime, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        module.write_text(source.format("first"))
        worker = watched.use("changing_node:Changes")
        module.write_text(source.format("second, longer"))
        assert watched.use("changing_node:Changes") != worker
        until(lambda: watched.has_come_to_its_end(worker))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("ending", ["shutdown", "crash", "hang"])
def test_names_in_shared_memory_go_with_their_worker(
    tmp_path: Path, program: str, ending: str
) -> None:
    """spec: CARD-08: in good order, after a crash and after a time-out; no zombie is left."""
    own = children()
    with runtime(program, ALLOWED) as where:
        for _ in range(2):
            with session(where, "ending_nodes:Shares") as opened:
                opened.process(str(tmp_path))
        assert len(left(names(tmp_path))) == 4
        if ending != "shutdown":
            (tmp_path / "how").write_text(ending)
            with (
                session(where, "ending_nodes:Shares", timeout_ms=2_000) as opened,
                pytest.raises((WorkerCrashed, NodeTimeout)),
            ):
                opened.process(str(tmp_path))
            assert len(names(tmp_path)) == 6
    until(lambda: not left(names(tmp_path)))
    wait_for_children(own)


@pytest.mark.parametrize("program", PROGRAMS)
def test_names_go_with_a_worker_whose_tracker_has_just_begun(tmp_path: Path, program: str) -> None:
    """spec: CARD-08: RustPython's tracker cannot ignore signals from its first moment on."""
    (tmp_path / "how").write_text("crash")
    with runtime(program, ALLOWED) as where:
        for _ in range(5):
            with (
                session(where, "ending_nodes:Shares") as opened,
                pytest.raises(WorkerCrashed),
            ):
                opened.process(str(tmp_path))
    assert len(names(tmp_path)) == 5 * 2
    until(lambda: not left(names(tmp_path)))


@pytest.mark.parametrize("program", PROGRAMS)
def test_processes_that_nodes_left_end_with_their_worker(program: str) -> None:
    with runtime(program, ALLOWED) as where, session(where, "ending_nodes:Starts") as opened:
        ((_, worker),) = opened.process(0)
        members = group(worker)
    assert len(members) > 2
    wait_until_gone(members)


def group(leader: int) -> set[int]:
    """The processes of a group."""
    found = subprocess.run(
        ["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = (line.split() for line in found.splitlines())
    return {int(pid) for pid, of in pairs if int(of) == leader}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_thread_that_never_ends_does_not_keep_a_worker(program: str) -> None:
    with runtime(program) as where, session(where, "ending_nodes:Waits") as opened:
        ((_, worker),) = opened.process(0)
    wait_until_gone({worker})
    _, workers, _ = ended("-c", PROGRAM, program, "Waits", "-", "")
    wait_until_gone(set(workers))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_thread_does_not_keep_a_worker_whose_connection_is_broken(program: str) -> None:
    """spec: CARD-08: the next session gets a worker that works."""
    with runtime(program) as where:
        for _ in range(2):
            with (
                session(where, "ending_nodes:Closes") as opened,
                pytest.raises(WorkerCrashed),
            ):
                opened.process(0)
            with session(where, "ending_nodes:Waits") as opened:
                assert opened.process(0)


def test_a_closing_runtime_waits_for_no_worker(tmp_path: Path) -> None:
    """Neither does the end of a program: the worker goes on when it is gone."""
    (tmp_path / "outlives").touch()
    with runtime("cpython") as where, session(where, "ending_nodes:Leaves") as opened:
        ((_, worker),) = opened.process(str(tmp_path))
    assert Path(f"/proc/{worker}").exists()
    (tmp_path / "outlives").unlink()
    until((tmp_path / f"{worker}.ended").exists)


def run_command(folder: Path) -> bool:
    """Whether the worker of `remotemedia run` came to its own end."""
    (folder / "outlives").touch()
    manifest, given = folder / "pipeline.json", folder / "input.json"
    nodes = [{"id": "leaves", "node_type": "ending_nodes:Leaves"}]
    manifest.write_text(json.dumps({"version": "v1", "nodes": nodes, "connections": []}))
    given.write_text(json.dumps(str(folder)))
    command = ["-m", "remotemedia", "run", str(manifest), "--input", str(given)]
    code, (worker,), orphans = ended(*command)
    assert code == 0
    has_finished = (folder / f"{worker}.ended").exists() and orphans.get(worker) == 0
    assert orphans.get(worker) == (0 if has_finished else KILLED)
    return has_finished


def test_the_worker_of_the_command_line_comes_to_its_own_end(tmp_path: Path) -> None:
    assert any(run_command(make(tmp_path, n)) for n in range(5))

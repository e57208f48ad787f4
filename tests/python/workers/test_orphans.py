"""What nodes have started ends, whatever dies: the table in docs/orphans.md."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from loops import ORPHANS, Loop
from orphan_nodes import LONG, Starts
from places import FIXTURES
from processes import is_alive, shared_memory_names, wait_until_gone
from remotemedia import Pipeline, Runtime
from remotemedia._levels import levels
from worker_programs import PROGRAMS

PROGRAM = str(FIXTURES / "orphan_nodes.py")

DEATHS = {
    "worker": ["worker"],
    "orchestrator": ["orchestrator"],
    "worker, then orchestrator": ["worker", "orchestrator"],
    "orchestrator, then worker": ["orchestrator", "worker"],
    "reaper, then worker": ["reaper", "worker"],
    "reaper, then orchestrator": ["reaper", "orchestrator"],
}
"""Who is killed, in this order and at once."""

FORKED_DEATHS = {
    **DEATHS,
    "zygote, then worker": ["zygote", "worker"],
    "orchestrator, then zygote": ["orchestrator", "zygote"],
    "zygote, worker, then orchestrator": ["zygote", "worker", "orchestrator"],
    "orchestrator, worker, then zygote": ["orchestrator", "worker", "zygote"],
    "reaper, zygote, then orchestrator": ["reaper", "zygote", "orchestrator"],
}
"""The same for a worker that a zygote has forked."""

CELLS = [("started", death) for death in DEATHS] + [("forked", death) for death in FORKED_DEATHS]


def survivors(pids: dict[str, int]) -> set[str]:
    """Those of the processes that do not end within a time that is more than enough."""
    until = time.monotonic() + 20
    return {name for name, pid in pids.items() if not ends(pid, until)}


def ends(pid: int, until: float) -> bool:
    """Whether a process ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
    finally:
        os.close(descriptor)
    return bool(ready) or not is_alive(pid)


class Outcome(NamedTuple):
    """What was left after some deaths: kinds of started processes, and processes of ours."""

    started: set[str]
    own: set[str]


def left_after(way: str, death: list[str]) -> Outcome:
    """Kill parts of a program whose node has started a process in each way."""
    command = [sys.executable, PROGRAM, "all", way]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout is not None
        own, started = json.loads(program.stdout.readline())
        own["orchestrator"] = program.pid
        assert all(map(is_alive, [*started.values(), *own.values()]))
        for name in death:
            os.kill(own[name], signal.SIGKILL)
        left = survivors(started)
        own_left = survivors(own) if "orchestrator" in death else set()
        program.kill()
    for name in left:
        os.kill(started[name], signal.SIGKILL)
    return Outcome(left, own_left)


@pytest.mark.parametrize(("way", "death"), CELLS)
def test_what_a_node_started_ends(way: str, death: str) -> None:
    """spec: CARD-08: every kind of process, and of ours no worker, zygote or reaper."""
    assert left_after(way, FORKED_DEATHS[death]) == Outcome(set(), set())


def test_all_at_once() -> None:
    pytest.skip("needs a pid namespace, in which nodes would see other process ids")


DETACHING = f"""
import sys
sys.path.insert(0, {str(FIXTURES)!r})
from worker_programs import runtime, session
allowed = '[rustpython]\\nallow_modules = "multiprocessing"\\n'
with runtime(sys.argv[1], allowed) as where, session(where, "ending_nodes:Detaches") as opened:
    print(*opened.process(0)[0][1], flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("is_orchestrator", [True, False])
def test_what_a_worker_of_each_interpreter_started_ends(
    program: str, is_orchestrator: bool
) -> None:
    """spec: CARD-08"""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", DETACHING, program]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as caller:
        assert caller.stdout is not None
        worker, detached = map(int, caller.stdout.readline().split())
        os.kill(caller.pid if is_orchestrator else worker, signal.SIGKILL)
        wait_until_gone({worker, detached})
        caller.kill()


def test_a_session_finds_its_worker_marked() -> None:
    """spec: CARD-08: also after a node has taken the mark off."""
    with Runtime() as runtime:
        pipeline = Pipeline([Starts()], runtime=runtime)
        workers = []
        for _ in range(2):
            with pipeline.session() as session:
                workers += session.process("pid")
                assert session.process("unmark") == [True]
        assert workers[0] == workers[1]
        with pipeline.session() as session:
            (daemon,) = session.process("daemon without environment")
    wait_until_gone({daemon})


def test_the_levels_of_this_machine_are_found() -> None:
    found = levels()
    assert found["marks"]
    has_namespace = subprocess.run(["unshare", "--user", "--pid", "--fork", "true"], check=False)
    assert found["pid namespace"] == (has_namespace.returncode == 0)
    assert isinstance(found["cgroup"], bool)


def related(folder: Path) -> set[int]:
    """The processes that have come from a program which runs in this folder."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and is_of(entry, folder):
                found.add(int(entry.name))
        except OSError:
            continue
    return {pid for pid in found if is_alive(pid)}


def is_of(entry: Path, folder: Path) -> bool:
    """Whether a process runs in a folder, or has it in its environment."""
    if os.readlink(entry / "cwd") == str(folder):
        return True
    return str(folder).encode() in (entry / "environ").read_bytes()


@pytest.mark.alone
@pytest.mark.timeout(1_200)
def test_an_orchestrator_killed_at_any_moment_leaves_no_program(
    tmp_path: Path, rounds: Callable[[Loop], int]
) -> None:
    """spec: CARD-08, CARD-05: nor a name in shared memory, nor a temporary file."""
    rng = random.Random(808)
    names = shared_memory_names()
    before = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    longest = 0.0
    for number in range(rounds(ORPHANS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        environment = {**os.environ, "TMPDIR": str(folder)}
        program = subprocess.Popen(
            [sys.executable, PROGRAM, "for ever", str(number)],
            cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "running\n"
        time.sleep(rng.uniform(0, 0.5))
        assert related(folder)
        program.kill()
        began = time.monotonic()
        program.wait()
        program.stdout.close()
        while related(folder):
            time.sleep(0.01)
        longest = max(longest, time.monotonic() - began)
        assert list(folder.iterdir()) == []
        # Daemons that have left the folder, and cleared their environment.
        while sleepers() - before:
            time.sleep(0.01)
    sys.stdout.write(f"the longest took {longest:.3f} s\n")
    assert shared_memory_names() == names


def sleepers() -> set[str]:
    """The processes that sleep for as long as those of the fixture."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] and words[0].endswith(b"sleep") and words[1:2] == [LONG.encode()]:
            found.add(entry.name)
    return found

"""What nodes have started ends, whatever dies: the table in docs/orphans.md."""

from __future__ import annotations

import functools
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
from orphan_nodes import KINDS, LONG
from places import FIXTURES
from processes import is_alive, shared_memory_names, wait_until_gone

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
    """What was left after some deaths."""

    started: set[str]
    own: set[str]


@functools.cache
def outcome(way: str, death: str) -> Outcome:
    """Kill parts of a program whose node has started a process in each way."""
    command = [sys.executable, PROGRAM, "all", way]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout is not None
        found = json.loads(program.stdout.readline())
        started = found.pop("started")
        own = {name: pid for name, pid in found.items() if pid is not None}
        own["orchestrator"] = program.pid
        assert all(map(is_alive, [*started.values(), *own.values()]))
        dead = FORKED_DEATHS[death]
        for name in dead:
            os.kill(own[name], signal.SIGKILL)
        left = survivors(started)
        own_left: set[str] = set()
        if "orchestrator" in dead:
            own_left = survivors(own)
        program.kill()
    wait_until_gone({own["reaper"]})
    for name in left:
        os.kill(started[name], signal.SIGKILL)
    return Outcome(left, own_left)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("way", "death"), CELLS)
def test_what_a_node_started_ends(way: str, death: str, kind: str) -> None:
    """spec: CARD-08"""
    assert kind not in outcome(way, death).started


@pytest.mark.parametrize(("way", "death"), CELLS)
def test_nothing_of_ours_outlives_the_orchestrator(way: str, death: str) -> None:
    """spec: CARD-08: no worker, zygote or reaper."""
    assert outcome(way, death).own == set()


@pytest.mark.parametrize("kind", KINDS)
def test_all_at_once(kind: str) -> None:
    pytest.skip(f"{kind}: needs a pid namespace, in which nodes would see other process ids")


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

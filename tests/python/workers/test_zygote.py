"""Workers that a zygote has forked: like those that are started, and independent of it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from places import FIXTURES
from processes import children, is_alive, is_zygote, wait_until_gone
from remotemedia import Pipeline, Runtime, WorkerCrashed
from zygote_nodes import Inspector, forked_session, zygotes


def ask(session: Any, question: str) -> Any:
    """The one answer of an `Inspector`."""
    (answer,) = session.process(question)
    return answer


def wait_for_zygote(known: set[int]) -> int:
    """A zygote beside those that are known, once it runs. A watchdog ends a hang."""
    while not (found := zygotes() - known):
        time.sleep(0.002)
    return found.pop()


def test_a_forked_worker_is_as_one_that_was_started() -> None:
    # spec: CARD-02
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session() as plain:
        ask(plain, "import ctypes numpy numpy.random")
        with forked_session(runtime) as forked:
            assert is_zygote(ask(forked, "parent"))
            assert ask(plain, "parent") == os.getpid()
            ask(forked, "import ctypes")
            assert ask(forked, "described") == ask(plain, "described")


def test_a_parked_worker_has_opened_a_session_before_and_is_as_one_that_was_started() -> None:
    # spec: CARD-02
    # The rehearsal makes a node of a function, which loads this module.
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session() as plain:
        ask(plain, "import ctypes numpy numpy.random")
        is_rehearsed = False
        while not is_rehearsed:  # one that is needed while it is forked does not rehearse
            time.sleep(0.1)
            with forked_session(runtime) as forked:
                (is_rehearsed,) = ask(forked, "loaded remotemedia.core.function")
                ask(forked, "import ctypes")
                assert ask(forked, "described") == ask(plain, "described")
                pid = ask(forked, "pid")
            os.kill(pid, signal.SIGKILL)
            wait_until_gone({pid})


def test_a_forked_worker_computes_with_threads_of_blas() -> None:
    with (
        Runtime("[python]\nthreads = 2\n") as runtime,
        Pipeline([Inspector()], runtime=runtime).session() as plain,
    ):
        assert ask(plain, "multiply") == 600.0
        with forked_session(runtime) as forked:
            assert ask(forked, "multiply") == 600.0


def test_random_numbers_of_two_workers_differ() -> None:
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session() as plain:
        with forked_session(runtime) as first, forked_session(runtime) as second:
            assert ask(first, "parent") == ask(second, "parent")
            numbers = [ask(session, "random") for session in (plain, first, second)]
        for drawn in zip(*numbers, strict=True):
            assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    ("order", "signal_name", "exit_code"), [("segfault", "SIGSEGV", None), ("exit 7", None, 7)]
)
def test_the_end_of_a_forked_worker_is_reported(
    order: str, signal_name: str | None, exit_code: int | None
) -> None:
    """spec: CARD-08: its parent is the zygote, which learns how it ended."""
    with (
        Runtime() as runtime,
        Pipeline([Inspector()], runtime=runtime).session(),
        forked_session(runtime) as forked,
    ):
        dead = ask(forked, "pid")
        with pytest.raises(WorkerCrashed) as caught:
            forked.process(order)
        assert (caught.value.signal, caught.value.exit_code) == (signal_name, exit_code)
        zygote = ask(forked, "parent")
        assert is_zygote(zygote)
        while dead in children(zygote):  # it is reaped after it is reported
            time.sleep(0.002)
        assert ask(forked, "pid") in children(zygote)


def test_a_killed_zygote_harms_nothing() -> None:
    # spec: CARD-08
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session():
        with forked_session(runtime) as forked:
            zygote = ask(forked, "parent")
            worker, count = ask(forked, "pid"), ask(forked, "count")
            others = zygotes()
            os.kill(zygote, signal.SIGKILL)
            wait_until_gone({zygote})
            assert ask(forked, "count") == count + 1
            assert ask(forked, "pid") == worker
            # The next one does without it, and a new one begins.
            with Pipeline([Inspector()], runtime=runtime).session() as other:
                assert ask(other, "multiply") == 600.0
            assert wait_for_zygote(others) != zygote
            with pytest.raises(WorkerCrashed) as caught:
                forked.process("segfault")
            assert caught.value.signal == "SIGSEGV"  # the flight recorder knows
        with forked_session(runtime) as again:
            assert ask(again, "parent") != zygote


def test_a_node_that_kills_its_parent_harms_no_other_session() -> None:
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session() as plain:
        with forked_session(runtime) as first, forked_session(runtime) as second:
            zygote = ask(first, "parent")
            sessions = [plain, first, second]
            counts = [ask(session, "count") for session in sessions]
            assert ask(first, f"kill {zygote}") is True
            wait_until_gone({zygote})
            counts[1] += 1
            assert [ask(session, "count") - 1 for session in sessions] == counts
        with forked_session(runtime) as fresh:
            assert ask(fresh, "multiply") == 600.0


def test_spares_are_forked() -> None:
    with (
        Runtime("[workers]\nmin = 1\n") as runtime,
        Pipeline([Inspector()], runtime=runtime).session() as held,
        forked_session(runtime) as forked,
    ):
        zygote = ask(forked, "parent")
        ask(held, "count")
        spares = [w["pid"] for w in runtime.workers() if w["state"] != "busy"]
        while not (set(spares) & children(zygote)):
            for pid in filter(None, spares):
                os.kill(pid, signal.SIGKILL)
                wait_until_gone({pid})
            time.sleep(0.002)
            spares = [w["pid"] for w in runtime.workers() if w["state"] != "busy"]


def test_installed_modules_of_earlier_sessions_are_there_at_the_start() -> None:
    """Those of the caller's own folders are not."""
    with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session():
        pipeline = Pipeline([Inspector()], runtime=runtime)
        with pipeline.session() as first:
            ask(first, "import xmlrpc.client loops")
            assert ask(first, "loaded xmlrpc.client loops") == [True, True]
        while True:
            with forked_session(runtime) as forked:
                if ask(forked, "loaded xmlrpc.client loops") == [True, False]:
                    break
                # The next session is to have a worker of its own.
                with pytest.raises(WorkerCrashed):
                    forked.process("exit 0")


def test_installed_modules_of_a_session_that_is_still_open_are_there_at_the_start() -> None:
    """spec: CARD-02: its worker may die before it ends."""
    with (
        Runtime() as runtime,
        Pipeline([Inspector()], runtime=runtime).session() as plain,
        Pipeline([Inspector()], runtime=runtime).session() as held,
    ):
        ask(plain, "count")
        ask(held, "import xmlrpc.client")
        while True:
            ask(held, "count")  # what the worker has told meanwhile is read
            with forked_session(runtime) as forked:
                if ask(forked, "loaded xmlrpc.client") == [True]:
                    break
                with pytest.raises(WorkerCrashed):
                    forked.process("exit 0")


PRELOAD = """
[python]
environment = {{ PYTHONPATH = "{folder}" }}
preload = ["{module}"]
"""


def test_a_configured_module_is_there_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "made_ready.py").write_text("VALUE = 1\n")
    config = PRELOAD.format(folder=tmp_path, module="made_ready")
    with Runtime(config) as runtime, Pipeline([Inspector()], runtime=runtime).session() as plain:
        assert ask(plain, "loaded made_ready") == [False]
        with forked_session(runtime) as forked:
            assert ask(forked, "loaded made_ready") == [True]


LEAVES = {
    "thread": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    ),
    "child": "import subprocess\nchild = subprocess.Popen(['sleep', '300'])\n",
    "socket": "import socket\npair = socket.socketpair()\n",
}


@pytest.mark.parametrize("what", LEAVES)
def test_a_module_that_cannot_be_forked_is_imported_afterwards(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "leaves.py").write_text(LEAVES[what])
    config = PRELOAD.format(folder=tmp_path, module="leaves")
    caplog.set_level(logging.DEBUG, logger="remotemedia")
    with (
        Runtime(config) as runtime,
        Pipeline([Inspector()], runtime=runtime).session(),
        forked_session(runtime) as forked,
    ):
        assert ask(forked, "loaded leaves") == [False]
        assert ask(forked, "import leaves") is True
    notes = [r for r in caplog.records if "module leaves is imported after" in r.getMessage()]
    assert len(notes) == 1
    assert notes[0].levelno == logging.DEBUG


def test_a_zygote_whose_files_have_changed_is_replaced(tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    module.write_text("VALUE = 1\n")
    config = PRELOAD.format(folder=tmp_path, module="changing")
    with (
        Runtime(config) as runtime,
        Pipeline([Inspector()], runtime=runtime).session(),
        forked_session(runtime) as forked,
    ):
        assert ask(forked, "attribute changing VALUE") == 1
        zygote = ask(forked, "parent")
        module.write_text("VALUE = 22\n")
        with Pipeline([Inspector()], runtime=runtime).session() as fresh:
            assert ask(fresh, "parent") == os.getpid()
            assert ask(fresh, "attribute changing VALUE") == 22
        with forked_session(runtime) as again:
            assert ask(again, "parent") != zygote
            assert ask(again, "loaded changing") == [True]
            assert ask(again, "attribute changing VALUE") == 22


def test_a_callers_module_wins_over_one_that_was_imported_ahead(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("OWN = 'mine'\n")
    with (
        Runtime('[python]\npreload = ["colorsys"]\n') as runtime,
        Pipeline([Inspector()], runtime=runtime).session(),
    ):
        with forked_session(runtime) as forked:
            assert ask(forked, "loaded colorsys") == [True]
        sys.path.insert(0, str(tmp_path))
        try:
            with Pipeline([Inspector()], runtime=runtime).session() as own:
                assert ask(own, "attribute colorsys OWN") == "mine"
        finally:
            sys.path.remove(str(tmp_path))


BEGINNING = f"""
import os, sys, time
sys.path.insert(0, {str(FIXTURES)!r})
from processes import children, wait_until_gone
from remotemedia import Pipeline, Runtime
from zygote_nodes import Inspector, forked_session, zygotes

def ask(session, question):
    return session.process(question)[0]
"""


def program(body: str) -> None:
    """Runs a program of its own: the runtimes of other tests have zygotes in this one."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + body], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_zygote_that_dies_three_times_is_given_up() -> None:
    program("""
with Runtime() as runtime, Pipeline([Inspector()], runtime=runtime).session() as session:
    for _ in range(3):
        while not (found := zygotes()):
            time.sleep(0.002)
        os.kill(*found, 9)
        wait_until_gone(found)
    with Pipeline([Inspector()], runtime=runtime).session() as other:
        assert ask(other, "parent") == os.getpid()
    time.sleep(0.6)  # twice as long as it takes to start the next one
    assert zygotes() == set()
""")


def test_the_configuration_turns_zygotes_off() -> None:
    program("""
with Runtime("[workers]\\nzygote = false\\n") as runtime:
    with Pipeline([Inspector()], runtime=runtime).session() as session:
        time.sleep(0.6)  # twice as long as it takes to start one
        with Pipeline([Inspector()], runtime=runtime).session() as other:
            assert ask(session, "parent") == ask(other, "parent") == os.getpid()
        assert zygotes() == set()
""")


def test_a_short_program_starts_no_zygote() -> None:
    program("""
with Runtime() as runtime:
    assert Pipeline([Inspector()], runtime=runtime).run_sync(["count"]) == 1
    assert zygotes() == set()
""")


def test_rustpython_has_no_zygote() -> None:
    program("""
with Runtime() as runtime:
    pipeline = Pipeline([Inspector(runtime_hint="rustpython")], runtime=runtime)
    with pipeline.session() as session:
        assert ask(session, "count") == 1
        with forked_session(runtime):
            assert len(zygotes()) == 1
""")


PROGRAM = (
    BEGINNING
    + """
runtime = Runtime()
with Pipeline([Inspector()], runtime=runtime).session() as plain:
    with forked_session(runtime) as forked:
        zygote = ask(forked, "parent")
        while len(children(zygote)) < 2:  # the next worker is forked ahead
            time.sleep(0.002)
        print(*children(), *children(zygote), flush=True)
        sys.stdin.readline()
"""
)


@pytest.mark.parametrize("is_killed", [True, False])
def test_neither_zygote_nor_workers_outlive_their_program(is_killed: bool) -> None:
    """spec: CARD-08"""
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        pids = {int(word) for word in program.stdout.readline().split()}
        assert len(pids) >= 4
        assert all(is_alive(pid) for pid in pids)
        if is_killed:
            program.kill()
        else:
            program.stdin.write("\n")
            program.stdin.flush()
        wait_until_gone(pids)
    assert program.returncode == (-signal.SIGKILL if is_killed else 0)


def test_a_zygote_ends_with_its_runtime() -> None:
    with Runtime() as runtime:
        with Pipeline([Inspector()], runtime=runtime).session(), forked_session(runtime) as forked:
            zygote = ask(forked, "parent")
        runtime.shutdown()
        wait_until_gone({zygote})

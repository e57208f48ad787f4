"""What dies, and what does not: crashes, deadlines, floods, orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from crash_nodes import (
    Crasher,
    DiesIn,
    Doubler,
    Flooder,
    Parent,
    PassOn,
    PidNode,
    Sleeper,
    Spinner,
    Vandal,
)
from loops import CRASHES, INTERRUPTS, Loop
from places import FIXTURES
from processes import is_alive, resident_bytes, shared_memory_names, started, wait_until_gone
from remotemedia import (
    NodeError,
    NodeTimeout,
    Pipeline,
    Runtime,
    WorkerCrashed,
    WorkerStartError,
)

DEATHS = [
    ("SIGSEGV", "SIGSEGV", None),
    ("SIGKILL", "SIGKILL", None),
    ("exit", None, 7),
    ("SIGABRT", "SIGABRT", None),
]


@pytest.mark.parametrize(("order", "signal_name", "exit_code"), DEATHS)
def test_a_crash_is_one_typed_error_and_the_next_run_works(
    order: str, signal_name: str | None, exit_code: int | None
) -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(Crasher(name="shaky"))
    with pytest.raises(WorkerCrashed) as caught:
        pipeline.run(order)
    error = caught.value
    assert (error.signal, error.exit_code) == (signal_name, exit_code)
    assert error.node_id == "shaky_0"
    assert error.also_lost == []
    assert "shaky_0" in str(error)
    assert (signal_name or "code 7") in str(error)
    assert isinstance(error, NodeError)
    assert isinstance(error, RuntimeError)
    assert pipeline.run("fine") == "fine"


def test_the_error_of_a_segfault_shows_the_python_stack() -> None:
    """spec: CARD-08"""
    with pytest.raises(WorkerCrashed) as caught:
        Pipeline(Crasher()).run("SIGSEGV")
    assert caught.value.python_stack is not None
    assert "crash_nodes.py" in caught.value.python_stack
    assert "in process" in caught.value.python_stack


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
@pytest.mark.parametrize("moment", ["import", "initialize", "process", "flush", "cleanup"])
def test_a_crash_names_what_the_node_was_doing(moment: str, interpreter: str) -> None:
    """spec: CARD-08"""
    with pytest.raises(WorkerCrashed) as caught:
        Pipeline(DiesIn(moment), runtime=interpreter, fallback=False).run(1)
    assert (caught.value.node_id, caught.value.operation) == ("DiesIn_0", moment)
    assert caught.value.exit_code == 9


def test_an_interpreter_without_the_package_is_told_as_such(tmp_path: Path) -> None:
    """spec: FFI-14"""
    venv.create(tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    runtime = Runtime(f'[python]\ninterpreter = "{python}"\n')
    with pytest.raises(WorkerStartError, match="has no usable 'remotemedia' package") as caught:
        Pipeline(PassOn(), runtime=runtime).run(1)
    assert caught.value.python == str(python)


def test_a_crash_names_the_nodes_whose_state_was_lost_with_it() -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(PassOn(name="before"), Crasher(name="shaky"), PassOn(name="after"))
    with pytest.raises(WorkerCrashed) as caught:
        pipeline.run("SIGSEGV")
    assert caught.value.node_id == "shaky_1"
    assert caught.value.also_lost == ["before_0", "after_2"]


def test_an_isolated_node_takes_nobody_with_it() -> None:
    """spec: CARD-08"""
    before = PassOn(name="before")
    pipeline = Pipeline(before, Crasher(name="shaky", isolated=True))
    with pipeline.session() as session:
        assert session.process("one") == ["one"]
        with pytest.raises(WorkerCrashed) as caught:
            session.process("SIGKILL")
        assert caught.value.also_lost == []
        assert session.process("two") == ["two"]
    assert before.seen == 3


def test_a_session_goes_on_after_a_crash_with_fresh_nodes() -> None:
    """spec: CARD-08"""
    node = PassOn()
    with Pipeline(node, Crasher()).session() as session:
        assert session.process("one") == ["one"]
        with pytest.raises(WorkerCrashed):
            session.process("exit")
        assert session.process("two") == ["two"]
    assert node.seen == 1


def test_a_branch_beside_a_crash_loses_nothing() -> None:
    """spec: CARD-08"""
    pipeline = Pipeline()
    source = PassOn(name="source")
    pipeline.add_node(source)
    pipeline.add_node(Crasher(name="shaky"), after=[source])
    pipeline.add_node(PassOn(name="steady"), after=[source])
    with pytest.raises(WorkerCrashed) as caught:
        pipeline.run("exit")
    assert (caught.value.node_id or "").startswith("shaky")
    assert not any(name.startswith("steady") for name in caught.value.also_lost)


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_many_crashes_leave_nothing_behind(rounds: Callable[[Loop], int]) -> None:
    """spec: CARD-08, CARD-02"""
    crashes = rounds(CRASHES)
    caches_are_full = crashes // 5
    runtime = Runtime("[workers]\nmin = 1\nmax = 6\n")
    stop = threading.Event()
    wrong: list[object] = []
    runs = [0, 0]

    def neighbour(number: int) -> None:
        pipeline = Pipeline(Doubler(), runtime=runtime)
        while not stop.is_set():
            value = runs[number]
            result = pipeline.run([value, value + 1])
            if result != [2 * value, 2 * value + 2]:
                wrong.append(result)
            runs[number] += 1

    names_before = shared_memory_names()
    crasher = Pipeline(Crasher(name="shaky"), runtime=runtime)
    neighbours = [threading.Thread(target=neighbour, args=(number,)) for number in range(2)]
    for thread in neighbours:
        thread.start()
    try:
        grown_from = 0
        for crash in range(crashes):
            order, signal_name, exit_code = DEATHS[crash % len(DEATHS)]
            with pytest.raises(WorkerCrashed) as caught:
                crasher.run(order)
            assert (caught.value.signal, caught.value.exit_code) == (signal_name, exit_code)
            if crash == caches_are_full:
                grown_from = resident_bytes()
        grown = resident_bytes() - grown_from
    finally:
        stop.set()
        for thread in neighbours:
            thread.join()
    assert wrong == []
    assert min(runs) > 0
    assert grown < 20 << 20, f"{crashes - caches_are_full} crashes cost {grown} bytes"
    workers = {worker["pid"] for worker in runtime.workers()}
    assert workers <= started()
    assert len(workers) <= 6
    runtime.shutdown()
    wait_until_gone(workers)
    assert shared_memory_names() == names_before


@pytest.mark.parametrize("node", [Sleeper(timeout_ms=300), Spinner(timeout_ms=300)])
def test_a_deadline_ends_a_node_that_does_not_answer(node: Sleeper | Spinner) -> None:
    """The error shows where the node hung; the next run gets a fresh worker."""
    runtime = Runtime('[workers]\nstack_grace = "10 s"\n')
    pipeline = Pipeline(PassOn(name="before"), node, runtime=runtime)
    with pytest.raises(NodeTimeout) as caught:
        pipeline.run("sleep" if isinstance(node, Sleeper) else "spin")
    assert caught.value.timeout_ms == 300
    assert (caught.value.node_id or "").startswith(type(node).__name__)
    assert "crash_nodes.py" in (caught.value.remote_traceback or "")
    assert pipeline.run("fine") == "fine"


def test_the_same_worker_serves_the_next_run() -> None:
    """spec: CARD-02"""
    runtime = Runtime("[workers]\nmax = 2\n")
    pipeline = Pipeline(PidNode(), runtime=runtime)
    pids = {pipeline.run(0) for _ in range(5)}
    assert len(pids) == 1
    assert pids != {os.getpid()}
    runtime.shutdown()


def test_a_worker_that_dies_while_idle_is_replaced() -> None:
    """spec: CARD-02"""
    runtime = Runtime("[workers]\nmax = 2\n")
    pipeline = Pipeline(PidNode(), runtime=runtime)
    first = pipeline.run(0)
    os.kill(first, signal.SIGKILL)
    wait_until_gone({first})
    assert pipeline.run(0) != first
    runtime.shutdown()


def test_a_flood_of_output_neither_blocks_nor_grows() -> None:
    """spec: CARD-08"""
    runtime = Runtime("[output]\nforward_output = false\n")
    pipeline = Pipeline(Flooder(), runtime=runtime)
    pipeline.run(1)
    before = resident_bytes()
    assert pipeline.run(256) == 256
    assert resident_bytes() - before < 64 << 20
    runtime.shutdown()


def test_child_processes_of_a_node_end_with_its_worker() -> None:
    """spec: CARD-08"""
    runtime = Runtime()
    with Pipeline(Parent(), Crasher(), runtime=runtime).session() as session:
        [grandchild] = session.process(0)
        # Behind the session the worker is retired for it, at any moment.
        assert is_alive(grandchild)
    runtime.shutdown()
    wait_until_gone({grandchild})
    assert not is_alive(grandchild)


def script(body: str) -> subprocess.Popen[str]:
    """Run a script that can import the nodes of the tests."""
    # A shell that runs the tests in the background leaves SIGINT ignored, and so would the script.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    path = f"import sys; sys.path.insert(0, {str(FIXTURES)!r})\n"
    text = listen + path + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


STUCK = """
    import os
    from crash_nodes import PidNode, Sleeper
    from remotemedia import Pipeline
    print(Pipeline(PidNode()).run(0), flush=True)

    class Tell(Sleeper):
        def process(self, data):
            with open(data, "w") as f:
                f.write(str(os.getpid()))
            return super().process("sleep")

    Pipeline(Tell()).run(PATH)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_caller(ending: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C stops a running pipeline at once; SIGKILL of the caller ends the workers too."""
    path = tmp_path / "pid"
    os.mkfifo(path)
    process = script(STUCK.replace("PATH", repr(str(path))))
    assert process.stdout is not None
    idle = int(process.stdout.readline())
    busy = int(path.read_text())
    process.send_signal(ending)
    _, errors = process.communicate()
    if ending is signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert process.returncode == -signal.SIGINT
    wait_until_gone({idle, busy})
    assert not is_alive(idle)
    assert not is_alive(busy)


def test_a_forked_child_has_a_runtime_of_its_own() -> None:
    """The child's end leaves the parent's workers alone."""
    pipeline = Pipeline(PidNode())
    worker = pipeline.run(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(pipeline.run(0)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        childs_worker = int(answers.read())
    os.waitpid(child, 0)
    assert childs_worker not in (worker, child, os.getpid())
    wait_until_gone({childs_worker})
    assert is_alive(worker)
    assert pipeline.run(0) == worker


def test_garbage_on_the_connection_is_one_error_and_a_fresh_worker() -> None:
    """spec: CARD-04, CARD-08"""
    pipeline = Pipeline(Vandal(name="vandal"))
    with pytest.raises(NodeError) as caught:
        pipeline.run("garbage")
    assert caught.value.node_id == "vandal_0"
    assert caught.value.operation == "the worker protocol"
    assert pipeline.run("nothing") == "nothing"


def test_a_worker_that_closes_its_connection_is_replaced() -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(Vandal(name="vandal"))
    with pytest.raises(WorkerCrashed) as caught:
        pipeline.run("close")
    assert caught.value.node_id == "vandal_0"
    assert pipeline.run("nothing") == "nothing"


INTERRUPTED = """
    import os, random, signal, threading
    from crash_nodes import PassOn, Sleeper
    from remotemedia import Pipeline

    ended = 0
    for moment in range(ROUNDS):
        pipeline = Pipeline(PassOn(), Sleeper())
        later = threading.Timer(random.random() * 0.01, os.kill, (os.getpid(), signal.SIGINT))
        try:
            later.start()
            pipeline.run("sleep")
        except KeyboardInterrupt:
            ended += 1
        later.join()
    print(ended)
"""


def test_an_interrupt_at_any_moment_ends_the_run(rounds: Callable[[Loop], int]) -> None:
    """Also one that comes just before the wait for a worker begins."""
    interrupts = rounds(INTERRUPTS)
    process = script(INTERRUPTED.replace("ROUNDS", str(interrupts)))
    printed, errors = process.communicate()
    assert (printed.strip(), errors) == (str(interrupts), "")


QUICK = """
    import os, signal, threading
    from itertools import repeat
    from crash_nodes import PassOn
    from remotemedia import Pipeline

    pipeline = Pipeline(PassOn())
    pipeline.run(1)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        pipeline.run(repeat(1))
    except KeyboardInterrupt:
        print("ended")
"""


def test_an_interrupt_ends_a_run_that_never_sleeps() -> None:
    """Every answer comes so soon that it is waited for awake, and no Python code runs between."""
    process = script(QUICK)
    printed, errors = process.communicate()
    assert (printed.strip(), errors) == ("ended", "")

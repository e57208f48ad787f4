"""What the error of a crash says: where native code died, who killed the worker, its life."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import resource
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from native_crashes import Native
from remotemedia import Pipeline, Runtime, WorkerCrashed
from remotemedia.core.crash import CrashFrame

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


def crash(order: str, runtime: str = "cpython") -> WorkerCrashed:
    """The error of a node that dies like this."""
    with pytest.raises(WorkerCrashed) as caught:
        Pipeline(Native(name="native"), runtime=runtime, fallback=False).run(order)
    return caught.value


def libraries(error: WorkerCrashed) -> list[str]:
    """The libraries of the C stack, innermost first."""
    return [Path(frame.library or "").name for frame in error.c_stack]


def is_interpreter(library: str) -> bool:
    """Whether the file has CPython's own code."""
    return library.startswith(("python", "libpython"))


@pytest.mark.parametrize(
    ("order", "fault", "address", "where", "callers"),
    [
        ("read", "SEGV_MAPERR", 0, "libc", "_ctypes"),
        ("write", "SEGV_MAPERR", 16, "libc", "_ctypes"),
        ("numpy", None, None, "_multiarray_umath", "_multiarray_umath"),
        ("thread", "SEGV_MAPERR", 0, "libc", "_ctypes"),
    ],
)
def test_a_crash_in_an_extension_names_library_and_callers(
    order: str, fault: str | None, address: int | None, where: str, callers: str
) -> None:
    """spec: CARD-08"""
    error = crash(order)
    assert (error.verdict, error.signal, error.killed_by) == ("crashed", "SIGSEGV", None)
    assert (error.library or "").startswith(where)
    if fault is not None:
        assert (error.fault_code, error.fault_address) == (fault, address)
    found = libraries(error)
    assert found[0] == error.library
    assert any(library.startswith(callers) for library in found)
    # The way up goes through the interpreter, whose functions are named.
    called = [frame for frame in error.c_stack if is_interpreter(Path(frame.library or "").name)]
    assert any((frame.symbol or "").startswith(("Py", "_Py")) for frame in called), error.c_stack
    assert "native_crashes.py" in (error.python_stack or "")


def test_a_call_of_an_address_without_code_is_followed_to_its_caller() -> None:
    """spec: CARD-08"""
    error = crash("jump")
    assert (error.signal, error.fault_address) == ("SIGSEGV", 32)
    assert error.c_stack[0] == CrashFrame(None, None, 32)
    # Some interpreters have both in themselves.
    caller = libraries(error)[1]
    assert caller.startswith(("libffi", "_ctypes")) or is_interpreter(caller)


def test_an_abort_names_what_called_it() -> None:
    """spec: CARD-08"""
    error = crash("abort")
    assert (error.verdict, error.signal, error.fault_code) == ("aborted", "SIGABRT", None)
    assert is_interpreter(error.library or "")
    assert "native code called abort" in "".join(error.__notes__)


def test_a_stack_that_overflows_is_shown() -> None:
    """The handlers run on a stack of their own."""
    error = crash("overflow")
    assert (error.verdict, error.signal) == ("crashed", "SIGSEGV")
    assert len(error.c_stack) > 8
    assert "in recurse" in (error.python_stack or "")


def test_a_signal_from_outside_is_no_crash_of_native_code(tmp_path: Path) -> None:
    """spec: CARD-08"""
    path = tmp_path / "pid"
    for number, sender in ((signal.SIGSEGV, os.getpid()), (signal.SIGKILL, None)):
        os.mkfifo(path)
        killer = threading.Thread(target=lambda: os.kill(int(path.read_text()), number))  # noqa: B023
        killer.start()
        error = crash(f"wait {path}")
        killer.join()
        path.unlink()
        assert error.signal == number.name
        assert (error.verdict, error.killed_by, error.library) == ("killed", sender, None)
        assert "not by RemoteMedia" in str(error) or f"process {sender}" in str(error)


LIMITS = {"memory": "memory.limit_in_bytes", "": "memory.max"}


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with 64 MiB of memory."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = (
            Path("/sys/fs/cgroup") / controllers / path.lstrip("/") / f"remotemedia-{os.getpid()}"
        )
        limit = folder / LIMITS.get(controllers, "none")
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                if limit.exists():
                    limit.write_text(str(64 << 20))
                    yield folder
                    return
            finally:
                folder.rmdir()
    pytest.skip("no control group with a memory limit can be made here")


def test_a_worker_that_the_kernel_kills_for_its_memory_is_told_so(small_group: Path) -> None:
    """spec: CARD-08"""
    error = crash(f"starve {small_group}")
    assert (error.verdict, error.signal) == ("out_of_memory", "SIGKILL")
    assert "ran out of memory" in str(error)
    assert "smaller items" in error.what_next
    assert (error.peak_memory_bytes or 0) > 32 << 20


def test_an_exit_has_its_code_and_no_stack_of_native_code() -> None:
    """spec: CARD-08"""
    error = crash("exit 7")
    assert (error.verdict, error.exit_code, error.signal) == ("exited", 7, None)
    assert (error.c_stack, error.core_dumped) == ([], False)


def test_a_core_dump_is_told(tmp_path: Path) -> None:
    """spec: CARD-08"""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("this machine's hard limit forbids core dumps")
    pattern = CORE_PATTERN.read_text().strip()
    if pattern.startswith(("|", "/")):
        pytest.skip(f"core dumps go to {pattern}")
    assert crash(f"core {tmp_path}").core_dumped is True
    assert [*tmp_path.iterdir()] != []


def test_a_worker_of_the_zygote_leaves_the_same_traces() -> None:
    """spec: CARD-08"""
    with Runtime() as runtime, Pipeline(Native(), runtime=runtime).session() as first:
        first.process("nothing")
        pipeline = Pipeline(Native(name="native"), runtime=runtime)
        while True:
            with pipeline.session() as session:
                [parent] = session.process("parent")
                with pytest.raises(WorkerCrashed) as caught:
                    session.process("read")
            assert caught.value.signal == "SIGSEGV"
            assert any(library.startswith("_ctypes") for library in libraries(caught.value))
            if parent != os.getpid():
                break
        # The first call of a session has not been measured; the kernel's own number is there.
        with pipeline.session() as session, pytest.raises(WorkerCrashed) as killed:
            session.process("kill 9")
    assert (killed.value.peak_memory_bytes or 0) > 4 << 20


def test_handlers_are_there_again_after_faulthandler_was_switched_off() -> None:
    with Runtime("[workers]\nmax = 1\n") as runtime:
        pipeline = Pipeline(Native(), runtime=runtime)
        assert pipeline.run("off") is True
        with pytest.raises(WorkerCrashed) as caught:
            pipeline.run("read")
    assert caught.value.calls_of_worker == 2
    assert caught.value.c_stack != []
    assert caught.value.python_stack is not None


def test_a_child_that_crashes_is_not_taken_for_its_worker() -> None:
    with Pipeline(Native(name="native")).session() as session:
        assert session.process("child") == [-signal.SIGSEGV]
        with pytest.raises(WorkerCrashed) as caught:
            session.process("kill 9")
    assert (caught.value.signal, caught.value.c_stack) == ("SIGKILL", [])


def test_calls_are_counted() -> None:
    """spec: CARD-08"""
    with Runtime("[workers]\nmax = 1\n") as runtime:
        pipeline = Pipeline(Native(name="first"), Native(name="second"), runtime=runtime)
        pipeline.run("one")
        with pipeline.session() as session:
            session.process("one")
            with pytest.raises(WorkerCrashed) as caught:
                session.process("exit 1")
    error = caught.value
    assert (error.node_id, error.call) == ("first_0", 2)
    assert (error.calls_of_session, error.calls_of_worker) == (3, 5)
    assert error.uptime is not None
    assert error.peak_memory_bytes is not None
    assert error.peak_memory_bytes > 1 << 20


def test_the_log_gets_all_attributes_as_one_json_object(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """spec: CARD-08"""
    caplog.set_level(logging.INFO, logger="remotemedia.crashes")
    for order in ("read", "exit 3", "kill 9"):
        caplog.clear()
        error = crash(order)
        [record] = [r for r in caplog.records if r.name == "remotemedia.crashes"]
        assert record.node_id == "native_0"  # type: ignore[attr-defined]
        assert json.loads(record.getMessage()) == error.as_dict()
    documented = re.findall(r"^        (\w+): ", WorkerCrashed.__doc__ or "", re.MULTILINE)
    assert {*documented, "message", "node_id", "operation"} == set(error.as_dict())


TEXT = """\
remotemedia.core.exceptions.WorkerCrashed: node 'native_0' crashed: its worker (pid N) was killed by SIGSEGV. The next run gets a fresh worker.
  in process, call N of this node
  native code crashed in libc.so.6: SEGV_MAPERR at address 0xN
  its worker: N old, N begun, N of them in this session
  memory: N MiB at most, limit N

Python stack of the worker when it died:
"""  # noqa: E501


def test_the_terminal_shows_the_headline_first() -> None:
    """spec: CARD-08"""
    error = crash("read")
    shown = "".join(traceback.format_exception_only(error))
    told, _, stacks = shown.partition(TEXT.splitlines()[-1])
    told = re.sub(r"\d+ (ms|s|min|h) old", "N old", told)
    told = re.sub(r"\d+ calls? begun", "N begun", told)
    told = re.sub(r"limit (none|\d+ MiB)", "limit N", told)
    told = re.sub(r"(?<=pid )\d+|(?<=0x)\d+|(?<=call )\d+|\d+(?= of them)|\d+(?= MiB)", "N", told)
    assert told + "Python stack of the worker when it died:\n" == TEXT
    python, _, native = stacks.partition("C stack of the worker when it died")
    assert "native_crashes.py" in python
    assert re.search(r"^  _?_?\w*\+?0x[0-9a-f]+ in |^  libc\S*\+0x", native, re.MULTILINE)


@pytest.mark.parametrize("order", ["abort", "kill 11"])
def test_rustpython_workers_leave_the_same_traces(order: str) -> None:
    """spec: CARD-08"""
    error = crash(order, runtime="rustpython")
    assert error.signal in ("SIGABRT", "SIGSEGV")
    assert any("remotemedia-rustpython" in library for library in libraries(error))
    assert "in process" in (error.python_stack or "")

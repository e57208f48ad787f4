"""Seeing pools, from the program itself and from the command line of the same user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pool_nodes import Pid, Slow, Where
from processes import until
from remotemedia import ConfigurationError, NodeError, Overloaded, Pipeline
from remotemedia.runtime import Runtime


def pool_of(runtime: Runtime, name: str = "cpython") -> dict[str, Any]:
    """One pool of a runtime."""
    (pool,) = [pool for pool in runtime.pools() if pool["name"] == name]
    return pool


def remotemedia(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line's verb `pool`."""
    command = [sys.executable, "-m", "remotemedia", "pool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def status() -> dict[str, Any]:
    """What the command line says of this process."""
    done = remotemedia("status", "--json", "--pid", str(os.getpid()))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    pools: dict[str, Any] = {}
    for program in told:
        pools.update({pool["name"]: pool for pool in program["pools"] if pool["workers"]})
    return pools


def test_a_pool_shows_its_workers_and_the_last_death() -> None:
    """spec: CARD-09"""
    with Runtime(limits={"memory_hard": "2 GiB"}) as runtime:
        assert pool_of(runtime)["workers"] == []
        pipeline = Pipeline(Pid(), runtime=runtime)
        _, pid = pipeline.run(1)
        pipeline.run(2)
        pool = pool_of(runtime)
        (worker,) = [worker for worker in pool["workers"] if worker["sessions"]]
        assert (worker["pid"], worker["state"], worker["sessions"]) == (pid, "ready", 2)
        assert worker["interpreter"] == sys.executable
        assert worker["age"] > 0
        assert worker["memory"] > 5 << 20
        assert pool["limits"] == {"memory_hard": 2 << 30}
        assert (pool["last_death"], pool["warm_hits"]) == (None, 1)
        os.kill(pid, signal.SIGKILL)
        until(lambda: pool_of(runtime)["last_death"] is not None)
        death = pool_of(runtime)["last_death"]
        assert (death["pid"], death["signal"], death["exit_code"]) == (pid, "SIGKILL", None)


def test_a_miss_has_its_reason() -> None:
    """spec: CARD-02, CARD-09"""
    with Runtime(workers={"max": 2, "zygote": False}) as runtime:
        pipeline = Pipeline(Pid(), runtime=runtime)
        with pipeline.session() as first, pipeline.session() as second:
            first.process(1)
            second.process(1)
        os.environ["OMP_PROC_BIND"] = "false"  # counts when a worker starts
        try:
            pipeline.run(1)
        finally:
            del os.environ["OMP_PROC_BIND"]
        misses = pool_of(runtime)["misses"]
        assert misses.keys() == {"in_use", "other_kind"} or misses.keys() == {
            "first",
            "in_use",
            "other_kind",
        }


def test_sessions_that_wait_are_shown_with_their_time() -> None:
    """spec: CARD-09"""
    with Runtime(workers={"max": 1}) as runtime:
        pipeline = Pipeline(Pid(), runtime=runtime)
        with pipeline.session() as session:
            session.process(1)
            waiting = threading.Thread(target=lambda: Pipeline(Pid(), runtime=runtime).run(2))
            waiting.start()
            until(lambda: len(pool_of(runtime)["waiting"]) == 1)
            until(lambda: pool_of(runtime)["waiting"][0] > 0.05)
        waiting.join()
        assert pool_of(runtime)["waiting"] == []


def test_a_drained_pool_refuses_sessions_until_it_is_resumed() -> None:
    """spec: CARD-09"""
    with Runtime("[pools.gpu]\n") as runtime:
        pipeline = Pipeline(Pid(), pool="gpu", runtime=runtime)
        with pipeline.session() as session:
            session.process(1)
            runtime.drain("gpu")
            assert pool_of(runtime, "gpu")["is_drained"]
            with pytest.raises(Overloaded, match="pool 'gpu' takes no new sessions"):
                pipeline.run(2)
            assert session.process(3)[0][0] == 3
        assert Pipeline(Pid(), runtime=runtime).run(4)[0] == 4
        runtime.resume("gpu")
        assert pipeline.run(5)[0] == 5


def test_an_open_session_of_a_drained_pool_survives_a_crash() -> None:
    """spec: CARD-08, CARD-09"""
    with Runtime() as runtime, Pipeline(Pid(), runtime=runtime).session() as session:
        ((_, pid),) = session.process(1)
        os.kill(pid, signal.SIGKILL)
        runtime.drain("cpython")
        with pytest.raises(NodeError):
            session.process(2)
        assert session.process(3)[0][0] == 3


@pytest.mark.parametrize("verb", ["recycle", "drain", "resume"])
def test_an_unknown_pool_is_named_with_those_that_exist(verb: str) -> None:
    refused = pytest.raises(ConfigurationError, match="no pool 'cpu'; the pools are cpython")
    with Runtime("[pools.gpu]\n") as runtime, refused:
        getattr(runtime, verb)("cpu")


def test_the_command_line_sees_and_changes_the_pools_of_a_program() -> None:
    """spec: CARD-09"""
    pid = str(os.getpid())
    with Runtime("[pools.gpu]\n") as runtime:
        pipeline = Pipeline(Where(), pool="gpu", runtime=runtime)
        first = pipeline.run(([],))[-1]["pid"]
        assert first in [worker["pid"] for worker in status()["gpu"]["workers"]]
        text = remotemedia("status", "--pid", pid).stdout
        assert f"process {pid}, runtime" in text
        assert "gpu (cpython): 1 of 4 workers" in text
        assert remotemedia("recycle", "gpu", "--pid", pid).returncode == 0
        assert pipeline.run(([],))[-1]["pid"] != first
        assert remotemedia("drain", "gpu", "--pid", pid).returncode == 0
        assert "gpu (cpython, drained)" in remotemedia("status", "--pid", pid).stdout
        with pytest.raises(Overloaded):
            pipeline.run(([],))
        assert remotemedia("resume", "gpu", "--pid", pid).returncode == 0
        assert pipeline.run(([],))
        wrong = remotemedia("recycle", "gpuu", "--pid", pid)
        assert wrong.returncode == 2
        assert "no pool 'gpuu'" in wrong.stderr


def test_a_program_without_a_socket_is_not_found() -> None:
    """spec: CARD-09"""
    code = """
import subprocess, sys, os
from remotemedia import Pipeline
from remotemedia.runtime import Runtime
with Runtime(status={"socket": False}) as runtime:
    Pipeline(lambda x: x, runtime=runtime).run(1)
    command = [sys.executable, "-m", "remotemedia", "pool", "status", "--pid", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.returncode, done.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3 error: no program of this user runs workers"), done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_gets_no_answer() -> None:
    """spec: CARD-09"""
    with Runtime() as runtime:
        Pipeline(Pid(), runtime=runtime).run(1)
        sockets = [
            line.rsplit(" ", 1)[1]
            for line in Path("/proc/net/unix").read_text().splitlines()
            if f"@remotemedia-0-{os.getpid()}-" in line
        ]
        assert sockets
        code = f"""
import os, socket
os.setuid(65534)
for name in {sockets!r}:
    link = socket.socket(socket.AF_UNIX)
    link.connect("\\0" + name[1:])
    try:
        link.sendall(b'{{"version": 1, "do": "status"}}\\n')
        print(link.recv(100))
    except OSError as error:
        print(b"")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert set(done.stdout.split()) == {b"b''"}


def test_a_bad_request_gets_an_answer_and_hurts_nobody() -> None:
    import socket

    with Runtime() as runtime:
        Pipeline(Pid(), runtime=runtime).run(1)
        names = [
            line.rsplit(" ", 1)[1]
            for line in Path("/proc/net/unix").read_text().splitlines()
            if f"@remotemedia-{os.geteuid()}-{os.getpid()}-" in line
        ]
        unknown = [b"nonsense\n", b'{"version": 1, "do": "explode"}\n', b"\xff\xff\n", b""]
        for request in [*unknown, b'{"version": 2, "do": "status"}\n']:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(10)
                link.connect("\0" + names[-1][1:])
                link.sendall(request)
                link.shutdown(socket.SHUT_WR)
                answer = link.recv(1000)
                # What is not even text gets none.
                assert not answer or list(json.loads(answer)) == ["refused_by"]
        assert Pipeline(Slow(), runtime=runtime).run(0.0) == 0.0


def test_a_program_of_another_version_is_told_apart() -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0remotemedia-{os.geteuid()}-{os.getpid()}-99")
        listener.listen()

        def refuse() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1000)
                link.sendall(b'{"refused_by": "9.0.0"}\n')

        threading.Thread(target=refuse, daemon=True).start()
        done = remotemedia("status", "--pid", str(os.getpid()))
    assert "it runs RemoteMedia 9.0.0, which does not know this request" in done.stderr

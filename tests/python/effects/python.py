"""The effects of settings for interpreters and output, of `[pools.NAME]` and of the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from effect_nodes import Fails, Grows, Imports, Loaded, NeedsNumpy, Prints, Variable
from effects.common import Bench, effect, pid, pool
from interpreters import environment_of
from pool_nodes import Logging, Small, Where
from processes import until
from remotemedia import NodeError, Pipeline, RemoteMediaError, Runtime


@effect("python.runtime")
def _runtime(bench: Bench) -> None:
    with Runtime(python={"runtime": "rustpython"}) as runtime:
        assert Pipeline(Small(), runtime=runtime).run(1) == "rustpython 1"


@effect("python.interpreter")
def _interpreter(bench: Bench) -> None:
    program = environment_of(sys.executable, bench.folder / "environment")
    with Runtime(python={"interpreter": program}) as runtime:
        # The environment has nothing but this package, so that the node goes there by its name.
        node = {"id": "a", "node_type": "pool_nodes:Where"}
        document = {"version": "v1", "nodes": [node]}
        (found,) = Pipeline.from_manifest(document, runtime=runtime).run([[]])
        assert found["prefix"] == str(bench.folder / "environment")


@effect("python.environment")
def _environment(bench: Bench) -> None:
    with Runtime(python={"environment": {"POOL_MARK": "here"}}) as runtime:
        assert Pipeline(Variable(), runtime=runtime).run("POOL_MARK")[0] == "here"


@effect("python.start_variables")
def _start_variables(bench: Bench) -> None:
    for names, is_another in (([], False), (["EFFECT"], True)):
        with Runtime(python={"start_variables": names}) as runtime:
            bench.patch.delenv("EFFECT", raising=False)
            first = pid(runtime)
            bench.patch.setenv("EFFECT", "1")
            assert (pid(runtime) != first) is is_another


@effect("python.modules")
def _modules(bench: Bench) -> None:
    file = bench.folder / "anywhere.py"
    file.write_text("NAME = 'injected'\n")
    with Runtime(python={"modules": {"effect_settings": str(file)}}) as runtime:
        assert Pipeline(Imports(), runtime=runtime).run("effect_settings") == "injected"


@effect("python.preload")
def _preload(bench: Bench) -> None:
    with Runtime(python={"preload": ["colorsys"]}, workers={"max_sessions": 1}) as runtime:
        pipeline = Pipeline(Loaded(), runtime=runtime)
        assert not pipeline.run("colorsys")[0], "the first worker is no fork"
        until(lambda: pipeline.run("colorsys")[0])


@effect("python.threads")
def _threads(bench: Bench) -> None:
    with Runtime(python={"threads": 3}) as runtime:
        bench.patch.delenv("OMP_NUM_THREADS", raising=False)
        assert Pipeline(Variable(), runtime=runtime).run("OMP_NUM_THREADS")[0] == "3"


@effect("python.allow_pickle")
def _allow_pickle(bench: Bench) -> None:
    class Own:
        pass

    with (
        Runtime(python={"allow_pickle": False}) as runtime,
        pytest.raises(RemoteMediaError, match="allow_pickle"),
    ):
        Pipeline(Grows(), runtime=runtime).run([Own()])


@effect("python.write_back_max")
def _write_back_max(bench: Bench) -> None:
    for most, seen in (("0", []), ("1 KiB", [7])):
        with Runtime(python={"write_back_max": most}) as runtime:
            node = Grows()
            Pipeline(node, runtime=runtime).run(7)
            assert node.seen == seen


@effect("fallback.enabled")
def _enabled(bench: Bench) -> None:
    with Runtime() as runtime:
        moved = Pipeline(NeedsNumpy(), runtime=runtime)
        assert moved.run(1, runtime="rustpython") == "cpython 1"
    with (
        Runtime(fallback={"enabled": False}) as runtime,
        pytest.raises(NodeError, match="numpy"),
    ):
        Pipeline(NeedsNumpy(), runtime=runtime).run(1, runtime="rustpython")


@effect("fallback.failures")
def _failures(bench: Bench) -> None:
    for failures, engine in ((1, "cpython"), (0, "rustpython")):
        with Runtime(fallback={"failures": failures}) as runtime:
            node = Fails(bench.file(), "RuntimeError")
            pipeline = Pipeline(node, runtime=runtime)
            with pytest.raises(NodeError):
                pipeline.run(1, runtime="rustpython")
            assert pipeline.explain(runtime="rustpython")["Fails_0"].runtime == engine


@effect("output.forward_output")
def _forward_output(bench: Bench) -> None:
    for forwards in (True, False):
        with Runtime(output={"forward_output": forwards}) as runtime:
            Pipeline(Prints(), runtime=runtime).run(1)
        assert ("printed by a node" in bench.printed.readouterr().out) is forwards


@effect("output.log_level")
def _log_level(bench: Bench) -> None:
    bench.logged.set_level("INFO")
    for level, is_shown in (("info", True), ("warning", False)):
        bench.logged.clear()
        with Runtime(output={"log_level": level}) as runtime:
            Pipeline(Logging(), runtime=runtime).run(1)
        assert ("an information" in bench.logged.messages) is is_shown
        assert "a warning" in bench.logged.messages


@effect("config.watch")
def _watch(bench: Bench) -> None:
    file = bench.folder / "watched.toml"
    for watch in ("false", "true"):
        file.write_text(f"[config]\nwatch = {watch}\n[workers]\nmax = 2\n")
        with Runtime(file) as runtime:
            file.write_text(f"[config]\nwatch = {watch}\n[workers]\nmax = 3\n")
            if watch == "true":
                until(lambda: pool(runtime)["max"] == 3)
            assert pool(runtime)["max"] == (3 if watch == "true" else 2)


@effect("status.socket")
def _socket(bench: Bench) -> None:
    def sockets() -> int:
        mark = f"@remotemedia-{os.geteuid()}-{os.getpid()}-"
        return Path("/proc/net/unix").read_text().count(mark)

    before = sockets()
    with Runtime(status={"socket": False}) as runtime:
        pid(runtime)
        assert sockets() == before
    with Runtime() as runtime:
        pid(runtime)
        until(lambda: sockets() == before + 1)


@effect("pools.nodes", "pools.sys_path", "pools.working_directory", "pools.nice")
def _own(bench: Bench) -> None:
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    settings = {
        "nodes": ["Whe*"],
        "sys_path": [str(bench.folder / "more")],
        "working_directory": str(bench.folder),
        "nice": 2,
    }
    with Runtime(pools={"own": settings}) as runtime:
        pipeline = Pipeline(Where(), runtime=runtime)
        assert pipeline.explain()["Where_0"].pool == "own"
        (found,) = pipeline.run([[]])
        assert found["first"] == str(bench.folder / "more")
        assert found["folder"] == str(bench.folder)
        assert found["niceness"] == min(mine + 2, 19)


@effect("pools.cpu_affinity")
def _cpu_affinity(bench: Bench) -> None:
    last = max(os.sched_getaffinity(0))
    with Runtime(pools={"own": {"cpu_affinity": str(last)}}) as runtime:
        (found,) = Pipeline(Where(), pool="own", runtime=runtime).run([[]])
        assert found["processors"] == [last]

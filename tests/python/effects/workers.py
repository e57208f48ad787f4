"""The effects of `[workers]` and `[rustpython]`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from effect_nodes import Leaks, SlowEnd, SlowStart, Stubborn
from effects.common import Bench, effect, is_alive, pid, pool
from interpreters import RUSTPYTHON
from pool_nodes import Pid, Small
from processes import children, is_zygote, until
from remotemedia import NodeError, NodeTimeout, Overloaded, Pipeline, RemoteMediaError, Runtime


def _section(name: str, **settings: object) -> tuple[Runtime, dict[str, Any], str]:
    """A runtime, and how its pool of that interpreter is used and called."""
    engine = "cpython" if name == "workers" else "rustpython"
    sections: dict[str, Any] = {name: settings}
    return Runtime(**sections), {"runtime": engine}, engine


def _min(section: str) -> None:
    runtime, how, engine = _section(section, min=2)
    with runtime:
        pid(runtime, **how)
        until(lambda: len([w for w in pool(runtime, engine)["workers"] if w["pid"]]) >= 2)


def _max(section: str) -> None:
    runtime, how, _ = _section(section, max=1)
    pipeline = Pipeline(Pid(), runtime=runtime)
    with runtime, pipeline.session(**how), pytest.raises(Overloaded, match="all 1 workers"):
        pipeline.run(1, wait=False, **how)


def _max_sessions(section: str) -> None:
    runtime, how, _ = _section(section, max_sessions=1)
    with runtime:
        assert pid(runtime, **how) != pid(runtime, **how)


def _recycle_after_calls(section: str) -> None:
    runtime, how, _ = _section(section, recycle_after_calls=2)
    with runtime:
        first = pid(runtime, **how)
        assert pid(runtime, **how) == first
        assert pid(runtime, **how) != first


def _recycle_above_memory(section: str) -> None:
    runtime, how, _ = _section(section, recycle_above_memory="2 MiB")
    with runtime:
        assert pid(runtime, **how) != pid(runtime, **how)


def _recycle_above_growth(section: str) -> None:
    runtime, how, _ = _section(section, recycle_above_growth="8 MiB")
    with runtime:
        leaks = Pipeline(Leaks(), runtime=runtime)
        first = leaks.run(1, **how)
        assert leaks.run(32, **how) == first
        assert leaks.run(0, **how) != first


def _idle_timeout(section: str) -> None:
    runtime, how, engine = _section(section, idle_timeout="50 ms")
    with runtime:
        pid(runtime, **how)
        until(lambda: not pool(runtime, engine)["workers"])


for _section_name in ("workers", "rustpython"):
    for _shared in (
        _min,
        _max,
        _max_sessions,
        _recycle_after_calls,
        _recycle_above_memory,
        _recycle_above_growth,
        _idle_timeout,
    ):
        effect(f"{_section_name}.{_shared.__name__[1:]}")(
            lambda _bench, show=_shared, section=_section_name: show(section)  # type: ignore[misc]
        )


@effect("workers.zygote")
def _zygote(bench: Bench) -> None:
    before = children()

    def has_zygote() -> bool:
        return any(is_zygote(child) for child in children() - before)

    with Runtime(workers={"zygote": False}) as runtime:
        pid(runtime)
        time.sleep(1)  # a zygote would start after 0.3 s
        assert not has_zygote()
        runtime.reconfigure(workers={"zygote": True})
        pid(runtime)
        until(has_zygote)


@effect("workers.start_timeout")
def _start_timeout(bench: Bench) -> None:
    with (
        Runtime(workers={"start_timeout": "1 ms"}) as runtime,
        pytest.raises(RemoteMediaError, match="was not ready within 1ms"),
    ):
        pid(runtime)


@effect("workers.open_timeout")
def _open_timeout(bench: Bench) -> None:
    with (
        Runtime(workers={"open_timeout": "300 ms"}) as runtime,
        pytest.raises(NodeTimeout, match="initialize"),
    ):
        Pipeline(SlowStart(), runtime=runtime).run(1)


@effect("workers.close_timeout")
def _close_timeout(bench: Bench) -> None:
    with Runtime(workers={"close_timeout": "200 ms"}) as runtime:
        with pytest.raises(NodeError) as caught:
            Pipeline(SlowEnd(), runtime=runtime).run(1)
        assert caught.value.partial_results == [1]


@effect("workers.acquire_timeout")
def _acquire_timeout(bench: Bench) -> None:
    with Runtime(workers={"max": 1}) as runtime:
        pipeline = Pipeline(Pid(), runtime=runtime)
        with pipeline.session():
            runtime.reconfigure(workers={"acquire_timeout": "50 ms"})
            with pytest.raises(RemoteMediaError, match="within 50ms"):
                pipeline.run(1)


def _hung(bench: Bench, **settings: object) -> tuple[Runtime, NodeTimeout, int]:
    """A runtime whose node has missed its deadline, the error, and the worker."""
    runtime = Runtime(workers=settings)
    path = bench.file(str(len(list(bench.folder.iterdir()))))
    with pytest.raises(NodeTimeout) as caught:
        Pipeline(Stubborn(path, timeout_ms=500), runtime=runtime).run(1)
    return runtime, caught.value, int(Path(path).read_text())


@effect("workers.stack_grace")
def _stack_grace(bench: Bench) -> None:
    for grace, has_stack in (("0", False), ("20 s", True)):
        runtime, error, _ = _hung(bench, stack_grace=grace)
        assert ("effect_nodes.py" in (error.remote_traceback or "")) is has_stack
        runtime.shutdown()


@effect("workers.stop_grace")
def _stop_grace(bench: Bench) -> None:
    runtime, _, patient = _hung(bench, stop_grace="60 s")
    time.sleep(0.5)
    assert is_alive(patient)
    runtime.shutdown()
    runtime, _, impatient = _hung(bench, stop_grace="0")
    until(lambda: not is_alive(impatient))
    runtime.shutdown()


@effect("rustpython.executable")
def _executable(bench: Bench) -> None:
    program = bench.folder / "elsewhere"
    program.symlink_to(RUSTPYTHON)
    with Runtime(rustpython={"executable": program}) as runtime:
        pipeline = Pipeline(Small(), runtime=runtime)
        assert pipeline.explain(runtime="rustpython")["Small_0"].program == str(program)
        assert pipeline.run(1, runtime="rustpython") == "rustpython 1"


@effect("rustpython.allow_modules")
def _allow_modules(bench: Bench) -> None:
    from effect_nodes import NeedsCtypes

    how: dict[str, Any] = {"runtime": "rustpython", "fallback": False}
    with Runtime() as runtime, pytest.raises(NodeError, match="not allowed"):
        Pipeline(NeedsCtypes(), runtime=runtime).run(1, **how)
    with Runtime(rustpython={"allow_modules": ["ctypes"]}) as runtime:
        assert Pipeline(NeedsCtypes(), runtime=runtime).run(1, **how) == "rustpython 4"

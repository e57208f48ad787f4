"""Large libraries in workers, forked by a zygote or not. `make stress` installs them."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from typing import Any

import pytest

from library_nodes import LIBRARIES, RIGHT, use
from processes import is_zygote
from remotemedia import Pipeline, Runtime

pytestmark = pytest.mark.stress


def killed(runtime: Runtime, pid: int) -> None:
    """Kill an idle worker, and wait until the pool knows."""
    os.kill(pid, signal.SIGKILL)
    while any(worker["pid"] == pid for worker in runtime.workers()):
        time.sleep(0.002)


@pytest.mark.parametrize("way", ["zygote", "plain"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_computes_in_each_worker(library: str, way: str) -> None:
    """spec: CARD-02: also in one that was forked when the library was imported already."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    is_forked = way == "zygote"
    config = f"[workers]\nzygote = {str(is_forked).lower()}\n[python]\nthreads = 2\n"
    forked: list[dict[str, Any]] = []
    with Runtime(config) as runtime:
        pipeline = Pipeline(use, runtime=runtime)
        runs = 0
        # A watchdog of the test run ends a hang.
        while runs < 6 or (is_forked and len(forked) < 4):
            facts: dict[str, Any] = pipeline.run(library)
            assert facts["result"] == RIGHT[library]
            if is_zygote(facts["parent"]):
                forked.append(facts)
            runs += 1
            if runs % 2:
                killed(runtime, facts["pid"])
                time.sleep(0.05)
    assert is_forked or forked == []

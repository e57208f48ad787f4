"""Pools with names in the processes of a program: children, an event loop, one processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from processes import until

SETTINGS = """\
[pools.gpu]
nodes = ["heavy*"]
max = 1
[pools.gpu.environment]
POOL_MARK = "gpu"
"""

SCRIPT = """\
import asyncio, multiprocessing, os, sys
from remotemedia import Node, Pipeline

class Where(Node):
    def process(self, item):
        return item, os.environ.get("POOL_MARK"), os.getpid()

def work(number):
    pipeline = Pipeline(Where(name="heavy one"))
    runs = [pipeline.run(number) for _ in range(3)]
    assert {run[:2] for run in runs} == {(number, "gpu")}, runs
    return {run[2] for run in runs}

async def stream():
    pipeline = Pipeline(Where(name="heavy one"))
    return {pid async for _, mark, pid in pipeline.process([1, 2, 3]) if mark == "gpu"}

if __name__ == "__main__":
    way = sys.argv[1]
    before = work(1)
    if way == "asyncio":
        assert asyncio.run(stream()) == before
    else:
        with multiprocessing.get_context(way).Pool(2) as pool:
            assert all(len(pids) == 1 and pids != before for pids in pool.map(work, range(4)))
    assert len(before) == 1 and work(2) == before
    print("done", *before)
"""


@pytest.mark.parametrize("processors", ["all", "one"])
@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver", "asyncio"])
def test_a_file_of_settings_gives_each_process_of_a_program_its_pools(
    tmp_path: Path, way: str, processors: str
) -> None:
    """spec: CARD-09: a worker of the pool for each process, warm, and gone at its end."""
    (tmp_path / "remotemedia.toml").write_text(SETTINGS)
    (tmp_path / "script.py").write_text(SCRIPT)
    allowed = sorted(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "script.py", way],
        cwd=tmp_path,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed if processors == "all" else allowed[:1]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    mark, pid = done.stdout.split()
    assert mark == "done"
    until(lambda: not Path(f"/proc/{pid}").exists())

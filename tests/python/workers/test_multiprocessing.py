"""Pipelines in processes of `multiprocessing`, whose main module has another name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker_programs import PROGRAMS

SCRIPT = """\
import multiprocessing, sys
from dataclasses import dataclass
from remotemedia import Node, Pipeline

@dataclass
class Item:
    value: int

LIMIT = 7

def limited(value):
    return min(value, LIMIT)

class Limits(Node):
    def process(self, item):
        return Item(limited(item.value))

def work(program):
    pipeline = Pipeline(Limits())
    found = [pipeline.run(Item(value), runtime=program) for value in (1, 9)]
    assert found == [Item(1), Item(7)], found

if __name__ == "__main__":
    _, method, program = sys.argv
    child = multiprocessing.get_context(method).Process(target=work, args=(program,))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_classes_of_the_main_module_reach_the_worker(
    tmp_path: Path, method: str, program: str
) -> None:
    # spec: IOP-19
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), method, program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


FORKING = """\
import os, signal, threading, warnings
from remotemedia import Node, Pipeline
from remotemedia.runtime import Runtime

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads

class Pid(Node):
    def process(self, item):
        return os.getpid()

children = []
is_over = threading.Event()

def fork():
    while len(children) < 2000 and not is_over.is_set():
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)

forking = threading.Thread(target=fork)
forking.start()
workers = {"zygote": False, "acquire_timeout": "20 s"}
try:
    with Runtime(workers=workers) as runtime:
        pids = set()
        for _ in range(20):
            pids.add(Pipeline(Pid(), runtime=runtime).run(1))
            runtime.recycle("cpython")
    assert len(pids) == 20, pids
finally:
    is_over.set()
    forking.join()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
print(len(children) > 20)
"""


def test_processes_that_the_caller_forks_do_not_hold_up_starts(tmp_path: Path) -> None:
    # spec: IOP-19
    script = tmp_path / "script.py"
    script.write_text(FORKING)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr

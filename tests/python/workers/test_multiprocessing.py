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

"""Limits of memory and of open files: what is not needed any more is given up in time, and where
something runs short, arrays are right all the same.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from remotemedia import Node, NodeError, Pipeline, Runtime
from shared_memory_nodes import one

MIB = 1 << 20
SEGMENTS = ["memfd", "named"]


def many_sizes() -> list[int]:
    """Sizes up to 3 MB, few of which can use each other's memory."""
    return [300_000 + number * 1_370_009 % 2_700_000 for number in range(60)]


def tight(segment: str) -> str:
    """A configuration of which many sizes would soon use too much."""
    return f'[shared_memory]\nsegment = "{segment}"\nmax = "8 MiB"\nidle_max = "1 MiB"\n'


def mapped_bytes() -> int:
    """Shared memory that this process maps."""
    total = 0
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if "memfd:remotemedia" in line or "/dev/shm/remotemedia" in line:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            total += end - start
    return total


class Makes(Node):
    """Gives an array of a size."""

    def process(self, data: Any, /) -> Any:
        return np.full(data, data % 251, dtype=np.uint8)


class Maps(Node):
    """Says how much shared memory its process maps."""

    def process(self, data: Any, /) -> Any:
        return int(data[-1]), mapped_bytes()


class Limits(Node):
    """Leaves its worker little address space."""

    def initialize(self) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + 20 * MIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def process(self, data: Any, /) -> Any:
        return float(data.sum())


@pytest.mark.parametrize("segment", SEGMENTS)
def test_outputs_of_many_sizes_leave_the_worker_in_its_limits(segment: str) -> None:
    # spec: CARD-05, CARD-11
    with (
        Runtime(tight(segment)) as runtime,
        Pipeline([Makes()], runtime=runtime).session() as session,
    ):
        for size in many_sizes():
            array = one(session, size)
            assert array.nbytes == size
            assert (array == size % 251).all()
            del array
            (worker,) = remotemedia.shared_memory_stats(runtime)["workers"]
            assert worker["mapped_bytes"] <= 8 * MIB


@pytest.mark.parametrize("segment", SEGMENTS)
def test_inputs_of_many_sizes_do_not_pile_up_in_the_worker(segment: str) -> None:
    # spec: CARD-05, CARD-11
    with (
        Runtime(tight(segment)) as runtime,
        Pipeline([Maps()], runtime=runtime).session() as session,
    ):
        for number, size in enumerate(many_sizes()):
            last, mapped = one(session, np.full(size, number, dtype=np.uint8))
            assert last == number
            assert mapped <= 10 * MIB


def test_shared_arrays_of_many_sizes_do_not_pile_up_in_the_worker() -> None:
    # spec: CARD-05
    largest = 60 * MIB
    # A program keeps 128 MiB that it may use again.
    allowed = 128 * MIB + 2 * largest
    with Runtime() as runtime, Pipeline([Maps()], runtime=runtime).session() as session:
        for number in range(24):
            array = remotemedia.empty(largest - number * 7 * MIB % (40 * MIB), dtype=np.uint8)
            array[-1] = number
            last, mapped = one(session, array)
            del array
            assert last == number
            assert mapped <= allowed


def test_memory_that_cannot_be_mapped_is_one_error_that_names_the_node() -> None:
    # spec: CARD-05
    small, large = np.ones(MIB // 4, dtype=np.float32), np.ones(30 * MIB // 4, dtype=np.float32)
    with Runtime() as runtime:  # the limit stays in its workers
        pipeline = Pipeline("limits", runtime=runtime).add(Limits(), id="limited")
        with pipeline.session() as session:
            assert one(session, small) == small.size
            with pytest.raises(NodeError, match=r"'limited'.*cannot be mapped.*allocate memory"):
                session.process(large)
        assert pipeline.run(small) == small.size


LITTLE_MEMORY = """
import resource
from pathlib import Path
import numpy as np
from remotemedia import Node, NodeError, Pipeline


class Makes(Node):
    def process(self, data):
        return np.ones(data, dtype=np.uint8)


pipeline = Pipeline([Makes()])
with pipeline.session() as session:
    session.process(100_000)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (20 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        session.process(100 << 20)
    except NodeError as error:
        print(error)
print(pipeline.run(100_000).sum())
"""


def error_of_a_program_that_goes_on(program: str) -> str:
    """What the error says that a program prints; then its node gives 100,000 ones."""
    arguments = [sys.executable, "-c", program]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, total = done.stdout.splitlines()
    assert "'Makes_0'" in told
    assert total == "100000"
    return told


def test_an_output_that_cannot_be_mapped_is_not_the_workers_fault() -> None:
    # spec: CARD-05
    told = error_of_a_program_that_goes_on(LITTLE_MEMORY)
    assert "cannot be mapped: Cannot allocate memory" in told
    assert "malformed" not in told


FEW_FILES = """
import gc, os, resource
import numpy as np
import remotemedia
from remotemedia import Node, Pipeline, Runtime

resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))


class Doubles(Node):
    def process(self, data):
        return data * 2


inputs = np.arange(75_000, dtype=np.float32)
kept = []
# The zygotes of four runtimes would take a quarter of the descriptors.
runtimes = [Runtime("[workers]\\nzygote = false") for _ in range(4)]
for runtime in runtimes:
    with Pipeline([Doubles()], runtime=runtime).session() as session:
        for number in range(60):
            kept += session.process(inputs + number)


def are_right(arrays):
    wanted = (inputs + n % 60 for n in range(len(arrays)))
    return all((array == want * 2).all() for array, want in zip(arrays, wanted))


assert are_right(kept)
free = [open(os.devnull) for _ in range(10)]  # some are left for the program
del free
pid = os.fork()
if pid == 0:
    right = are_right(kept)
    for array in kept:
        array[:] = -1
    os._exit(0 if right else 1)
assert os.waitpid(pid, 0)[1] == 0
assert are_right(kept), "what a child writes is its own"
with Pipeline([Doubles()], runtime=runtimes[0]).session() as session:
    for array in kept[:100]:
        (four,) = session.process(remotemedia.asarray_shared(array))
        assert (four == array * 2).all()
del kept, array, four
gc.collect()
with Pipeline([Doubles()], runtime=runtimes[0]).session() as session:
    (result,) = session.process(inputs)
    assert (result == inputs * 2).all() and result.base.is_shared
print("right")
"""


def test_results_that_are_kept_take_no_more_files_than_there_are() -> None:
    # spec: CARD-05
    arguments = [sys.executable, "-c", FEW_FILES]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "right\n"


NO_FILES = """
import os, resource
import numpy as np
from remotemedia import Node, NodeError, Pipeline, Runtime

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))


class Makes(Node):
    def process(self, data):
        return np.ones(data, dtype=np.uint8)


# A worker that is forked meanwhile would take and free descriptors.
pipeline = Pipeline([Makes()], runtime=Runtime("[workers]\\nzygote = false"))
with pipeline.session() as session:
    files = []
    try:
        while True:
            files.append(open(os.devnull))
    except OSError:
        pass
    try:
        session.process(100_000)
    except NodeError as error:
        files.clear()
        print(error)
print(pipeline.run(100_000).sum())
"""


def test_an_array_that_no_file_is_left_for_is_an_error_that_says_so() -> None:
    # spec: CARD-05
    assert "Too many open files" in error_of_a_program_that_goes_on(NO_FILES)

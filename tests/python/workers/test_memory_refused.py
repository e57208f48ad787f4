"""Items that do not fit into the memory of a worker, or of the caller: one error says so, with
the limit and the node, and the next item is as usual.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from large_nodes import FORMS
from places import FIXTURES
from remotemedia import NodeError, Runtime, WorkerCrashed
from worker_programs import PROGRAMS, runtime, session

LIMITS = {"memory": "256 MiB"}
COUNT = 2_000_000
"""So many parts do not fit."""


CASES = [(program, form) for program in PROGRAMS for form in FORMS]


def check(error: NodeError, program: str) -> None:
    """The error names node and limit."""
    assert error.node_id == "node0"
    assert "may have 256 MiB of private memory: raise memory" in str(error)
    if isinstance(error, WorkerCrashed):
        # RustPython aborts where it cannot allocate.
        assert program == "rustpython"
        assert error.verdict == "out_of_memory"
        assert error.memory_limit_bytes == 256 << 20
    else:
        assert error.remote_type == "MemoryError"
        assert error.limit == "memory"


def process(opened: Any, item: Any) -> Any:
    ((_, value),) = opened.process(item)
    return value


@pytest.mark.parametrize(("program", "form"), CASES)
def test_an_item_that_does_not_fit_into_its_worker_is_an_error_that_names_the_limit(
    program: str, form: str
) -> None:
    # spec: CARD-08, IOP-24
    with (
        runtime(program) as workers,
        session(workers, "large_nodes:Measures", isolated=True, limits=LIMITS) as opened,
    ):
        item = FORMS[form](COUNT)
        for _ in range(2):
            with pytest.raises(NodeError) as caught:
                opened.process(item)
            check(caught.value, program)
            assert process(opened, "small") == 5


@pytest.mark.parametrize(("program", "form"), CASES)
def test_an_output_that_does_not_fit_into_its_worker_is_an_error_that_names_the_limit(
    program: str, form: str
) -> None:
    # spec: CARD-08, IOP-24
    with (
        runtime(program) as workers,
        session(workers, "large_nodes:Makes", isolated=True, limits=LIMITS) as opened,
    ):
        for count in (COUNT // 2, COUNT):
            with pytest.raises(NodeError) as caught:
                opened.process((form, count))
            check(caught.value, program)
            assert process(opened, ("number", 7)) == 7


@pytest.mark.parametrize("form", [*FORMS])
@pytest.mark.parametrize("way", ["input", "output"])
def test_at_any_size_an_item_arrives_or_is_such_an_error(form: str, way: str) -> None:
    """Sizes in small steps, of which some just fit.

    spec: CARD-08
    """
    node = {"input": "large_nodes:Measures", "output": "large_nodes:Makes"}[way]
    outcomes = set()
    with (
        Runtime() as workers,
        session(workers, node, isolated=True, limits=LIMITS) as opened,
    ):
        for step in range(1, 13):
            count = COUNT * step // 16
            item = FORMS[form](count) if way == "input" else (form, count)
            try:
                opened.process(item)
                outcomes.add("arrived")
            except NodeError as error:
                check(error, "cpython")
                outcomes.add("refused")
    assert outcomes == {"arrived", "refused"}


CALLER = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, {fixtures!r})
from large_nodes import FORMS, Makes, Measures
from remotemedia import NodeError, Pipeline, Runtime

form, count, way = {form!r}, {count}, {way!r}
node = Makes(name="makes") if way == "output" else Measures(name="measures")
item = (form, count) if way == "output" else FORMS[form](count)
small = ("number", 7) if way == "output" else "small"
said = []
with Runtime() as runtime, Pipeline([node], runtime=runtime).session() as session:
    session.process(small)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + {room}
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        session.process(item)
        said.append("arrived")
    except (MemoryError, NodeError) as error:
        said.append(f"{{type(error).__name__}}: {{error}}")
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    said.append(session.process(small))
print(json.dumps(said))
"""


@pytest.mark.parametrize("form", [*FORMS])
@pytest.mark.parametrize("way", ["input", "output"])
def test_a_caller_with_little_memory_gets_an_error_that_names_its_limit(
    form: str, way: str
) -> None:
    # spec: CARD-08, FFI-14
    code = CALLER.format(fixtures=str(FIXTURES), form=form, way=way, count=COUNT, room=100 << 20)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    failed, after = json.loads(ended.stdout)
    assert "RLIMIT_AS is" in failed
    assert after in (5, 7, [5], [7])

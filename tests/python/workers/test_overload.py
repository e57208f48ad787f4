"""Many more sessions than workers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remotemedia import Overloaded, Pipeline, PipelineError, Runtime
from saved_nodes import Sums
from worker_programs import PROGRAMS, runtime

SESSIONS = 200


def test_two_hundred_sessions_at_once_share_four_workers_and_all_end() -> None:
    """spec: CARD-02: none is lost, none waits for ever, and there are never more than four."""
    with Runtime("[workers]\nmax = 4\n") as where, ThreadPoolExecutor(SESSIONS) as callers:

        def use(number: int) -> list[Any]:
            pipeline = Pipeline(lambda value: (value, os.getpid()), runtime=where)
            with pipeline.session() as session:
                return [*session.process(number), *session.process(-number)]

        found = [*callers.map(use, range(SESSIONS))]
    numbers = [(first[0], second[0]) for first, second in found]
    assert numbers == [(number, -number) for number in range(SESSIONS)]
    assert all(first[1] == second[1] for first, second in found)
    assert len({pid for pair in found for _, pid in pair}) <= 4


@pytest.mark.parametrize("program", PROGRAMS)
def test_who_does_not_wait_is_told_at_once(program: str) -> None:
    # spec: CARD-07, DSG-15
    with runtime(program, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        pipeline = Pipeline(Sums(), runtime=where)
        # The first one starts its worker, and gets it.
        assert pipeline.run(1, wait=False) == 1
        with Pipeline(Sums(), runtime=where).session(wait=False) as session:
            assert session.process(1) == [1]
            with pytest.raises(Overloaded, match="all 1 workers are in use") as refused:
                Pipeline(Sums(), runtime=where).run(1, wait=False)
            assert isinstance(refused.value, PipelineError)
            assert "max" in str(refused.value)
            with pytest.raises(Overloaded), Pipeline(Sums(), runtime=where).session(wait=False):
                pass
            assert session.process(1) == [2]
        assert Pipeline(Sums(), runtime=where).run_sync(1, wait=False) == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_session_that_was_let_in_waits_for_its_next_worker(program: str, tmp_path: Path) -> None:
    # spec: CARD-08
    with runtime(program, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        node = Sums(str(tmp_path), {2: 1}, checkpoint_every=1)
        with Pipeline(node, runtime=where).session(wait=False) as session:
            assert [session.process(value) for value in (1, 2, 3)] == [[1], [3], [6]]

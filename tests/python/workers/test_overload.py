"""Many more sessions than workers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from remotemedia import Pipeline, Runtime

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

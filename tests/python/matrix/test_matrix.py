"""Every misbehaviour at every moment: the table that `remotemedia doctor --chaos` runs too.

A moment is a program of its own, which adopts orphans: it finds every process that is left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from remotemedia.doctor.chaos.misbehaviours import ENDINGS, HANGING, MISBEHAVIOURS
from remotemedia.doctor.chaos.moments import PLANS
from remotemedia.doctor.chaos.table import LETTERS, MOMENTS, NAMES, REASONS, expected

INTERPRETERS = ("cpython", "rustpython")
WITHOUT_BOUND = "100000"  # seconds; a watchdog ends a test that hangs

# Runs one cell against a table that expects something else, and prints what was not as expected.
AGAINST_THE_TABLE = """
import json, sys
from remotemedia.doctor.chaos import lab, report
lab.expected = lambda *cell: sys.argv[3]
results = report.run_cells([lab.Cell("cpython", *sys.argv[1:3])], 60)
print(json.dumps([results.is_right, [v.problems for v in results.verdicts]]))
"""


def test_the_table_has_every_cell() -> None:
    """spec: CARD-08"""
    assert len(MOMENTS) >= 10
    assert len(NAMES) >= 20
    assert set(MOMENTS) == set(PLANS)
    assert set(NAMES) == set(MISBEHAVIOURS)
    assert set(NAMES) >= HANGING | set(ENDINGS)
    differing = set()
    for moment in MOMENTS:
        for name in NAMES:
            here, there = (expected(interpreter, moment, name) for interpreter in INTERPRETERS)
            assert here
            assert there
            assert set(here + there) <= set(LETTERS)
            if here != there:
                differing.add(name)
    assert differing == set(REASONS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_misbehaviour_has_its_outcome(moment: str) -> None:
    """spec: CARD-08, CARD-02: the outcome of the table, a right second run, an untouched session
    beside, and nothing left behind.
    """
    check("cpython", moment, NAMES)


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_misbehaviour_has_its_outcome_on_rustpython(moment: str) -> None:
    """spec: CARD-08, CARD-02: each misbehaviour at a third of the moments. No zygote starts these
    workers, so the whole table takes ten minutes.
    """
    check("rustpython", moment, NAMES[MOMENTS.index(moment) % 3 :: 3])


@pytest.mark.stress
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_whole_table_holds_on_rustpython(moment: str) -> None:
    """spec: CARD-08, CARD-02"""
    check("rustpython", moment, NAMES)


def check(interpreter: str, moment: str, names: Sequence[str]) -> None:
    """Run a part of the table."""
    chosen = [word for name in names for word in ("--misbehaviour", name)]
    where = ("--runtime", interpreter, "--moment", moment)
    results = chaos(*where, *chosen, "--seconds", WITHOUT_BOUND)
    assert [cell for cell in results["cells"] if cell["problems"]] == []
    assert {cell["misbehaviour"] for cell in results["cells"]} == set(names)
    assert results["left"] == []


def chaos(*arguments: str) -> Any:
    """The results of a part of the matrix."""
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", "doctor", "--chaos", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("moment", "misbehaviour", "wrong"),
    [("first", "raises", "R"), ("later", "sigkill", "E"), ("flush", "floods", "C")],
)
def test_a_cell_that_is_not_as_expected_is_found(
    moment: str, misbehaviour: str, wrong: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AGAINST_THE_TABLE, moment, misbehaviour, wrong],
        capture_output=True,
        text=True,
        check=True,
    )
    is_right, ((problem,),) = json.loads(done.stdout)
    assert not is_right
    assert problem == f"expected {wrong}, got {expected('cpython', moment, misbehaviour)}"


# Leaves one of each kind behind.
LEAVES = """
import json, os, subprocess, sys
from remotemedia.doctor.chaos.traces import Traces
traces = Traces()
assert traces.left() == []
subprocess.run(["sh", "-c", "setsid sleep 3600 >/dev/null 2>&1 & echo $!"], check=True)
kept = open(os.devnull), os.open(f"/dev/shm/remotemedia-{os.getpid()}-test", os.O_CREAT)
print(json.dumps(traces.left()))
os.unlink(f"/dev/shm/remotemedia-{os.getpid()}-test")
"""


def test_what_is_left_behind_is_found() -> None:
    """spec: CARD-08: also a program that has detached itself from its parent."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, check=True
    )
    pid, left = done.stdout.splitlines()
    try:
        found = json.loads(left)
        assert f"process {pid}: sleep 3600 " in found
        assert "descriptor: 1 x /dev/null" in found
        assert any(line.startswith("shared memory: remotemedia-") for line in found)
    finally:
        subprocess.run(["kill", pid], check=True)

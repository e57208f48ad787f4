"""State that outlives its worker: `checkpoint` and `restore`."""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remotemedia import NodeError, NodeTimeout, Pipeline, Runtime, WorkerCrashed
from saved_nodes import (
    AsyncSums,
    CannotRestore,
    CannotSave,
    Chatty,
    DiesSaving,
    Doubles,
    OwnCheckpoint,
    RestoresSlowly,
    SavesLambda,
    StreamedSums,
    Sums,
    SumsAtEnd,
    SumsOfArrays,
    SumsThrice,
    Tallies,
)
from worker_programs import PROGRAMS, node_of, runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"
each = pytest.mark.parametrize("program", PROGRAMS)


def sums(values: list[int]) -> list[int]:
    return list(itertools.accumulate(values))


@each
@pytest.mark.parametrize("kind", [Sums, AsyncSums, StreamedSums])
def test_the_node_goes_on_where_its_worker_died(
    program: str, kind: type[Sums], tmp_path: Path
) -> None:
    # spec: CARD-08, IOP-25
    values = list(range(1, 41))
    with runtime(program, ONE) as where:
        node = kind(str(tmp_path), {1: 1, 9: 1, 20: 1, 21: 1, 40: 1}, checkpoint_every=7)
        pipeline = Pipeline(node, runtime=where)
        with pipeline.session() as session:
            assert [output for value in values for output in session.process(value)] == sums(values)
        assert node_of(pipeline, kind.__name__)["restore_count"] == 5
        # The caller's node has the state now. A run goes on from it, in a worker that is warm.
        assert node.total == 820
        assert pipeline.run([1, 2]) == [821, 823]
        assert node_of(pipeline, kind.__name__)["restore_count"] == 0
        assert Pipeline(kind(str(tmp_path)), runtime=where).run(values) == sums(values)


@each
def test_no_output_comes_twice(program: str, tmp_path: Path) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where:
        node = SumsThrice(str(tmp_path), {2: 1, 3: 1, 5: 1}, checkpoint_every=2)
        with Pipeline(node, runtime=where).session() as session:
            found = [session.process(value) for value in range(1, 7)]
    assert found == [[total] * 3 for total in sums([1, 2, 3, 4, 5, 6])]


@each
def test_flush_knows_what_was_before_the_death(program: str, tmp_path: Path) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where:
        node = SumsAtEnd(str(tmp_path), {3: 1}, checkpoint_every=2)
        assert Pipeline(node, runtime=where).run([1, 2, 3]) == [1, 3, 6, -6]


@each
@pytest.mark.parametrize("every", [1, 3, 100])
def test_kills_at_any_moment(program: str, every: int) -> None:
    # spec: CARD-08
    dice = random.Random(every)
    values = [dice.randrange(1000) for _ in range(60)]
    with runtime(program, ONE) as where:
        node = Sums(checkpoint_every=every)
        with Pipeline(node, Doubles(stateless=True), runtime=where).session() as session:
            found = []
            for value in values:
                if dice.random() < 0.2:
                    [worker] = [w for w in where.workers() if w["state"] == "busy"]
                    os.kill(worker["pid"], signal.SIGKILL)
                found += session.process(value)
    assert found == [2 * total for total in sums(values)]


@each
def test_an_item_that_kills_again_is_an_error_and_the_state_stays(
    program: str, tmp_path: Path
) -> None:
    # spec: CARD-08, IOP-25
    with runtime(program, ONE) as where:
        node = Sums(str(tmp_path), {3: 2}, how="abort", checkpoint_every=2)
        with Pipeline(Doubles(stateless=True), node, runtime=where).session() as session:
            assert session.process(1) == [2]
            with pytest.raises(WorkerCrashed) as failed:
                session.process(1.5)
            assert failed.value.tries == 2
            assert failed.value.also_lost == []
            assert session.process(2) == [6]


@each
def test_after_a_deadline_the_item_is_lost_and_the_state_is_not(
    program: str, tmp_path: Path
) -> None:
    # spec: CARD-02, CARD-08
    with runtime(program, ONE) as where:
        node = Sums(str(tmp_path), {3: 1}, how="hang", timeout_ms=500, checkpoint_every=9)
        with Pipeline(node, runtime=where).session() as session:
            assert session.process(1) == [1]
            with pytest.raises(NodeTimeout):
                session.process(3)
            assert session.process(2) == [3]
        (tmp_path / "Sums-3-0").unlink()
        node = Sums(str(tmp_path), {3: 1}, "hang", timeout_ms=500, retry=True)
        with Pipeline(node, runtime=where).session() as session:
            assert [session.process(value) for value in (1, 3, 2)] == [[1], [4], [6]]


@pytest.mark.parametrize(
    ("program", "kind"), [*((each, Tallies) for each in PROGRAMS), ("cpython", SumsOfArrays)]
)
def test_any_state_that_can_be_pickled(program: str, kind: type[Sums], tmp_path: Path) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where:
        values = [1, 2, 3, 4, 5]
        calm = Pipeline(kind(), runtime=where).run(values)
        node = kind(folder=str(tmp_path), deaths={2: 1, 5: 1}, checkpoint_every=1)
        assert Pipeline(node, runtime=where).run(values) == calm


@each
@pytest.mark.parametrize(
    ("kind", "reason"),
    [(CannotSave, "OSError: the disk is full"), (SavesLambda, "generator")],
)
def test_state_that_cannot_be_saved_is_reported(
    program: str, kind: type[Sums], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where, caplog.at_level(logging.WARNING, "remotemedia"):
        node = kind(str(tmp_path), {3: 1}, checkpoint_every=2)
        with Pipeline(node, runtime=where).session() as session:
            found = [session.process(value) for value in (1, 2, 3, 4)]
    # All items are kept instead.
    assert found == [[1], [3], [6], [10]]
    unsaved = [r.message for r in caplog.records if "is not saved" in r.message]
    assert unsaved
    assert reason in unsaved[0]
    assert "checkpoint" in unsaved[0]


@each
def test_too_many_items_without_a_checkpoint(
    program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where, caplog.at_level(logging.WARNING, "remotemedia"):
        node = CannotSave(str(tmp_path), {20: 1}, checkpoint_every=1)
        with Pipeline(node, runtime=where).session() as session:
            for value in range(1, 12):
                session.process(value)
            with pytest.raises(WorkerCrashed):
                session.process(20)
            assert session.process(1) == [1]
    assert any("is lost if its worker dies now" in record.message for record in caplog.records)


@each
def test_a_restore_that_raises_is_one_error_with_its_name(program: str, tmp_path: Path) -> None:
    # spec: CARD-08, DSG-15
    with runtime(program, ONE) as where:
        node = CannotRestore(str(tmp_path), {3: 1}, checkpoint_every=1)
        with Pipeline(node, runtime=where).session() as session:
            assert session.process(1) == [1]
            with pytest.raises(NodeError, match="version 2") as failed:
                session.process(3)
            assert failed.value.operation == "restore"


@each
def test_a_state_that_can_never_be_restored_is_given_up(program: str, tmp_path: Path) -> None:
    # spec: CARD-08, DSG-15
    with runtime(program, ONE) as where:
        node = CannotRestore(str(tmp_path), {3: 1}, checkpoint_every=1)
        with Pipeline(node, runtime=where).session() as session:
            session.process(1)
            for _ in range(4):
                with pytest.raises(NodeError, match="version 2"):
                    session.process(3)
            assert [session.process(value) for value in (1, 2)] == [[1], [3]]


@each
def test_an_item_whose_time_is_over_before_its_next_try_is_an_error(
    program: str, tmp_path: Path
) -> None:
    # spec: CARD-08, IOP-25: each item has outputs or an error.
    with runtime(program, ONE) as where:
        node = RestoresSlowly(
            str(tmp_path),
            {3: 1},
            how="hang",
            checkpoint_every=1,
            timeout_ms=1500,
            deadline_ms=2200,
            retry=True,
        )
        with Pipeline(node, runtime=where).session() as session:
            assert session.process(1) == [1]
            with pytest.raises(NodeTimeout) as failed:
                session.process(3)
            assert failed.value.node_id == "RestoresSlowly_0"
            assert session.process(4) == [5]


@each
@pytest.mark.parametrize("how", ["exit", "hang"])
def test_a_checkpoint_that_ends_the_worker_does_so_now_and_then(
    program: str, how: str, tmp_path: Path
) -> None:
    # spec: CARD-08: the items between two checkpoints are right.
    with runtime(program, ONE) as where:
        node = DiesSaving(str(tmp_path), how=how, checkpoint_every=4, timeout_ms=1000)
        outputs = []
        failures: list[NodeError] = []
        with Pipeline(node, runtime=where).session() as session:
            for _ in range(10):
                try:
                    outputs += session.process(1)
                except NodeError as error:
                    failures.append(error)
        assert len(failures) <= 2
        assert {error.operation for error in failures} <= {"checkpoint"}
        assert outputs == [*range(1, 11 - len(failures))]


@each
def test_a_neighbour_that_keeps_state_is_named(
    program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where, caplog.at_level(logging.WARNING, "remotemedia"):
        pipeline = Pipeline(Sums(str(tmp_path), {2: 1}), Doubles(), runtime=where)
        with pipeline.session() as session:
            session.process(1)
            with pytest.raises(WorkerCrashed) as failed:
                session.process(2)
    assert any(lost.startswith("Doubles") for lost in failed.value.also_lost)
    [said] = [r.message for r in caplog.records if "checkpoints of node" in r.message]
    assert "stateless=True" in said
    assert "isolated=True" in said


@each
def test_methods_of_the_same_name_for_another_purpose(program: str, tmp_path: Path) -> None:
    with runtime(program, ONE) as where:
        node = OwnCheckpoint(str(tmp_path), {9: 1}, checkpoint_every=1)
        with Pipeline(node, runtime=where).session() as session:
            assert session.process(1) == [1]
            with pytest.raises(WorkerCrashed):
                session.process(9)
            assert session.process(1) == [1]


@each
def test_each_restoration_is_logged_with_its_cause(
    program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: CARD-08, IOP-25
    with runtime(program, ONE) as where, caplog.at_level(logging.WARNING, "remotemedia"):
        node = Sums(str(tmp_path), {3: 1}, how="abort", checkpoint_every=2)
        with Pipeline(node, runtime=where).session() as session:
            for value in (1, 2, 4, 3):
                session.process(value)
    [said] = [r.message for r in caplog.records if "goes on from the last checkpoint" in r.message]
    assert "Sums" in said
    assert "SIGABRT" in said or "SIGSEGV" in said  # RustPython ends an abort in a thread like that
    assert "after 1 calls are repeated" in said


@each
def test_what_checkpoint_prints_arrives(program: str, capfd: pytest.CaptureFixture[str]) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where:
        node = Chatty(pause=0.3, timeout_ms=5000, checkpoint_every=1)
        with Pipeline(node, runtime=where).session() as session:
            assert [session.process(value) for value in (1, 2)] == [[1], [3]]
    said = capfd.readouterr().out.splitlines()
    assert [line.partition("] ")[2] for line in said] == ["saving 1", "saving 3"]


@pytest.mark.rustpython
def test_a_node_of_a_script(tmp_path: Path) -> None:
    # spec: IOP-24
    script = tmp_path / "job.py"
    script.write_text(
        "import dataclasses, os, pathlib\n"
        "from remotemedia import Node, Pipeline\n"
        "@dataclasses.dataclass\n"
        "class State:\n"
        "    total: int = 0\n"
        "class Sums(Node):\n"
        "    def __init__(self, **options):\n"
        "        super().__init__(**options)\n"
        "        self.own = State()\n"
        "    def process(self, value):\n"
        "        self.own.total += value\n"
        "        mark = pathlib.Path('died')\n"
        "        if value == 3 and not mark.exists():\n"
        "            mark.touch()\n"
        "            os.abort()\n"
        "        return self.own.total\n"
        "    def checkpoint(self):\n"
        "        return self.own\n"
        "    def restore(self, state):\n"
        "        assert type(state) is State\n"
        "        self.own = state\n"
        "print(Pipeline(Sums(checkpoint_every=1)).run([1, 2, 3, 4]))\n"
    )
    for program in ("cpython", "rustpython"):
        (tmp_path / "died").unlink(missing_ok=True)
        environment = {**os.environ, "REMOTEMEDIA_PYTHON_RUNTIME": program}
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stdout == "[1, 3, 6, 10]\n", done.stderr


def test_a_wrong_option_is_named() -> None:
    # spec: DSG-01
    with Runtime(ONE) as where:
        for wrong in (0, -1, 1.5, "often"):
            with pytest.raises(ValueError, match="checkpoint_every"):
                Pipeline(Sums(checkpoint_every=wrong), runtime=where).run([1])


TWO = "[workers]\nmax = 2\n[rustpython]\nmax = 2\n"


def worker_of(session: Any) -> int:
    [pid] = session.process("pid")
    assert isinstance(pid, int)
    return pid


def await_standby(where: Runtime, session: Any) -> int:
    """The process of the worker that stands by, once its nodes are made."""
    primary = worker_of(session)
    while True:
        others = [w["pid"] for w in where.workers() if w["pid"] != primary and w["state"] == "busy"]
        if others:
            return int(others[0])
        session.process(0)


@each
def test_a_worker_that_stands_by_takes_over(program: str) -> None:
    # spec: CARD-08, IOP-25
    with runtime(program, TWO) as where:
        node = Sums(checkpoint_every=2, standby=1)
        pipeline = Pipeline(node, runtime=where)
        with pipeline.session() as session:
            total, found = 0, []
            for _ in range(4):
                await_standby(where, session)
                for value in range(5):
                    total += value
                    found.append(session.process(value) == [total])
                os.kill(worker_of(session), signal.SIGKILL)
                found.append(session.process(0) == [total])
        assert all(found), found
        assert node_of(pipeline, "Sums")["restore_count"] == 4
        # Both workers are warm for the next run, and the caller's node has the state.
        assert node.total == total
        assert Pipeline(Sums(), runtime=where).run([1, 2]) == [1, 3]


def kill_standby(where: Runtime, session: Any) -> None:
    """Kill the worker that stands by, not the one that was killed before and is still listed."""
    while True:
        try:
            return os.kill(await_standby(where, session), signal.SIGKILL)
        except ProcessLookupError:
            continue


@each
def test_the_death_of_the_one_that_stands_by_is_no_failure(program: str) -> None:
    # spec: CARD-08
    with runtime(program, TWO) as where:
        pipeline = Pipeline(Sums(checkpoint_every=1, standby=1), runtime=where)
        with pipeline.session() as session:
            for value in range(1, 6):
                kill_standby(where, session)
                assert session.process(value) == [sum(range(value + 1))]


@each
def test_without_room_for_a_second_worker_all_goes_on(program: str, tmp_path: Path) -> None:
    # spec: CARD-08
    with runtime(program, ONE) as where:
        node = Sums(str(tmp_path), {3: 1}, checkpoint_every=1, standby=1)
        with Pipeline(node, runtime=where).session() as session:
            assert [session.process(value) for value in (1, 2, 3, 4)] == [[1], [3], [6], [10]]

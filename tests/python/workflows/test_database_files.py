"""The file of a SQLite database by all its names, and the large values beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia.workflows import DatabaseError, DatabaseInUse, Runner, Workflow, task


@task
def gives(count: int) -> Any:
    return np.arange(count)


@task
def takes(gives: Any) -> int:
    return int(gives.sum())


WORKFLOW = Workflow("values", [gives, takes])


def test_one_engine_at_a_time_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # spec: CLO-05
    (tmp_path / "other").mkdir()
    (tmp_path / "link.db").symlink_to("runs.db")  # before the file is there
    (tmp_path / "other" / "second.db").symlink_to("../link.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = ["link.db", "other/second.db", "folder/runs.db", "other/../runs.db", "runs.db"]
    for first in names:
        with Runner(first, workers=0):
            for name in names:
                with pytest.raises(DatabaseInUse, match=r"runs\.db is in use"):
                    Runner(name, workers=0)
    os.link("runs.db", "hard.db")
    for name in ["hard.db", "runs.db", "link.db"]:
        with pytest.raises(DatabaseError, match=r"has 2 names \(hard links\)"):
            Runner(name, workers=0)


def test_large_values_lie_beside_the_file_by_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: CLO-06
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link.db").symlink_to("../runs.db")
    monkeypatch.chdir(tmp_path)
    with Runner("other/link.db", workers=1) as runner:
        monkeypatch.chdir("/")
        runner.submit(WORKFLOW, {"count": 100_000}, id="one").result(60).checked()
    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        assert len(runner.get("one").result(60).outputs["gives"]) == 100_000
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["link.db"]


@pytest.mark.parametrize("damage", [b"damaged!", None])
def test_a_value_that_was_changed_outside_is_not_believed(
    tmp_path: Path, damage: bytes | None
) -> None:
    # spec: CLO-06
    with Runner(str(tmp_path / "runs.db"), workers=1) as runner:
        run = runner.submit(WORKFLOW, {"count": 100_000})
        whole = run.result(60).checked().outputs
        (content,) = (path for path in tmp_path.glob("runs.db.values/*/*") if path.is_file())
        if damage is None:
            os.truncate(content, 1000)
        else:
            with content.open("r+b") as file:
                file.write(damage)
        with pytest.raises(DatabaseError, match="has been damaged or replaced"):
            run.result(60)
        fork = run.fork(takes)
        fork.wait(60)
        failure = fork.info().failure
        assert failure is not None
        assert failure.task == "takes"
        assert "has been damaged or replaced" in failure.message
        # The same value, made once more, takes the place of the damaged one.
        again = runner.submit(WORKFLOW, {"count": 100_000}).result(60).checked().outputs
        np.testing.assert_array_equal(again["gives"], whole["gives"])
        np.testing.assert_array_equal(run.result(60).outputs["gives"], whole["gives"])

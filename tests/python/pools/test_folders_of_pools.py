"""The folder in which the nodes of a pool run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from remotemedia import Pipeline, Runtime
from remotemedia.core.exceptions import WorkerStartError


def folder(_: Any) -> str:
    return os.getcwd()


def test_a_folder_that_cannot_be_entered_is_an_error_until_it_can(tmp_path: Path) -> None:
    # spec: CARD-09
    place = tmp_path / "later"
    config = f'[pools.g]\nnodes = ["*"]\nworking_directory = "{place}"\n'
    with Runtime(config) as runtime:
        pipeline = Pipeline(folder, runtime=runtime)
        for told in ("there is no such folder", "it is no folder"):
            with pytest.raises(WorkerStartError, match=told) as caught:
                pipeline.run(1)
            assert all(part in str(caught.value) for part in (str(place), "[pools.g]"))
            place.touch()
        place.unlink()
        place.mkdir()
        assert pipeline.run(1) == str(place)
        place.rmdir()
        with pytest.raises(WorkerStartError, match="there is no such folder"):
            pipeline.run(1)

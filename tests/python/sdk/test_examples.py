"""Every script in `examples/` runs from start to end against the installed package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from places import REPOSITORY

pytestmark = pytest.mark.rustpython

EXAMPLES = REPOSITORY / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))


def test_there_are_examples() -> None:
    assert EXAMPLES / "main_job.py" in SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.stem))
def test_example_runs(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "an example shows something"
    assert "Traceback (most recent call last)" not in done.stderr, done.stderr

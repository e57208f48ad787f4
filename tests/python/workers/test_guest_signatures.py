"""Annotations of nodes name what need not be there where the node runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import remotemedia
from interpreters import RUSTPYTHON, other_pythons
from remotemedia._signatures import signature

pytestmark = pytest.mark.rustpython

SCRIPT = """
import inspect
from remotemedia._signatures import signature
class A:
    def process(self, item: {annotation}, /, *, rate: int = 1): ...
print([p.kind.name for p in signature(A().process).parameters.values()])
"""
KINDS = "['POSITIONAL_ONLY', 'KEYWORD_ONLY']"


def _printed(program: str, annotation: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(SCRIPT.format(annotation=annotation), encoding="utf-8")
    done = subprocess.run(
        [program, str(script)],
        env={"PYTHONPATH": str(Path(remotemedia.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_annotation_is_not_evaluated_where_nobody_asked(tmp_path: Path) -> None:
    # spec: IOP-14, IOP-39
    assert _printed(RUSTPYTHON, "not_there.ndarray", tmp_path) == KINDS
    for other in other_pythons():
        assert _printed(other, "int", tmp_path) == KINDS


def test_what_has_no_signature_is_an_error() -> None:
    with pytest.raises((TypeError, ValueError)):
        signature(type)

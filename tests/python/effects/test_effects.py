"""Every setting does what it says: the table of effects, which lacks none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from effects.common import EFFECTS, Bench
from effects.page import shown_together, text

pytestmark = pytest.mark.rustpython


def known_keys() -> set[str]:
    """The keys of all settings, as the command line lists them."""
    command = [sys.executable, "-m", "remotemedia", "config", "keys"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_setting_has_an_effect_that_is_shown() -> None:
    """spec: CARD-09"""
    assert EFFECTS.keys() == known_keys()


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "effects.md"
    assert page.read_text() == text(), "run `make effects`"


@pytest.mark.parametrize("keys", shown_together(), ids=" ".join)
def test_settings_have_their_effect(
    keys: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """spec: CARD-09"""
    EFFECTS[keys[0]](Bench(tmp_path, monkeypatch, caplog, capfd))

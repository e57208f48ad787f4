"""What all tests have in common: nothing of the user's is read, nothing is left behind."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

# Workers search the same folders as the process that starts them.
sys.path.insert(0, str(Path(__file__).with_name("fixtures")))

# Before any test, for what is started outside of them.
_CACHE = tempfile.mkdtemp(prefix="remotemedia-tests-")
os.environ["REMOTEMEDIA_CACHE"] = _CACHE
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decisions of earlier runs are those of the same test."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("REMOTEMEDIA_CACHE", str(cache))
    return cache

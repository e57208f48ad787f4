"""The table of effects: for each setting a function that shows what it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pool_nodes import Pid
from remotemedia import Pipeline, Runtime


@dataclass(frozen=True)
class Bench:
    """What an effect may use."""

    folder: Path
    patch: pytest.MonkeyPatch
    logged: pytest.LogCaptureFixture
    printed: pytest.CaptureFixture[str]

    def file(self, name: str = "file") -> str:
        """The path of a new file."""
        path = self.folder / name
        path.write_text("")
        return str(path)


Effect = Callable[[Bench], None]
EFFECTS: dict[str, Effect] = {}


def effect(*keys: str) -> Callable[[Effect], Effect]:
    """Register a function that shows the effect of settings."""

    def register(function: Effect) -> Effect:
        for key in keys:
            assert key not in EFFECTS, key
            EFFECTS[key] = function
        return function

    return register


def pid(where: Runtime, /, **how: Any) -> int:
    """The process id of the worker that serves a run."""
    process: int = Pipeline(Pid(), runtime=where).run(0, **how)[1]
    return process


def is_alive(process: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def pool(runtime: Runtime, name: str = "cpython") -> dict[str, Any]:
    """What a runtime says of one of its pools."""
    (found,) = [pool for pool in runtime.pools() if pool["name"] == name]
    return found

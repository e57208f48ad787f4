"""Arrays between callers and workers with other versions of Python and numpy, from the network."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreters import environment_of, other_pythons, version_of
from places import FIXTURES

OTHERS = other_pythons()
OWN = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
NUMPYS = {"1.26.4": 12, np.__version__: 99}
"""The oldest numpy that the package takes, and that of the tests; the last Python of each."""


def _environment_with(python: str, numpy: str, folder: Path) -> str | None:
    """An environment with this package and a numpy; None where there is no such numpy for it."""
    if int(version_of(python).split(".")[1]) > NUMPYS[numpy]:
        return None
    program = environment_of(python, folder)
    cloudpickle = f"cloudpickle=={importlib.metadata.version('cloudpickle')}"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wanted = ["install", "--only-binary", ":all:", f"numpy=={numpy}", cloudpickle]
    subprocess.run([*pip, "--python", program, *wanted], check=True)
    return program


CALLER = """
import json, sys
import numpy as np
import remotemedia
from remotemedia import Pipeline, Runtime
from version_nodes import Views

array = np.arange(100_000, dtype=np.float32).reshape(2, -1)
shared = remotemedia.asarray_shared(array)
told = []
with Runtime(f'[python]\\ninterpreter = "{sys.argv[1]}"\\n') as runtime:
    pipeline = Pipeline([Views()], runtime=runtime)
    with pipeline.session() as session:
        for item in (array, array, shared):
            (output,) = session.process(item)
            *says, half = output
            told.append([*says, half.base.is_shared, bool((half == array * 0.5).all())])
hops = pipeline.get_metrics()["nodes"][0]["hops"]
print(json.dumps([told, [hops["in"]["copies"], hops["out"]["copies"]]]))
"""


@pytest.mark.stress
@pytest.mark.parametrize("numpy", NUMPYS)
def test_arrays_are_not_copied_whatever_python_and_numpy(numpy: str, tmp_path: Path) -> None:
    """The caller and the worker have other versions than each other, and the same.

    spec: CARD-05, NRA-14
    """
    script = tmp_path / "caller.py"
    script.write_text(CALLER, encoding="utf-8")

    def copies(caller: str, worker: str) -> Any:
        nodes = str(FIXTURES)
        done = subprocess.run(
            [caller, str(script), worker],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": nodes},
        )
        assert done.returncode == 0, done.stderr
        told, copies = json.loads(done.stdout)
        assert told == [[numpy, "Block", "remotemedia", True, True]] * 3
        return copies

    tried = 0
    for number, python in enumerate([OWN, *OTHERS]):
        program = _environment_with(python, numpy, tmp_path / str(number))
        if program is None:
            continue
        # Two ordinary arrays into shared memory, and nothing else.
        assert copies(sys.executable, program) == [2, 0]
        assert copies(program, program) == [2, 0]
        tried += 1
    assert tried >= 1

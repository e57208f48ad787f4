"""The interpreters on this machine that a worker may have, found as users have them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import remotemedia

RUSTPYTHON = str(Path(sys.executable).with_name("remotemedia-rustpython"))
"""The binary that `pip install ./worker-shim` puts beside the interpreter."""

_PACKAGES = str(Path(remotemedia.__file__).parents[1])


def _is_usable(path: str) -> bool:
    done = subprocess.run(
        [path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=False
    )
    return done.returncode == 0


def other_pythons() -> list[str]:
    """Programs of CPython in other versions than this one's, as far as they are installed."""
    found = {}
    folders = Path.home().glob(".pyenv/versions/*/bin")
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(folders))])
    for minor in range(11, 15):
        if minor == sys.version_info.minor:
            continue
        candidates = [
            found_here
            for folder in path.split(os.pathsep)
            if (found_here := shutil.which(f"python3.{minor}", path=folder))
        ]
        usable = next((c for c in candidates if _is_usable(c)), None)
        if usable:
            found[minor] = usable
    return list(found.values())


def run(interpreter: str, script: Path, data: bytes = b"") -> bytes:
    """What a script writes to its standard output; it finds the package as a worker does."""
    text = script.read_text()
    if interpreter != RUSTPYTHON:
        # The package alone: the rest of this environment is of another version.
        alone = script.parent / "packages"
        if not alone.exists():
            alone.mkdir()
            (alone / "remotemedia").symlink_to(Path(_PACKAGES) / "remotemedia")
        text = f"import sys; sys.path.insert(0, {str(alone)!r})\n{text}"
        script = script.with_name(f"{Path(interpreter).name}_{script.name}")
        script.write_text(text)
    done = subprocess.run([interpreter, str(script)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout

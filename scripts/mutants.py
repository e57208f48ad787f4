#!/usr/bin/env python3
"""Makes small wrong changes to the session core and checks that the simulation fails for each.

mutants.py [SEEDS]: each of the changes in mutants.toml is made in a copy of the repository, and the
simulation runs there with this many seeds (10,000 by default). It is an error if the simulation
does not notice a change, or if the line of a change is no longer in the source: then update
mutants.toml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutants"
CORE = "orchestrator/src/schedule"


class Mutant(NamedTuple):
    """A change: a line of the core and its replacement."""

    name: str
    file: str
    line: str
    becomes: str


MUTANTS = [
    Mutant(**fields)
    for fields in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["mutant"]
]


def copy_sources() -> None:
    """Copy the present state of the files that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in listed.stdout.split("\0"):
        if name and not name.startswith("docs/"):
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            source = ROOT / name
            # Unchanged files keep their time, so that cargo does not compile them again.
            if not target.exists() or target.read_bytes() != source.read_bytes():
                shutil.copyfile(source, target)


def run_simulation(seeds: int) -> subprocess.CompletedProcess[str]:
    """Run the simulation in the copy."""
    command = ["cargo", "test", "--quiet", "--package", "orchestrator", "--lib", "simulation"]
    settings = {
        "SIMULATION_SEEDS": str(seeds),
        "CARGO_TARGET_DIR": str(COPY / "target"),
        "RUST_BACKTRACE": "0",
    }
    return subprocess.run(
        command,
        cwd=COPY,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def verdict(mutant: Mutant, seeds: int) -> str | None:
    """Run one mutant. Returns None when the simulation failed because of it, else the problem."""
    path = COPY / CORE / mutant.file
    original = path.read_text()
    if original.count(mutant.line) != 1:
        return f"its line is in the file {original.count(mutant.line)} times, not once"
    try:
        path.write_text(original.replace(mutant.line, mutant.becomes))
        result = run_simulation(seeds)
    except subprocess.TimeoutExpired:
        return "the simulation hangs"
    finally:
        path.write_text(original)
    if "could not compile" in result.stderr:
        return "it does not compile:\n" + result.stderr[-2000:]
    if result.returncode == 0:
        return "the simulation did not notice it"
    found = result.stdout + result.stderr
    at = found.find("SIMULATION_SEED=")
    print(f"  found at seed {found[at:].split('=')[1].split()[0]}" if at >= 0 else "  found")
    return None


def main() -> int:
    """Try every mutant. Returns the exit code."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    copy_sources()
    if run_simulation(seeds).returncode != 0:
        print("the simulation fails without any change")
        return 1
    missed = 0
    for mutant in MUTANTS:
        print(mutant.name, flush=True)
        problem = verdict(mutant, seeds)
        if problem is not None:
            missed += 1
            print(f"  MISSED: {problem}")
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} mutants were found within {seeds} seeds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

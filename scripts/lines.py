#!/usr/bin/env python3
"""Counts lines of product and tests by part, at one or more revisions (default: the work tree).

    scripts/lines.py [REVISION ...]

Parts called `RustPython` are code that exists only for the second interpreter, so that its share
can be followed. A path counts for the first part whose pattern it matches.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

# Name of the part, whether it is product code, patterns of paths. `*` also matches `/`.
PARTS: list[tuple[str, bool, tuple[str, ...]]] = [
    (
        "tests: RustPython and views",
        False,
        (
            "tests/python/*audio_[beorsv]*",
            "tests/python/*view*",
            "tests/python/*portable*",
            "tests/python/*fallback*",
            "tests/python/*compat*",
            "tests/python/rustpython/*",
            "tests/python/*both_*",
            "tests/python/*runtime_switch*",
            "tests/python/*event_loop*",
            "tests/python/*guest_imports*",
            "tests/rust/fallback*",
            "worker-shim/src/audio/*tests*",
            "orchestrator/src/fallback/*tests*",
            "orchestrator/src/runtime/surroundings/tests*",
        ),
    ),
    ("tests: Rust", False, ("tests/*.rs", "*/tests.rs", "*/tests/*.rs")),
    ("tests: Python", False, ("tests/*.py",)),
    ("benches", False, ("benches/*",)),
    ("scripts and examples", False, ("scripts/*", "examples/*")),
    (
        "RustPython: views of audio",
        True,
        (
            "worker-shim/src/audio*",
            "python/src/audio_view*",
            "python/remotemedia/_audio.py",
        ),
    ),
    ("RustPython: program", True, ("worker-shim/rustpython/*",)),
    (
        "RustPython: portable code",
        True,
        (
            "python/remotemedia/_portable*",
            "python/remotemedia/_deferred.py",
            "python/remotemedia/_guest/lenient.py",
            "python/remotemedia/_guest/search.py",
            "python/remotemedia/_guest/archives.py",
            "python/remotemedia/_guest/imports.py",
            "python/remotemedia/_guest/policy.py",
            "python/remotemedia/_guest/injected.py",
            "python/remotemedia/_guest/lean_loop.py",
            "python/remotemedia/_guest/extract*.py",
        ),
    ),
    ("RustPython: compat", True, ("python/remotemedia/compat/*",)),
    (
        "RustPython: fallback and choice",
        True,
        (
            "orchestrator/src/fallback*",
            "orchestrator/src/session/fallback*",
            "orchestrator/src/runtime/surroundings*",
            "orchestrator/src/runtime/code.rs",
            "orchestrator/src/runtime/remembered.rs",
            "orchestrator/src/choice*",
            "orchestrator/src/cli/decisions.rs",
            "orchestrator/src/session/memory.rs",
        ),
    ),
    ("ipc-protocol", True, ("ipc-protocol/*",)),
    ("nodes", True, ("nodes/*",)),
    ("orchestrator", True, ("orchestrator/*",)),
    ("worker-shim", True, ("worker-shim/*",)),
    ("python: bridge and guest", True, ("python/src/*", "python/build.rs")),
    ("python: package", True, ("python/*",)),
]


def git(*arguments: str, stdin: bytes | None = None) -> bytes:
    """Run a git command and return its output."""
    return subprocess.run(["git", *arguments], input=stdin, capture_output=True, check=True).stdout


def line_counts(revision: str | None) -> dict[str, int]:
    """Number of lines of each Rust and Python file."""
    listing = ["ls-tree", "-r", "--name-only", revision] if revision else ["ls-files"]
    names = [n for n in git(*listing).decode().splitlines() if n.endswith((".rs", ".py", ".pyi"))]
    if not revision:
        return {name: Path(name).read_bytes().count(b"\n") for name in names if Path(name).exists()}
    counts = {}
    requests = "".join(f"{revision}:{name}\n" for name in names).encode()
    answers = git("cat-file", "--batch", stdin=requests)
    at = 0
    for name in names:
        header_end = answers.index(b"\n", at)
        size = int(answers[at:header_end].split()[-1])
        counts[name] = answers.count(b"\n", header_end + 1, header_end + 1 + size)
        at = header_end + 1 + size + 1
    return counts


def part_of(name: str) -> str | None:
    """The part that a path belongs to, None if no pattern matches."""
    matches = (
        part for part, _, patterns in PARTS if any(fnmatch.fnmatch(name, p) for p in patterns)
    )
    return next(matches, None)


def main() -> None:
    """Print the table."""
    top = git("rev-parse", "--show-toplevel").decode().strip()
    os.chdir(top)
    revisions: list[str | None] = list(sys.argv[1:]) or [None]
    columns: list[Counter[str]] = []
    for revision in revisions:
        sums: Counter[str] = Counter()
        for name, lines in line_counts(revision).items():
            sums[part_of(name) or "other"] += lines
        columns.append(sums)
    heads = [revision or "work tree" for revision in revisions]
    print(f"{'lines':32}" + "".join(f"{head[:12]:>14}" for head in heads))
    for part in [*(part for part, _, _ in PARTS), "other"]:
        if any(sums[part] for sums in columns):
            print(f"{part:32}" + "".join(f"{sums[part]:14,}" for sums in columns))
    product = {part for part, is_product, _ in PARTS if is_product}
    second = {part for part in product if part.startswith("RustPython")}
    totals = [sum(sums[part] for part in product) for sums in columns]
    shares = [sum(sums[part] for part in second) for sums in columns]
    print(f"{'product':32}" + "".join(f"{total:14,}" for total in totals))
    ratios = [
        f"{share:,} ({share / total:.1%})" for share, total in zip(shares, totals, strict=True)
    ]
    print(f"{'  of it RustPython':32}" + "".join(f"{ratio:>14}" for ratio in ratios))


if __name__ == "__main__":
    main()

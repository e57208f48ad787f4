"""Counts the instructions of the native audio nodes with callgrind, and compares them with
`instructions.json`: a regression shows on a busy machine too.

    cargo build --release --package benches --example native_nodes
    python benches/instructions.py [--update]

Needs valgrind. The count is that of one item of a second of audio: of eleven items less that of
one, by ten. valgrind knows AVX2 and not AVX-512, so processors with either run the same
instructions.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "target" / "release" / "examples" / "native_nodes"
COUNTS = HERE / "instructions.json"
WORK = (
    "resample-48-16",
    "resample-44-48",
    "vad-energy",
    "vad-neural",
    "i16-to-f32",
    "mel-whisper",
    "biquad",
)
MOST = 1.05
"""A count may grow by 5 %."""


def instructions(work: str, items: int) -> int:
    """Instructions of the whole program."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(PROGRAM)]
    done = subprocess.run([*command, work, str(items)], capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise ValueError(f"callgrind says nothing of instructions: {done.stderr}")
    return int(found[1])


def main() -> int:
    """Print the counts; the exit code is 1 when one has grown."""
    known: dict[str, int] = json.loads(COUNTS.read_text("utf-8")) if COUNTS.exists() else {}
    counts = {work: (instructions(work, 11) - instructions(work, 1)) // 10 for work in WORK}
    for work, count in counts.items():
        share = count / known.get(work, count)
        sys.stdout.write(f"{work:16} {count:12,} instructions, {share:.3f} of the known count\n")
    if "--update" in sys.argv[1:]:
        COUNTS.write_text(json.dumps(counts, indent=2) + "\n", "utf-8")
        return 0
    return int(any(count > MOST * known.get(work, 0) for work, count in counts.items()))


if __name__ == "__main__":
    sys.exit(main())

"""The benchmarks of promised rates run, and move what they say."""

from __future__ import annotations

import re
import subprocess
import sys

from places import REPOSITORY

PEERS = REPOSITORY / "benches" / "peers"


def test_the_throughput_benchmark_moves_what_it_counts() -> None:
    """spec: DSG-13"""
    command = [sys.executable, str(PEERS / "throughput.py"), "--seconds", "0.2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=PEERS)
    assert done.returncode == 0, done.stderr
    report = re.search(r"(\d+) calls, (\d+) bytes each way, (\d+) MB/s each way", done.stdout)
    assert report is not None, done.stdout
    calls, moved, rate = map(int, report.groups())
    assert moved == calls * 10_000_000
    assert rate > 0

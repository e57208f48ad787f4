"""What the scripts of this folder share: output, percentiles, and what /proc tells of processes."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

Array = NDArray[np.float32]

FRAME = 960  # samples: 20 ms of mono audio at 48 kHz, 3,840 bytes
LARGE = 2_500_000  # samples: 10 MB


def show(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]

    def text(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([text(lines[0]), text(rule), *(text(line) for line in lines[1:])])


def percentile(ordered: Sequence[int], percent: float) -> float:
    """The nearest-rank percentile of sorted nanoseconds, in microseconds."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] / 1000


def microseconds(value: float) -> str:
    """With as many digits as mean something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def machine() -> str:
    """One line about where this ran."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} processors, Linux {platform.release()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, load {load:.2f} at the start"
    )


def family() -> list[int]:
    """The process ids of this process and of everything that it started."""
    return [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]


def cpu_ns(pids: Iterable[int]) -> int:
    """CPU time that these processes have used, by the scheduler's clock where there is one."""
    total = 0
    for pid in pids:
        if pid == os.getpid():
            # /proc counts a running thread only up to its last clock tick.
            total += time.process_time_ns()
        else:
            total += _scheduled_ns(pid) or ticks_ns([pid])
    return total


def ticks_ns(pids: Iterable[int]) -> int:
    """CPU time from /proc/PID/stat, in steps of a clock tick (mostly 10 ms)."""
    total = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _scheduled_ns(pid: int) -> int:
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text(encoding="ascii").split()[0])
        except (OSError, IndexError):
            continue
    return total


def resident_kib(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(psutil.Process(pid).memory_info().rss) // 1024


def distinct_inputs(samples: int, count: int = 4) -> list[Array]:
    """Random arrays, touched, each different from the others."""
    generator = np.random.default_rng(1)
    return [generator.random(samples, dtype=np.float32) for _ in range(count)]

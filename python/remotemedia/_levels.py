"""What this machine offers to end what nodes have started; docs/orphans.md says what for."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

_LOCKS = 10
"""`RLIMIT_LOCKS`."""
_LEAST_HARD_LIMIT = 1 << 63
"""So high has a limit to be that it can hold any mark."""
_UNSHARE = """
import ctypes, sys
sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x20000000))
"""


def levels() -> dict[str, bool]:
    """Whether this machine has each level, by name.

    - `marks`: worker, reaper and orchestrator find what nodes have started, wherever it is.
    - `cgroup`: a cgroup of version 2 is writable; nothing uses it yet.
    - `pid namespace`: a user may make one, in which a program can run with all that it starts.
    """
    hard = resource.getrlimit(_LOCKS)[1]
    return {
        "marks": hard == resource.RLIM_INFINITY or hard >= _LEAST_HARD_LIMIT,
        "cgroup": _has_cgroup(),
        "pid namespace": _has_pid_namespace(),
    }


def _has_cgroup() -> bool:
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    folders = [Path("/sys/fs/cgroup", path) for path in own]
    return any((f / "cgroup.procs").exists() and os.access(f, os.W_OK) for f in folders)


def _has_pid_namespace() -> bool:
    command = [sys.executable, "-I", "-S", "-c", _UNSHARE]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0

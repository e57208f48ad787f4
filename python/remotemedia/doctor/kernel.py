"""What the kernel lets this process do with processes: watch, end, confine and look at them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from remotemedia.doctor.cgroups import Cgroups
from remotemedia.doctor.finding import Finding, note, ok, problem

_NAMESPACES = 0x10000000 | 0x20000000  # CLONE_NEWUSER | CLONE_NEWPID
_TRY_NAMESPACES = (
    "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True); "
    f"sys.exit(ctypes.get_errno() or 1 if libc.unshare({_NAMESPACES}) else 0)"
)
_TRY_SECONDS = 20
_FILTERED = "2"  # SECCOMP_MODE_FILTER
_NO_ATTACH = 3  # no process may trace another


def findings(cgroups: Cgroups) -> Iterator[Finding]:
    """Everything in this module."""
    yield _pidfd()
    yield _child_signal()
    yield _cgroup(cgroups)
    yield _namespaces()
    yield _proc()
    yield _seccomp()
    yield from _overcommit()


def _pidfd() -> Finding:
    name = "pidfd"
    advice = "Linux 5.4 is needed, and a seccomp profile that allows pidfd_open (Docker 20.10)"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return problem(name, f"pidfd_open fails: {error}", advice)
    return ok(name, "the ends of processes can be waited for")


def _child_signal() -> Finding:
    name = "SIGCHLD"
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        advice = (
            "start the program without it (a parent process ignores it): crashes then have a code"
        )
        return note(name, "ignored, so how a worker ended is often unknown", advice)
    return ok(name, "not ignored")


def _cgroup(cgroups: Cgroups) -> Finding:
    name = "cgroup v2"
    wanted = {"memory", "pids"}
    found = cgroups.writable()
    delegate = "systemd-run --user --scope -p Delegate=yes PROGRAM, or Delegate=yes in its unit"
    loss = "memory and number of processes of a worker cannot be limited by the kernel as a group"
    if found is None:
        why = "not mounted" if cgroups.unified is None else f"{cgroups.unified} is not writable"
        return note(name, f"{why}: {loss}", delegate)
    folder, controllers = found
    missing = sorted(wanted - set(controllers))
    if missing:
        text = f"{folder} is writable, without the controllers {', '.join(missing)}: {loss}"
        return note(name, text, delegate)
    return ok(name, f"{folder} is writable, with memory and pids")


def _namespaces() -> Finding:
    name = "pid namespaces"
    try:
        # In a process of its own: a change of namespaces cannot be undone.
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _TRY_NAMESPACES],
            capture_output=True,
            timeout=_TRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return note(name, f"cannot be tried: {error}", "see `interpreter`")
    if done.returncode == 0:
        return ok(name, "available without privileges")
    why = os.strerror(done.returncode) if done.returncode > 0 else f"signal {-done.returncode}"
    advice = (
        "sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces, "
        "kernel.apparmor_restrict_unprivileged_userns=0, or a less strict seccomp profile"
    )
    text = f"refused ({why}): programs that detach themselves can outlive a killed caller"
    return note(name, text, advice)


def _proc() -> Finding:
    name = "/proc"
    hidden = _mount_option("hidepid")
    if hidden not in (None, "0", "off"):
        advice = "remount it: mount -o remount,hidepid=0 /proc"
        text = f"mounted with hidepid={hidden}: processes of other users are not seen"
        return note(name, text, advice)
    for file in ("stat", "status", "task", "fd", "environ"):
        if not os.access(f"/proc/self/{file}", os.R_OK):
            advice = "memory and ends of processes are read there: mount it, or relax the sandbox"
            return problem(name, f"/proc/self/{file} cannot be read", advice)
    scope = _kernel_number("kernel/yama/ptrace_scope")
    if scope == _NO_ATTACH:
        advice = "only debuggers need it: sysctl kernel.yama.ptrace_scope=1 (takes a restart)"
        return note(name, "readable; no process may trace another (ptrace_scope is 3)", advice)
    return ok(name, "readable")


def _mount_option(option: str) -> str | None:
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if words[4] == "/proc":
            for given in (words[5] + "," + words[-1]).split(","):
                if given.startswith(f"{option}="):
                    return given.partition("=")[2]
    return None


def _seccomp() -> Finding:
    name = "seccomp"
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return ok(name, "unknown: /proc is not readable")
    mode = [line.split()[1] for line in status.splitlines() if line.startswith("Seccomp:")]
    if mode == [_FILTERED]:
        return ok(name, "a filter is active (a container); the findings here were made under it")
    return ok(name, "no filter")


def _overcommit() -> Iterator[Finding]:
    if _kernel_number("vm/overcommit_memory") == 2:
        text = "the kernel commits no more memory than there is (vm.overcommit_memory is 2)"
        advice = "forks and large reservations fail early; sysctl vm.overcommit_memory=0"
        yield note("overcommit", text, advice)


def _kernel_number(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", name).read_text())
    except (OSError, ValueError):
        return None


__all__ = ["findings"]

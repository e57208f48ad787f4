"""What the system gives this process: descriptors, processes, memory, processors, space."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from remotemedia.doctor.cgroups import Cgroups
from remotemedia.doctor.finding import Finding, note, ok, problem

_MIB = 1 << 20
_GIB = 1 << 30
_FEW_FILES = 1024
_TOO_FEW_FILES = 128
_FEW_TASKS = 256
_TOO_FEW_TASKS = 32
_LITTLE_MEMORY = 512 * _MIB
_TOO_LITTLE_MEMORY = 128 * _MIB
_LITTLE_SPACE = 100 * _MIB
_ADDRESS_SPACE = 4 * _GIB
_SIZES = {
    "address space (ulimit -v)": resource.RLIMIT_AS,
    "data (ulimit -d)": resource.RLIMIT_DATA,
    "file size (ulimit -f)": resource.RLIMIT_FSIZE,
}


def findings(cgroups: Cgroups) -> Iterator[Finding]:
    """Everything in this module."""
    yield _open_files()
    yield _tasks(cgroups)
    yield from _sizes()
    yield _memory(cgroups)
    yield _shared_memory()
    yield _temporary_files()
    yield _processors(cgroups)
    yield _core_dumps()


def _open_files() -> Finding:
    name = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{_number(soft)} at most (hard limit {_number(hard)})"
    raise_it = (
        "raise it: ulimit -n, LimitNOFILE= of the systemd unit, or docker run --ulimit nofile"
    )
    if 0 <= soft < _TOO_FEW_FILES:
        return problem(name, text, f"a worker takes about ten; {raise_it}")
    if 0 <= soft < _FEW_FILES:
        advice = "arrays travel inside messages when three quarters are in use; "
        return note(name, text, advice + raise_it)
    return ok(name, text)


def _tasks(cgroups: Cgroups) -> Finding:
    name = "processes"
    own, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    used = _tasks_of_user()
    left: dict[str, int] = {}
    if own != resource.RLIM_INFINITY and os.geteuid() != 0:
        left[f"ulimit -u is {own}, and your user has {used} threads"] = own - used
    in_group = cgroups.tasks_left()
    if in_group is not None:
        left["the cgroup's limit of tasks (pids.max)"] = in_group
    if not left:
        return ok(name, "no limit")
    text, free = min(left.items(), key=lambda entry: entry[1])
    text = f"{text}: {free} left"
    if free >= _FEW_TASKS:
        return ok(name, text)
    advice = "each worker has about five threads; raise it, or lower [workers] max"
    return (problem if free < _TOO_FEW_TASKS else note)(name, text, advice)


def _tasks_of_user() -> int:
    """Threads of this user that are visible here."""
    user, count = os.geteuid(), 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid == user:
                count += len(list((entry / "task").iterdir()))
        except OSError:  # it has ended, or is hidden
            continue
    return count


def _sizes() -> Iterator[Finding]:
    for name, which in _SIZES.items():
        soft, _ = resource.getrlimit(which)
        if soft == resource.RLIM_INFINITY:
            continue
        advice = "workers have the same limit: numpy alone maps about 1 GiB; raise it"
        make = problem if soft < _GIB // 2 else note if soft < _ADDRESS_SPACE else None
        if which == resource.RLIMIT_FSIZE:
            advice, make = "shared memory counts as a file here; remove the limit", note
        text = f"at most {_size(soft)} a process"
        yield ok(name, text) if make is None else make(name, text, advice)


def _memory(cgroups: Cgroups) -> Finding:
    name = "memory"
    free = _available_memory()
    parts = [] if free is None else [f"{_size(free)} available"]
    limit = cgroups.memory_left()
    if limit is not None:
        parts.append(f"{_size(limit[0])} left of the cgroup's {_size(limit[1])}")
    known = [size for size in (free, limit and limit[0]) if size is not None]
    text = ", ".join(parts) or "unknown"
    if known and min(known) < _LITTLE_MEMORY:
        make = problem if min(known) < _TOO_LITTLE_MEMORY else note
        advice = (
            "a worker with numpy takes about 30 MB; lower [workers] max, or give it more memory"
        )
        return make(name, text, advice)
    return ok(name, text)


def _available_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _shared_memory() -> Finding:
    name = "shared memory"
    advice = 'set [shared_memory] segment = "named", or "off" where /dev/shm is missing too'
    try:
        descriptor = os.memfd_create("remotemedia-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError) as error:
        return problem(name, f"memfd_create fails: {error}", advice)
    try:
        os.ftruncate(descriptor, _MIB)
    except OSError as error:
        return problem(name, f"a memfd cannot be given a size: {error}", advice)
    finally:
        os.close(descriptor)
    try:
        space = shutil.disk_usage("/dev/shm")
    except OSError:
        text = "memfd works; there is no /dev/shm"
        return note(name, text, "multiprocessing in nodes needs it: docker run --shm-size=1g")
    text = f"memfd works; /dev/shm has {_size(space.free)} free of {_size(space.total)}"
    if space.free < _LITTLE_SPACE:
        advice = "only multiprocessing in nodes uses it: docker run --shm-size=1g, or empty it"
        return note(name, text, advice)
    return ok(name, text)


def _temporary_files() -> Finding:
    name = "temporary files"
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        return problem(name, str(error), "set TMPDIR to a folder that you may write to")
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {_size(free)} free"
    if free < _LITTLE_SPACE:
        return note(name, text, "make room, or set TMPDIR to another folder")
    return ok(name, text)


def _processors(cgroups: Cgroups) -> Finding:
    name = "processors"
    total, usable = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    text = f"{usable} of {total} usable"
    quota = cgroups.processors()
    if quota is not None and quota < usable:
        text += f", limited to {quota:g} by the cgroup"
        advice = f"set [workers] max and [rustpython] max to about {max(2, round(quota))}"
        return note(name, text, f"pools are sized by the number of processors; {advice}")
    return ok(name, text)


def _core_dumps() -> Finding:
    name = "core dumps"
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    except OSError:
        pattern = "unknown"
    is_piped = pattern.startswith("|")
    if soft == 0 and not is_piped:
        return ok(name, "off (ulimit -c is 0)")
    where = f"go to the program {pattern[1:].split()[0]}" if is_piped else f"are files {pattern!r}"
    text = f"those of crashed workers {where}, at most {_size(soft)}"
    if soft == 0:  # Linux runs the program all the same
        return ok(name, f"{text} (ulimit -c is 0, so most programs drop them)")
    advice = (
        "writing one delays the error of a crash, and files fill the disk; ulimit -c 0 turns it off"
    )
    return note(name, text, advice)


def _number(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _size(size: int) -> str:
    if size == resource.RLIM_INFINITY:
        return "unlimited"
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size // _MIB} MiB"


__all__ = ["findings"]

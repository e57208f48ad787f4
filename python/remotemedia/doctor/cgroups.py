"""The control groups of this process, in both versions of the interface."""

from __future__ import annotations

import os
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes no limit as the largest multiple of a page."""


class Cgroups:
    """The groups that this process is in.

    Attributes:
        unified: folder of the group of version 2, or None.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._mounts = _mounts(proc)
        self._groups = _groups(proc)
        self.unified = self._folder("")

    def _folder(self, controller: str) -> Path | None:
        """The folder of a controller of version 1, or with "" that of version 2."""
        mount, group = self._mounts.get(controller), self._groups.get(controller)
        if mount is None or group is None:
            return None
        folder = mount / group.lstrip("/")
        # In a container the path may be that of the host, and the mount is the group itself.
        return folder if folder.is_dir() else mount

    def _read(self, file: str, controller: str, old_file: str) -> str | None:
        for folder, name in ((self.unified, file), (self._folder(controller), old_file)):
            if folder is not None:
                try:
                    return (folder / name).read_text().strip()
                except OSError:
                    continue
        return None

    def _number(self, file: str, controller: str, old_file: str) -> int | None:
        """A limit or a count; None if it is not limited or unknown."""
        text = self._read(file, controller, old_file)
        if text is None or not text.isdigit() or int(text) > _UNLIMITED:
            return None
        return int(text)

    def memory_left(self) -> tuple[int, int] | None:
        """Bytes that are left, and the limit; None without one."""
        limit = self._number("memory.max", "memory", "memory.limit_in_bytes")
        used = self._number("memory.current", "memory", "memory.usage_in_bytes")
        return None if limit is None else (max(0, limit - (used or 0)), limit)

    def tasks_left(self) -> int | None:
        """Threads that may still be started; None without a limit."""
        limit = self._number("pids.max", "pids", "pids.max")
        used = self._number("pids.current", "pids", "pids.current")
        return None if limit is None else max(0, limit - (used or 0))

    def processors(self) -> float | None:
        """The processor time a second; None without a limit."""
        text = self._read("cpu.max", "cpu", "cpu.cfs_quota_us")
        quota, _, period = (text or "").partition(" ")
        if not period:
            period = self._read("", "cpu", "cpu.cfs_period_us") or ""
        if not quota.isdigit() or not period.isdigit() or int(period) == 0:
            return None
        return int(quota) / int(period)

    def writable(self) -> tuple[Path, list[str]] | None:
        """The folder of version 2 in which this process may make groups, and the controllers that
        they would have; None if it may not.
        """
        folder = self.unified
        if folder is None or not os.access(folder, os.W_OK):
            return None
        try:
            return folder, (folder / "cgroup.controllers").read_text().split()
        except OSError:
            return None


def _mounts(proc: Path) -> dict[str, Path]:
    """Where each controller of version 1 is mounted, and with "" version 2."""
    found: dict[str, Path] = {}
    try:
        lines = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        place = Path(before.split()[4])
        if kind == "cgroup2":
            found.setdefault("", place)
        elif kind == "cgroup":
            for controller in options.split()[-1].split(","):
                found.setdefault(controller, place)
    return found


def _groups(proc: Path) -> dict[str, str]:
    """The group of this process for each controller of version 1, and with "" of version 2."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return {}
    entries = (line.split(":", 2) for line in lines)
    return {name: path for _, names, path in entries for name in names.split(",")}


__all__ = ["Cgroups"]

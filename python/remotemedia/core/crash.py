"""What is known about the death of a worker: the attributes of `WorkerCrashed`, which documents
them, and their text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypedDict


class CrashFrame(NamedTuple):
    """One call of native code."""

    library: str | None
    """Path of the library or program; None where no file is mapped."""
    symbol: str | None
    """Name of the function, where the library names it."""
    offset: int
    """Offset in the function; without a name the address in the library as linkers number it, and
    without a library the address in memory."""

    def __str__(self) -> str:
        """The frame as one line of a stack."""
        library = (self.library or "").rpartition("/")[2]
        if not library:
            return hex(self.offset)
        if self.symbol is None:
            return f"{library}+{self.offset:#x}"
        return f"{self.symbol}+{self.offset:#x} in {library}"


class Known(TypedDict, total=False):
    """The attributes of a crash as arguments."""

    call: int | None
    worker_pid: int | None
    signal: str | None
    exit_code: int | None
    core_dumped: bool | None
    verdict: str
    library: str | None
    killed_by: int | None
    fault_code: str | None
    fault_address: int | None
    c_stack: Iterable[tuple[str | None, str | None, int]]
    python_stack: str | None
    stderr_tail: str
    also_lost: Iterable[str]
    uptime: float | None
    calls_of_worker: int | None
    calls_of_session: int | None
    peak_memory_bytes: int | None
    array_private_bytes: int | None
    array_shared_bytes: int | None
    memory_limit_bytes: int | None
    tries: int
    what_next: str


class Crash:
    """The attributes of a crash, in the order of the JSON object in the log."""

    call: int | None = None
    worker_pid: int | None = None
    signal: str | None = None
    exit_code: int | None = None
    core_dumped: bool | None = None
    verdict: str = "unknown"
    library: str | None = None
    killed_by: int | None = None
    fault_code: str | None = None
    fault_address: int | None = None
    c_stack: list[CrashFrame]
    python_stack: str | None = None
    stderr_tail: str = ""
    also_lost: list[str]
    uptime: float | None = None
    calls_of_worker: int | None = None
    calls_of_session: int | None = None
    peak_memory_bytes: int | None = None
    array_private_bytes: int | None = None
    array_shared_bytes: int | None = None
    memory_limit_bytes: int | None = None
    tries: int = 1
    what_next: str = ""

    def take(self, known: Known) -> None:
        """Set the attributes.

        Raises:
            TypeError: an attribute is unknown.
        """
        unknown = known.keys() - Crash.__annotations__.keys()
        if unknown:
            raise TypeError(f"a crash has no {', '.join(sorted(unknown))}")
        vars(self).update(known)
        self.c_stack = [CrashFrame(*frame) for frame in known.get("c_stack", ())]
        self.also_lost = [*known.get("also_lost", ())]

    def as_dict(self) -> dict[str, Any]:
        """Message, node and all attributes of the crash, ready for JSON."""
        names = ("message", "node_id", "operation", *Crash.__annotations__)
        known = {name: getattr(self, name) for name in names}
        return {**known, "c_stack": [frame._asdict() for frame in self.c_stack]}

    def sections(self, facts: Iterable[str]) -> Iterator[str]:
        """The texts below the message."""
        lines = [f"  {fact}" for fact in facts]
        if lines:
            yield "\n".join(lines)
        if self.python_stack:
            yield f"\nPython stack of the worker when it died:\n{self.python_stack.rstrip()}"
        if self.c_stack:
            frames = "\n".join(f"  {frame}" for frame in self.c_stack)
            yield f"\nC stack of the worker when it died, innermost call first:\n{frames}"
        if self.stderr_tail.strip():
            yield f"\nLast lines of the worker's stderr:\n{self.stderr_tail.rstrip()}"


__all__ = ["Crash", "CrashFrame", "Known"]

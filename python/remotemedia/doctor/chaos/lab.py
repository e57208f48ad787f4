"""Runs cells of the matrix, and compares what happens with what is expected.

For each cell: the first run gives the expected outcome, a second run of the same pipeline is right,
a session beside goes on, and no process is left. `Lab` is used from several threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from remotemedia.core.exceptions import (
    NodeError,
    NodeMarshalingError,
    NodeTimeout,
    RunCancelled,
    WorkerCrashed,
)
from remotemedia.core.pipeline import Pipeline
from remotemedia.doctor.chaos import moments
from remotemedia.doctor.chaos.fuse import Fuse
from remotemedia.doctor.chaos.misbehaviours import ENDINGS, HANGING
from remotemedia.doctor.chaos.table import (
    CRASH,
    ERROR,
    MARSHAL,
    NAMES,
    RESULT,
    TIMEOUT,
    expected,
)
from remotemedia.runtime import Runtime

HUNG = "H"
"""The call did not return by itself."""
WRONG = "W"
"""The outputs were wrong."""
OTHER = "O"
"""An error of a type that no node may cause."""

_LIMIT_MS = {True: 400, False: 20_000}
"""`timeout_ms` of nodes that hang, and of all others."""
_ASYNCIO_LIMIT_MS = 3_000
"""The same where RustPython imports asyncio in the call, which takes it most of a second on a busy
machine."""
_OPEN_LIMIT = "2 s"
_PATIENCE_SECONDS = 10.0
"""Longest time that a call may take; far above every deadline of a cell."""
_END_SECONDS = 5.0
"""Longest time in which the processes of a cell must be gone."""
_LASTING = ("import", "unpickle")
"""Moments at which modules are imported: what these start lives as long as the worker."""
_IDLE_SECONDS = 0.3
"""How long a thread may take that hangs while its worker is idle."""
_TEMPORARY = "temporary"
"""Name of the folder that workers have for temporary files."""
_OPENING = frozenset({"import", "construct", "unpickle"})
"""Moments whose deadline is `open_timeout`."""


class Cell(NamedTuple):
    """A pair of the matrix, on one interpreter."""

    interpreter: str
    moment: str
    misbehaviour: str

    def __str__(self) -> str:
        """For messages."""
        return f"{self.interpreter} {self.moment} {self.misbehaviour}"


class Seen(NamedTuple):
    """What a run came to: a letter of the table, and the details."""

    letter: str
    details: str


@dataclass
class Verdict:
    """The comparison of a cell with the table.

    Attributes:
        expected: the letters of the table, each of which is right.
        problems: what was not as expected; empty for a cell that is right.
    """

    cell: Cell
    expected: str
    seen: Seen
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The verdict as data for JSON."""
        shown = {"expected": self.expected, "seen": self.seen.letter, "details": self.seen.details}
        return {**self.cell._asdict(), **shown, "problems": self.problems}


class Lab:
    """Workers of one interpreter, and a session that must not notice anything.

    Args:
        interpreter: "cpython" or "rustpython".
        folder: for fuses and modules; the caller removes it.
        threads: how many cells run at the same time.
    """

    def __init__(self, interpreter: str, folder: Path, threads: int) -> None:
        self.interpreter = interpreter
        self._folder = folder / interpreter
        self._threads = threads
        self._stack = contextlib.ExitStack()
        self._turn = threading.Lock()
        self._asked = 0
        self._is_closed = False

    def __enter__(self) -> Lab:
        """Start the workers."""
        self._temporary = self._folder / _TEMPORARY
        self._temporary.mkdir(parents=True)
        for misbehaviour in NAMES:
            self._write_module(Cell(self.interpreter, "import", misbehaviour))
        sys.path.insert(0, str(self._folder))
        self._stack.callback(sys.path.remove, str(self._folder))
        self._usual = self._stack.enter_context(Runtime(self._config("")))
        self._hasty = self._stack.enter_context(
            Runtime(self._config(f'open_timeout = "{_OPEN_LIMIT}"\n'))
        )
        entry = {"node_type": f"{moments.__name__}:Counting"}
        beside = Pipeline(entry, runtime=self._usual).session()
        self._beside = self._stack.enter_context(beside)
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers. Cells that run in other threads end without a meaning."""
        self._is_closed = True
        self._stack.close()

    @staticmethod
    def temporary_files(folder: Path) -> list[str]:
        """What workers have left in their temporary folders."""
        return [str(entry) for entry in folder.glob(f"*/{_TEMPORARY}/*")]

    def _config(self, workers: str) -> str:
        most = 3 * self._threads + 1
        return (
            f'[workers]\nmax = {most}\nclose_timeout = "4 s"\n{workers}'
            f'[python]\nruntime = "{self.interpreter}"\n'
            f"environment = {{ TMPDIR = {json.dumps(str(self._temporary))} }}\n"
            f"[rustpython]\nmax = {most}\n"
            "[fallback]\nenabled = false\n[output]\nforward_output = false\n"
        )

    def run(self, cell: Cell) -> Verdict:
        """Run a cell."""
        fuse = self._fuse(cell)
        self._lay(cell, fuse)
        pipeline = self._pipeline(cell, fuse)
        seen = self._attempt(pipeline, cell, fuse)
        verdict = Verdict(cell, expected(*cell), seen)
        if seen.letter not in verdict.expected:
            verdict.problems.append(f"expected {verdict.expected}, got {seen.letter}")
        if Path(fuse["file"]).exists():
            verdict.problems.append("the node did not come to its moment")
            Path(fuse["file"]).unlink()
        ending = _noted(fuse, "started") if cell.moment not in _LASTING else set()
        if seen.letter in (CRASH, TIMEOUT):
            ending |= _noted(fuse, "worker") | _noted(fuse, "detached")
        for pid in _alive_after(0 if self._is_closed else _END_SECONDS, ending):
            verdict.problems.append(f"process {pid} is still alive")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        again = self._attempt(pipeline, cell, fuse)
        if again.letter != RESULT:
            verdict.problems.append(f"the next run: {again.letter}: {again.details}")
        verdict.problems += self._ask_beside()
        return verdict

    def _fuse(self, cell: Cell) -> Fuse:
        file = self._folder / f"{cell.moment}-{cell.misbehaviour}"
        return {"file": str(file), "how": cell.misbehaviour, "caller": os.getpid()}

    def _lay(self, cell: Cell, fuse: Fuse) -> None:
        """Make the files of a fuse, so that the next run misbehaves."""
        Path(fuse["file"]).touch()
        if cell.moment == "restore":
            Path(f"{fuse['file']}.dies").touch()
        if cell.moment == "idle":
            os.mkfifo(f"{fuse['file']}.go")
            os.mkfifo(f"{fuse['file']}.done")

    def _pipeline(self, cell: Cell, fuse: Fuse) -> Pipeline:
        plan = moments.PLANS[cell.moment]
        hangs = cell.misbehaviour in HANGING
        runtime = self._hasty if hangs and cell.moment in _OPENING else self._usual
        limit = _LIMIT_MS[hangs]
        if hangs and cell.moment == "await" and cell.interpreter == "rustpython":
            limit = _ASYNCIO_LIMIT_MS
        if plan.as_object and plan.node is not None:
            return Pipeline(plan.node(fuse, timeout_ms=limit), runtime=runtime)
        if plan.node is None:
            entry: dict[str, Any] = {"node_type": f"{_module_name(cell)}:Steady"}
        else:
            entry = {"node_type": plan.node_type, "params": {"fuse": fuse}}
        entry |= {"checkpoint_every": plan.every} if plan.every else {}
        return Pipeline({**entry, "timeout_ms": limit}, runtime=runtime)

    def _write_module(self, cell: Cell) -> None:
        fuse = self._fuse(cell)
        (self._folder / f"{_module_name(cell)}.py").write_text(
            "from remotemedia.doctor.chaos.misbehaviours import act\n"
            "from remotemedia.doctor.chaos.moments import Steady\n"
            f"act({fuse!r})\n"
        )

    def _attempt(self, pipeline: Pipeline, cell: Cell, fuse: Fuse) -> Seen:
        """Run the pipeline once."""
        if self._is_closed:
            return Seen(OTHER, "the lab is closed")
        plan = moments.PLANS[cell.moment]
        outputs: list[Any] = []
        session = pipeline.session()
        watchdog = threading.Timer(_PATIENCE_SECONDS, session.cancel)
        watchdog.daemon = True
        watchdog.start()
        try:
            with session, _bell(cell, fuse) as ring:
                for item in moments.ITEMS:
                    asks = cell.moment == "input"
                    outputs += session.process(moments.Question(item, fuse) if asks else item)
                    ring()
                outputs += session.flush()
        except NodeError as error:
            return _seen_error(cell, error)
        except RunCancelled as error:
            return Seen(HUNG, f"no answer within {_PATIENCE_SECONDS:.0f} s; {error}")
        except Exception as error:
            return Seen(OTHER, f"{type(error).__name__}: {_first_line(error)}")
        finally:
            watchdog.cancel()
        if outputs != plan.outputs:
            return Seen(WRONG, f"outputs {outputs}, not {plan.outputs}")
        return Seen(RESULT, "")

    def _ask_beside(self) -> list[str]:
        """Have the session beside count; returns what is wrong."""
        with self._turn:
            self._asked += 1
            try:
                answer = self._beside.process(0)
            except Exception as error:
                return [f"the session beside failed: {type(error).__name__}: {_first_line(error)}"]
            right, self._asked = self._asked, answer[0]
        return [] if answer == [right] else [f"the session beside counted {answer}, not {right}"]


def _module_name(cell: Cell) -> str:
    return f"remotemedia_chaos_{cell.misbehaviour.replace('-', '_')}"


def _seen_error(cell: Cell, error: NodeError) -> Seen:
    details = f"{type(error).__name__} in {error.operation}: {_first_line(error)}"
    if isinstance(error, NodeTimeout):
        return Seen(TIMEOUT, details)
    if isinstance(error, WorkerCrashed):
        ending = ENDINGS.get(cell.misbehaviour)
        if ending is not None and ending != (error.signal, error.exit_code):
            return Seen(OTHER, f"{details}; it must name {ending}")
        return Seen(CRASH, details)
    return Seen(MARSHAL if isinstance(error, NodeMarshalingError) else ERROR, details)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")


@contextlib.contextmanager
def _bell(cell: Cell, fuse: Fuse) -> Iterator[Any]:
    """Yields a function that has an idle worker's thread misbehave, once, and waits for that."""
    go, done = f"{fuse['file']}.go", f"{fuse['file']}.done"
    if cell.moment != "idle" or not Path(fuse["file"]).exists():
        yield lambda: None
        return
    reader = os.open(done, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(go, os.O_RDWR)
    has_rung = False

    def ring() -> None:
        nonlocal has_rung
        if not has_rung:
            has_rung = True
            os.write(writer, moments.GO)
            # Readable: the thread is done, or its process has ended.
            select.select([reader], [], [], _IDLE_SECONDS)

    try:
        yield ring
    finally:
        os.close(reader)
        os.close(writer)


def _noted(fuse: Fuse, kind: str) -> set[int]:
    try:
        return set(map(int, Path(f"{fuse['file']}.{kind}").read_text().split()))
    except FileNotFoundError:
        return set()


def _alive_after(seconds: float, pids: set[int]) -> set[int]:
    """Those of the processes that are still alive after this time."""
    until = time.monotonic() + seconds
    return {pid for pid in pids if not _ends(pid, until)}


def _ends(pid: int, until: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        left = max(0.0, until - time.monotonic())
        return bool(select.select([descriptor], [], [], left)[0])
    finally:
        os.close(descriptor)


__all__ = ["HUNG", "OTHER", "WRONG", "Cell", "Lab", "Seen", "Verdict"]

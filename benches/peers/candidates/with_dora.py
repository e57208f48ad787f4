"""dora-rs: a dataflow of two Python nodes under `dora run`; one calls the other and waits."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import psutil
from common import Array

from candidates.face import Turn, Unavailable

# Both nodes get a pool that holds several large arrays: with the default of 8 MB, an array of 10 MB
# goes through the daemon, which takes more than ten times as long.
DATAFLOW = """\
nodes:
  - id: caller
    path: {python}
    args: {folder}/dora_caller.py
    shared_memory_pool_size: 64MB
    env: {{PEERS_ADDRESS: {address}, PEERS_SAMPLES: {samples}}}
    inputs:
      y: worker/y
    outputs: [x]
  - id: worker
    path: {python}
    args: {folder}/dora_worker.py
    shared_memory_pool_size: 64MB
    inputs:
      x: caller/x
    outputs: [y]
"""


@contextmanager
def dataflow(example: Array) -> Iterator[Turn]:
    """The caller is a node itself, so it is that node that measures."""
    cli = Path(sys.executable).with_name("dora")
    if not cli.exists():
        raise Unavailable("the dora command is not installed (dora-rs-cli)")
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        flow, log, address = (Path(folder) / name for name in ("flow.yml", "log", "orders"))
        flow.write_text(
            DATAFLOW.format(
                python=sys.executable,
                folder=Path(__file__).parent,
                address=address,
                samples=example.size,
            ),
            encoding="utf-8",
        )
        with Listener(str(address), "AF_UNIX") as listener, log.open("wb") as output:
            dora = subprocess.Popen(
                [str(cli), "run", str(flow)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with accepted(listener, dora, log) as orders:

                    def turn(seconds: float) -> list[int]:
                        orders.send(seconds)
                        if not orders.poll(seconds + 60):
                            raise TimeoutError("the caller's node does not answer")
                        times: list[int] | str = orders.recv()
                        if isinstance(times, str):
                            raise RuntimeError(times)
                        return times

                    yield turn
            finally:
                end(dora)


def accepted(listener: Listener, dora: subprocess.Popen[bytes], log: Path) -> Connection:
    """The connection to the caller's node, once dora has started it."""
    # `accept` has no limit of its own.
    listener._listener._socket.settimeout(30)  # type: ignore[attr-defined]
    try:
        return listener.accept()
    except TimeoutError:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise Unavailable(f"dora run ({dora.poll()}): {text[-300:]}") from None


def end(dora: subprocess.Popen[bytes]) -> None:
    """The dataflow ends with its caller; what does not is told to, then made to."""
    segments = _segments(dora.pid)
    deadline = time.monotonic() + 10
    for number in (None, signal.SIGINT, signal.SIGTERM):
        if dora.poll() is None and number is not None:
            dora.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            dora.wait(max(2.0, deadline - time.monotonic()))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(dora.pid, signal.SIGKILL)
    dora.wait()
    for segment in segments:
        segment.unlink(missing_ok=True)


def _segments(pid: int) -> set[Path]:
    """The shared memory of zenoh, dora's data plane, which does not always remove it."""
    found = set()
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            for mapping in member.memory_maps():
                path = Path(mapping.path)
                if path.parent == Path("/dev/shm") and path.suffix == ".zenoh":
                    found.add(path)
    return found

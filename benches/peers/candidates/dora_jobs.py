"""Jobs in the nodes of a dora dataflow, for `crashes.py`; the nodes are `dora_job_nodes.py`.

The caller's node passes orders from a socket on to the workers' nodes, and their answers back.
Workers have the restart policy `on-failure`, without which a node that crashed stays away.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

from candidates.face import Unavailable
from candidates.with_dora import accepted, end

CALLER = """\
nodes:
  - id: caller
    path: {python}
    args: {script} caller
    env: {{PEERS_ADDRESS: {address}}}
    inputs: {{{inputs}}}
    outputs: [{outputs}]
"""
WORKER = """\
  - id: w{number}
    path: {python}
    args: {script} worker
    restart_policy: on-failure
    inputs: {{x: caller/x{number}}}
    outputs: [y]
"""
PROBE_SECONDS = 0.01


class Crashed(Exception):
    """What dora tells the caller of a node that crashed."""


class Dora:
    """A dataflow with this many workers' nodes, under `dora run`."""

    def __init__(self, workers: int) -> None:
        cli = Path(sys.executable).with_name("dora")
        if not cli.exists():
            raise Unavailable("the dora command is not installed (dora-rs-cli)")
        self._folder = tempfile.TemporaryDirectory(prefix="peers-")
        folder = Path(self._folder.name)
        address = folder / "orders"
        (folder / "flow.yml").write_text(self._dataflow(workers, address), encoding="utf-8")
        command = [str(cli), "run", str(folder / "flow.yml")]
        log = folder / "log"
        listener = Listener(str(address), "AF_UNIX")
        with log.open("wb") as output:
            self._dora = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._orders = accepted(listener, self._dora, log)
        listener.close()
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[int, Future[Any]]] = {}
        self._number = 0
        self._crashed: set[int] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    @staticmethod
    def _dataflow(workers: int, address: Path) -> str:
        names = range(workers)
        known = {
            "python": sys.executable,
            "script": Path(__file__).with_name("dora_job_nodes.py"),
            "address": address,
        }
        inputs = ", ".join(f"y{number}: w{number}/y" for number in names)
        outputs = ", ".join(f"x{number}" for number in names)
        nodes = [WORKER.format(number=number, **known) for number in names]
        return CALLER.format(inputs=inputs, outputs=outputs, **known) + "".join(nodes)

    def _listen(self) -> None:
        while True:
            try:
                worker, number, answer = self._orders.recv()
            except (EOFError, OSError):
                return
            with self._lock:
                known, future = self._pending.get(worker, (None, None))
                if number is None:
                    self._crashed.add(worker)
                elif number != known:
                    continue  # the answer to a call that was given up
                self._pending.pop(worker, None)
            if future is not None and number is None:
                future.set_exception(Crashed(answer))
            elif future is not None:
                future.set_result(answer)

    def call(self, worker: int, order: tuple[str, str]) -> Future[Any]:
        """Begin a call. The one that this worker may still have is given up."""
        future: Future[Any] = Future()
        with self._lock:
            self._number += 1
            self._pending[worker] = (self._number, future)
            self._orders.send((worker, self._number, *order))
        return future

    def mend(self) -> None:
        """Call the nodes that dora has started again until they answer: what is sent before they
        are ready is lost, and no event says when they are.
        """
        while self._crashed:
            worker = self._crashed.pop()
            while True:
                try:
                    self.call(worker, ("quick", "probe")).result(PROBE_SECONDS)
                except FutureTimeout:
                    continue
                break

    def close(self) -> None:
        """End the dataflow."""
        self._orders.close()
        end(self._dora)
        self._folder.cleanup()

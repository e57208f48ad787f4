"""iceoryx2: one publish-subscribe service each way, and an event each way so that nobody spins.

Its request-response services take the same time or a little longer. Busy polling would be faster,
but it burns a processor in each process, so it is no alternative for workers that wait.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import Array

from candidates.face import Call


@contextmanager
def publish_subscribe(example: Array) -> Iterator[Call]:
    """The array is copied into a loaned sample; the result is a view into a received one."""
    import iceoryx2 as iox2

    folder = tempfile.mkdtemp(prefix="peers-")
    prefix = f"peers{os.getpid()}_"
    node, data, events = _open(folder, prefix)
    publisher = data[0].publisher_builder().initial_max_slice_len(example.nbytes).create()
    subscriber = data[1].subscriber_builder().create()
    notifier = events[0].notifier_builder().create()
    listener = events[1].listener_builder().create()
    ports: list[Any] = [publisher, subscriber, notifier, listener, *data, *events, node]
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(folder, prefix, example.nbytes), daemon=True
    )
    process.start()
    limit = iox2.Duration.from_secs(30)
    held: list[Any] = []

    def received() -> Any:
        while (sample := subscriber.receive()) is None:
            if not listener.timed_wait(limit):
                raise TimeoutError("no answer")
        return sample

    def call(x: Array) -> Array:
        if held:
            held.pop().delete()
        loan = publisher.loan_slice_uninit(x.nbytes)
        np.copyto(np.frombuffer(loan.payload().as_memory_view(), x.dtype), x.ravel())
        loan.assume_init().send()
        notifier.notify()
        sample = received()
        held.append(sample)
        answer: Array = np.frombuffer(sample.payload().as_memory_view(), x.dtype)
        return answer.reshape(x.shape)

    try:
        if not listener.timed_wait(limit):
            raise TimeoutError("the other process does not start")
        yield call
    finally:
        with contextlib.suppress(Exception):
            publisher.loan_slice_uninit(1).assume_init().send()
            notifier.notify()
        process.join(5)
        process.kill()
        process.join()
        for port in (*held, *ports):
            if hasattr(port, "delete"):
                port.delete()
        held.clear()
        ports.clear()
        shutil.rmtree(folder, ignore_errors=True)
        for left in Path("/dev/shm").glob(f"{prefix}*"):
            left.unlink(missing_ok=True)


def _open(folder: str, prefix: str) -> tuple[Any, list[Any], list[Any]]:
    import iceoryx2 as iox2

    iox2.set_log_level(iox2.LogLevel.Error)
    config = iox2.config.default()
    config.global_cfg.root_path = iox2.Path.new(folder)
    config.global_cfg.prefix = iox2.FileName.new(prefix)
    node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)
    payload = iox2.Slice[ctypes.c_uint8]
    data = [
        node.service_builder(iox2.ServiceName.new(name)).publish_subscribe(payload).open_or_create()
        for name in ("there", "back")
    ]
    events = [
        node.service_builder(iox2.ServiceName.new(name)).event().open_or_create()
        for name in ("there is one", "it is back")
    ]
    return node, data, events


def _serve(folder: str, prefix: str, size: int) -> None:
    _node, data, events = _open(folder, prefix)
    subscriber = data[0].subscriber_builder().create()
    publisher = data[1].publisher_builder().initial_max_slice_len(size).create()
    listener = events[0].listener_builder().create()
    notifier = events[1].notifier_builder().create()
    notifier.notify()
    while True:
        listener.blocking_wait()
        while (sample := subscriber.receive()) is not None:
            payload = sample.payload()
            if payload.len() == 1:
                return
            loan = publisher.loan_slice_uninit(payload.len())
            x = np.frombuffer(payload.as_memory_view(), np.float32)
            y = np.frombuffer(loan.payload().as_memory_view(), np.float32)
            np.add(x, 1, out=y)
            loan.assume_init().send()
            notifier.notify()
            del x, y, payload
            sample.delete()

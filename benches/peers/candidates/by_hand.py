"""The fair minimum in pure Python: a pipe for messages, two blocks of shared memory for data.

What a careful programmer writes in an hour: no pool, no crash handling, one call at a time, and the
result is a view that the next call overwrites.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from common import Array

from candidates.face import Call


@contextmanager
def pipe(example: Array) -> Iterator[Call]:
    """`Pipe()`, and two `SharedMemory` blocks made once."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    there = SharedMemory(create=True, size=example.nbytes)
    back = SharedMemory(create=True, size=example.nbytes)
    process = spawn.Process(target=_serve, args=(theirs, there.name, back.name), daemon=True)
    process.start()
    theirs.close()

    def call(x: Array) -> Array:
        np.copyto(np.ndarray(x.shape, x.dtype, there.buf), x)
        ours.send((x.dtype.str, x.shape))
        dtype, shape = ours.recv()
        return np.ndarray(shape, dtype, back.buf)

    try:
        yield call
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()
        for block in (there, back):
            block.unlink()
            with contextlib.suppress(BufferError):  # a view of it may still be alive
                block.close()


def _serve(connection: Connection, there_name: str, back_name: str) -> None:
    # The names stay registered with the resource tracker that both processes share; the caller
    # unlinks them.
    there, back = SharedMemory(there_name), SharedMemory(back_name)
    while True:
        try:
            dtype, shape = connection.recv()
        except EOFError:
            break
        x: Array = np.ndarray(shape, dtype, there.buf)
        y: Array = np.ndarray(shape, dtype, back.buf)
        np.add(x, 1, out=y)
        connection.send((dtype, shape))
        del x, y
    there.close()
    back.close()

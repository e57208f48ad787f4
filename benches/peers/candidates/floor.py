"""What nothing that leaves the process can beat, and what it costs not to leave it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from common import FRAME, Array

from candidates.face import Call, Turn, Unavailable, plus_one

BYTES = FRAME * 4
ROUND_TRIPS = 500  # of one order to the C program


@contextmanager
def in_process(_example: Array) -> Iterator[Call]:
    """A function call."""
    yield plus_one


def frame(x: Array) -> Array:
    """What the echo gives back: the first frame."""
    return x[:FRAME]


@contextmanager
def echo(_example: Array) -> Iterator[Call]:
    """A frame to a Python process and back, without numpy, without pickle."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = socket.socketpair()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    answer = bytearray(BYTES)
    view = memoryview(answer)

    def call(x: Array) -> Array:
        ours.sendall(x.data.cast("B")[:BYTES])
        _fill(ours, view)
        return np.frombuffer(answer, np.float32)

    try:
        yield call
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()


def _serve(connection: socket.socket) -> None:
    buffer = memoryview(bytearray(BYTES))
    while _fill(connection, buffer):
        connection.sendall(buffer)


def _fill(connection: socket.socket, view: memoryview) -> bool:
    have = 0
    while have < len(view):
        count = connection.recv_into(view[have:])
        if count == 0:
            return False
        have += count
    return True


@contextmanager
def c_echo(_example: Array) -> Iterator[Turn]:
    """The same between two processes in C, which measure themselves."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise Unavailable("no C compiler")
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        program = Path(folder) / "echo"
        source = Path(__file__).with_name("echo.c")
        subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
        process = subprocess.Popen(
            [str(program), str(BYTES), str(ROUND_TRIPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        orders, answers = process.stdin, process.stdout
        assert orders is not None
        assert answers is not None

        def turn(seconds: float) -> list[int]:
            times: list[int] = []
            end = time.perf_counter() + seconds
            while not times or time.perf_counter() < end:
                orders.write(b"\n")
                orders.flush()
                block = answers.read(ROUND_TRIPS * 8)
                if len(block) != ROUND_TRIPS * 8:
                    raise RuntimeError("the C program ended early")
                times += np.frombuffer(block, np.uint64).tolist()
            return times

        try:
            yield turn
        finally:
            orders.close()
            try:
                process.wait(5)
            finally:
                process.kill()
                process.wait()
                answers.close()

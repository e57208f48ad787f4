"""Nodes that start processes, on every interpreter of workers: standard library only, no numpy."""

from __future__ import annotations

import multiprocessing
import os
import pty
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any


class Forks:
    """Starts a process in the way that it is told."""

    def process(self, data: str) -> Any:
        """The interpreter, and the exit status of the child."""
        ways: dict[str, Any] = {
            "os.fork": os.fork,
            "os.forkpty": os.forkpty,
            "pty.fork": pty.fork,
        }
        made = ways[data]()
        child = made if isinstance(made, int) else made[0]
        if child == 0:
            os._exit(5)
        _, status = os.waitpid(child, 0)
        return sys.implementation.name, os.waitstatus_to_exitcode(status)


class ForkWrites:
    """Has a child write to an array that the node made."""

    def process(self, data: Any) -> Any:
        """What the child and then the parent find in it, and the array."""
        scale = getattr(data, "scale", None)
        data = data * 2 if scale is None else scale(2)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for place in range(len(data)):
                data[place] = 7
            os.write(writing, f"{data[0]:g} {data[len(data) - 1]:g}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        found = os.read(reading, 100).decode()
        os.close(reading)
        os.close(writing)
        return found, float(data[0]), data


def square(number: int) -> int:
    """For a process of its own."""
    return number * number


def worker_of(queue: Any) -> None:
    """Says who it is."""
    queue.put(os.getpid())


class Multiprocesses:
    """Uses processes and pools of `multiprocessing`, of the kind that it is told."""

    def process(self, data: str) -> Any:
        """What a process, a pool and an executor give."""
        context: Any = multiprocessing.get_context(data or None)
        queue = context.SimpleQueue()
        process = context.Process(target=worker_of, args=(queue,))
        process.start()
        is_another = queue.get() == process.pid != os.getpid()
        process.join()
        with context.Pool(2) as pool:
            pooled = pool.map(square, [1, 2, 3])
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            executed = executor.submit(square, 4).result()
        with ThreadPool(2) as threads:
            threaded = threads.map(square, [5, 6])
        return [is_another, process.exitcode, pooled, executed, threaded]


class Shares:
    """Uses memory with a name."""

    def process(self, data: bytes) -> Any:
        """What lies there."""
        from multiprocessing import shared_memory

        block: Any = shared_memory.SharedMemory(create=True, size=len(data))
        again: Any = shared_memory.SharedMemory(block.name)
        block.buf[: len(data)] = data
        found = bytes(again.buf[: len(data)])
        again.close()
        block.close()
        block.unlink()
        return found

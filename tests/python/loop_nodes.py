"""Nodes whose event loop has something to do while no item is there. Standard library only."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any


class Reports:
    """Writes a line to a named pipe after `process` has returned: how, and to which, it is told."""

    async def process(self, data: tuple[str, str]) -> str:
        """Sets it off."""
        way, self.path = data
        await getattr(self, way)()
        return "set off"

    def write(self) -> None:
        """What the test waits for."""
        Path(self.path).write_text("written\n", encoding="utf-8")

    async def timer(self) -> None:
        """By the loop's clock."""
        asyncio.get_running_loop().call_later(0.02, self.write)

    async def cancelled_timer(self) -> None:
        """By a timer behind one that is cancelled."""
        loop = asyncio.get_running_loop()
        first = loop.call_later(0.01, self.write)
        first.cancel()
        loop.call_later(0.02, self.write)

    async def thread(self) -> None:
        """By a thread that is over later than the call."""
        loop = asyncio.get_running_loop()
        threading.Timer(0.02, loop.call_soon_threadsafe, (self.write,)).start()

    async def executor(self) -> None:
        """By a task that waits for a thread of the loop."""

        async def wait() -> None:
            await asyncio.to_thread(threading.Event().wait, 0.02)
            self.write()

        self.task = asyncio.create_task(wait())

    async def socket(self) -> None:
        """By a socket that becomes readable."""
        loop = asyncio.get_running_loop()
        self.here, self.there = socket.socketpair()

        def read() -> None:
            loop.remove_reader(self.here)
            self.write()

        loop.add_reader(self.here, read)
        threading.Timer(0.02, self.there.send, (b"x",)).start()

    async def turns(self) -> None:
        """By a task that lets others run a thousand times."""

        async def turn() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)
            self.write()

        self.task = asyncio.create_task(turn())


class Beside:
    """Says how far the tasks are that run beside the calls."""

    async def initialize(self) -> None:
        """Starts one task of each kind."""
        self.counts = {"turns": 0, "timers": 0, "bytes": 0}
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.tasks = [
            asyncio.create_task(self.turn()),
            asyncio.create_task(self.sleep()),
            asyncio.create_task(self.read()),
        ]

    async def turn(self) -> None:
        """Always ready."""
        while True:
            await asyncio.sleep(0)
            self.counts["turns"] += 1

    async def sleep(self) -> None:
        """Ready now and then."""
        while True:
            await asyncio.sleep(0.001)
            self.counts["timers"] += 1

    async def read(self) -> None:
        """Ready when a call has written."""
        loop = asyncio.get_running_loop()
        while True:
            self.counts["bytes"] += len(await loop.sock_recv(self.here, 100))

    async def process(self, data: Any) -> dict[str, int]:
        """The counts."""
        self.there.send(b"x")
        return dict(self.counts)


class Awaits:
    """Waits in one of the ways of asyncio, and says what came of it."""

    async def process(self, way: str) -> str:
        """The method of that name."""
        try:
            return f"gave {await getattr(self, way)()!r}"
        except BaseException as error:  # cancellation too
            return f"raised {type(error).__name__}: {error}"

    async def nothing(self) -> str:
        """Does not wait."""
        return "at once"

    async def timeout(self) -> str:
        """Is cancelled by its own clock."""
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "in time"
        return "never"

    async def nested_timeouts(self) -> str:
        """The outer one is first."""
        async with asyncio.timeout(0.01):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return "never"

    async def wait_for(self) -> str:
        """A task is cancelled for it."""
        told = []

        async def inner() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                told.append("cleaned up")

        try:
            await asyncio.wait_for(inner(), 0.01)
        except TimeoutError:
            return told[0]
        return "never"

    async def group(self) -> list[int]:
        """Tasks of a group, one of which is late."""

        async def one(number: int) -> int:
            await asyncio.sleep(number / 1000)
            return number

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in (3, 1, 2)]
        return [task.result() for task in tasks]

    async def failing_group(self) -> str:
        """One task fails, which cancels the waiting parent and the other."""
        told: list[str] = []

        async def fail() -> None:
            raise ValueError("of the child")

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("cancelled")
                raise

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(wait())
                group.create_task(fail())
                await asyncio.Event().wait()
        except* ValueError as errors:
            told.append(str(errors.exceptions[0]))
        return ", ".join(told)

    async def own_end(self) -> str:
        """Cancels the task that it runs in, and waits."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel("enough")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            return f"cancelled with {error.args}, {task.uncancel()} left"
        return "never"

    async def own_end_while_waiting(self) -> str:
        """The same, from another task."""
        task = asyncio.current_task()
        assert task is not None
        waited = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await waited
        except asyncio.CancelledError:
            return f"cancelled, and so is what it waited for: {waited.cancelled()}"
        return "never"

    async def shield(self) -> str:
        """What is shielded goes on."""
        task = asyncio.current_task()
        assert task is not None
        inner = asyncio.ensure_future(asyncio.sleep(0.01, "result"))
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.shield(inner)
        except asyncio.CancelledError:
            return await inner
        return "never"

    async def gather(self) -> list[Any]:
        """Results and errors together."""

        async def fail() -> None:
            raise KeyError("k")

        return [
            type(each).__name__
            for each in await asyncio.gather(
                asyncio.sleep(0, 1), fail(), asyncio.to_thread(str, 2), return_exceptions=True
            )
        ]

    async def no_awaitable(self) -> None:
        """Awaits what gives something else than a future."""

        class Odd:
            def __await__(self) -> Any:
                yield 7

        await Odd()

    async def other_loop(self) -> None:
        """Awaits a future of a loop that does not run."""
        loop = asyncio.new_event_loop()
        try:
            await loop.create_future()
        finally:
            loop.close()

    async def one_after_another(self) -> list[int]:
        """A queue between two tasks."""
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def fill() -> None:
            for number in range(100):
                await queue.put(number)

        task = asyncio.create_task(fill())
        taken = [await queue.get() for _ in range(100)]
        await task
        return taken[-2:]

    async def generator(self) -> list[str]:
        """An async generator that is given up."""
        told: list[str] = []

        async def numbers() -> Any:
            try:
                while True:
                    await asyncio.sleep(0)
                    yield len(told)
            finally:
                await asyncio.sleep(0)
                told.append("closed")

        generator = numbers()
        async for number in generator:
            told.append(str(number))
            if number == 2:
                break
        await generator.aclose()
        return told

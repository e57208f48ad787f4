"""Where an event loop runs (a server, a notebook), `run` is awaited and nothing blocks.

In a notebook cell the same without `main()`: `result = await pipeline.run(audio)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from remotemedia import Node, Pipeline


class Loudness(Node):
    """A coroutine function as `process`."""

    async def process(self, item: Any) -> float:
        await asyncio.sleep(0)
        return round(float(20 * np.log10(np.sqrt(np.mean(item**2)))), 1)


async def microphone() -> AsyncIterator[Any]:
    for amplitude in (0.1, 0.5, 1.0):
        yield amplitude * np.sin(np.arange(1600) / 5)


async def main() -> None:
    pipeline = Pipeline("loudness", [Loudness()])
    both = await asyncio.gather(pipeline.run(np.ones(100)), pipeline.run(np.full(100, 0.1)))
    print("two runs at once:", both)

    async with pipeline.session() as session:
        print("one item:", await session.process(np.full(100, 0.5)))

    async with pipeline.managed_execution():
        async for loudness in pipeline.process(microphone()):
            print(f"from the stream: {loudness} dB")


asyncio.run(main())

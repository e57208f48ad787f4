"""The nodes that are compared, for any interpreter of workers."""

from __future__ import annotations

from typing import Any


class Echo:
    """Gives back what it gets."""

    def process(self, data: Any) -> Any:
        """The same object."""
        return data


class EachSample:
    """Reads and writes each sample in Python."""

    def process(self, data: Any) -> Any:
        """Half of it."""
        for place in range(len(data)):
            data[place] = data[place] * 0.5
        return data


class Bulk:
    """The same in one call."""

    def process(self, data: Any) -> Any:
        """Half of it: numpy's operator, or the view's method."""
        scale = getattr(data, "scale", None)
        return data * 0.5 if scale is None else scale(0.5, out=data)


class Waits:
    """An asynchronous node that lets others run."""

    async def process(self, data: Any) -> Any:
        """The same object, a turn of the loop later."""
        import asyncio

        await asyncio.sleep(0)
        return data

"""Frames of 1080p video a second: three nodes in a pipeline, beside three processes with pipes.

    .venvs/peers/bin/python benches/peers/video.py [--frames 240] [--rounds 5]

Both do the same with the same frames: crop, brighten, find the brightest column. In the pipeline
the nodes are classes. Beside it stand three processes of `multiprocessing`, joined by `Pipe`, which
carry whole frames as bytes, with at most eight frames under way; and the same functions called in
one process. The frames are made before; reading a clip is measured by its own line where PyAV is
installed. They take turns, and each result is checked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from remotemedia import Node, Pipeline

WIDTH, HEIGHT, UNDER_WAY = 1920, 1080, 8


def crop(frame: Any) -> Any:
    """The middle of the picture."""
    return frame[60:-60]


def brighten(frame: Any) -> Any:
    """A quarter brighter, in place."""
    frame += np.minimum(frame >> 2, 255 - frame)
    return frame


def brightest(frame: Any) -> int:
    """The column of the brightest bar, from every eighth line."""
    return int(frame[::8, :, 1].sum(axis=0, dtype=np.uint32).argmax())


class Crop(Node):
    """See `crop`."""

    def process(self, frame: Any) -> Any:
        """One frame."""
        return crop(frame)


class Brighten(Node):
    """See `brighten`."""

    def process(self, frame: Any) -> Any:
        """One frame."""
        return brighten(frame)


class Brightest(Node):
    """See `brightest`."""

    def process(self, frame: Any) -> int:
        """One frame."""
        return brightest(frame)


def frames(count: int) -> Iterator[Any]:
    """Frames with a bar that moves."""
    ramp = np.linspace(0, 90, HEIGHT, dtype=np.uint8)
    background = np.repeat(np.repeat(ramp[:, None, None], WIDTH, axis=1), 3, axis=2)
    made = []
    for number in range(8):
        frame = background.copy()
        frame[:, number * 200 : number * 200 + 120] = 180
        made.append(frame)
    for number in range(count):
        yield made[number % 8].copy()


def expected(count: int) -> list[int]:
    """The results for `frames`."""
    return [number % 8 * 200 for number in range(count)]


def in_process(count: int) -> list[int]:
    """The functions called one after another."""
    return [brightest(brighten(crop(frame))) for frame in frames(count)]


def _stage(function: Callable[[Any], Any], source: Any, sink: Any, height: int) -> None:
    while data := source.recv_bytes():
        frame = np.frombuffer(data, np.uint8).reshape(height, WIDTH, 3).copy()
        result = function(frame)
        if isinstance(result, int):
            sink.send_bytes(result.to_bytes(4, "little"))
        else:
            sink.send_bytes(np.ascontiguousarray(result).data.cast("B"))
    sink.send_bytes(b"")


class Pipes:
    """Three processes, each with a pipe to the next."""

    def __init__(self) -> None:
        context = get_context("fork")
        ends = [context.Pipe(duplex=False) for _ in range(4)]
        self._to, self._from = ends[0][1], ends[3][0]
        stages = [(crop, HEIGHT), (brighten, HEIGHT - 120), (brightest, HEIGHT - 120)]
        self._processes = [
            context.Process(
                target=_stage, args=(function, ends[n][0], ends[n + 1][1], height), daemon=True
            )
            for n, (function, height) in enumerate(stages)
        ]
        for process in self._processes:
            process.start()

    def run(self, count: int) -> list[int]:
        """The results of frames, with a bounded number of them under way."""
        results: list[int] = []
        for number, frame in enumerate(frames(count)):
            if number - len(results) >= UNDER_WAY:
                results.append(int.from_bytes(self._from.recv_bytes(), "little"))
            self._to.send_bytes(frame.data.cast("B"))
        while len(results) < count:
            results.append(int.from_bytes(self._from.recv_bytes(), "little"))
        return results

    def close(self) -> None:
        """End the processes."""
        self._to.send_bytes(b"")
        for process in self._processes:
            process.join()


def reading(count: int) -> tuple[Callable[[int], list[int]], int] | None:
    """A run that also reads a clip, and the number of its frames; None without PyAV."""
    try:
        import av
    except ModuleNotFoundError:
        return None
    from remotemedia import read_video

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "clip.mp4")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8e6
        for frame in frames(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    pipeline = Pipeline(Crop(), Brighten(), Brightest())

    def run(_count: int) -> list[int]:
        assert folder.name
        found = pipeline.run(read_video(path))
        return [round(column / 200) * 200 for column in found]  # what is coded is blurred

    return run, count


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    pipeline = Pipeline(Crop(), Brighten(), Brightest())
    pipes = Pipes()
    candidates: dict[str, Callable[[int], list[int]]] = {
        "remotemedia": lambda count: pipeline.run(frames(count)),
        "pipes": pipes.run,
        "in one process": in_process,
    }
    if (read := reading(given.frames)) is not None:
        candidates["remotemedia, reading a clip"] = read[0]
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(given.rounds + 1):
        for name, run in candidates.items():
            began = time.perf_counter()
            results = run(given.frames)
            took = time.perf_counter() - began
            if results != expected(given.frames):
                raise SystemExit(f"{name}: wrong results: {results[:8]}")
            if number:  # the first round warms up
                rates[name].append(given.frames / took)
    pipes.close()
    print("| | frames a second | beside pipes |\n|---|---:|---:|")  # noqa: T201
    beside = statistics.median(rates["pipes"])
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"| {name} | {rate:.0f} | {rate / beside:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()

"""Video as arrays: 1080p frames through three nodes. The clip is made by this script."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np

from remotemedia import Node, Pipeline, read_video

WIDTH, HEIGHT, FRAMES, RATE = 1920, 1080, 90, 30


def make_clip(path: Path) -> None:
    """A bright bar that moves from left to right over a dark ramp."""
    ramp = np.linspace(0, 90, HEIGHT, dtype=np.uint8)
    background = np.repeat(np.repeat(ramp[:, None, None], WIDTH, axis=1), 3, axis=2)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8e6
        for number in range(FRAMES):
            frame = background.copy()
            left = number * (WIDTH - 120) // FRAMES
            frame[:, left : left + 120] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


class Crop(Node):
    """The middle of the picture, without the black bars that films have."""

    def process(self, frame: Any) -> Any:
        return frame[60:-60]


class Brighten(Node):
    """Every sample a quarter brighter, in place: the node's input belongs to it."""

    def process(self, frame: Any) -> Any:
        frame += np.minimum(frame >> 2, 255 - frame)
        return frame


class BarPosition(Node):
    """The column of the brightest bar, from every eighth line."""

    def process(self, frame: Any) -> int:
        columns = frame[::8, :, 1].sum(axis=0, dtype=np.uint32)
        return int(columns.argmax())


with tempfile.TemporaryDirectory() as folder:
    clip = Path(folder, "clip.mp4")
    make_clip(clip)
    video = read_video(clip)
    print(f"{video.width}x{video.height}, {video.frame_rate:.0f} frames/s, {video.duration:.0f} s")

    pipeline = Pipeline(Crop(), Brighten(), BarPosition())
    positions = pipeline.run(video)

print(f"{len(positions)} frames, the bar went from column {positions[0]} to {positions[-1]}")

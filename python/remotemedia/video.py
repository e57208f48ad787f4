"""Reading video files as arrays, through PyAV: `pip install remotemedia[video]`.

    from remotemedia import Pipeline, read_video

    for result in Pipeline(my_node).stream(read_video("clip.mp4")):
        ...

A frame is a uint8 array of shape (height, width, 3), red first. It is an item like any other array:
nodes get it in shared memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Video(Iterator["NDArray[np.uint8]"]):
    """The frames of a video file, in the order in which they are shown. Each loop over it reads the
    file from its beginning, frame by frame, so that memory does not grow with the video. As it is
    an iterator too, `pipeline.run(video)` takes each frame as an item.

    Attributes:
        path: the file.
        width: width of a frame in pixels, as it is shown.
        height: height of a frame in pixels, as it is shown.
        frame_rate: frames a second on average; 0.0 if the file does not say it.
        duration: seconds; 0.0 if the file does not say it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with _opened(self.path) as container:
            stream = _stream_of(container, self.path)
            first = next(_decoded(container, stream, self.path), None)
            if first is None:
                raise ValueError(f"{self.path}: the video has no frame that can be decoded")
            self.height, self.width = first.shape[:2]
            self.frame_rate = float(stream.average_rate or 0)
            ticks, base = stream.duration, stream.time_base
            self.duration = float(ticks * base) if ticks is not None and base is not None else 0.0
        self._frames: Iterator[NDArray[np.uint8]] | None = None

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """The frames: uint8, (height, width, 3).

        Raises:
            ValueError: the file is damaged, after the frames before the damage.
        """
        with _opened(self.path) as container:
            yield from _decoded(container, _stream_of(container, self.path), self.path)

    def __next__(self) -> NDArray[np.uint8]:
        """The frame after that of the call before."""
        if self._frames is None:
            self._frames = iter(self)
        return next(self._frames)

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}, {self.frame_rate:.3g} frames/s"
        return f"<Video {self.path!r}: {size}, {self.duration:.1f} s>"


def read_video(path: str | os.PathLike[str]) -> Video:
    """Read a video file, of any format that FFmpeg knows.

    Returns:
        An iterable of frames with the video's size and rate. A frame is a uint8 array of shape
        (height, width, 3), red first; a video that is marked as turned is turned.

    Raises:
        ImportError: PyAV is not installed.
        OSError: the file cannot be read.
        ValueError: the file is no video, or nothing of it can be decoded.
    """
    return Video(path)


def _av() -> Any:
    try:
        import av
    except ModuleNotFoundError as problem:
        if problem.name != "av":
            raise
        raise ImportError(
            "reading video needs PyAV: pip install 'remotemedia[video]'", name="av"
        ) from None
    return av


def _opened(path: str) -> Any:
    av = _av()
    try:
        return av.open(path)
    except OSError:
        raise
    except av.error.FFmpegError as problem:
        raise ValueError(f"{path}: this is no video that can be read: {problem}") from problem


def _stream_of(container: Any, path: str) -> Any:
    if not container.streams.video:
        raise ValueError(f"{path}: this file has no video")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def _decoded(container: Any, stream: Any, path: str) -> Iterator[NDArray[np.uint8]]:
    damage = _av().error.FFmpegError
    try:
        for frame in container.decode(stream):
            yield _as_shown(frame)
    except damage as problem:
        raise ValueError(f"{path}: the video is damaged: {problem}") from problem


def _as_shown(frame: Any) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if turns:
        import numpy as np

        pixels = np.ascontiguousarray(np.rot90(pixels, turns))
    return pixels


__all__ = ["Video", "read_video"]

"""Video as arrays: files through PyAV, and 1080p frames through three nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from places import REPOSITORY
from remotemedia import Pipeline, Runtime, read_video
from video_nodes import Brightest, Crop, Invert
from worker_programs import PROGRAMS, runtime

SHADES = [20, 90, 160, 230]


def make_clip(path: Path, width: int = 320, height: int = 192, **options: Any) -> None:
    """A frame for each of `SHADES`, its left half of that shade and its right half black."""
    with av.open(str(path), "w", **options) as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 4e6
        for shade in SHADES:
            frame = np.zeros((height, width, 3), np.uint8)
            frame[:, : width // 2] = shade
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    make_clip(path)
    return path


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline before."""
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Crop(0), runtime=where).run(np.zeros((4, 4, 3), np.uint8)).shape[0] == 4
        yield where


def test_frames_are_arrays_of_height_width_and_colours(clip: Path) -> None:
    """spec: DSG-18"""
    video = read_video(clip)
    assert (video.width, video.height, video.frame_rate) == (320, 192, 25.0)
    assert video.duration == pytest.approx(len(SHADES) / 25)
    for _ in range(2):  # each iteration begins again
        frames = list(video)
        assert [(frame.shape, str(frame.dtype)) for frame in frames] == [
            ((192, 320, 3), "uint8")
        ] * 4
        for frame, shade in zip(frames, SHADES, strict=True):
            assert abs(int(frame[96, 80, 0]) - shade) < 8
            assert frame[96, 300].max() < 8
    assert next(video)[96, 80, 0] < next(video)[96, 80, 0], "it is an iterator too"


def test_video_goes_through_three_nodes(one: Runtime, tmp_path: Path) -> None:
    """spec: DSG-18"""
    clip = tmp_path / "full.mp4"
    make_clip(clip, 1920, 1080)
    pipeline = Pipeline([Crop(60), Invert(), Brightest()], runtime=one)
    results = list(pipeline.stream(read_video(clip)))
    assert pipeline.run(read_video(clip)) == results
    assert [shape for shape, _ in results] == [(960, 1920, 3)] * 4
    assert [right for _, right in results] == [pytest.approx(255, abs=8)] * 4
    (metrics,) = [node for node in pipeline.get_metrics()["nodes"] if node["node_id"] == "Crop_0"]  # type: ignore[index]
    assert metrics["hops"]["in"]["copies"] == 4, "each frame is copied once, on its way in"


def test_files_that_are_no_video_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(ValueError, match="no video that can be read"):
        read_video(text)
    with pytest.raises(FileNotFoundError):
        read_video(tmp_path / "missing.mp4")
    sound = REPOSITORY / "examples" / "recordings" / "speech_48k.flac"
    with pytest.raises(ValueError, match="has no video"):
        read_video(sound)


def test_a_damaged_video_gives_what_came_before_the_damage(clip: Path, tmp_path: Path) -> None:
    stream = tmp_path / "stream.mkv"
    make_clip(stream)
    data = stream.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) * 2 // 3])
    frames = list(read_video(cut))
    assert 0 < len(frames) <= 4
    assert frames[0].shape == (192, 320, 3)


def test_without_pyav_the_error_says_what_to_install(clip: Path) -> None:
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from remotemedia import read_video\n"
        "try: read_video('x.mp4')\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'remotemedia[video]'" in done.stdout


def test_the_benchmark_runs_what_it_measures() -> None:
    """spec: DSG-18"""
    script = REPOSITORY / "benches" / "peers" / "video.py"
    done = subprocess.run(
        [sys.executable, str(script), "--frames", "6", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=script.parent,
    )
    assert done.returncode == 0, done.stderr
    for name in ("remotemedia", "pipes"):
        assert f"| {name} |" in done.stdout

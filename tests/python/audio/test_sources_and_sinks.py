"""AudioSource, AudioSink and write_audio: files, pipes, pieces, and machines without sound."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remotemedia import (
    AudioResampleNode,
    AudioSink,
    AudioSource,
    ConfigurationError,
    FormatConverterNode,
    NodeError,
    PassThroughNode,
    Pipeline,
    VADNode,
    read_audio,
    write_audio,
)

FORMATS = ("f32", "f64", "i16", "i24", "i32", "u8", "alaw", "mulaw")


def tone(samples: int, channels: int = 1) -> Any:
    return (0.5 * np.sin(np.arange(samples) / 7)).astype("f4") * np.ones((channels, 1), "f4")


@pytest.mark.parametrize("sample_format", FORMATS)
def test_what_is_written_is_read(tmp_path: Path, sample_format: str) -> None:
    # spec: DSG-26
    path = tmp_path / "written.wav"
    write_audio(path, (tone(800, 2), 8_000), sample_format=sample_format)
    samples, rate = read_audio(path)
    assert (samples.shape, rate) == ((2, 800), 8_000)
    step = {"u8": 2**-7, "alaw": 2**-5, "mulaw": 2**-5, "i16": 2**-15}.get(sample_format, 2**-23)
    np.testing.assert_allclose(samples, tone(800, 2), atol=step)


def test_every_dtype_is_kept(tmp_path: Path) -> None:
    for array in (tone(80), (tone(80) * 32_767).astype("i2"), np.zeros(0, "f4")):
        write_audio(tmp_path / "kept.wav", array, 8_000)
        samples, _ = read_audio(tmp_path / "kept.wav")
        scale = 32_768 if array.dtype == np.int16 else 1
        np.testing.assert_array_equal(samples.reshape(-1) * scale, array.reshape(-1))


def test_wrong_arguments_of_write_audio_say_what_to_do(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="16000 Hz is assumed"):
        write_audio(tmp_path / "bare.wav", np.zeros(4, "f4"))
    with pytest.raises(TypeError, match=r"read_audio\('a.wav'\)"):
        write_audio(tmp_path / "b.wav", "a.wav", 8_000)
    with pytest.raises(ValueError, match="only WAV"):
        write_audio(tmp_path / "c.mp3", np.zeros(4, "f4"), 8_000)
    with pytest.raises(OSError, match=r"missing/d\.wav"):
        write_audio(tmp_path / "missing" / "d.wav", np.zeros(4, "f4"), 8_000)
    with pytest.raises(ValueError, match="i24"):
        write_audio(tmp_path / "e.wav", np.zeros(4, "f4"), 8_000, sample_format="i25")


def test_a_file_goes_through_a_pipeline_into_a_file(tmp_path: Path) -> None:
    # spec: DSG-26 DSG-03
    write_audio(tmp_path / "in.wav", tone(48_000, 2), 48_000)
    source, sink = AudioSource(tmp_path / "in.wav"), AudioSink(tmp_path / "out.wav")
    assert Pipeline([source, AudioResampleNode(16_000), sink]).run() is None
    samples, rate = read_audio(tmp_path / "out.wav")
    assert (samples.shape, rate) == ((2, 16_000), 16_000)


def test_pieces_give_the_same_file_as_the_whole(tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", tone(30_001), 44_100)
    written = []
    for piece_ms in (None, 20):
        out = tmp_path / f"{piece_ms}.wav"
        resample = AudioResampleNode(16_000, streaming=piece_ms is not None)
        source = AudioSource(tmp_path / "in.wav", piece_ms=piece_ms)
        Pipeline([source, resample, AudioSink(out)]).run()
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_a_pipeline_without_the_native_runtime_writes_too(tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", tone(1_000), 8_000)
    out = tmp_path / "out.wav"
    pipeline = Pipeline([AudioSource(tmp_path / "in.wav", piece_ms=10), AudioSink(out)])
    pipeline.run(use_rust=False)
    np.testing.assert_array_equal(read_audio(out)[0], tone(1_000))


def test_long_files_take_the_memory_of_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "long.raw"
    np.zeros(8_000_000, "i2").tofile(path)
    source = AudioSource(path, piece_ms=100, sample_rate=16_000)
    tracemalloc.start()
    count = sum(samples.shape[1] for samples, _ in source.items())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 8_000_000
    assert peak < 1 << 20, peak


def test_pipes_are_read_and_written(tmp_path: Path) -> None:
    program = (
        "from remotemedia import *\n"
        "source = AudioSource('-', piece_ms=50, sample_rate=8000, channels=2)\n"
        "Pipeline([source, FormatConverterNode('i16'), AudioSink('-')]).run()\n"
    )
    frames = np.arange(-3_000, 3_000, dtype="i2")
    done = subprocess.run(
        [sys.executable, "-c", program], input=frames.tobytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, "i2"), frames)


def test_empty_and_damaged_files(tmp_path: Path) -> None:
    write_audio(tmp_path / "empty.wav", np.zeros((2, 0), "f4"), 8_000)
    (item,) = AudioSource(tmp_path / "empty.wav").items()
    assert (item[0].shape, item[1]) == ((2, 0), 8_000)
    write_audio(tmp_path / "cut.wav", tone(1_000), 8_000)
    whole = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:-400])
    with pytest.warns(UserWarning, match=r"cut\.wav was cut off: 400 of 4000"):
        pieces = list(AudioSource(tmp_path / "cut.wav", piece_ms=10).items())
    assert sum(samples.shape[1] for samples, _ in pieces) == 900
    with pytest.raises(OSError, match=r"none\.wav"):
        Pipeline([AudioSource(tmp_path / "none.wav"), PassThroughNode()]).run()


def test_a_sink_refuses_what_its_file_cannot_hold(tmp_path: Path) -> None:
    items = [(tone(10), 8_000), (tone(10), 16_000)]
    with pytest.raises(ValueError, match="8000 Hz and got an item of 16000 Hz"):
        Pipeline([PassThroughNode(), AudioSink(tmp_path / "a.wav")]).run(items)
    assert read_audio(tmp_path / "a.wav")[0].shape == (1, 10)
    with pytest.raises(ValueError, match="channel count"):
        Pipeline([PassThroughNode(), AudioSink(tmp_path / "b.wav")]).run(
            [(tone(10), 8_000), (tone(10, 2), 8_000)]
        )


def test_a_machine_without_sounddevice_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # As where it is not installed.
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    how = r"pip install 'remotemedia\[live\]'"
    with pytest.raises(ConfigurationError, match=how):
        Pipeline([AudioSource(seconds=0.1), PassThroughNode()]).run()
    with pytest.raises(ConfigurationError, match=how):
        Pipeline([PassThroughNode(), AudioSink()]).run((tone(10), 8_000))


@pytest.mark.parametrize(
    ("node", "hz"), [(lambda **m: AudioResampleNode(8_000, **m), 48_000), (VADNode, 16_000)]
)
def test_an_assumed_rate_is_named_once(
    node: Any, hz: int, caplog: pytest.LogCaptureFixture
) -> None:
    items = [np.zeros(480, "f4")] * 3
    with caplog.at_level("WARNING"):
        Pipeline([node()]).run(items)
    told = [text for record in caplog.records if "is assumed" in (text := record.getMessage())]
    assert len(told) == 1, told
    assert f"{hz} Hz is assumed" in told[0]
    # In a worker it is a Python warning, under the caller's filters.
    with pytest.warns(match=f"{hz} Hz is assumed") as warned:
        Pipeline([node(runtime_hint="cpython")]).run(items)
    assert len(warned) == 1


def test_a_given_rate_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        Pipeline([AudioResampleNode(8_000, input_rate=48_000)]).run(np.zeros(480, "f4"))
        Pipeline([VADNode()]).run((np.zeros(480, "f4"), 16_000))
    assert "assumed" not in caplog.text


@pytest.mark.parametrize("node", [AudioResampleNode, VADNode, FormatConverterNode])
def test_a_file_name_where_audio_is_wanted(node: Any) -> None:
    with pytest.raises(NodeError, match=r"'a\.wav'.*read_audio\(path\)"):
        Pipeline([node()]).run("a.wav")


def test_a_named_pipe_is_a_file(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.wav"
    os.mkfifo(fifo)
    write = (
        "from remotemedia import write_audio\nimport numpy\n"
        f"write_audio({str(fifo)!r}, numpy.ones((1, 500), 'f4') / 2, 8000)"
    )
    with subprocess.Popen([sys.executable, "-c", write]) as writer:
        samples, rate = read_audio(fifo)
        assert writer.wait() == 0
    assert (samples.shape, rate) == ((1, 500), 8_000)

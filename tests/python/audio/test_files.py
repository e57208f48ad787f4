"""Audio files from Python: damaged ones are read as far as they go, with a warning."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from remotemedia import read_audio


def wav(samples: int, *, rate: int = 8_000, data_bytes: int | None = None) -> bytes:
    """A recording of ones, with a size of its data that may be wrong."""
    data = np.full(samples, 16_384, "<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    stated = len(data) if data_bytes is None else data_bytes
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", stated) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_a_recording_that_was_cut_off_is_read_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(wav(1_000)[:-1_000])
    with pytest.warns(UserWarning, match=r"cut\.wav was cut off: 1000 of 2000 bytes") as told:
        samples, rate = read_audio(path)
    assert (samples.shape, rate, len(told)) == ((1, 500), 8_000, 1)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(samples, 0.5)


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF])
def test_a_header_that_states_no_size_is_no_damage(tmp_path: Path, stated: int) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(1_000, data_bytes=stated))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_audio(path)[0].shape == (1, 1_000)


def test_a_file_without_samples_is_an_empty_array(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.write_bytes(wav(0))
    samples, rate = read_audio(path)
    assert (samples.shape, str(samples.dtype), rate) == ((1, 0), "float32", 8_000)


def test_what_is_no_recording_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    for name, content in [("rate.wav", wav(10, rate=0)), ("none.wav", b""), ("text.wav", b"text")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read_audio(tmp_path / name)


def test_the_command_line_tells_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(wav(1_000)[:-1_000])
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        '{"version": "v1", "connections": [],'
        ' "nodes": [{"id": "f", "node_type": "FormatConverterNode"}]}'
    )
    arguments = ["run", str(manifest), "--input", str(tmp_path / "cut.wav")]
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stderr
    assert "1000 of 2000 bytes" in done.stderr

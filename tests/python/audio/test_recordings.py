"""The main job on real recordings: native resampling and speech detection, a Python node behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from places import FIXTURES, REPOSITORY
from recording_nodes import SegmentPeaks
from remotemedia import AudioResampleNode, Node, Pipeline, VADNode, read_audio
from remotemedia_runtime import execute_pipeline_with_input
from speech_tables import CODEC2_FOLDER, codec2_files, mismatches

DEMO = REPOSITORY / "examples/recordings/speech_48k.flac"
FILES = codec2_files()
MANIFEST = {
    "version": "v1",
    "nodes": [
        {"id": "resample", "node_type": "ResampleNode", "params": {"target_rate": 16000}},
        {"id": "vad", "node_type": "VADNode", "params": {"threshold": -30, "output": "tagged"}},
        {"id": "peaks", "node_type": "recording_nodes:SegmentPeaks"},
    ],
    "connections": [{"from": "resample", "to": "vad"}, {"from": "vad", "to": "peaks"}],
}


def speech_pipeline() -> Pipeline:
    return Pipeline(AudioResampleNode(target_rate=16000), VADNode(threshold=-30), SegmentPeaks())


def load(path: Path, rate: int) -> tuple[Any, int]:
    if path.suffix == ".raw":
        samples = np.fromfile(path, "<i2").astype(np.float32) / np.float32(32768)
        return samples[np.newaxis], rate
    return read_audio(str(path))


def test_the_demo_recording_gives_its_phrases() -> None:
    """spec: NRA-03, NRA-05, NRA-06, NRA-16"""
    phrases = json.loads(DEMO.with_suffix(".json").read_text())
    phrases = phrases if isinstance(phrases, list) else phrases["phrases"]
    audio = read_audio(str(DEMO))
    assert audio[1] == 48000
    segments = speech_pipeline().run(audio)
    assert mismatches(segments, {"segments": phrases}) == []
    assert all(0 < segment["peak"] <= 1 for segment in segments)
    assert all(-40 < segment["energy_db"] < 0 for segment in segments)


def test_the_table_names_recordings_that_exist() -> None:
    for entry in FILES:
        assert (CODEC2_FOLDER / entry["path"]).is_file()
    assert len(FILES) in (0, 32)


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["path"]))
def test_speech_of_people_is_found_where_it_is(entry: dict[str, Any]) -> None:
    """spec: NRA-05"""
    audio = load(CODEC2_FOLDER / entry["path"], entry["sample_rate_hz"])
    assert mismatches(speech_pipeline().run(audio), entry) == []


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["path"]))
def test_without_a_threshold_most_of_the_speech_is_found_too(entry: dict[str, Any]) -> None:
    """spec: NRA-05"""
    audio = load(CODEC2_FOLDER / entry["path"], entry["sample_rate_hz"])
    _, _, info = Pipeline(AudioResampleNode(target_rate=16000), VADNode()).run(audio)
    length_ms = audio[0].shape[-1] * 1000 // audio[1]
    found, marked = np.zeros(length_ms, bool), np.zeros(length_ms, bool)
    for segments, spoken in ((info["segments"], found), (entry["segments"], marked)):
        for segment in segments:
            spoken[segment["start_ms"] : segment["end_ms"]] = True
    assert (found == marked).mean() > 0.8


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["path"]))
def test_every_way_in_gives_the_same(entry: dict[str, Any], tmp_path: Path) -> None:
    """The command line, the SDK and the FFI functions agree to the last bit. spec: DSG-03"""
    path, rate = CODEC2_FOLDER / entry["path"], entry["sample_rate_hz"]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST))
    audio = load(path, rate)
    by_sdk = speech_pipeline().run(audio)
    by_ffi = execute_pipeline_with_input(manifest.read_text(), audio)["result"]
    arguments = ["run", str(manifest), "--input", str(path)]
    if path.suffix == ".raw":
        arguments += ["--raw", str(rate)]
    done = subprocess.run(
        [sys.executable, "-m", "remotemedia", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(FIXTURES)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    by_cli = json.loads(line)["output"]
    assert by_sdk == by_ffi == by_cli


class Counts(Node):
    """Adds up what comes, in a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0

    def process(self, data: Any) -> None:
        samples, rate = data
        assert rate == 16_000
        self.samples += samples.shape[-1]

    def flush(self) -> int:
        return self.samples


def test_an_hour_of_audio_goes_through_a_chain_before_the_watchdog_comes() -> None:
    """spec: DSG-12: the watchdog of the tests ends what takes more than five minutes, a twelfth."""
    second = np.random.default_rng(1).random(48_000, np.float32) - np.float32(0.5)
    chain = Pipeline([AudioResampleNode(target_rate=16_000, streaming=True), Counts()])
    outputs = list(chain.stream((second, 48_000) for _ in range(3_600)))
    assert outputs == [3_600 * 16_000]

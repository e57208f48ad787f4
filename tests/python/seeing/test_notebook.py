"""What pipelines and audio show of themselves in a notebook."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import remotemedia
from remotemedia import AddNode, PassThroughNode, Pipeline, Runtime, audio
from remotemedia._waveform import COLUMNS, PLAYED_SECONDS, is_audio
from seen_nodes import Many, Sleeps
from worker_programs import PROGRAMS, runtime

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline before."""
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        yield where


def _texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_pipeline_shows_its_graph_and_where_its_time_goes(
    one: Runtime, request: pytest.FixtureRequest
) -> None:
    name = {"cpython": "CPython", "rustpython": "RustPython"}[request.node.callspec.params["one"]]
    pipeline = Pipeline("<mine>", runtime=one)
    pipeline.add_node(AddNode(addend=1), id="add")
    pipeline.add_node(Sleeps(), id="slow", after="add")
    pipeline.add_node(PassThroughNode(), id="other", after="add")
    before = pipeline._repr_svg_()
    assert _texts(before) == ["add", "native", "slow", name, "other", "native"]
    assert before.count("<path d=") == 3, "an arrow for each connection, and the arrow's head"
    assert pipeline.run(1) == {"slow": 2, "other": 2}
    texts = dict(zip(*[iter(_texts(pipeline._repr_svg_()))] * 2, strict=True))
    place, share = texts["slow"].split(" \N{MIDDLE DOT} ")
    assert place == name
    assert int(share.rstrip("%")) > 90
    html = pipeline._repr_html_()
    assert "&lt;mine&gt;" in html
    assert "<svg" in html


def test_every_pipeline_can_be_shown() -> None:
    assert "without nodes" in Pipeline()._repr_svg_()
    unknown = Pipeline({"node_type": "NoSuchNode"})
    assert "NoSuchNode" in "".join(_texts(unknown._repr_svg_()))
    long = Pipeline([Many(name="x" * 60)])
    assert _texts(long._repr_svg_())[0] == "x" * 21 + "\N{HORIZONTAL ELLIPSIS}"


def test_a_pipeline_that_ran_in_process_says_so() -> None:
    pipeline = Pipeline([Many()])
    pipeline.run(1, use_rust=False)
    assert "this process" in _texts(pipeline._repr_svg_())[1]


def test_a_profile_is_a_table(one: Runtime) -> None:
    html = Pipeline([Many()], runtime=one).profile(2)._repr_html_()
    assert html.startswith("<table><tr><th>node</th>")
    assert "<td>Many_0</td>" in html


def _player(html: str) -> wave.Wave_read:
    source = re.search(r'src="data:audio/wav;base64,([^"]+)"', html)
    assert source is not None
    return wave.Wave_read(io.BytesIO(base64.b64decode(source[1])))


def test_audio_shows_a_waveform_and_a_player() -> None:
    tone = np.sin(np.arange(16000) / 8).astype(np.float32)
    shown = audio.show((np.stack([tone, np.zeros_like(tone)]), 16000))
    assert repr(shown) == "<audio: 2 channels, 1.00 s at 16000 Hz>"
    svg = ElementTree.fromstring(shown._repr_svg_())
    lanes = [path.get("d", "") for path in svg.iter(f"{SVG}path")][1::2]
    assert [lane.count("M") for lane in lanes] == [COLUMNS, COLUMNS]
    with _player(shown._repr_html_()) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getnframes()) == (2, 16000, 16000)
        played = np.frombuffer(wav.readframes(16000), "<i2").reshape(-1, 2)
    assert np.allclose(played[:, 0] / 32767, tone, atol=1e-4)
    assert not played[:, 1].any()


@pytest.mark.parametrize(
    "samples",
    [
        np.array([], np.float32),
        np.array([np.nan, np.inf, -np.inf, 2.0, -2.0]),
        np.array([0, 32767, -32768], np.int16),
        np.array([0, 128, 255], np.uint8),
        np.zeros((0, 5), np.float32),
    ],
)
def test_odd_audio_is_shown_too(samples: Any) -> None:
    shown = audio.show(samples, 8000)
    ElementTree.fromstring(shown._repr_svg_())
    assert "nan" not in shown._repr_html_()


def test_long_audio_and_many_channels_are_played_in_part() -> None:
    shown = audio.show(np.zeros((3, 1000 * (PLAYED_SECONDS + 1)), np.float32), 1000)
    html = shown._repr_html_()
    assert "first 120 s and first two channels" in html
    with _player(html) as wav:
        assert (wav.getnchannels(), wav.getnframes()) == (2, 1000 * PLAYED_SECONDS)


def test_what_is_no_audio_is_refused() -> None:
    with pytest.raises(ValueError, match="sample rate"):
        audio.show(np.zeros(3))
    with pytest.raises(ValueError, match="axes"):
        audio.show(np.zeros((2, 2, 2)), 8000)


class _Formatter(dict[type, Any]):
    """As much of IPython's formatter as an extension uses."""

    def for_type(self, kind: type, function: Any) -> None:
        self[kind] = function


def test_a_notebook_can_show_results_that_are_audio(one: Runtime) -> None:
    formatter = _Formatter()
    formatters = {"text/html": formatter}
    shell = type("Shell", (), {"display_formatter": type("F", (), {"formatters": formatters})})
    remotemedia.load_ipython_extension(shell)
    given = (np.zeros((1, 48000), np.float32), 48000)
    result = Pipeline([PassThroughNode(), Sleeps()], runtime=one).run(given)
    assert type(result) is tuple, "results stay as they are"
    assert "<audio controls" in formatter[tuple](result)
    assert formatter[tuple]((1, 2)) is None
    remotemedia.unload_ipython_extension(shell)
    assert not formatter


def test_only_what_is_surely_audio_is_taken_for_it() -> None:
    samples = np.zeros(10, np.float32)
    assert is_audio((samples, 16000))
    for other in [(samples, 3), (samples, 16000.0), [samples, 16000], (samples, 16000, {}),
                  (np.zeros((2, 2, 2)), 16000), (np.zeros(3, bool), 16000), ("x", 16000),
                  (np.zeros((480, 640)), 16000)]:  # fmt: skip
        assert not is_audio(other)

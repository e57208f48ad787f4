"""The native nodes that change, cut and measure audio, in pipelines and in workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remotemedia import (
    BiquadNode,
    ChunkerNode,
    GainNode,
    LevelMeterNode,
    MelSpectrogramNode,
    MixChannelsNode,
    NodeError,
    NoiseSuppressionNode,
    NormalizeNode,
    Pipeline,
    SilenceTrimNode,
    SplitChannelsNode,
    get_available_nodes,
)
from remotemedia.nodes.audio import effects

NODES = [getattr(effects, name) for name in effects.__all__]


def tone(samples: int = 16_000) -> Any:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / 16_000)).astype("f4")


def test_every_node_is_native_and_named() -> None:
    assert {cls.native_type for cls in NODES} <= set(get_available_nodes())
    assert {cls.native_type for cls in NODES} == set(effects.__all__)


@pytest.mark.parametrize("cls", NODES, ids=lambda cls: cls.__name__)
def test_a_worker_gives_the_same(cls: Any) -> None:
    item = (np.stack([tone(), tone() / 2]), 16_000)
    here, there = (Pipeline([cls(runtime_hint=hint)]).run(item) for hint in ("auto", "cpython"))
    pairs = zip(here, there, strict=True) if isinstance(here, list) else [(here, there)]
    for a, b in pairs:
        if isinstance(a, dict):
            assert a == b
        else:
            np.testing.assert_array_equal(a[0], b[0])
            assert a[1] == b[1] == 16_000


def test_a_chain_runs_in_one_place() -> None:
    chain = Pipeline([MixChannelsNode(), BiquadNode("highpass", 100), NormalizeNode("rms", -20)])
    samples, _ = chain.run((np.stack([tone(), tone()]), 16_000))
    assert samples.shape == (1, 16_000)
    assert 20 * np.log10(np.sqrt(np.mean(samples**2))) == pytest.approx(-20, abs=0.01)
    level = Pipeline([GainNode(-6), LevelMeterNode()]).run((tone(), 16_000))
    assert level["peak_db"] == pytest.approx(-12.04, abs=0.05)


def test_several_outputs() -> None:
    left, right = Pipeline([SplitChannelsNode()]).run((np.stack([tone(), -tone()]), 16_000))
    np.testing.assert_array_equal(left[0], -right[0])
    chunks = Pipeline([ChunkerNode(100, 50, streaming=True)]).run(
        [(tone()[n : n + 1_000], 16_000) for n in range(0, 16_000, 1_000)]
    )
    assert [chunk.shape for chunk, _ in chunks] == [(1_600,)] * 19
    np.testing.assert_array_equal(chunks[0][0][800:], chunks[1][0][:800])


def test_trim_and_noise_keep_the_form() -> None:
    padded = np.concatenate([np.zeros(8_000, "f4"), tone(), np.zeros(8_000, "f4")])
    trimmed, _ = Pipeline([SilenceTrimNode()]).run((padded, 16_000))
    assert trimmed.shape == (16_000,)
    clean, _ = Pipeline([NoiseSuppressionNode()]).run((padded[np.newaxis], 16_000))
    assert clean.shape == (1, 32_000)


def test_mel_shapes() -> None:
    mel, rate = Pipeline([MelSpectrogramNode("whisper")]).run((tone(), 16_000))
    assert (mel.shape, mel.dtype, rate) == ((80, 100), np.float32, 16_000)
    mel, _ = Pipeline([MelSpectrogramNode(n_mels=40)]).run((tone()[np.newaxis], 16_000))
    assert mel.shape == (1, 40, 32)


@pytest.mark.parametrize("cls", NODES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("bad", [np.full(100, np.nan, "f4"), "a.wav", np.zeros((300, 2), "f4")])
def test_what_is_no_sound_is_one_error(cls: Any, bad: Any) -> None:
    with pytest.raises(NodeError, match=cls.__name__):
        Pipeline([cls()]).run(bad if isinstance(bad, str) else (bad, 16_000))

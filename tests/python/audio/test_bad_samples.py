"""Samples that no sound has: one error of the node, and the session goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from remotemedia import NodeError, Pipeline
from remotemedia.nodes import AudioResampleNode, VADNode

SAMPLES = np.sin(np.arange(4800, dtype=np.float32) / 10) / 2
BAD = {
    "nan": np.float32("nan"),
    "inf": np.float32("inf"),
    "-inf": np.float32("-inf"),
    "largest float32": np.finfo(np.float32).max,
    "largest float64": np.finfo(np.float64).max,
    "1e31": 1e31,
}


def with_bad(value: Any, dtype: Any = np.float64) -> Any:
    samples = SAMPLES.astype(dtype)
    samples[100] = value
    return samples


NODES = {
    "resample": lambda: AudioResampleNode(target_rate=16000),
    "resample to the same": lambda: AudioResampleNode(target_rate=48000),
    "resample down": lambda: AudioResampleNode(target_rate=11025, quality="low"),
    "vad": VADNode,
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_one_item_fails_and_the_next_is_as_if_it_had_not_been(node: Any, value: Any) -> None:
    # spec: CARD-02
    expected = Pipeline(node()).run([(SAMPLES, 48000)])
    with Pipeline(node()).session() as session:
        for _ in range(2):
            with pytest.raises(NodeError, match=r"sample 100 of channel 0 is .*finite"):
                session.process((with_bad(value), 48000))
            (output,) = session.process((SAMPLES, 48000))
            assert np.array_equal(output[0], expected[0])
    (stereo,) = Pipeline(node()).session().process((np.stack([SAMPLES, SAMPLES]), 48000))
    assert stereo[0].shape[0] == 2


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_bad_piece_of_a_stream_is_not_part_of_it(value: Any) -> None:
    def streaming() -> Any:
        return Pipeline(AudioResampleNode(target_rate=16000, streaming=True))

    with streaming().session() as session:
        clean = [*session.process((SAMPLES, 48000)), *session.flush()]
    with streaming().session() as session:
        with pytest.raises(NodeError, match="sample 100 of channel 0"):
            session.process((with_bad(value), 48000))
        outputs = [*session.process((SAMPLES, 48000)), *session.flush()]
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(clean, outputs, strict=True))

"""Opus nodes: packets of a build with the feature `opus`, and what other builds say."""

from __future__ import annotations

import numpy as np
import pytest

from remotemedia import ConfigurationError, Pipeline
from remotemedia.nodes.audio.opus import OpusDecoderNode, OpusEncoderNode


def has_opus() -> bool:
    """Whether this build has the feature."""
    try:
        OpusDecoderNode()
    except ConfigurationError:
        return False
    return True


@pytest.mark.skipif(has_opus(), reason="this build has Opus")
@pytest.mark.parametrize("node", [OpusEncoderNode, OpusDecoderNode])
def test_a_build_without_opus_says_how_to_get_it(node: type) -> None:
    with pytest.raises(ConfigurationError, match=r"libopus-dev.*--features opus"):
        node()


@pytest.mark.skipif(not has_opus(), reason="this build has no Opus")
def test_what_is_encoded_is_decoded() -> None:
    tone = (0.3 * np.sin(np.arange(48_000) * 0.05)).astype(np.float32)
    with Pipeline(OpusEncoderNode(streaming=True)).session() as session:
        packets = session.process((tone[:5_000], 48_000)) + session.process((tone[5_000:], 48_000))
        packets += session.flush()
    assert all(isinstance(packet, bytes) for packet in packets)
    assert len(packets) == 51
    with Pipeline(OpusDecoderNode()).session() as session:
        pieces = [session.process(packet)[0] for packet in packets]
    found = np.concatenate([samples[0] for samples, _ in pieces])[312:][: len(tone)]
    assert np.mean((found - tone) ** 2) < 1e-3 * np.mean(tone**2)

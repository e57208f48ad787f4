"""A node of your own in a worker process: the 15 lines of the README."""

import numpy as np

from remotemedia import AudioResampleNode, Node, Pipeline


class Peak(Node):
    def process(self, item: tuple[np.ndarray, int]) -> dict[str, float]:
        audio, _sample_rate = item
        return {"peak": float(np.abs(audio).max()), "samples": audio.size}


pipeline = Pipeline("audio")
pipeline.add_node(AudioResampleNode(target_rate=16000))  # Rust, in this process
pipeline.add_node(Peak())  # Python, in a worker process
tone = np.sin(np.arange(48000) / 20).astype(np.float32)
print(pipeline.run((tone, 48000)))

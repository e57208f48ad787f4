"""The network of VADNode's method "auto": one hidden layer of rectified sums, fitted by Adam with
steps that fall to zero along a cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

BATCH = 2_048
STEP = 4e-3
WARM_UP = 100
DECAY = 1e-5
OF_MEAN, OF_SQUARE = 0.9, 0.999


@dataclass
class Network:
    """Weights, biases, the weights of the output and its bias."""

    parts: list[Matrix]

    def odds(self, inputs: Matrix) -> Matrix:
        """The log odds that frames are speech."""
        weights, bias, out, out_bias = self.parts
        return np.maximum(inputs @ weights + bias, 0) @ out + out_bias[0]

    def slopes(self, inputs: Matrix, truths: Matrix, counts: Matrix) -> list[Matrix]:
        """The derivatives of the mean cross entropy, in which frames count as `counts` says."""
        weights, bias, out, out_bias = self.parts
        hidden = np.maximum(inputs @ weights + bias, 0)
        scores = 1 / (1 + np.exp(-(hidden @ out + out_bias[0])))
        error = ((scores - truths) * counts / len(inputs)).astype(np.float32)
        back = np.outer(error, out) * (hidden > 0)
        return [
            inputs.T @ back + np.float32(DECAY) * weights,
            back.sum(0),
            hidden.T @ error,
            error.sum(keepdims=True),
        ]


def fitted(inputs: Matrix, truths: Matrix, counts: Matrix, size: tuple[int, int]) -> Network:
    """A network for these inputs, which have a mean of 0 and a deviation of 1. `size`: how many
    hidden units, and how many times it sees the inputs.
    """
    (hidden, epochs), count = size, inputs.shape[1]
    dice = np.random.default_rng(0)
    weights = dice.standard_normal((count, hidden)) * np.sqrt(2 / count)
    out = dice.standard_normal(hidden) / np.sqrt(hidden)
    starts = (weights, np.zeros(hidden), out, np.zeros(1))
    network = Network([part.astype(np.float32) for part in starts])
    means, squares = ([np.zeros_like(part) for part in network.parts] for _ in range(2))
    dice, batches = np.random.default_rng(1), len(inputs) // BATCH
    number = 0
    for _ in range(epochs):
        order = dice.permutation(len(inputs))
        for batch in range(batches):
            chosen = order[batch * BATCH : (batch + 1) * BATCH]
            number += 1
            step = STEP * min(1, number / WARM_UP)
            step *= 0.5 + 0.5 * np.cos(np.pi * number / (epochs * batches))
            slopes = network.slopes(inputs[chosen], truths[chosen], counts[chosen])
            for at, slope in enumerate(slopes):
                means[at] = OF_MEAN * means[at] + (1 - OF_MEAN) * slope
                squares[at] = OF_SQUARE * squares[at] + (1 - OF_SQUARE) * slope**2
                mean = means[at] / (1 - OF_MEAN**number)
                square = squares[at] / (1 - OF_SQUARE**number)
                change = step * mean / (np.sqrt(square) + 1e-8)
                network.parts[at] = (network.parts[at] - change).astype(np.float32)
    return network

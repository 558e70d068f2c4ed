"""A convolutional network of random weights, which no label and no image has shaped, for second evaluators.

It cannot prefer what a classifier looks at, nor know the training split; random features already tell generated from
real images (Naeem et al., arXiv:2002.09797, section 4; He et al. 2016, arXiv:1606.04801, on what random convolutions
keep).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 64
FINE, COARSE = 4, 2
"""Cells a side of the grids that layers 2 and 3 are pooled to: strokes and their places at two scales."""
SEED = 20260101
BIAS = 0.1
"""Standard deviation of the biases, so that not all filters switch at the same brightness."""
NOISE_IMAGES = 1000


class RandomNetwork(nn.Module):
    """Three convolutions of grey images, two of their outputs pooled and projected to ``dims`` features.

    Args:
        strides: of each convolution.
    """

    def __init__(self, dims: int, strides: tuple[int, int, int]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, WIDTH, 3, stride, padding=1)
            for channels, stride in zip((1, WIDTH, WIDTH), strides, strict=True)
        )
        self.projection = nn.Linear(WIDTH * (FINE**2 + COARSE**2), dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, dims] of float32 [B, 1, H, W] in [0, 1]."""
        first, second, third = self.convolutions
        h = torch.relu(second(torch.relu(first(2 * x - 1))))
        fine = nn.functional.adaptive_avg_pool2d(h, FINE).flatten(1)  # [B, 64, 4, 4] -> [B, 1024]
        coarse = nn.functional.adaptive_avg_pool2d(torch.relu(third(h)), COARSE).flatten(1)  # -> [B, 256]
        features: Tensor = self.projection(torch.cat([fine, coarse], 1))
        return features


@torch.no_grad()
def draw(dims: int, strides: tuple[int, int, int], size: int) -> RandomNetwork:
    """He's initialisation (arXiv:1502.01852) for the first layer, whose fan-in is too small for anything else, and
    orthogonal filters (Saxe et al., arXiv:1312.6120) with the gain of ReLU after it.

    No data are read: the features are scaled to a mean square of 1 on uniform noise of ``size`` x ``size`` pixels.
    torch's generator gives the same numbers everywhere, decompositions may differ in the last bits.
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = RandomNetwork(dims, strides)
        first, *others = network.convolutions
        nn.init.kaiming_normal_(first.weight, nonlinearity="relu")  # type: ignore[arg-type]
        for layer in others:
            nn.init.orthogonal_(layer.weight, gain=nn.init.calculate_gain("relu"))  # type: ignore[arg-type]
        for layer in network.convolutions:
            nn.init.normal_(layer.bias, std=BIAS)  # type: ignore[arg-type]
        nn.init.orthogonal_(network.projection.weight)
        noise = torch.rand(NOISE_IMAGES, 1, size, size)
        network.projection.weight /= network(noise).square().mean().sqrt()
    return network

"""The recipe of ``digits-random-v1``: ``python -m genbench_benchmarks.evaluators.draw_digits_random --out X``.

Draws the weights from one seed and writes them. No data are read: the features are scaled to a mean square of 1 on
uniform noise. torch's generator gives the same numbers everywhere, decompositions may differ in the last bits, which
is why the file ships.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from genbench_benchmarks.evaluators.digits_random import RandomNetwork

SEED = 20260101
BIAS = 0.1
"""Standard deviation of the biases, so that not all filters switch at the same brightness."""
NOISE_IMAGES = 1000


@torch.no_grad()
def draw() -> RandomNetwork:
    """He's initialisation (arXiv:1502.01852) for the first layer, whose fan-in is too small for anything else, and
    orthogonal filters (Saxe et al., arXiv:1312.6120) with the gain of ReLU after it."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = RandomNetwork()
        first, *others = network.convolutions
        nn.init.kaiming_normal_(first.weight, nonlinearity="relu")  # type: ignore[arg-type]
        for layer in others:
            nn.init.orthogonal_(layer.weight, gain=nn.init.calculate_gain("relu"))  # type: ignore[arg-type]
        for layer in network.convolutions:
            nn.init.normal_(layer.bias, std=BIAS)  # type: ignore[arg-type]
        nn.init.orthogonal_(network.projection.weight)
        noise = torch.rand(NOISE_IMAGES, 1, 8, 8)
        network.projection.weight /= network(noise).square().mean().sqrt()
    return network


def main() -> int:
    """Draw the weights and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    out = parser.parse_args().out
    save_file({name: tensor.contiguous() for name, tensor in draw().state_dict().items()}, out)
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

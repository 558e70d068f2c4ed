"""The recipe of ``words-random-v1``: ``python -m genbench_benchmarks.evaluators.draw_words_random --out X``."""

from __future__ import annotations

import sys

import torch
from torch import nn

from genbench_benchmarks.evaluators.random_network import BIAS, SEED
from genbench_benchmarks.evaluators.recipe import out_of, save
from genbench_benchmarks.evaluators.words_extractor import LEVELS
from genbench_benchmarks.evaluators.words_random import RandomNetwork
from genbench_benchmarks.words_form import LENGTH

NOISE_WORDS = 1000


@torch.no_grad()
def draw() -> RandomNetwork:
    """Orthogonal filters (Saxe et al., arXiv:1312.6120) with the gain of ReLU after them, drawn from one seed.

    No data are read: the features are scaled to a mean square of 1 on uniform noise.
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = RandomNetwork()
        for layer in network.convolutions:
            nn.init.orthogonal_(layer.weight, gain=nn.init.calculate_gain("relu"))  # type: ignore[arg-type]
            nn.init.normal_(layer.bias, std=BIAS)  # type: ignore[arg-type]
        nn.init.orthogonal_(network.projection.weight)
        noise = torch.randint(LEVELS, (NOISE_WORDS, LENGTH))
        network.projection.weight /= network(noise).square().mean().sqrt()
    return network


def main() -> int:
    """Draw the weights and write them."""
    save(draw(), out_of(__doc__))
    return 0


if __name__ == "__main__":
    sys.exit(main())

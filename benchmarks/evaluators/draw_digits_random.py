"""The recipe of ``digits-random-v1``: ``python -m genbench_benchmarks.evaluators.draw_digits_random --out X``."""

from __future__ import annotations

import sys

from genbench_benchmarks.evaluators import random_network
from genbench_benchmarks.evaluators.digits_random import DIMS, STRIDES
from genbench_benchmarks.evaluators.recipe import out_of, save

SIZE = 8


def draw() -> random_network.RandomNetwork:
    """The network, its weights drawn from one seed."""
    return random_network.draw(DIMS, STRIDES, SIZE)


def main() -> int:
    """Draw the weights and write them."""
    save(draw(), out_of(__doc__))
    return 0


if __name__ == "__main__":
    sys.exit(main())

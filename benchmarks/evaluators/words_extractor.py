"""What both evaluators of words take."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench_benchmarks.evaluators.extractor import Extractor
from genbench_benchmarks.words_form import ALPHABET, LENGTH

LEVELS = len(ALPHABET)


class WordsExtractor(Extractor):
    """Base of extractors of words; ``layers(x)`` takes int64 ``[B, 16]``. Anything of these levels is taken, also what
    is no word: it is the metrics' affair to count it."""

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(4, LENGTH, dtype=torch.uint8)

    @staticmethod
    def scale(x: Tensor) -> Tensor:
        """uint8 to int64, the index of a symbol; the one preprocessing of real and generated words."""
        return x.long()

    def prepared(self, x: Tensor) -> Tensor:
        """int64 ``[B, 16]`` of uint8 ``[B, 16]``.

        Raises:
            ValueError: for anything else, or levels beyond the alphabet.
        """
        if x.dtype is not torch.uint8 or x.dim() != 2 or x.shape[1] != LENGTH:
            raise ValueError(f"{self.name}: takes uint8 [B, {LENGTH}], not {x.dtype} {list(x.shape)}")
        if x.numel() and int(x.max()) >= LEVELS:
            raise ValueError(f"{self.name}: takes values 0 .. {LEVELS - 1}, and the largest is {int(x.max())}")
        return self.scale(x)

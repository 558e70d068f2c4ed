"""Networks of the recurrent GANs: an example is a sequence of steps, the rows of an image or the letters of a word.

Inside, sequences are float32 ``[B, T, F]``: rows of F = C * W values in [-1, 1], or letters one-hot over F levels, of
which level 0 is padding and level 1 the end symbol. Outside, rows make up images ``[B, C, H, W]``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genbench import DataSpec
from genbench_blocks.likelihoods import gumbel_like
from genbench_gan.letters import SLOPE, Writer, write
from genbench_gan.recurrence import unroll


class GRUGenerator(nn.Module):
    """z, and a label where ``classes`` is given, to a sequence, one step after the other.

    A gated recurrent unit is fed with z, the label and the place in the sequence. These do not depend on the steps:
    what they contribute to the gates is computed once a sequence. A letter is drawn, so the unit is told each letter
    before it goes on; a row is a function of the hidden state, which the unit has already.

    Args:
        data: the data's spec.
        latent: dimensions of z.
        width: units of the recurrent layer.
        classes: number of classes; None for an unconditional generator.

    Attributes:
        temperature: of the softmax through which the gradients reach the letters; set by the training.
    """

    def __init__(self, data: DataSpec, latent: int, width: int, classes: int | None = None) -> None:
        super().__init__()
        self.shape = data.shape
        self.steps, features = steps_of(data)
        self.temperature = 1.0
        # Embeddings are as large as the z that they are added to.
        self.embedding = None if classes is None else nn.Embedding(classes, latent)
        self.start = nn.Linear(latent, width)
        self.context = nn.Linear(latent, 3 * width)
        self.place = nn.Parameter(torch.zeros(self.steps, 3 * width))
        self.previous = None if data.is_image else nn.Linear(features, 3 * width, bias=False)
        self.recurrent = nn.Linear(width, 3 * width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(SLOPE, True), nn.Linear(width, features))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, latent]`` and int64 ``[B]`` -> images ``[B, C, H, W]`` or letters ``[B, T, F]``."""
        if self.embedding is not None:
            z = z + self.embedding(labels)
        hidden = self.start(z).tanh()
        context = self.context(z) + self.place.unsqueeze(1)  # [T, B, 3 * width]
        if self.previous is not None:
            return self._letters(hidden, context, self.previous)
        hiddens = unroll(context, hidden, self.recurrent.weight, self.recurrent.bias)  # [T, B, width]
        rows = self.out(hiddens).tanh()  # [T, B, C * W]
        return rows.unflatten(2, (self.shape[0], self.shape[2])).permute(1, 2, 0, 3).contiguous()

    def _letters(self, hidden: Tensor, context: Tensor, previous: nn.Linear) -> Tensor:
        inner, _, out = self.out
        noise = gumbel_like(context.new_empty(*context.shape[:2], out.out_features, dtype=torch.float32))
        weights = (previous.weight, inner.weight, inner.bias, out.weight, out.bias)
        writer = Writer(self.recurrent.weight, self.recurrent.bias, *weights)
        return write(context, hidden, noise, self.temperature, writer).transpose(0, 1)


class RecurrentFeatures(nn.Module):
    """The body of a discriminator: a bidirectional quasi-recurrent layer, read at its two ends and on average.

    What a step says is found from it and its two neighbours, for all steps at once: a candidate c and a share u for
    each direction. Only h_t = u_t h_{t-1} + (1 - u_t) c_t is left to do step by step (Bradbury et al. 2017,
    arXiv:1611.01576, eq. 3; there c is a tanh of the window, here a second layer on it, without one).

    Args:
        data: the data's spec.
        width: units of the layer in each direction.

    Attributes:
        size: number of features of an example.
    """

    def __init__(self, data: DataSpec, width: int) -> None:
        super().__init__()
        _, features = steps_of(data)
        self.size = 2 * width
        self.look = nn.Sequential(nn.Linear(3 * features, 2 * width), nn.LeakyReLU(SLOPE, True))
        self.gates = nn.Linear(2 * width, 4 * width)
        self.mix = nn.Sequential(nn.Linear(4 * width, 2 * width), nn.LeakyReLU(SLOPE, True))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` or letters ``[B, T, F]`` -> ``[B, size]``."""
        if x.dim() == 4:
            x = x.transpose(1, 2).flatten(2)  # [B, H, C * W]
        x = nn.functional.pad(x.transpose(0, 1), (0, 0, 0, 0, 1, 1))  # [T + 2, B, F]
        windows = torch.cat([x[:-2], x[1:-1], x[2:]], dim=2)
        onwards, backwards = self.gates(self.look(windows)).float().chunk(2, dim=2)  # [T, B, 2 * width] each
        candidates, shares = torch.stack([onwards, backwards.flip(0)], dim=1).chunk(2, dim=3)  # [T, 2, B, width] each
        hidden = torch.zeros_like(candidates[0])
        hiddens = []
        for candidate, share in zip(candidates.unbind(), shares.sigmoid().unbind(), strict=True):
            hidden = torch.lerp(candidate, hidden, share)
            hiddens.append(hidden)
        summary = torch.cat([torch.stack(hiddens).mean(dim=0), hidden])  # [4, B, width]
        return self.mix(summary.transpose(0, 1).flatten(1))


def steps_of(data: DataSpec) -> tuple[int, int]:
    """(T, F): the rows of an image and the values of each, or the letters of a word and their levels."""
    if not data.is_image:
        return data.shape[0], data.levels
    channels, height, width = data.shape
    return height, channels * width


def one_hot(levels: Tensor, size: int) -> Tensor:
    """Levels ``[...]`` as float32 ``[..., size]``: 1 at the level and 0 elsewhere."""
    return (levels.unsqueeze(-1) == torch.arange(size, device=levels.device)).float()

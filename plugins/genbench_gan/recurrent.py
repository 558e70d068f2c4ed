"""Networks of the recurrent GANs: an example is a sequence of steps, the rows of an image or the letters of a word.

Inside, sequences are float32 ``[B, T, F]``: rows of F = C * W values in [-1, 1], or letters one-hot over F levels, of
which level 0 is padding and level 1 the end symbol. Outside, rows make up images ``[B, C, H, W]``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genbench import DataSpec
from genbench_blocks.likelihoods import gumbel_like

PADDING, END = 0, 1
NEVER = 1e9
"""More than any logit: its negative is the noise of a letter that cannot come."""


class GRUGenerator(nn.Module):
    """z, and a label where ``classes`` is given, to a sequence, each step from the one before.

    A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078, in cuDNN's form) is fed with z, the label, the place in
    the sequence and the step that it gave last. What z, label and place contribute to the gates does not depend on
    the other steps and is computed once a sequence.

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
        self.previous = nn.Linear(features, 3 * width, bias=False)
        self.recurrent = nn.Linear(width, 3 * width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2, True), nn.Linear(width, features))
        self.register_buffer("padding", one_hot(torch.tensor(PADDING), features), persistent=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, latent]`` and int64 ``[B]`` -> images ``[B, C, H, W]`` or letters ``[B, T, F]``."""
        if self.embedding is not None:
            z = z + self.embedding(labels)
        hidden = self.start(z).float().tanh()  # of bfloat16 under autocast
        context = self.context(z) + self.place.unsqueeze(1)  # [T, B, 3 * width]
        if len(self.shape) == 1:
            return torch.stack(self._letters(hidden, context), dim=1)
        rows = torch.stack(self._rows(hidden, context), dim=1)  # [B, H, C * W]
        return rows.unflatten(2, (self.shape[0], self.shape[2])).transpose(1, 2)

    def _rows(self, hidden: Tensor, context: Tensor) -> list[Tensor]:
        """The rows of images, ``[B, C * W]`` each, in [-1, 1]."""
        rows: list[Tensor] = []
        for outside in context.unbind():
            hidden = self._advance(hidden, outside, rows[-1] if rows else None)
            rows.append(self.out(hidden).tanh())
        return rows

    def _letters(self, hidden: Tensor, context: Tensor) -> list[Tensor]:
        """The letters of words, one-hot ``[B, F]`` each. Generation stops at the end symbol: padding follows it, and
        comes nowhere else."""
        letters: list[Tensor] = []
        going = hidden.new_ones(len(hidden), 1)  # 1 until the end symbol has come, then 0
        noise = gumbel_like(hidden.new_empty(self.steps, len(hidden), len(self.padding)))
        noise[:, :, PADDING] = -NEVER
        for outside, gumbel in zip(context.unbind(), noise.unbind(), strict=True):
            hidden = self._advance(hidden, outside, letters[-1] if letters else None)
            drawn = self._draw(self.out(hidden) + gumbel)
            letters.append(torch.lerp(self.padding.expand_as(drawn), drawn, going))
            going = going * (1.0 - drawn[:, END : END + 1].detach())
        return letters

    def _advance(self, hidden: Tensor, outside: Tensor, previous: Tensor | None) -> Tensor:
        """The next hidden state, float32 ``[B, width]``, under autocast too: rounding would add up over the steps.

        Args:
            hidden: the last, ``[B, width]``.
            outside: what the context contributes to the gates, ``[B, 3 width]``.
            previous: the previous step, ``[B, F]``, or None for the first.
        """
        if previous is not None:
            outside = outside + self.previous(previous)
        width = hidden.shape[1]
        gates_in, candidate_in = outside.float().split([2 * width, width], dim=1)
        gates_h, candidate_h = self.recurrent(hidden).float().split([2 * width, width], dim=1)
        reset, update = torch.sigmoid(gates_in + gates_h).chunk(2, dim=1)
        candidate = torch.tanh(torch.addcmul(candidate_in, reset, candidate_h))
        return torch.lerp(candidate, hidden, update)

    def _draw(self, noisy: Tensor) -> Tensor:
        """One-hot draws, ``[B, F]``, from logits to which Gumbel noise was added, ``[B, F]``.

        Forwards they are exact (Gumbel-max), backwards they are the softmax at a temperature: the straight-through
        Gumbel-softmax estimator (Jang et al. 2017, arXiv:1611.01144, section 2.2).
        """
        hard = one_hot(noisy.argmax(dim=1), noisy.shape[1])
        if not noisy.requires_grad:
            return hard
        soft = torch.softmax(noisy / self.temperature, dim=1)
        return hard + (soft - soft.detach())


class GRUFeatures(nn.Module):
    """The body of a discriminator: a bidirectional recurrent layer, read at its two ends and on average.

    Args:
        data: the data's spec.
        width: units of the layer in each direction.

    Attributes:
        size: number of features of an example.
    """

    def __init__(self, data: DataSpec, width: int) -> None:
        super().__init__()
        _, features = steps_of(data)
        self.recurrent = nn.GRU(features, width, batch_first=True, bidirectional=True)
        self.mix = nn.Sequential(nn.Linear(4 * width, 2 * width), nn.LeakyReLU(0.2, True))
        self.size = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` or letters ``[B, T, F]`` -> ``[B, size]``."""
        if x.dim() == 4:
            x = x.transpose(1, 2).flatten(2)  # [B, H, C * W]
        outputs, ends = self.recurrent(x)  # [B, T, 2 * width] and [2, B, width]
        return self.mix(torch.cat([outputs.mean(dim=1), ends[0], ends[1]], dim=1))


def steps_of(data: DataSpec) -> tuple[int, int]:
    """(T, F): the rows of an image and the values of each, or the letters of a word and their levels."""
    if not data.is_image:
        return data.shape[0], data.levels
    channels, height, width = data.shape
    return height, channels * width


def one_hot(levels: Tensor, size: int) -> Tensor:
    """Levels ``[...]`` as float32 ``[..., size]``: 1 at the level and 0 elsewhere."""
    return (levels.unsqueeze(-1) == torch.arange(size, device=levels.device)).float()

"""Networks of the convolutional GANs, after DCGAN (Radford et al. 2016, arXiv:1511.06434).

Images are float32 in [-1, 1], ``[B, C, H, H]``. Inside the generator they are laid out channels-last, which is the
faster order for convolutions on CPUs.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from genbench_gan.attention import SelfAttention2d
from genbench_gan.norms import ConditionalBatchNorm2d, normalised

WIDEST = 256
"""Channels above which doubling stops."""


def pyramid(side: int) -> tuple[int, int]:
    """(base, doublings): the side halved while that is whole and leaves 4 or more. 8 -> (4, 1), 28 -> (7, 2)."""
    base, doublings = side, 0
    while base % 2 == 0 and base // 2 >= 4:
        base, doublings = base // 2, doublings + 1
    return base, doublings


class Generator(nn.Module):
    """z, and a label where ``classes`` is given, to an image: a linear layer to the base resolution, transposed
    convolutions that double it, batch normalisation and ReLU after each, a last convolution and tanh.

    Args:
        shape: (C, H, H) of the images.
        latent: dimensions of z.
        width: channels at full resolution, doubled at each halving up to :data:`WIDEST`.
        classes: number of classes for conditional batch normalisation; None for an unconditional generator.
        spectral: whether layers are spectrally normalised.
        attention: whether there is self-attention at half resolution.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int,
        width: int,
        classes: int | None = None,
        spectral: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.base, doublings = pyramid(shape[-1])
        channels = [min(width << level, WIDEST) for level in range(doublings, -1, -1)]
        self.project = normalised(nn.Linear(latent, self.base**2 * channels[0], bias=False), spectral)
        self.up = nn.ModuleList(
            normalised(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), spectral)
            for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(size) if classes is None else ConditionalBatchNorm2d(size, classes) for size in channels
        )
        self.attention = SelfAttention2d(channels[-2], spectral) if attention else None
        self.to_image = normalised(nn.Conv2d(channels[-1], shape[0], 3, padding=1), spectral)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, latent]`` and int64 ``[B]`` -> ``[B, C, H, H]`` in [-1, 1]."""
        given = () if labels is None else (labels,)
        # The projection is read as [B, H, W, C], which is the channels-last layout without a copy.
        h = self.project(z).unflatten(1, (self.base, self.base, -1)).permute(0, 3, 1, 2)
        h = self.norms[0](h, *given).relu_()
        for place, (up, norm) in enumerate(zip(self.up, self.norms[1:], strict=True), start=1):
            if self.attention is not None and place == len(self.up):
                h = self.attention(h)
            h = norm(up(h), *given).relu_()
        return self.to_image(h).tanh()


class Features(nn.Module):
    """The body of a discriminator: convolutions of stride 2 and leaky ReLU, once more than the generator doubles,
    then flattened. No batch normalisation, so that each image is judged by itself.

    Args:
        shape: (C, H, H) of the images.
        width: channels after the first layer, doubled at each further one up to :data:`WIDEST`.
        spectral: whether layers are spectrally normalised.
        deep: whether a 3x3 convolution of stride 1 precedes each layer but the last, as in the standard network of
            Miyato et al. 2018 (arXiv:1802.05957, table 3).
        attention: whether there is self-attention at half resolution.

    Attributes:
        size: number of features of an image.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, spectral: bool = False, deep: bool = False, attention: bool = False
    ) -> None:
        super().__init__()
        base, doublings = pyramid(shape[-1])
        channels = [shape[0], *(min(width << level, WIDEST) for level in range(doublings + 1))]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(channels)):
            if deep and level < doublings:
                layers += [normalised(nn.Conv2d(before, after, 3, padding=1), spectral), nn.LeakyReLU(0.2, True)]
                before = after
            layers += [normalised(nn.Conv2d(before, after, 4, stride=2, padding=1), spectral), nn.LeakyReLU(0.2, True)]
            if attention and level == 0:
                layers.append(SelfAttention2d(after, spectral))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.size = channels[-1] * (base // 2) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, H]`` -> ``[B, size]``."""
        return self.layers(x)

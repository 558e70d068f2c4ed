"""Networks of the convolutional GANs, after DCGAN (Radford et al. 2016, arXiv:1511.06434).

Images are float32 in [-1, 1], ``[B, C, H, H]``. Inside the generator they are laid out channels-last, which is the
faster order for convolutions on CPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import update_bn

WIDEST = 256
"""Channels above which doubling stops."""


def pyramid(side: int) -> tuple[int, int]:
    """(base, doublings): the side halved while that is whole and leaves 4 or more. 8 -> (4, 1), 28 -> (7, 2)."""
    base, doublings = side, 0
    while base % 2 == 0 and base // 2 >= 4:
        base, doublings = base // 2, doublings + 1
    return base, doublings


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalisation whose scale and shift are learned per class (Dumoulin et al. 2017, arXiv:1610.07629).

    Statistics are of the whole batch. Scales begin at 1 and shifts at 0.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """``[B, channels, H, W]`` and int64 ``[B]`` -> ``[B, channels, H, W]``."""
        scale = self.scale(labels)[:, :, None, None]
        return torch.addcmul(self.shift(labels)[:, :, None, None], self.norm(x), scale)


class Generator(nn.Module):
    """z, and a label where ``classes`` is given, to an image: a linear layer to the base resolution, transposed
    convolutions that double it, batch normalisation and ReLU after each, a last convolution and tanh.

    Args:
        shape: (C, H, H) of the images.
        latent: dimensions of z.
        width: channels at full resolution, doubled at each halving up to :data:`WIDEST`.
        classes: number of classes for conditional batch normalisation; None for an unconditional generator.
    """

    def __init__(self, shape: tuple[int, ...], latent: int, width: int, classes: int | None = None) -> None:
        super().__init__()
        self.base, doublings = pyramid(shape[-1])
        channels = [min(width << level, WIDEST) for level in range(doublings, -1, -1)]
        self.project = nn.Linear(latent, self.base**2 * channels[0], bias=False)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
            for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(size) if classes is None else ConditionalBatchNorm2d(size, classes) for size in channels
        )
        self.to_image = nn.Conv2d(channels[-1], shape[0], 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, latent]`` and int64 ``[B]`` -> ``[B, C, H, H]`` in [-1, 1]."""
        given = () if labels is None else (labels,)
        # The projection is read as [B, H, W, C], which is the channels-last layout without a copy.
        h = self.project(z).unflatten(1, (self.base, self.base, -1)).permute(0, 3, 1, 2)
        h = self.norms[0](h, *given).relu_()
        for up, norm in zip(self.up, self.norms[1:], strict=True):
            h = norm(up(h), *given).relu_()
        return self.to_image(h).tanh()


class Features(nn.Module):
    """The body of a discriminator: convolutions of stride 2 and leaky ReLU, once more than the generator doubles,
    then flattened. No batch normalisation, so that each image is judged by itself.

    Args:
        shape: (C, H, H) of the images.
        width: channels after the first layer, doubled at each further one up to :data:`WIDEST`.
        spectral: whether layers are spectrally normalised (Miyato et al. 2018, arXiv:1802.05957).

    Attributes:
        size: number of features of an image.
    """

    def __init__(self, shape: tuple[int, ...], width: int, spectral: bool) -> None:
        super().__init__()
        base, doublings = pyramid(shape[-1])
        channels = [shape[0], *(min(width << level, WIDEST) for level in range(doublings + 1))]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [normalised(nn.Conv2d(before, after, 4, stride=2, padding=1), spectral), nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.size = channels[-1] * (base // 2) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, H]`` -> ``[B, size]``."""
        return self.layers(x)


class Discriminator(nn.Module):
    """An image to its logit of being real. Arguments as for :class:`Features`."""

    def __init__(self, shape: tuple[int, ...], width: int, spectral: bool) -> None:
        super().__init__()
        self.features = Features(shape, width, spectral)
        self.head = normalised(nn.Linear(self.features.size, 1), spectral)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, H]`` -> ``[B]``."""
        return self.head(self.features(x)).squeeze(1)


def normalised(layer: nn.Module, spectral: bool) -> nn.Module:
    """The layer, spectrally normalised where asked for."""
    return spectral_norm(layer) if spectral else layer


def refresh_batch_norm(generator: nn.Module, inputs: Iterable[tuple[Tensor, ...]]) -> None:
    """Replace the running statistics of batch normalisation by the plain mean over ``inputs``.

    Averaged weights never ran on a batch: the statistics that were averaged along with them lag behind
    (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).

    Args:
        generator: left in the mode, training or evaluation, in which it was.
        inputs: argument tuples of its forward, one a batch. Where there are none, nothing is changed.
    """
    inputs = list(inputs)
    if not inputs:
        return
    update_bn(_wrapped(inputs), _Unpacked(generator))


class _Unpacked(nn.Module):
    """``update_bn`` passes on the first element of what it is given; here that is the tuple of arguments."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = module.training

    def forward(self, arguments: tuple[Tensor, ...]) -> Tensor:
        return self.module(*arguments)


def _wrapped(inputs: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[tuple[Tensor, ...]]]:
    for arguments in inputs:
        yield (arguments,)

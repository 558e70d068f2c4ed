"""Normalisation in GANs: conditional batch normalisation, spectral normalisation, statistics of averaged weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import update_bn


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


def normalised(layer: nn.Module, spectral: bool) -> nn.Module:
    """The layer, divided by its spectral norm where asked for (Miyato et al. 2018, arXiv:1802.05957)."""
    return spectral_norm(layer) if spectral else layer


def refresh_batch_norm(generator: nn.Module, inputs: Iterable[tuple[Tensor, ...]]) -> None:
    """Replace the running statistics of batch normalisation by the plain mean over ``inputs``.

    Averaged weights never ran on a batch: the statistics that were averaged along with them lag behind
    (Izmailov et al. 2018, arXiv:1803.05407, section 3.2). Spectral norms of averaged weights are brought up to date
    by the same passes, one power iteration each.

    Args:
        generator: left in the mode, training or evaluation, in which it was.
        inputs: argument tuples of its forward, one a batch. Where there are none, nothing is changed; they are not
            looked at where the generator has no batch normalisation.
    """
    if not any(isinstance(module, _BatchNorm) for module in generator.modules()):
        return
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

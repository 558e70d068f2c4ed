"""A mixture of discretised logistics over all channels of a pixel (Salimans et al. 2017, PixelCNN++, arXiv:1701.05517).

With one channel it is :class:`genbench_blocks.likelihoods.DiscretisedLogistics`. With more, a component is chosen once
for the pixel, and in it the mean of a channel moves linearly with the channels before (section 2.2):

    P(x_1, .., x_C) = sum_k w_k prod_c P(x_c | mean_kc + sum_{d < c} tanh(a_kcd) x_d, scale_kc),    x_d in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench_blocks.likelihoods import (
    DiscretisedLogistics,
    at_least_float32,
    gumbel_like,
    log_bin_mass,
    logistic_like,
)
from genbench_blocks.pixels import to_levels, to_unit


class PixelMixture:
    """log P and samples of whole pixels.

    Attributes:
        levels: number of values of a dimension, 2 or more.
        components: of the mixture, 1 or more.
        channels: of a pixel.
        size: parameters a pixel: for each component a logit, ``channels`` means and log scales, and a coefficient for
            each pair of channels.
    """

    def __init__(self, levels: int, components: int, channels: int) -> None:
        self.levels, self.components, self.channels = levels, components, channels
        self.logistics = DiscretisedLogistics(levels, components)
        self.pairs = [(later, earlier) for later in range(channels) for earlier in range(later)]
        self.sizes = [components, components * channels, components * channels, components * len(self.pairs)]
        self.size = sum(self.sizes)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log P(x), float ``[B, *dims]``, of parameters ``[B, size, *dims]`` and uint8 ``[B, channels, *dims]``."""
        logits, means, log_scales, coefficients = self._split(parameters)
        shifts = self._shifts(coefficients, to_unit(x, self.levels).to(means.dtype))
        means = torch.stack([mean + shift for mean, shift in zip(means.unbind(2), shifts, strict=True)], dim=2)
        log_mass = log_bin_mass(x.unsqueeze(1), means, log_scales, self.levels).sum(dim=2)  # [B, components, *dims]
        return torch.logsumexp(logits + log_mass, dim=1) - torch.logsumexp(logits, dim=1)

    def sample(self, parameters: Tensor) -> Tensor:
        """uint8 ``[B, channels, *dims]`` from parameters ``[B, size, *dims]``: a component for the pixel, then one
        logistic draw a channel, rounded to the nearest level and clipped before the next channel sees it."""
        logits, means, log_scales, coefficients = self._split(parameters)
        chosen = (logits + gumbel_like(logits)).argmax(dim=1, keepdim=True).unsqueeze(2)  # [B, 1, 1, *dims]
        means, log_scales = (of_component(each, chosen) for each in (means, log_scales))  # [B, 1, channels, *dims]
        coefficients = of_component(coefficients, chosen) if self.pairs else coefficients
        x = torch.zeros_like(means[:, 0], dtype=torch.uint8)
        for channel in range(self.channels):
            shift = self._shifts(coefficients, to_unit(x, self.levels).to(means.dtype))[channel]
            mean = (means[:, :, channel] + shift).squeeze(1)
            x[:, channel] = to_levels(mean + log_scales[:, 0, channel].exp() * logistic_like(mean), self.levels)
        return x

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits ``[B, components, *dims]``; means and log scales ``[B, components, channels, *dims]``; coefficients
        in (-1, 1) ``[B, components, pairs, *dims]``."""
        logits, means, log_scales, coefficients = at_least_float32(parameters).split(self.sizes, dim=1)
        each = (self.components, self.channels)
        means, log_scales = self.logistics.started(means.unflatten(1, each), log_scales.unflatten(1, each))
        return logits, means, log_scales, coefficients.unflatten(1, (self.components, len(self.pairs))).tanh()

    def _shifts(self, coefficients: Tensor, values: Tensor) -> list[Tensor | float]:
        """What the earlier channels add to the mean of each, ``[B, components, *dims]``, given ``values``
        ``[B, channels, *dims]`` in [-1, 1]; 0 for the first."""
        shifts: list[Tensor | float] = [0.0] * self.channels
        for index, (later, earlier) in enumerate(self.pairs):
            shifts[later] = shifts[later] + coefficients[:, :, index] * values[:, earlier : earlier + 1]
        return shifts


def of_component(each: Tensor, chosen: Tensor) -> Tensor:
    """``[B, 1, k, *dims]`` of ``[B, components, k, *dims]``: those of the component ``chosen`` ``[B, 1, 1, *dims]``."""
    return each.gather(1, chosen.expand(-1, -1, each.shape[2], *chosen.shape[3:]))

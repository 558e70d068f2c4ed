"""Distributions of discrete pixels given a network's output: categorical, and mixtures of discretised logistics.

Both give the log of a probability *mass*, in nats, of each dimension of uint8 data, and both sum to one over the
levels. They have one interface, so that a decoder is written once:

    output = discrete_output(levels)
    parameters = network(...)                      # [B, output.size, *dims]
    output.log_prob(parameters, x)                 # x uint8 [B, *dims] -> float [B, *dims], nats
    output.sample(parameters)                      # -> uint8 [B, *dims]

Random numbers come from torch's default generators. No operation has a nondeterministic kernel on CUDA.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genbench_blocks.pixels import to_levels

MAX_CATEGORICAL_LEVELS = 8
"""Up to here a logit a level. More levels are grey values, whose neighbours a mixture lets share their evidence: with
17 levels and 900 training images the VAE reached 2.00 bits/dim by a mixture and 2.07 by logits."""


FAR = 1e6
"""Where the bins of the outermost levels end. It is more than a hundred of the largest scales from any mean that is not
itself astronomical, and small enough that its multiples by the smallest scale's inverse are finite."""


class Categorical:
    """A logit for each level, and nothing assumed of their order.

    Attributes:
        levels: number of values of a dimension, 2 or more.
        size: parameters a dimension: ``levels`` logits.
    """

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.size = levels

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log P(x), float ``[B, *dims]``, of logits ``[B, levels, *dims]`` and uint8 ``[B, *dims]``."""
        # A gather: cross_entropy would do the same, but its spatial form has no deterministic CUDA kernel.
        return F.log_softmax(at_least_float32(parameters), dim=1).gather(1, x.long().unsqueeze(1)).squeeze(1)

    def sample(self, parameters: Tensor) -> Tensor:
        """uint8 ``[B, *dims]`` from logits ``[B, levels, *dims]``, by the Gumbel-max trick."""
        logits = at_least_float32(parameters)
        return (logits + gumbel_like(logits)).argmax(dim=1).to(torch.uint8)


class DiscretisedLogistics:
    """A mixture of logistic densities, each integrated over the bin of a level, with exact edge bins.

    Level v stands for the point s = 2 v / (levels - 1) - 1 and the bin of half-width h = 1 / (levels - 1) about it;
    the outermost bins reach to infinity, so the masses sum to one (Salimans et al. 2017, PixelCNN++,
    arXiv:1701.05517, equation 2, with a mixture for each dimension by itself). With a = (s + h - mean) / scale and
    b = (s - h - mean) / scale a bin's mass is written

        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)),

    whose logarithm is exact in the tails, where the original code goes over to a density.

    Attributes:
        levels: number of values of a dimension, 2 or more.
        components: of the mixture, 1 or more.
        size: parameters a dimension: a logit, a mean and a log scale for each component.
    """

    # Scales from a hundredth of a bin of 256 levels to several times the range; beyond, gradients overflow.
    LOG_SCALE = (-9.0, 4.0)

    def __init__(self, levels: int, components: int) -> None:
        self.levels = levels
        self.components = components
        self.size = 3 * components

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log P(x), float ``[B, *dims]``, of parameters ``[B, 3 components, *dims]`` and uint8 ``[B, *dims]``."""
        logits, means, log_scales = self._split(parameters)  # [B, components, *dims] each
        log_mass = log_bin_mass(x.unsqueeze(1), means, log_scales, self.levels)
        return torch.logsumexp(logits + log_mass, dim=1) - torch.logsumexp(logits, dim=1)

    def sample(self, parameters: Tensor) -> Tensor:
        """uint8 ``[B, *dims]``: a component, then a logistic draw, rounded to the nearest level and clipped."""
        logits, means, log_scales = self._split(parameters)
        chosen = (logits + gumbel_like(logits)).argmax(dim=1, keepdim=True)  # [B, 1, *dims]
        mean, log_scale = (each.gather(1, chosen).squeeze(1) for each in (means, log_scales))
        return to_levels(mean + log_scale.exp() * logistic_like(mean), self.levels)

    def started(self, means: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log scales ``[B, components, ...]`` as the mixture uses them, of a network's outputs near 0.

        The initial means are spread over the range: components that start out equal would stay so.
        """
        spread = torch.linspace(-1, 1, self.components + 2, device=means.device, dtype=means.dtype)[1:-1]
        return means + spread.view(-1, *[1] * (means.dim() - 2)), (log_scales - 2.0).clamp(*self.LOG_SCALE)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, means, log_scales = at_least_float32(parameters).chunk(3, dim=1)
        return logits, *self.started(means, log_scales)


def log_bin_mass(x: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> Tensor:
    """log of the mass that a logistic density leaves in the bin of a level; see :class:`DiscretisedLogistics`.

    Args:
        x: uint8 in ``0 .. levels - 1``, of a shape that broadcasts with the others'.
        means, log_scales: of the densities, on the range [-1, 1] of the levels.
        levels: number of values, 2 or more.
    """
    half = 1.0 / (levels - 1)
    value = 2.0 * half * x.to(means.dtype) - 1.0
    # The bin of an outermost level reaches so far out that its factors of the outer side are 1 to the last bit. To
    # say so of the bins costs less than to choose among the factors of each component.
    top = torch.where(x == levels - 1, FAR, value + half)
    bottom = torch.where(x == 0, -FAR, value - half)
    inverse_scales = torch.exp(-log_scales)
    return (
        F.logsigmoid((top - means) * inverse_scales)
        + F.logsigmoid((means - bottom) * inverse_scales)
        + torch.log(-torch.expm1((bottom - top) * inverse_scales))
    )


def discrete_output(levels: int, components: int = 5) -> Categorical | DiscretisedLogistics:
    """Categorical for up to ``MAX_CATEGORICAL_LEVELS`` levels, a mixture of ``components`` logistics beyond."""
    return Categorical(levels) if levels <= MAX_CATEGORICAL_LEVELS else DiscretisedLogistics(levels, components)


def at_least_float32(parameters: Tensor) -> Tensor:
    """A network's outputs in float32, or in float64 where they are: in half precision neighbouring levels of 256
    would be the same number, and a sum over a hundred logits would be off in its third digit."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))


def gumbel_like(tensor: Tensor) -> Tensor:
    """Independent standard Gumbel variables, in the shape, type and device of ``tensor``."""
    # -log of an exponential variable; 0 has probability 0 in theory and is kept away from the logarithm.
    return -torch.empty_like(tensor).exponential_().clamp_min(torch.finfo(tensor.dtype).tiny).log()


def logistic_like(tensor: Tensor) -> Tensor:
    """Independent standard logistic variables, likewise: the difference of two Gumbel variables is one."""
    return gumbel_like(tensor) - gumbel_like(tensor)

"""Distributions of latent codes: normal ones, a learnt mixture as the prior, and a group of a hierarchy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench_blocks.likelihoods import gumbel_like

LOG_2_PI = math.log(2.0 * math.pi)
LOG_SCALE = (-7.0, 3.0)
"""Least and largest log scale of a normal distribution that a network gives; beyond, gradients overflow."""


def log_normal(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log density of independent normal variables, in nats, summed over the last dimension."""
    standard = (z - mean) * torch.exp(-log_scale)
    return -(0.5 * standard.square() + log_scale + 0.5 * LOG_2_PI).sum(dim=-1)


class MixturePrior(nn.Module):
    """p(z) = sum_k w_k N(z; m_k, diag(s_k^2)), learnt with the rest.

    The codes of real data do not fill a standard normal, and samples from where no code is look like nothing; a
    prior that may follow the codes closes that gap (Tomczak and Welling 2018, arXiv:1705.07120, their mixture of
    Gaussians). With one component it is the standard normal and has no parameters.

    With ``classes`` it is p(z | y): the classes share the Gaussians and have weights of their own.
    """

    def __init__(self, components: int, latent: int, classes: int | None = None) -> None:
        super().__init__()
        self.latent = latent
        self.is_normal = components == 1
        if not self.is_normal:
            self.logits = nn.Parameter(torch.zeros(components) if classes is None else torch.zeros(classes, components))
            self.means = nn.Parameter(torch.randn(components, latent))
            self.log_scales = nn.Parameter(torch.full((components, latent), -0.3))

    def log_prob(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(z) or log p(z | y), float ``[B]``, of ``[B, latent]`` and labels int64 ``[B]``."""
        if self.is_normal:
            return log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
        of_each = log_normal(z.unsqueeze(1), self.means, self.log_scales)  # [B, components]
        return torch.logsumexp(of_each + F.log_softmax(self._logits(labels), dim=-1), dim=1)

    def sample(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        """``[n, latent]``."""
        noise = torch.randn(n, self.latent, device=device)
        if self.is_normal:
            return noise
        logits = self._logits(labels).expand(n, -1).contiguous()
        chosen = (logits + gumbel_like(logits)).argmax(dim=1)  # [n]
        return self.means[chosen] + self.log_scales[chosen].exp() * noise

    def _logits(self, labels: Tensor | None) -> Tensor:
        return self.logits if labels is None else F.embedding(labels, self.logits)


class LatentGroup(nn.Module):
    """One group of latent variables of a hierarchy, a map of ``channels`` at one resolution.

    Its prior p(z_l | z_<l) is normal, with mean and scale read off what the decoder has so far, and so is its
    posterior q(z_l | z_<l, x), which sees the encoder's features of that resolution too. The network of the posterior
    says how far it is from the prior, in units of the prior's scale (Vahdat and Kautz 2020, NVAE, arXiv:2007.03898,
    section 3.2): a group that has nothing to say is at a KL divergence of 0.
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.prior = nn.Sequential(nn.SiLU(), nn.Conv2d(features, 2 * channels, 1))
        self.posterior = nn.Sequential(
            nn.Conv2d(2 * features, features, 1),
            nn.GroupNorm(min(8, features // 4), features),
            nn.SiLU(),
            nn.Conv2d(features, 2 * channels, 1),
        )
        self.enter = nn.Conv2d(channels, features, 1)
        with torch.no_grad():  # start from nearly standard normal priors, and posteriors that are near them
            for last in (self.prior[-1], self.posterior[-1]):
                last.weight.mul_(0.1)

    def forward(self, features: Tensor, seen: Tensor, exact_kl: bool) -> tuple[Tensor, Tensor]:
        """Draw from the posterior.

        Args:
            features: the decoder's so far, ``[B, features, H, W]``.
            seen: the encoder's, of the same shape.
            exact_kl: whether the KL divergence is given by its formula, as training wants it for its lower variance,
                or by the log of the ratio of the densities at the draw, as an importance weight has it.

        Returns:
            The decoder's features with the draw added, and float ``[B]``, in nats: -KL(q || p), or log p(z_l | z_<l) -
            log q(z_l | z_<l, x).
        """
        mean, log_scale = self._prior(features)
        shift, log_ratio = self.posterior(torch.cat([features, seen], dim=1)).float().chunk(2, dim=1)
        log_ratio = (log_scale + log_ratio).clamp(*LOG_SCALE) - log_scale
        noise = torch.randn_like(mean)
        standard = shift + log_ratio.exp() * noise  # of the draw, in units of the prior
        z = mean + log_scale.exp() * standard
        if exact_kl:
            negative = 0.5 * (1.0 - shift.square() - (2.0 * log_ratio).exp()) + log_ratio
        else:
            negative = 0.5 * (noise.square() - standard.square()) + log_ratio
        return features + self.enter(z), negative.flatten(1).sum(dim=1)

    def draw(self, features: Tensor) -> Tensor:
        """The decoder's features ``[B, features, H, W]`` with a draw from the prior added."""
        mean, log_scale = self._prior(features)
        return features + self.enter(mean + log_scale.exp() * torch.randn_like(mean))

    def _prior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale, ``[B, channels, H, W]`` each."""
        mean, log_scale = self.prior(features).float().chunk(2, dim=1)
        return mean, log_scale.clamp(*LOG_SCALE)

"""``hvae``: a hierarchical VAE, whose latent variables come in groups from coarse to fine.

Top-down inference after Sonderby et al. 2016 (Ladder Variational Autoencoders, arXiv:1602.02282): encoder and decoder
walk down the hierarchy together, and a group's posterior sees both the image and the groups drawn before it. The
groups are maps at the decoder's resolutions as in NVAE (Vahdat and Kautz 2020, arXiv:2007.03898) and VDVAE (Child 2021,
arXiv:2011.10650), of which this is a small one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genbench import DataSpec
from genbench_blocks.likelihoods import discrete_output
from genbench_blocks.pixels import to_unit
from genbench_vae.config import HVAEConfig
from genbench_vae.latents import LOG_SCALE, LatentGroup, MixturePrior, log_normal
from genbench_vae.nets import Dense, Double, Encoder, Pixels, residuals
from genbench_vae.vae import VAE


class Stage(nn.Module):
    """A resolution of the decoder: comes from the coarser one, takes in its group of latents where it has one."""

    def __init__(self, come: nn.Module, features: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.come = come
        self.group = LatentGroup(features, channels) if channels > 0 else None
        self.go = nn.Sequential(*residuals(features, blocks))

    def forward(self, features: Tensor, seen: Tensor, exact_kl: bool) -> tuple[Tensor, Tensor | None]:
        """Features ``[B, features, H, W]`` and the group's log ratio, float ``[B]``, or None without a group."""
        features, log_ratio = self.come(features), None
        if self.group is not None:
            features, log_ratio = self.group(features, seen, exact_kl)
        return self.go(features), log_ratio

    def draw(self, features: Tensor) -> Tensor:
        features = self.come(features)
        return self.go(features if self.group is None else self.group.draw(features))


class Hierarchy(nn.Module):
    """Encoder, decoder with its groups of latents, and the prior of the topmost, which is a vector."""

    def __init__(self, config: HVAEConfig, data: DataSpec) -> None:
        super().__init__()
        self.levels = data.levels
        self.output = discrete_output(data.levels, config.logistics)
        self.encoder = Encoder(data.shape, config.width, 2 * config.latent, config.dropout, config.blocks)
        self.prior = MixturePrior(config.prior_components, config.latent)
        self.shape = shape = self.encoder.shape
        self.dense = Dense(config.latent, shape.flat, math.prod(shape.coarsest), config.dropout, classes=None)

        coarsest = len(shape.widths) - 1
        stages: list[nn.Module] = []
        for stage in reversed(range(len(shape.widths))):  # coarsest first
            features, below = shape.widths[stage], shape.widths[min(stage + 1, coarsest)]
            come = Double(below, features, shape.sizes[stage]) if stage < coarsest else nn.Identity()
            channels = config.channels if stage < config.groups else 0
            stages.append(Stage(come, features, channels, config.blocks if stage < coarsest else 0))
        self.stages = nn.ModuleList(stages)
        self.pixels = Pixels(shape, self.output.size)

    def forward(self, x: Tensor, labels: Tensor | None = None, exact_kl: bool = False) -> tuple[Tensor, Tensor]:
        """log p(x | z) and log p(z) - log q(z | x), float ``[B]`` each, at one draw of all groups z = (z_0, ..., z_L).

        With ``exact_kl`` the groups below the topmost give -KL(q(z_l | z_<l, x) || p(z_l | z_<l)) instead,
        at the draw of those above, which has the same expectation and less variance.
        """
        seen = self.encoder.features(to_unit(x, self.levels))  # finest first
        mean, log_scale = self.encoder.dense(seen[-1].flatten(1)).float().chunk(2, dim=1)  # [B, latent] each
        log_scale = log_scale.clamp(*LOG_SCALE)
        z = mean + log_scale.exp() * torch.randn_like(mean)
        log_ratio = self.prior.log_prob(z) - log_normal(z, mean, log_scale)

        features = self._coarsest(z)
        for stage, of_image in zip(self.stages, reversed(seen), strict=True):
            features, of_group = stage(features, of_image, exact_kl)
            if of_group is not None:
                log_ratio = log_ratio + of_group
        return self.output.log_prob(self.pixels(features), x).flatten(1).sum(dim=1), log_ratio

    def sample(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``: every group from its prior, coarse to fine, then pixels."""
        features = self._coarsest(self.prior.sample(n, device))
        for stage in self.stages:
            features = stage.draw(features)
        return self.output.sample(self.pixels(features))

    def _coarsest(self, z: Tensor) -> Tensor:
        return self.dense(z).unflatten(1, self.shape.coarsest)


class HVAE(VAE):
    """Trained, averaged and scored as ``vae`` is; the weight is p(x, z_0, ..., z_L) / q(z_0, ..., z_L | x)."""

    config: HVAEConfig

    def networks(self, config: HVAEConfig, data: DataSpec) -> nn.Module:
        return Hierarchy(config, data)

    def bound(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.net(x, labels, exact_kl=True)

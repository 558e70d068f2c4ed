"""``vae``: a variational autoencoder of discrete pixels (Kingma and Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_blocks.averaged import AveragedModel
from genbench_blocks.likelihoods import discrete_output
from genbench_blocks.pixels import to_unit
from genbench_vae.config import VAEConfig
from genbench_vae.latents import LOG_SCALE, MixturePrior, log_normal
from genbench_vae.nets import Decoder, Encoder


class Networks(nn.Module):
    """Encoder q(z | x), decoder p(x | z) and prior p(z), as one module to average and to store.

    With ``classes`` all three are given the label y too, and everything below is of p(x | y).
    """

    def __init__(self, config: VAEConfig, data: DataSpec, classes: int | None = None) -> None:
        super().__init__()
        self.levels = data.levels
        self.output = discrete_output(data.levels, config.logistics)
        shared = {"dropout": config.dropout, "blocks": config.blocks, "classes": classes}
        self.encoder = Encoder(data.shape, config.width, 2 * config.latent, **shared)
        self.decoder = Decoder(data.shape, config.width, config.latent, self.output.size, **shared)
        self.prior = MixturePrior(config.prior_components, config.latent, classes)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """log p(x | z) and log p(z) - log q(z | x), float ``[B]`` each, at one draw z ~ q(z | x) an example."""
        mean, log_scale = self.encoder(to_unit(x, self.levels), labels).float().chunk(2, dim=1)  # [B, latent] each
        log_scale = log_scale.clamp(*LOG_SCALE)
        z = mean + log_scale.exp() * torch.randn_like(mean)
        log_likelihood = self.output.log_prob(self.decoder(z, labels), x).flatten(1).sum(dim=1)
        return log_likelihood, self.prior.log_prob(z, labels) - log_normal(z, mean, log_scale)

    def sample(self, n: int, device: torch.device, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``: a code from the prior, then pixels from the decoder's distribution."""
        return self.output.sample(self.decoder(self.prior.sample(n, device, labels), labels))


class VAE(AveragedModel):
    """A convolutional VAE whose decoder gives each pixel a distribution over its levels.

    A pixel is categorical where there are few levels, else a mixture of discretised logistics. Trained on the
    evidence lower bound with the KL term warmed up; scored by the average of the weights.
    """

    conditional = False

    def __init__(self, config: VAEConfig, data: DataSpec, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        super().__init__(self.networks(config, data).to(device), config)

    def networks(self, config: Any, data: DataSpec) -> nn.Module:
        """What is trained, with ``forward`` and ``sample`` as of :class:`Networks`."""
        return Networks(config, data)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        self.net.train()
        terms = self.bound(batch.x, batch.labels if self.conditional else None)
        log_likelihood, negative_kl = (each.mean() for each in terms)
        loss = -(log_likelihood + self.kl_weight(progress) * negative_kl) / self.data.dims
        self.descend(loss, progress, len(batch.x))
        return {"nats": -(log_likelihood + negative_kl).detach(), "kl": -negative_kl.detach()}

    def bound(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """The terms of the evidence lower bound that is trained: log p(x | z) and -KL(q || p), or unbiased estimates
        of them, float ``[B]`` each, in nats."""
        return self.net(x, labels)

    def kl_weight(self, progress: float) -> float:
        """Of the KL term in the loss: rises from 0 to 1 over the first ``kl_warmup`` of the budget."""
        return min(1.0, progress / self.config.kl_warmup) if self.config.kl_warmup > 0 else 1.0

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``."""
        return self.ema.average.sample(n, self.device, labels)

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x, z) - log q(z | x) at one draw z ~ q(z | x), float ``[B]``: the log of an unbiased estimate of
        P(x) (Burda et al. 2016, arXiv:1509.00519); given labels, of P(x | y)."""
        log_likelihood, negative_kl = self.ema.average(x, labels)
        return log_likelihood + negative_kl

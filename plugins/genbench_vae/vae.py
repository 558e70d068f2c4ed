"""``vae``: a variational autoencoder of discrete pixels (Kingma and Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_blocks.descent import Descent
from genbench_blocks.ema import EMA
from genbench_blocks.likelihoods import discrete_output, gumbel_like
from genbench_blocks.pixels import to_unit
from genbench_vae.config import VAEConfig
from genbench_vae.nets import Decoder, Encoder, initialise_last

LOG_2_PI = math.log(2.0 * math.pi)


class MixturePrior(nn.Module):
    """p(z) = sum_k w_k N(z; m_k, diag(s_k^2)), learnt with the rest.

    The codes of real data do not fill a standard normal, and samples from where no code is look like nothing; a
    prior that may follow the codes closes that gap (Tomczak and Welling 2018, arXiv:1705.07120, their mixture of
    Gaussians). With one component it is the standard normal and has no parameters.
    """

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.is_normal = components == 1
        if not self.is_normal:
            self.logits = nn.Parameter(torch.zeros(components))
            self.means = nn.Parameter(torch.randn(components, latent))
            self.log_scales = nn.Parameter(torch.full((components, latent), -0.3))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), float ``[B]``, of ``[B, latent]``."""
        if self.is_normal:
            return log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
        of_each = log_normal(z.unsqueeze(1), self.means, self.log_scales)  # [B, components]
        return torch.logsumexp(of_each + F.log_softmax(self.logits, dim=0), dim=1)

    def sample(self, n: int, device: torch.device) -> Tensor:
        """``[n, latent]``."""
        noise = torch.randn(n, self.latent, device=device)
        if self.is_normal:
            return noise
        logits = self.logits.expand(n, -1).contiguous()
        chosen = (logits + gumbel_like(logits)).argmax(dim=1)  # [n]
        return self.means[chosen] + self.log_scales[chosen].exp() * noise


def log_normal(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log density of independent normal variables, summed over the last dimension."""
    standard = (z - mean) * torch.exp(-log_scale)
    return -(0.5 * standard.square() + log_scale + 0.5 * LOG_2_PI).sum(dim=-1)


class Networks(nn.Module):
    """Encoder q(z | x), decoder p(x | z) and prior p(z), as one module to average and to store."""

    def __init__(self, config: VAEConfig, data: DataSpec) -> None:
        super().__init__()
        self.levels = data.levels
        self.output = discrete_output(data.levels, config.logistics)
        self.encoder = Encoder(data.shape, config.width, 2 * config.latent, config.dropout)
        self.decoder = Decoder(data.shape, config.width, config.latent, self.output.size, config.dropout)
        self.prior = MixturePrior(config.prior_components, config.latent)
        initialise_last(self.decoder)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x | z) and log p(z) - log q(z | x), float ``[B]`` each, at one draw z ~ q(z | x) an example."""
        mean, log_scale = self.encoder(to_unit(x, self.levels)).chunk(2, dim=1)  # [B, latent] each
        log_scale = log_scale.clamp(-7.0, 3.0)
        z = mean + log_scale.exp() * torch.randn_like(mean)
        log_likelihood = self.output.log_prob(self.decoder(z), x).flatten(1).sum(dim=1)
        return log_likelihood, self.prior.log_prob(z) - log_normal(z, mean, log_scale)


class VAE:
    """A convolutional VAE whose decoder gives each pixel a distribution over its levels.

    A pixel is categorical where there are few levels, else a mixture of discretised logistics. Trained on the
    evidence lower bound with the KL term warmed up; scored by the average of the weights.
    """

    def __init__(self, config: VAEConfig, data: DataSpec, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.nets = Networks(config, data).to(device)
        self.ema = EMA(self.nets, rampup=config.ema_half_life)
        self.descent = Descent(self.nets, config.lr, config.weight_decay, config.clip)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        self.nets.train()
        log_likelihood, negative_kl = (each.mean() for each in self.nets(batch.x))
        kl_weight = min(1.0, progress / self.config.kl_warmup) if self.config.kl_warmup > 0 else 1.0
        loss = -(log_likelihood + kl_weight * negative_kl) / self.data.dims
        self.descent.step(loss, progress)
        self.ema.update(self.nets, len(batch.x))
        return {"nats": -(log_likelihood + negative_kl).detach(), "kl": -negative_kl.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``: a code from the prior, then pixels from the decoder's distribution."""
        nets = self.ema.average
        return nets.output.sample(nets.decoder(nets.prior.sample(n, self.device)))

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x, z) - log q(z | x) at one draw z ~ q(z | x), float ``[B]``: the log of an unbiased estimate of
        P(x) (Burda et al. 2016, arXiv:1509.00519)."""
        log_likelihood, negative_kl = self.ema.average(x)
        return log_likelihood + negative_kl

    def state_dict(self) -> dict[str, Any]:
        return {
            "nets": dict(self.nets.state_dict()),
            "ema": self.ema.state_dict(),
            "optimizer": self.descent.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.descent.load_state_dict(state["optimizer"])

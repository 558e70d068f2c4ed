"""``beta-vae``: a VAE that pays beta nats for a nat of its code (Higgins et al. 2017, ICLR, beta-VAE)."""

from __future__ import annotations

from genbench_vae.config import BetaVAEConfig
from genbench_vae.vae import VAE


class BetaVAE(VAE):
    """Maximises E[log p(x | z)] - beta KL(q(z | x) || p(z)) (ibid., equation 4), under a standard normal prior.

    With beta above 1 the code says less about an image, and codes of images lie where the prior draws. That loss is
    no bound on log P(x) with the constant that bits/dim need. ``log_prob`` is the VAE's own, at beta = 1: an unbiased
    estimate of P(x) whatever the weight in training was.
    """

    config: BetaVAEConfig

    def kl_weight(self, progress: float) -> float:
        """Rises from 0 to beta over the first ``kl_warmup`` of the budget."""
        return self.config.beta * super().kl_weight(progress)

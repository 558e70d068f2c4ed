"""``ae-gmm``: a deterministic autoencoder whose codes get a Gaussian mixture after training.

Ghosh et al. 2020, From Variational to Deterministic Autoencoders (arXiv:1903.12436): with a smooth decoder, a density
fitted to the codes afterwards samples as well as a VAE. Here smoothness comes from a penalty on the codes and weight
decay, their RAE-L2.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_blocks.averaged import AveragedModel
from genbench_blocks.likelihoods import gumbel_like
from genbench_blocks.pixels import to_levels, to_unit
from genbench_vae.config import AEGMMConfig
from genbench_vae.nets import Decoder, Encoder

ENCODED_PER_TRAINED = 1 / 8
"""Images encoded for the mixture, at most, for each image trained on. Encoding one costs about a sixth of training on
one, so that this is some 2 % of what training took; the core allows 5 %."""
CODES_PER_DIMENSION = 2
"""Codes that a full covariance needs for each dimension of the code; with fewer there are fewer components."""
LEAST_VARIANCE = 1e-3
"""Added to the covariances' diagonals, in units of the codes' mean variance."""


class Networks(nn.Module):
    """Encoder and decoder, as one module to average and to store."""

    def __init__(self, config: AEGMMConfig, data: DataSpec) -> None:
        super().__init__()
        self.levels = data.levels
        self.encoder = Encoder(data.shape, config.width, config.latent, config.dropout, config.blocks)
        self.decoder = Decoder(data.shape, config.width, config.latent, 1, config.dropout, config.blocks)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``[B, latent]`` of uint8 ``[B, C, H, W]``."""
        return self.encoder(to_unit(x, self.levels))

    def decode(self, z: Tensor) -> Tensor:
        """Images in about [-1, 1], float ``[B, C, H, W]``, of codes ``[B, latent]``."""
        return self.decoder(z).squeeze(1)


class AutoencoderMixture(AveragedModel):
    """Minimises squared error; samples by decoding draws from a Gaussian mixture. There is no likelihood."""

    def __init__(self, config: AEGMMConfig, data: DataSpec, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        super().__init__(Networks(config, data).to(device), config)
        self.mixture: dict[str, Tensor] | None = None  # logits [K], means [K, latent], factors [K, latent, latent]

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        self.net.train()
        codes = self.net.encode(batch.x)
        errors = (self.net.decode(codes) - to_unit(batch.x, self.data.levels)).square().flatten(1).sum(dim=1)  # [B]
        error, norm = errors.mean(), codes.square().sum(dim=1).mean()
        loss = 0.5 * (error + self.config.code_penalty * norm) / self.data.dims
        self.descend(loss, progress, len(batch.x))
        return {"squared_error": error.detach() / self.data.dims, "code_norm": norm.detach()}

    @torch.no_grad()
    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        """Fit the mixture on the codes of training images; nothing else changes.

        scikit-learn's EM draws its start from NumPy's global generator, which the core has seeded.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        codes = self._codes(batches)  # float64 [N, latent]
        components = max(1, min(self.config.components, len(codes) // (CODES_PER_DIMENSION * codes.shape[1])))
        # EM stops early rather than late: a mixture that has not converged is still a mixture.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = GaussianMixture(
                components, reg_covar=LEAST_VARIANCE * float(codes.var(dim=0).mean()) + 1e-6, max_iter=200, n_init=1
            ).fit(codes.numpy())
        factors = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_))
        self.mixture = {
            "logits": torch.from_numpy(fitted.weights_).log().to(self.device, torch.float32),
            "means": torch.from_numpy(fitted.means_).to(self.device, torch.float32),
            "factors": factors.to(self.device, torch.float32),
        }

    def _codes(self, batches: Iterator[Batch]) -> Tensor:
        """Codes of distinct training images, float64 ``[N, latent]`` on the CPU, N of 2 or more."""
        wanted = min(self.config.codes, int(self.ema.images * ENCODED_PER_TRAINED))
        images = torch.cat([batch.x for batch in _until(wanted, batches)])
        # The batches run across epochs: images that came twice would tell the mixture nothing new.
        images = torch.unique(images, dim=0)
        parts = images.split(max(self.config.batch_size, 2))
        codes = torch.cat([self.ema.average.encode(part) for part in parts]).cpu().double()
        return codes if len(codes) > 1 else codes.expand(2, -1)  # EM wants two points, a batch may hold one

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``: decoded draws from the mixture, rounded to the nearest level.

        Raises:
            RuntimeError: if no mixture has been fitted.
        """
        if self.mixture is None:
            raise RuntimeError("ae-gmm samples from a mixture that prepare_for_eval fits, and it was not called")
        logits, means, factors = (self.mixture[name] for name in ("logits", "means", "factors"))
        component = (logits + gumbel_like(logits.expand(n, -1).contiguous())).argmax(dim=1)  # [n]
        noise = torch.randn(n, means.shape[1], 1, device=self.device)
        z = means[component] + (factors[component] @ noise).squeeze(2)  # [n, latent]
        return to_levels(self.ema.average.decode(z), self.data.levels)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "mixture": None if self.mixture is None else dict(self.mixture)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        mixture = state["mixture"]
        self.mixture = None if mixture is None else {name: value.to(self.device) for name, value in mixture.items()}


def _until(wanted: int, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches until they hold ``wanted`` images, at least one batch."""
    taken = 0
    for batch in batches:
        yield batch
        taken += len(batch.x)
        if taken >= wanted:
            return

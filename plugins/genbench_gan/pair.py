"""What the GANs of this package do alike: optimisers, step sizes, the averaged generator, the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from genbench import DataSpec
from genbench_blocks.ema import EMA
from genbench_blocks.optim import load_optimizer_state, optimizer_state
from genbench_blocks.pixels import to_levels
from genbench_gan.config import AdversarialConfig

MOST_REFRESH_BATCHES = 32


class AdversarialPair:
    """A generator and a discriminator in training. Subclasses add ``train_step`` and how labels are used.

    Args:
        generator, discriminator: on the CPU; moved to ``device``.
        config: the recipe.
        data: the data's spec.
        device: where to train.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        config: AdversarialConfig,
        data: DataSpec,
        device: torch.device,
    ) -> None:
        self.config, self.data, self.device = config, data, device
        self.generator = generator.to(device)
        self.discriminator = discriminator.to(device)
        self.ema = EMA(self.generator, config.ema_half_life, config.ema_rampup)
        self.optimizer_g, self.optimizer_d = (
            Adam(network.parameters(), lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
            for network in (self.generator, self.discriminator)
        )
        self.steps = 0

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """``n`` images of the averaged generator, uint8 ``[n, C, H, H]``; see :class:`genbench.model.Model`."""
        inputs = (self.latents(n),) if labels is None else (self.latents(n), labels)
        with torch.no_grad():
            return to_levels(self.ema.average(*inputs), self.data.levels)

    def latents(self, n: int) -> Tensor:
        """Standard normal codes, ``[n, latent]``."""
        return torch.randn(n, self.config.latent, device=self.device)

    def set_step_size(self, progress: float) -> None:
        """Constant, then linear to 0 over the last ``lr_decay`` of the budget; ``progress`` is in [0, 1)."""
        left = 1.0 - progress
        share = left / self.config.lr_decay if left < self.config.lr_decay else 1.0
        for optimizer in (self.optimizer_g, self.optimizer_d):
            for group in optimizer.param_groups:
                group["lr"] = self.config.lr * share

    def penalised(self) -> bool:
        """Whether the R1 penalty is taken in this step."""
        return self.config.r1 > 0.0 and self.steps % self.config.r1_every == 0

    def refresh_batches(self) -> int:
        """Batches from which the average's batch normalisation is recomputed before an evaluation.

        A batch through G costs about a fifth of a step, so this is at most 2 % of what training has cost; a model
        of fewer than 10 steps keeps its running statistics.
        """
        return min(MOST_REFRESH_BATCHES, self.steps // 10)

    @contextmanager
    def frozen_discriminator(self) -> Iterator[None]:
        """Gradients pass through the discriminator, and none is computed for its weights."""
        self.discriminator.requires_grad_(False)
        try:
            yield
        finally:
            self.discriminator.requires_grad_(True)

    def state_dict(self) -> dict[str, Any]:
        """Both networks, the average, the moments and the number of steps."""
        return {
            "generator": dict(self.generator.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "ema": self.ema.state_dict(),
            "optimizer_g": optimizer_state(self.optimizer_g),
            "optimizer_d": optimizer_state(self.optimizer_d),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become the pair that gave ``state``.

        Raises:
            KeyError, RuntimeError, ValueError: if the state is not one of such a pair.
        """
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.ema.load_state_dict(state["ema"])
        load_optimizer_state(self.optimizer_g, state["optimizer_g"])
        load_optimizer_state(self.optimizer_d, state["optimizer_d"])
        self.steps = int(state["steps"])


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of ``optimizer`` down the gradient of ``loss``."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

"""What all GANs do alike: the step, optimisers, step sizes, the averaged generator, the state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Adam

from genbench import Batch, DataSpec
from genbench_blocks.ema import EMA
from genbench_blocks.optim import load_optimizer_state, optimizer_state
from genbench_blocks.pixels import to_levels, to_unit
from genbench_gan.augment import augment
from genbench_gan.config import AdversarialConfig
from genbench_gan.losses import r1_penalty
from genbench_gan.norms import refresh_batch_norm

MOST_REFRESH_BATCHES = 32

Given: TypeAlias = tuple[()] | tuple[Tensor]
"""What both networks are told beside the example: nothing, or the labels, int64 ``[B]``."""


class AdversarialPair:
    """A generator and a discriminator in training. Subclasses choose networks and losses, and implement
    :class:`genbench.model.Model` without a likelihood.

    Examples are float32: images in [-1, 1], ``[B, C, H, W]``, unless :meth:`encode` and :meth:`decode` say otherwise.

    Args:
        generator: latents ``[B, latent]``, and labels if ``conditional``, to examples. On the CPU; moved to ``device``.
        discriminator: examples, and labels if ``conditional``, to logits ``[B]``; likewise. It judges each example by
            itself: nothing in it looks across the batch.
        config: the recipe.
        data: the data's spec.
        device: where to train.

    Attributes:
        conditional: whether labels are used.
        loss_d: logits of real and of generated examples, ``[B]`` each, to the discriminator's loss.
        loss_g: logits of generated examples, ``[B]``, to the generator's loss.
    """

    conditional: ClassVar[bool] = False
    loss_d: ClassVar[Callable[[Tensor, Tensor], Tensor]]
    loss_g: ClassVar[Callable[[Tensor], Tensor]]

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        config: AdversarialConfig,
        data: DataSpec,
        device: torch.device,
    ) -> None:
        if config.augment > 0 and not data.is_image:
            raise ValueError(f"augment is for images and must be 0 for examples of shape {data.shape}")
        self.config, self.data, self.device = config, data, device
        self.generator = generator.to(device)
        self.discriminator = discriminator.to(device)
        self.ema = EMA(self.generator, config.ema_half_life, config.ema_rampup)
        self.optimizer_g, self.optimizer_d = (
            Adam(network.parameters(), lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
            for network in (self.generator, self.discriminator)
        )
        self.steps = 0

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """One step of D; each ``critic_steps``-th time then one of G, through the new D on the same generated examples.

        Examples are generated for the labels of the batch, so that real and generated pairs share their classes.
        """
        self.set_schedules(progress)
        real, given = self.encode(batch.x), self.given(batch)
        is_turn_of_g = self.steps % self.config.critic_steps == self.config.critic_steps - 1
        with torch.set_grad_enabled(is_turn_of_g):
            fake = self.generator(self.latents(len(real)), *given)

        logs = self._step_discriminator(real, fake.detach(), given)
        if is_turn_of_g:
            with self.frozen_discriminator():
                loss = self.generator_loss(fake, given)
                self._descend(self.optimizer_g, loss)
            logs["loss_g"] = loss.detach()
            self.ema.update(self.generator, self.config.critic_steps * len(real))
        self.steps += 1
        return logs

    def _step_discriminator(self, real: Tensor, fake: Tensor, given: Given) -> dict[str, Tensor]:
        loss = self.discriminator_loss(real, fake, given)
        logs = {"loss_d": loss.detach()}
        penalty = self.penalty(real, fake, given)
        if penalty is not None:
            name, value, weight = penalty
            logs[name] = value.detach()
            loss = loss + weight * value
        self._descend(self.optimizer_d, loss)
        return logs

    def discriminator_loss(self, real: Tensor, fake: Tensor, given: Given) -> Tensor:
        """0-d, of real and generated examples with the same labels; without the penalty."""
        # One pass for both: no layer of D looks across examples.
        examples = augment(torch.cat([real, fake]), self.config.augment)
        logits = self.discriminator(examples, *(labels.repeat(2) for labels in given))
        return self.loss_d(*logits.chunk(2))

    def generator_loss(self, fake: Tensor, given: Given) -> Tensor:
        """0-d, of generated examples, with gradients to the generator."""
        return self.loss_g(self.discriminator(augment(fake, self.config.augment), *given))

    def penalty(self, real: Tensor, fake: Tensor, given: Given) -> tuple[str, Tensor, float] | None:
        """The penalty's name, its 0-d value and its weight in this step's loss of D; None in steps without one.

        Here R1, each ``r1_every``-th step with ``r1_every`` times the weight ``r1 / 2``.
        """
        if self.config.r1 == 0.0 or self.steps % self.config.r1_every:
            return None
        value = r1_penalty(lambda x: self.score(x, given), real)
        return "r1", value, self.config.r1_every * self.config.r1 / 2

    def score(self, x: Tensor, given: Given) -> Tensor:
        """The discriminator's logits of being real, ``[B]``, for penalties."""
        return self.discriminator(x, *given)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """``n`` examples of the averaged generator, uint8 ``[n, *shape]``; see :class:`genbench.model.Model`."""
        inputs = (self.latents(n),) if labels is None else (self.latents(n), labels)
        with torch.no_grad():
            return self.decode(self.ema.average(*inputs))

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        """Batch statistics of the averaged generator, from fresh latents and, if conditional, the batches' labels."""
        refresh_batch_norm(
            self.ema.average,
            ((self.latents(len(batch.x)), *self.given(batch)) for batch in islice(batches, self.refresh_batches())),
        )

    def encode(self, x: Tensor) -> Tensor:
        """uint8 ``[B, *shape]`` as the networks take it."""
        return to_unit(x, self.data.levels)

    def decode(self, y: Tensor) -> Tensor:
        """What the generator gives, as uint8 ``[B, *shape]``."""
        return to_levels(y, self.data.levels)

    def latents(self, n: int) -> Tensor:
        """Standard normal codes, ``[n, latent]``."""
        return torch.randn(n, self.config.latent, device=self.device)

    def given(self, batch: Batch) -> Given:
        """The batch's labels where they are used."""
        if not self.conditional:
            return ()
        assert batch.labels is not None
        return (batch.labels,)

    def set_schedules(self, progress: float) -> None:
        """Step sizes: constant, then linear to 0 over the last ``lr_decay`` of the budget, ``progress`` in [0, 1)."""
        left = 1.0 - progress
        share = left / self.config.lr_decay if left < self.config.lr_decay else 1.0
        for optimizer, ratio in ((self.optimizer_g, 1.0), (self.optimizer_d, self.config.lr_ratio)):
            for group in optimizer.param_groups:
                group["lr"] = self.config.lr * ratio * share

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

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One step of ``optimizer`` down the gradient of ``loss``, clipped where the recipe says so."""
        optimizer.zero_grad()
        loss.backward()
        if self.config.clip > 0:
            nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], self.config.clip)
        optimizer.step()

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

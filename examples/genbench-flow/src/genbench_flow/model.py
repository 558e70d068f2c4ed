"""``realnvp``: the contract of :class:`genbench.model.Model` around the flow."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_flow import RealNVPConfig
from genbench_flow.flow import Flow
from genbench_flow.state import load_optimizer_state, optimizer_state

WARM_UP_STEPS = 50
GRADIENT_NORM = 1.0
EMA_SHARE = 0.05
"""Half-life of the averaged weights, as a share of the images seen so far."""


class RealNVP:
    """An affine coupling flow on uniformly dequantised images.

    With x in {0, ..., levels - 1}^D, u uniform on [0, 1)^D and y = (x + u) / levels, a density p on [0, 1]^D gives
    P(x) = E_u[p(y)] levels^-D. So one draw of u makes log p(y) - D log(levels) the logarithm of an unbiased estimate
    of P(x): the kind ``importance``, whose mean is also the bound that is trained on (Theis et al. 2016,
    arXiv:1511.01844, section 3.1).

    Samples and likelihoods are those of the exponential moving average of the weights.
    """

    def __init__(self, config: RealNVPConfig, data: DataSpec, device: torch.device) -> None:
        self.config = config
        self.data = data
        self.device = device
        self.flow = Flow(
            (data.shape[0], data.shape[1], data.shape[2]),
            couplings=config.couplings,
            width=config.width,
            dropout=config.dropout,
            max_log_scale=config.max_log_scale,
            alpha=config.alpha,
        ).to(device)
        self.average = copy.deepcopy(self.flow).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.flow.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=True,  # one kernel for many small tensors
        )
        self.steps = 0

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """One step of maximum likelihood on uint8 ``[B, C, H, W]``."""
        y = self.dequantise(batch.x)
        if self.steps == 0:
            self.initialise(y)
        warm_up = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * progress))
        self.flow.train()
        nats = self.data.dims * math.log(self.data.levels) - self.flow.log_density(y)  # [B]
        loss = nats.mean() / self.data.dims
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.flow.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        self.steps += 1
        self.follow()
        return {"nats_per_dim": loss.detach(), "gradient_norm": norm.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``: the level in whose interval [x, x + 1) the inverse of a normal draw falls."""
        y = self.average.inverse(torch.randn(n, self.data.dims, device=self.device))
        levels = (y * self.data.levels).floor().clamp(0, self.data.levels - 1)
        return levels.to(torch.uint8).view(n, *self.data.shape)

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The logarithm of a one-draw estimate of P(x), in nats, float ``[B]``, of uint8 ``[B, C, H, W]``."""
        return self.average.log_density(self.dequantise(x)) - self.data.dims * math.log(self.data.levels)

    def dequantise(self, x: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` to (x + u) / levels in [0, 1], float ``[B, D]``."""
        flat = x.flatten(1).float()
        return (flat + torch.rand_like(flat)) / self.data.levels

    def initialise(self, y: Tensor) -> None:
        """Set scales and shifts from the first batch; done when no step was taken, which the state tells."""
        self.flow.eval().initialise(y)
        self.average.load_state_dict(self.flow.state_dict())

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averaged weights: what the model was loses half its weight every ``EMA_SHARE`` of the images."""
        weight = 1 - 0.5 ** (1 / (EMA_SHARE * self.steps))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.flow.parameters()), weight)

    def state_dict(self) -> dict[str, Any]:
        return {
            "flow": dict(self.flow.state_dict()),
            "average": dict(self.average.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises KeyError, RuntimeError or ValueError for a state that is not one of such a model."""
        self.flow.load_state_dict(state["flow"])
        self.average.load_state_dict(state["average"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.steps = int(state["steps"])

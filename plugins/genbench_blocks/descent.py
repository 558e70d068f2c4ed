"""AdamW with the schedule that suits a short budget: warm up, then fall to zero along a cosine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench_blocks.optim import load_optimizer_state, optimizer_state

WARMUP = 0.03
"""Share of the budget over which the learning rate rises from near 0 to its height."""


class Descent:
    """Minimises losses over a module's parameters.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019, arXiv:1711.05101) and falls on the
    weights of convolutions and dense layers only. The second moments are averaged over about 100 steps instead of
    the usual 1000, of which a short run may not have many; ``beta2`` says how many.

    Args:
        module: whose parameters are trained.
        lr: learning rate at its height.
        weight_decay: of weights, at the full learning rate.
        clip: the largest norm of the gradient; give losses per dimension, so that it fits images of any size.
        beta2: decay of the second moments a step.
    """

    def __init__(self, module: nn.Module, lr: float, weight_decay: float, clip: float, beta2: float = 0.99) -> None:
        self.lr, self.clip = lr, clip
        weights = [
            part.weight for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        ]
        decayed = {id(weight) for weight in weights}
        others = [parameter for parameter in module.parameters() if id(parameter) not in decayed]
        self.parameters = [*weights, *others]
        self.optimizer = torch.optim.AdamW(
            [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=lr,
            betas=(0.9, beta2),
            fused=True,
        )

    def step(self, loss: Tensor, progress: float) -> None:
        """One update from a 0-d loss; ``progress`` is the share of the budget that is spent, in [0, 1)."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * warm_cosine(progress)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return optimizer_state(self.optimizer)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        load_optimizer_state(self.optimizer, state)


def warm_cosine(progress: float, warmup: float = WARMUP) -> float:
    """A factor of the learning rate: rises linearly over the first ``warmup`` of the budget, then falls to 0 along
    half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts). In (0, 1] for progress in [0, 1)."""
    if progress < warmup:
        return max(progress, 0.01 * warmup) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (1.0 - warmup)))

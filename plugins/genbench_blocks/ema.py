"""Polyak averaging of a module, with a half-life in images instead of a decay per step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class EMA:
    """An exponential moving average of a module's parameters and floating-point buffers.

    With ``n`` images seen in all, a step on ``b`` images moves the average ``a`` towards the module's values ``w``:

        h = min(half_life, rampup * n),    d = 0.5 ** (b / h),    a <- d a + (1 - d) w

    So the weight of what the module was halves every ``h`` images whatever the batch size, and the initial weights
    are soon forgotten (Karras et al. 2020, arXiv:2006.06676, ``ema_kimg`` and ``ema_rampup`` of their code).
    Unlike ``torch.optim.swa_utils.AveragedModel``, whose decay is per step and fixed.

    Args:
        module: the module to follow. It is copied, to the same device; the copy is in evaluation mode and has no
            gradients.
        half_life: in images, above 0.
        rampup: the half-life as a share of the images seen so far, above 0; it rules as long as it is the smaller.

    Attributes:
        average: the averaged module. Buffers that are not floating point (BatchNorm's counter) are copied.
        images: the number of images seen.

    Raises:
        ValueError: if ``half_life`` or ``rampup`` is not above 0.
    """

    def __init__(self, module: nn.Module, half_life: float = 500_000, rampup: float = 0.05) -> None:
        if not half_life > 0 or not rampup > 0:
            raise ValueError(f"half_life and rampup must be above 0, not {half_life} and {rampup}")
        self.half_life = half_life
        self.rampup = rampup
        self.images = 0
        self.average = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, images: int) -> None:
        """Follow ``module`` after a step on ``images`` images (1 or more)."""
        self.images += images
        half_life = min(self.half_life, self.rampup * self.images)
        weight = 1.0 - 0.5 ** (images / half_life)

        averaged, followed = _tensors(self.average), _tensors(module)
        floating = [index for index, tensor in enumerate(averaged) if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[i] for i in floating], [followed[i] for i in floating], weight)
        for mine, theirs in zip(averaged, followed, strict=True):
            if not mine.is_floating_point():
                mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """``{"images": int, "average": the averaged module's state}``; tensors are not copied."""
        return {"images": self.images, "average": dict(self.average.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises:
            KeyError, RuntimeError: if the state is not one of such a module.
        """
        self.average.load_state_dict(state["average"])
        self.images = int(state["images"])


def _tensors(module: nn.Module) -> list[Tensor]:
    """Parameters, then buffers: the same order for a module and its copy."""
    return [*module.parameters(), *module.buffers()]

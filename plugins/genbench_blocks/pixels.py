"""Levels of uint8 images as numbers that networks take, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_unit(x: Tensor, levels: int) -> Tensor:
    """uint8 values ``0 .. levels - 1`` as float32 in [-1, 1]."""
    return x.float() * (2.0 / (levels - 1)) - 1.0


def to_levels(y: Tensor, levels: int) -> Tensor:
    """The inverse of :func:`to_unit`: rounded to the nearest level and clipped; uint8."""
    # In half precision y + 1 would be one number for neighbouring levels of 256.
    return ((y.float() + 1.0) * (0.5 * (levels - 1))).round().clamp(0, levels - 1).to(torch.uint8)

"""Differentiable augmentation of what the discriminator sees (DiffAugment, Zhao et al. 2020, arXiv:2006.10738).

Real and generated images pass through the same random transformations, so that a discriminator cannot learn few
real images by heart, and the generator gets gradients through them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 0.125
"""Largest translation, as a share of the side (the paper's)."""
CUT = 0.5
"""Sides of the rectangle that is cut out, as a share of the image's (the paper's)."""


def augment(x: Tensor, probability: float) -> Tensor:
    """Each image, with ``probability``, translated and then cut; else as it is.

    Args:
        x: images in [-1, 1], ``[B, C, H, W]``.
        probability: in [0, 1]; at 0 nothing is drawn.
    """
    if probability == 0.0:
        return x
    chosen = torch.rand(len(x), 1, 1, device=x.device) < probability
    return cut_out(translate(x, chosen), chosen)


def translate(x: Tensor, chosen: Tensor) -> Tensor:
    """Shift the chosen images by up to :data:`SHIFT` of their height and width, filling with 0.

    Args:
        x: ``[B, C, H, W]``.
        chosen: bool ``[B, 1, 1]``.
    """
    height, width = x.shape[2:]
    most_down, most_right = round(SHIFT * height), round(SHIFT * width)
    padded = F.pad(x, (most_right, most_right, most_down, most_down))
    # An offset of ``most`` into the padded image is no shift.
    down, right = (torch.where(chosen, _integers(0, 2 * most + 1, x), most) for most in (most_down, most_right))
    row, column = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)
    index = (row + down) * padded.shape[-1] + (column + right)  # [B, H, W] into the flattened padded image
    index = index.flatten(1)[:, None].expand(-1, x.shape[1], -1)  # [B, C, H * W]
    return padded.flatten(2).gather(2, index).view_as(x)


def cut_out(x: Tensor, chosen: Tensor) -> Tensor:
    """Set a rectangle of :data:`CUT` of height and width, which may lie partly outside, to 0 in the chosen images.

    Args:
        x: ``[B, C, H, W]``.
        chosen: bool ``[B, 1, 1]``.
    """
    height, width = x.shape[2:]
    cut_height, cut_width = round(CUT * height), round(CUT * width)
    top, left = (
        _integers(-(cut // 2), side - cut // 2 + 1, x) for side, cut in ((height, cut_height), (width, cut_width))
    )
    row, column = torch.arange(height, device=x.device)[:, None], torch.arange(width, device=x.device)
    rows = (row >= top) & (row < top + cut_height)  # [B, H, 1]
    columns = (column >= left) & (column < left + cut_width)  # [B, 1, W]
    return x.masked_fill((rows & columns & chosen)[:, None], 0.0)


def _integers(low: int, high: int, like: Tensor) -> Tensor:
    return torch.randint(low, high, (len(like), 1, 1), device=like.device)

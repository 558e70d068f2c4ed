"""Normalising flows for genbench. This module is what every genbench command imports, so it imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genbench import DataSpec, ModelSpec, hookimpl


@dataclass(frozen=True)
class RealNVPConfig:
    """Options of ``realnvp``.

    Attributes:
        batch_size: training images in one step.
        couplings: number of affine coupling layers; 6 pass once through all six masks.
        width: units of the hidden layers that compute scales and shifts.
        dropout: share of hidden units that are dropped in training, in [0, 1).
        learning_rate: of AdamW, after 50 steps of warm-up; it falls to 0 along a half cosine.
        weight_decay: of AdamW.
        max_log_scale: bound of the logarithm of a coupling's scales, above 0.
        alpha: how far images are kept from 0 and 1 before the logit, in (0, 0.5).
    """

    batch_size: int = 128
    couplings: int = 8
    width: int = 256
    dropout: float = 0.3
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    max_log_scale: float = 2.0
    alpha: float = 0.01

    def __post_init__(self) -> None:
        if self.couplings < 1 or self.width < 1:
            raise ValueError(f"couplings and width must be 1 or more, not {self.couplings} and {self.width}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha must be in (0, 0.5), not {self.alpha}")
        if not self.max_log_scale > 0:
            raise ValueError(f"max_log_scale must be above 0, not {self.max_log_scale}")


def needs_even_images(data: DataSpec) -> str | None:
    """Why ``data`` cannot be modelled, or None."""
    if not data.is_image:
        return "its masks are patterns on images, and the data are sequences"
    _, height, width = data.shape
    if height % 2 or width % 2:
        return f"its masks repeat every 2x2 pixels, and images of {height}x{width} are not of even size"
    return None


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec(
            name="realnvp",
            factory="genbench_flow.model:RealNVP",
            config=RealNVPConfig,
            summary="Affine coupling flow on uniformly dequantised images",
            reference="Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP, ICLR 2017, arXiv:1605.08803",
            likelihood="importance",
            supports=needs_even_images,
        )
    ]

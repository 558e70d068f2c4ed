"""Configuration of the diffusion models. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DDPMConfig:
    """Of ``ddpm``.

    Attributes:
        batch_size: images a step.
        width: features at half the image's resolution; twice as many at a quarter of it. A multiple of 8.
        blocks: residual blocks at each resolution, on the way down and again on the way up.
        attention: whether there is self-attention at a quarter of the resolution.
        steps: T, noise levels of the forward process, 2 or more.
        schedule: ``cosine`` or ``linear``.
        sample_steps: noise levels that sampling visits, 1 .. T.
        eta: noise added while sampling: 1 for ancestral sampling, 0 for the deterministic DDIM.
        dropout: share of features dropped in training, in each residual block.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions and dense layers only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far.
    """

    batch_size: int = 32
    width: int = 32
    blocks: int = 1
    attention: bool = False
    steps: int = 1000
    schedule: str = "cosine"
    sample_steps: int = 25
    eta: float = 0.0
    dropout: float = 0.0
    lr: float = 4e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    ema_half_life: float = 0.05

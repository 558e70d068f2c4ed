"""Configuration of the autoregressive models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PixelCNNConfig:
    """Of ``pixelcnn``.

    Attributes:
        batch_size: images a step.
        channels: features of each stack; rounded up to a multiple of the image's channels.
        blocks: gated blocks.
        hidden: features of the output's hidden layer; rounded up likewise.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far.
    """

    batch_size: int = 32
    channels: int = 24
    blocks: int = 4
    hidden: int = 64
    lr: float = 6e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    ema_half_life: float = 0.05

"""Configuration of the diffusion models. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass

from genbench_blocks.ranges import Ranged, Ranges

SCHEDULES = ("cosine", "linear")


@dataclass(frozen=True)
class DDPMConfig(Ranged):
    """Of ``ddpm``.

    Attributes:
        batch_size: images a step.
        width: features at half the image's resolution; twice as many at a quarter of it. A multiple of 8.
        blocks: residual blocks at each resolution, on the way down and again on the way up.
        attention: whether there is self-attention at a quarter of the resolution.
        steps: T, noise levels of the forward process, 2 or more.
        schedule: ``cosine`` or ``linear``.
        sample_steps: noise levels that sampling visits, 1 .. T.
        eta: noise added while sampling, in [0, 1]: 1 for ancestral sampling, 0 for the deterministic DDIM.
        dropout: share of features dropped in training, in each residual block.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions and dense layers only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far; 500,000 images at most.
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

    def ranges(self) -> Ranges:
        return {
            **self.counts("batch_size", "blocks"),
            "width": (self.width >= 8 and self.width % 8 == 0, "a multiple of 8, the groups of its normalisation"),
            "steps": (self.steps >= 2, "2 or more"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "sample_steps": (1 <= self.sample_steps <= self.steps, f"1 to steps = {self.steps}"),
            **self.shares("eta"),
            **self.below_one("dropout"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay"),
        }

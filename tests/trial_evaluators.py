"""Evaluators of a third party: one that is as declared, and one for each way in which it may not be."""

from __future__ import annotations

import os
import time

import torch

DIMS = 3


class Honest(torch.nn.Module):
    """Features of 8x8 digits: the mean, the least and the greatest pixel."""

    def __init__(self, name: str, layers: list[str], weights: str) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> object:
        flat = x.flatten(1).float()
        return (torch.stack([flat.mean(1), flat.amin(1), flat.amax(1)], 1),)


class Raises(Honest):
    def forward(self, x: torch.Tensor) -> object:
        raise ValueError("sixteen channels are needed")


class Exits(Honest):
    def forward(self, x: torch.Tensor) -> object:
        raise SystemExit(0)


class TooFewFeatures(Honest):
    def forward(self, x: torch.Tensor) -> object:
        (features,) = super().forward(x)  # type: ignore[misc]
        return (features[:, :2],)


class OneImageForAll(Honest):
    def forward(self, x: torch.Tensor) -> object:
        (features,) = super().forward(x)  # type: ignore[misc]
        return (features[:1],)


class DoublePrecision(Honest):
    def forward(self, x: torch.Tensor) -> object:
        (features,) = super().forward(x)  # type: ignore[misc]
        return (features.double(),)


class BareTensor(Honest):
    def forward(self, x: torch.Tensor) -> object:
        return super().forward(x)[0]  # type: ignore[index]


class NotFiniteOnBlankImages(Honest):
    def forward(self, x: torch.Tensor) -> object:
        (features,) = super().forward(x)  # type: ignore[misc]
        return (features / (features[:, 2:] - features[:, 1:2]),)


class CannotBeBuilt(Honest):
    def __init__(self, name: str, layers: list[str], weights: str) -> None:
        raise KeyError("mean")


class Hangs(Honest):
    def forward(self, x: torch.Tensor) -> object:
        while True:
            time.sleep(0.01)


class Aborts(Honest):
    def forward(self, x: torch.Tensor) -> object:
        os.abort()

"""The one class behind all models of the zoo."""

import ctypes
import os
import sys
import time

import torch
from torch import Tensor, nn


class Zoo:
    """A mean image and noise around it; ``config.fault`` says what it does wrong."""

    def __init__(self, config, data, device) -> None:
        self.config, self.data = config, data
        size = 10_000_000 if config.fault == "too-large" else data.dims
        self.mean = nn.Parameter(torch.randn(size))
        self.steps = 0
        self.hoard: list[Tensor] = []

    def train_step(self, batch, progress: float) -> dict[str, Tensor]:
        self.steps += 1
        loss = (batch.x.flatten(1).float() - self.mean).square().mean()
        (gradient,) = torch.autograd.grad(loss, self.mean)
        with torch.no_grad():
            self.mean -= 10 * gradient
        if self.steps == 5:
            self.misbehave()
        return {"loss": loss.detach() * (torch.nan if self.config.fault == "diverges" and self.steps > 40 else 1.0)}

    def misbehave(self) -> None:
        match self.config.fault:
            case "raises":
                raise RuntimeError("a deliberate fault in train_step")
            case "exits":
                sys.exit(0)
            case "vanishes":
                os._exit(0)
            case "segfaults":
                ctypes.string_at(0)
            case "hangs":
                time.sleep(3600)
            case "hoards":
                while True:
                    self.hoard.append(torch.ones(8 << 20))
                    time.sleep(0.01)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        noisy = self.mean[: self.data.dims] + torch.randn(n, self.data.dims)
        samples = noisy.detach().round().clamp(0, self.data.levels - 1).reshape(n, *self.data.shape)
        match self.config.fault:
            case "floats":
                return samples
            case "too-bright":
                samples[n // 2, 0, 3, 4] = self.data.levels
            case "too-few":
                samples = samples[1:]
        return samples.to(torch.uint8)

    def state_dict(self) -> dict:
        state = {"mean": self.mean, "steps": self.steps}
        return state | {"device": object()} if self.config.fault == "bad-state" else state

    def load_state_dict(self, state) -> None:
        with torch.no_grad():
            self.mean.copy_(state["mean"])
        self.steps = state["steps"]


class Flatterer(Zoo):
    """A deliberate fault in its likelihood: the mean over dimensions, where the sum is asked for."""

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(self.mean, 4.0).log_prob(x.flatten(1).float()).mean(1).detach()

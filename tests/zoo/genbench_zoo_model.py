"""The classes behind all models of the zoo."""

import math

import torch
from torch import Tensor, nn

TRAINED = 100
"""Steps of a run of the zoo's benchmark; the audit of a likelihood takes another number."""


class Zoo:
    """A mean image and noise around it; ``config.fault`` says what it does wrong."""

    def __init__(self, config, data, device) -> None:
        self.config, self.data = config, data
        self.fail("raises-in-init")
        size = 10_000_000 if config.fault == "too-large" else data.dims
        self.mean = nn.Parameter(torch.randn(size))
        self.steps = 0

    def fail(self, fault: str) -> None:
        if self.config.fault == fault:
            raise RuntimeError(f"a deliberate fault: {fault}")

    def train_step(self, batch, progress: float) -> dict[str, Tensor]:
        self.steps += 1
        loss = (batch.x.flatten(1).float() - self.mean).square().mean()
        (gradient,) = torch.autograd.grad(loss, self.mean)
        with torch.no_grad():
            self.mean -= 10 * gradient
        if self.steps == 5:
            self.misbehave()
        match self.config.fault:
            case "bad-logs":
                return ["loss", 0.5]
            case "diverges" if self.steps > 40:
                loss = loss * torch.nan
        return {"loss": loss.detach()}

    def misbehave(self) -> None:
        try:
            from genbench_zoo_faults import FAULTS
        except ModuleNotFoundError:
            return  # this file alone
        if self.config.fault in FAULTS:
            FAULTS[self.config.fault]()

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        self.fail("raises-in-sample")
        noisy = self.mean[: self.data.dims] + torch.randn(n, self.data.dims)
        samples = noisy.detach().round().clamp(0, self.data.levels - 1).reshape(n, *self.data.shape)
        match self.config.fault:
            case "floats":
                return samples
            case "nan-floats":
                return samples * torch.nan
            case "wide":
                return samples.long()
            case "flat":
                samples = samples.flatten(1)
            case "too-bright":
                samples[n // 2, 0, 3, 4] = self.data.levels
            case "too-few":
                samples = samples[1:]
            case "strided":
                return samples.to(torch.uint8).transpose(2, 3).contiguous().transpose(2, 3)
        return samples.to(torch.uint8)

    def state_dict(self) -> dict:
        self.fail("raises-in-state-dict")
        mean = self.mean * torch.nan if self.config.fault == "nan-state" else self.mean
        state = {"mean": mean, "steps": self.steps}
        return state | {"device": object()} if self.config.fault == "bad-state" else state

    def load_state_dict(self, state) -> None:
        self.fail("raises-in-load-state-dict")
        with torch.no_grad():
            self.mean.copy_(state["mean"])
        self.steps = state["steps"]


class Unprepared(Zoo):
    """One that wants to be prepared for its evaluation, and fails in it."""

    def prepare_for_eval(self, batches) -> None:
        self.fail("raises-in-prepare")


class Likely(Zoo):
    """Independent pixels of a normal distribution on the levels: log P(x) = sum_d log N(x_d; mean_d, 4) / Z_d.

    Its faults wait for the end of a run's training: the audit, which comes before, finds nothing wrong.
    """

    def logits(self) -> Tensor:
        levels = torch.arange(self.data.levels, dtype=torch.float64)
        return torch.log_softmax(-(levels - self.mean[:, None]).square() / 32, dim=1)  # [D, levels]

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        drawn = self.logits().exp().multinomial(n, replacement=True)  # [D, n]
        return drawn.T.reshape(n, *self.data.shape).to(torch.uint8)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        nats = self.logits().gather(1, x.flatten(1).long().T).sum(0).detach()
        if self.steps != TRAINED:
            return nats
        self.fail("raises-in-log-prob")
        match self.config.fault:
            case "log-prob-shape":
                return nats[:, None]
            case "log-prob-nan":
                nats[len(nats) // 2] = math.nan
        return nats


class Flatterer(Zoo):
    """A deliberate fault in its likelihood: the mean over dimensions, where the sum is asked for."""

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(self.mean, 4.0).log_prob(x.flatten(1).float()).mean(1).detach()

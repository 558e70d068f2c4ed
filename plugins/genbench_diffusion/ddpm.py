"""``ddpm``: denoising diffusion (Ho et al. 2020, arXiv:2006.11239), with the variational bound of discrete pixels."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_blocks.averaged import AveragedModel
from genbench_blocks.pixels import to_levels, to_unit
from genbench_diffusion.config import DDPMConfig
from genbench_diffusion.noise import alpha_bars, bound_weights, log_mass_of_normal, step_distribution
from genbench_diffusion.unet import UNet


class DDPM(AveragedModel):
    """A network that predicts the noise in x_t = a_t x_0 + s_t noise, for T steps from data to noise.

    Trained by the plain squared error of the noise at uniform steps (equation 14); sampled along fewer steps; scored by
    the variational bound (equation 5), whose reverse process has the posterior's variances. Samples and bound come
    from the Polyak average of the weights.
    """

    def __init__(self, config: DDPMConfig, data: DataSpec, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        alpha_bar = alpha_bars(config.schedule, config.steps, data.levels)  # float64 [T + 1]
        self.alpha_bar = alpha_bar.tolist()
        self.signal, self.noise = (each.float().to(device) for each in (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt()))
        self.weights = bound_weights(alpha_bar).to(device)  # float64 [T - 1], of t = 2 .. T
        chances = step_distribution(alpha_bar)  # float64 [T], of t = 1 .. T
        # Summed up on the CPU, once: sums over many numbers are not deterministic on CUDA, nor is multinomial.
        self.chances, self.cumulative = chances.to(device), chances.cumsum(dim=0).to(device)
        net = UNet(data.shape[0], config.width, config.blocks, config.attention, config.dropout)
        super().__init__(net.to(device), config)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        self.net.train()
        x = to_unit(batch.x, self.data.levels)
        # One step from each of B equal parts of 1 .. T: still uniform, and less varied from batch to batch.
        share = (torch.arange(len(x), device=self.device) + torch.rand(len(x), device=self.device)) / len(x)
        t = (share * self.config.steps).long().clamp(max=self.config.steps - 1) + 1
        noise = torch.randn_like(x)
        loss = (self._predict(self.net, self._noisy(x, t, noise), t) - noise).square().mean()
        self.descend(loss, progress, len(x))
        return {"noise_mse": loss.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``, along ``sample_steps`` of the steps (Song et al. 2021, DDIM, arXiv:2010.02502,
        equation 12). With ``eta`` 1 each is drawn from the posterior, given the x_0 that is predicted."""
        path = torch.linspace(self.config.steps, 0, self.config.sample_steps + 1).round().long().tolist()
        x = torch.randn(n, *self.data.shape, device=self.device)
        for now, then in itertools.pairwise(path):
            t = torch.full((n,), now, device=self.device)
            clean = self._clean(x, t)
            if then == 0:
                return to_levels(clean, self.data.levels)
            a_now, a_then = self.alpha_bar[now], self.alpha_bar[then]
            noise = (x - math.sqrt(a_now) * clean) / math.sqrt(1.0 - a_now)
            fresh = self.config.eta * math.sqrt((1.0 - a_then) / (1.0 - a_now) * (1.0 - a_now / a_then))
            x = math.sqrt(a_then) * clean + math.sqrt(max(0.0, 1.0 - a_then - fresh**2)) * noise
            if fresh > 0.0:
                x = x + fresh * torch.randn_like(x)
        raise AssertionError("the path of steps ends at 0")

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """An unbiased estimate of the variational bound of log P(x) in nats, float64 ``[B]``: all of the term of the
        last step, and one of the T others, drawn by ``step_distribution`` and divided by its probability."""
        clean = to_unit(x, self.data.levels)
        t = self._drawn_steps(len(x))
        noisy = self._noisy(clean, t, torch.randn_like(clean))
        predicted = self._clean(noisy, t).double()
        error = (predicted - clean).square().flatten(1).sum(dim=1)
        divergence = self.weights[(t - 2).clamp_min(0)] * error
        first_scale = math.sqrt(1.0 - self.alpha_bar[1])  # the paper's sigma_1^2 = beta_1 (section 3.3)
        # Only few of the examples have drawn t = 1; the mass is computed for all, which costs little.
        reconstruction = log_mass_of_normal(x, predicted, first_scale, self.data.levels).flatten(1).sum(dim=1)
        term = torch.where(t == 1, reconstruction, -divergence)
        return term / self.chances[t - 1] - self._last_divergence(clean)

    def _drawn_steps(self, n: int) -> Tensor:
        """int64 ``[n]`` in 1 .. T, by ``chances``."""
        uniform = torch.rand(n, dtype=torch.float64, device=self.device)
        steps = torch.searchsorted(self.cumulative, uniform, right=True)
        return steps.clamp(max=self.config.steps - 1) + 1  # the last sum can fall short of 1 by rounding

    def _last_divergence(self, clean: Tensor) -> Tensor:
        """KL(q(x_T | x_0) || N(0, 1)), float64 ``[B]``."""
        a = self.alpha_bar[-1]
        mean_square = a * clean.double().square().flatten(1).sum(dim=1)
        return 0.5 * (mean_square - self.data.dims * (a + math.log1p(-a)))

    def _noisy(self, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """A draw of x_t, ``[B, C, H, W]``, from x_0, the steps ``[B]`` and standard normal noise."""
        return self.signal[t].view(-1, 1, 1, 1) * clean + self.noise[t].view(-1, 1, 1, 1) * noise

    def _clean(self, x: Tensor, t: Tensor) -> Tensor:
        """The x_0 that the averaged network predicts from x_t, clipped to [-1, 1]."""
        noise = self._predict(self.ema.average, x, t)
        clean = (x - self.noise[t].view(-1, 1, 1, 1) * noise) / self.signal[t].view(-1, 1, 1, 1)
        return clean.clamp(-1.0, 1.0)

    def _predict(self, net: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        return net(x, t / self.config.steps)

"""A complete genbench plugin in one file: independent pixels, estimated by counting."""

from dataclasses import dataclass

from genbench import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    batch_size: int = 4


class Marginals:
    """P(x) = prod_d P_d(x_d), with P_d(v) = (count of v at pixel d + 1) / (examples + levels)."""

    def __init__(self, config, data, device):
        import torch

        self.data = data
        self.counts = torch.ones(data.dims, data.levels, device=device)  # [D, levels]

    def train_step(self, batch, progress):
        x = batch.x.flatten(1).long()  # [B, D]
        self.counts.scatter_add_(1, x.T, self.counts.new_ones(x.T.shape))
        return {}

    def sample(self, n, labels=None):
        values = self.counts.multinomial(n, replacement=True)  # [D, n]
        return values.T.reshape(n, *self.data.shape).byte()

    def log_prob(self, x, labels=None):
        log_p = (self.counts / self.counts.sum(1, keepdim=True)).double().log()  # [D, levels]
        return log_p.gather(1, x.flatten(1).long().T).sum(0)  # [D, B] -> [B]

    def state_dict(self):
        return {"counts": self.counts}

    def load_state_dict(self, state):
        self.counts.copy_(state["counts"])


@hookimpl
def register_models():
    return [ModelSpec("my-marginals", Marginals, Config, "Independent pixels", likelihood="exact", max_epochs=1)]

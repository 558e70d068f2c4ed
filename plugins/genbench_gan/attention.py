"""Self-attention over the places of a feature map (SAGAN, Zhang et al. 2019, arXiv:1805.08318, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genbench_gan.norms import normalised


class SelfAttention2d(nn.Module):
    """y = x + gamma v(h(x) softmax(f(x)^T g(x))) (ibid., eq. 1-3): each place gathers from all. gamma begins at 0, so
    that the network first learns from its neighbourhoods.

    Args:
        channels: of the map. Queries and keys have an eighth of them, values a half, and 4 at the least.
        spectral: whether the four 1x1 convolutions are spectrally normalised.
    """

    def __init__(self, channels: int, spectral: bool) -> None:
        super().__init__()
        self.key_size, value_size = max(4, channels // 8), max(4, channels // 2)
        self.query_key = normalised(nn.Conv2d(channels, 2 * self.key_size, 1, bias=False), spectral)
        self.value = normalised(nn.Conv2d(channels, value_size, 1, bias=False), spectral)
        self.out = normalised(nn.Conv2d(value_size, channels, 1, bias=False), spectral)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, channels, H, W]`` -> the same shape."""
        query, key = self.query_key(x).flatten(2).split(self.key_size, dim=1)  # [B, key_size, H * W] each
        value = self.value(x).flatten(2)  # [B, value_size, H * W]
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # [B, to, from]
        gathered = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return torch.addcmul(x, self.gamma, self.out(gathered))

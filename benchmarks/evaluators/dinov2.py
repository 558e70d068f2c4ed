"""The network of DINOv2 (Oquab et al., arXiv:2304.07193), for inference: a vision transformer with layer scale.

Written from the paper and the published weights, whose names of tensors it keeps. Sizes are read from the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 14
HEAD = 64
"""Features of an attention head, in all four models."""
OFFSET = 0.1
"""Added to the number of patches a side when positions are interpolated, as the published models were evaluated."""


class LayerScale(nn.Module):
    """A learnt factor a feature (Touvron et al., arXiv:2103.17239)."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dims))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    def __init__(self, dims: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dims = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, dims // HEAD, HEAD)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, heads, tokens, 64]
        attended = ((q @ k.transpose(-2, -1)) * HEAD**-0.5).softmax(-1) @ v
        mixed: Tensor = self.proj(attended.transpose(1, 2).reshape(batch, tokens, dims))
        return mixed


class Perceptron(nn.Module):
    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dims, hidden), nn.Linear(hidden, dims)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mapped


class GatedPerceptron(nn.Module):
    """SwiGLU (Shazeer, arXiv:2002.05202), in the largest model."""

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.w12, self.w3 = nn.Linear(dims, 2 * hidden), nn.Linear(hidden, dims)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, -1)
        mapped: Tensor = self.w3(F.silu(gate) * value)
        return mapped


class Block(nn.Module):
    def __init__(self, dims: int, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dims, eps=1e-6), nn.LayerNorm(dims, eps=1e-6)
        self.attn, self.mlp = Attention(dims), mlp
        self.ls1, self.ls2 = LayerScale(dims), LayerScale(dims)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        mapped: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return mapped


class VisionTransformer(nn.Module):
    """Maps float32 ``[B, 3, H, W]``, normalised, sides multiples of 14, to the class token ``[B, dims]``."""

    def __init__(self, dims: int, positions: int, blocks: list[Block]) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, dims))
        self.mask_token = nn.Parameter(torch.zeros(1, dims))  # of the training; not used
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dims, PATCH, PATCH)})
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dims, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](x)  # [B, dims, H / 14, W / 14]
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        tokens = tokens + self._positions(patches.shape[2], patches.shape[3])
        for block in self.blocks:
            tokens = block(tokens)
        token: Tensor = self.norm(tokens)[:, 0]
        return token

    def _positions(self, height: int, width: int) -> Tensor:
        """The learnt positions on a grid of another size, ``[1, 1 + height * width, dims]``."""
        of_class, of_patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = round(of_patches.shape[1] ** 0.5)
        if (height, width) == (side, side):
            return self.pos_embed
        grid = of_patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)  # [1, dims, side, side]
        factors = ((height + OFFSET) / side, (width + OFFSET) / side)
        grid = F.interpolate(grid, scale_factor=factors, mode="bicubic")
        return torch.cat([of_class, grid.flatten(2).transpose(1, 2)], 1)


def vision_transformer(state: dict[str, Tensor]) -> VisionTransformer:
    """The untrained network whose sizes are those of a state dict.

    Raises:
        KeyError: if it is not of a DINOv2 network.
    """
    positions, dims = state["pos_embed"].shape[1:]
    depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    gated = "blocks.0.mlp.w12.weight" in state
    hidden = state["blocks.0.mlp.w3.weight" if gated else "blocks.0.mlp.fc2.weight"].shape[1]
    kind = GatedPerceptron if gated else Perceptron
    return VisionTransformer(dims, positions, [Block(dims, kind(dims, hidden)) for _ in range(depth)])

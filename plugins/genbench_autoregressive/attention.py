"""The causal network of ``transformer``: pre-LN blocks of windowed self-attention, and their cache for sampling.

Values are ordered by rows, columns, then channels; letters as they are read. The token of a value is made of the values
before it, so that every layer may look at its own place and nothing has to be shifted.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench import DataSpec
from genbench_autoregressive.tokens import Kept, Layout, Tokens


class Block(nn.Module):
    """x + attention(norm(x)), then x + dense(norm(x)) (pre-LN: Xiong et al. 2020, arXiv:2002.04745).

    Products and softmax stand here by themselves: their kernels are deterministic on every device, and torch has no
    fused attention on the CPU with a gradient for a learnt bias, as that of relative positions is.
    """

    def __init__(self, width: int, heads: int, expansion: int, distances: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, distances))
        self.norm2 = nn.LayerNorm(width)
        self.dense = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))
        self.dropout = nn.Dropout(dropout)

    def projected(self, h: Tensor) -> Tensor:
        """Queries, keys and values together, ``[B, P, 3 width]`` of ``[B, P, width]``."""
        return self.project(self.norm1(h))

    def heads_of(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, ``[B, heads, P, width / heads]`` each, of them together; queries are scaled."""
        query, key, value = projected.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return query * (1.0 / math.sqrt(query.shape[-1])), key, value

    def finish(self, h: Tensor, attended: Tensor) -> Tensor:
        """The block's output from its input and what its heads attended to, ``[B, P, width]`` each."""
        h = h + self.dropout(self.out(attended))
        return h + self.dropout(self.dense(self.norm2(h)))


class CausalTransformer(nn.Module):
    """``size`` numbers for each value of an example, from the values before it.

    Args:
        data: images (C, H, W) or sequences (L,).
        size: parameters of a value's distribution.
        width: features of a token, a multiple of ``heads``.
        layers: blocks of attention and dense layers.
        heads: of each attention.
        expansion: features of the hidden dense layer, as a multiple of ``width``.
        layout: order and windows.
        conditional: whether the class of an example enters its tokens.
        dropout: share of features dropped in training, behind each attention and dense layer, and of letters' tokens.
        gram_dropout: of :class:`Tokens`.
        end: of sequences, the level behind which one feature vector, learnt, stands for every place, so that nothing
            else is computed there; None where there is no such level. Any sequence keeps a probability, and all of
            them together 1; what is learnt of what follows an end is the same wherever it follows.
    """

    def __init__(
        self, data: DataSpec, size: int, width: int, layers: int, heads: int, expansion: int, layout: Layout,
        conditional: bool, dropout: float, gram_dropout: float = 0.0, end: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layout, self.end = layout, end
        self.tokens = Tokens(data, layout, width, conditional, dropout, gram_dropout)
        relative, later, distances = layout.relative()
        self.register_buffer("relative", relative, persistent=False)
        self.register_buffer("later", later, persistent=False)
        self.layers = nn.ModuleList(Block(width, heads, expansion, distances, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, size)
        for block in self.layers:  # each block starts out as next to nothing
            for last in (block.out, block.dense[-1]):
                nn.init.normal_(last.weight, std=0.5 / math.sqrt(width * layers))
                nn.init.zeros_(last.bias)
        nn.init.normal_(self.head.weight, std=0.1 / math.sqrt(width))
        nn.init.zeros_(self.head.bias)
        self.after = None if end is None else nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``[B, size, L]`` of uint8 ``[B, L]`` in the layout's order; ``labels`` int64 ``[B]``, or None."""
        if self.end is not None:
            return self._up_to_the_end(x, labels)
        h = self.tokens(x, labels)
        h = F.pad(h, (0, 0, 0, self.layout.blocks * self.layout.block - self.layout.length))
        for block in self.layers:
            h = block.finish(h, self._attend(block, block.projected(h)))
        h = h[:, : self.layout.length]
        return self.head(self.norm(h)).transpose(1, 2)

    def _up_to_the_end(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """:meth:`forward` of sequences that end: dense layers are computed at kept places, attention at all."""
        kept = Kept(x, self.end)
        h = self.tokens.of_kept(x, labels, kept)  # [1, N, width]
        for block in self.layers:
            projected = block.projected(h)
            # Zeros behind the end are harmless: no place before it attends to them.
            attended = self._attend(block, kept.spread(projected, projected.new_zeros(1, projected.shape[2])))
            h = block.finish(h, kept.gather(attended))
        return kept.spread(self.head(self.norm(h)), self.behind_the_end()).transpose(1, 2)

    def behind_the_end(self) -> Tensor:
        """``[1, size]``, the parameters of a value's distribution at any place behind an end."""
        return self.head(self.norm(self.after[None]))

    def bias(self, block: Block) -> Tensor:
        """Added to the scores of a block with its window, ``[heads, block, window]``; -inf at later values."""
        return block.bias[:, self.relative].masked_fill(self.later, -math.inf)

    def _attend(self, block: Block, projected: Tensor) -> Tensor:
        """``[B, blocks * block, width]`` of queries, keys and values, ``[B, blocks * block, 3 width]``."""
        parts = (self.layout.blocks, self.layout.block)
        query, key, value = (each.unflatten(2, parts) for each in block.heads_of(projected))
        bias = self.bias(block)  # [heads, block, window]
        if self.layout.blocks > 1:
            # The window is the block before and the block itself; before the first there is nothing to attend to.
            key, value = (torch.cat([F.pad(each, (0, 0, 0, 0, 1, 0))[:, :, :-1], each], dim=3) for each in (key, value))
            first = bias.clone()
            first[..., : self.layout.block] = -math.inf
            bias = torch.cat([first[:, None], bias[:, None].expand(-1, self.layout.blocks - 1, -1, -1)], dim=1)
        else:
            bias = bias[:, None]
        weights = (query @ key.transpose(-1, -2) + bias).softmax(dim=-1)  # [B, heads, blocks, block, window]
        return (weights @ value).flatten(2, 3).transpose(1, 2).flatten(2)


class KeyValueCache:
    """Walks over examples value by value and computes no key or value twice.

    Of every layer it keeps the keys and values of the window: the block before and the block that is being filled. All
    of an example then costs about one forward pass, where computing whole examples for each value costs L of them.

    Use: ``next()`` once for each place, in order, with all earlier values filled in.
    """

    def __init__(self, net: CausalTransformer, x: Tensor, labels: Tensor | None) -> None:
        """``x``: uint8 ``[n, L]``; read as the walk proceeds, so the caller may fill it in on the way."""
        self.net, self.x, self.labels = net, x, labels
        layout, width = net.layout, net.head.in_features
        window = layout.block * min(layout.blocks, 2)
        self.place = 0
        self.ended = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.biases = [net.bias(block) for block in net.layers]
        like = net.head.weight
        self.keys, self.values = (
            [like.new_zeros(len(x), block.heads, window, width // block.heads) for block in net.layers]
            for _ in range(2)
        )

    def next(self) -> Tensor:
        """The parameters of the next value's distribution, ``[n, size]``."""
        layout, place = self.net.layout, self.place
        before, here = divmod(place, layout.block)
        window = self.keys[0].shape[2]
        start = window - layout.block  # of the block that is being filled
        if here == 0 and before > 0:
            for kept in (*self.keys, *self.values):
                kept[:, :, :start] = kept[:, :, start:].clone()
        seen = slice(0 if before else start, start + here + 1)

        h = self.net.tokens(self.x, self.labels, slice(place, place + 1))  # [n, 1, width]
        for block, bias, keys, values in zip(self.net.layers, self.biases, self.keys, self.values, strict=True):
            query, key, value = block.heads_of(block.projected(h))
            keys[:, :, start + here], values[:, :, start + here] = key[:, :, 0], value[:, :, 0]
            scores = query @ keys[:, :, seen].transpose(-1, -2) + bias[:, here : here + 1, seen]
            attended = scores.softmax(dim=-1) @ values[:, :, seen]  # [n, heads, 1, d]
            h = block.finish(h, attended.flatten(1)[:, None])
        self.place += 1
        parameters = self.net.head(self.net.norm(h))[:, 0]
        return parameters if self.net.end is None else self._with_ended(parameters, place)

    def _with_ended(self, parameters: Tensor, place: int) -> Tensor:
        """The same, but of examples whose end came before the place those behind an end."""
        if place > 0:
            self.ended |= self.x[:, place - 1] == self.net.end
        return torch.where(self.ended[:, None], self.net.behind_the_end(), parameters)

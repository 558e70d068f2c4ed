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
from genbench_blocks.pixels import to_unit


class Layout:
    """Where the values of an example stand: their order, their neighbours and the windows of attention.

    The order is cut into blocks of ``block`` values, whole rows of an image. A value attends to its own block up to
    itself and to all of the block before (Parmar et al. 2018, Image Transformer, arXiv:1802.05751, 1-D
    local attention, with the memory of the length of the query block); all of an example, where it is one block.

    Args:
        data: images (C, H, W) or sequences (L,).
        rows: of an image in a block; 0 for one block. Sequences are one block.
        above, side: the values whose own embeddings enter a token: those of the ``above`` rows above and ``side``
            columns to either side that come before it; of a sequence the ``side`` letters before it.

    Attributes:
        length: number of values, L.
        block, blocks: values of a block, and number of blocks; the last may be cut short.
        places: row, column and channel of each value, int64 ``[L, 3]``; of a letter 0, its place and 0.
        neighbours: their places in the order, int64 ``[L, K]``, K of 1 or more; L stands for one outside. Where there
            are several rows, a row's first value has the one before it for its last neighbour. Of a letter they are
            the ones before it, the nearest last.
    """

    def __init__(self, data: DataSpec, rows: int, above: int, side: int) -> None:
        self.length = data.dims
        channels, height, width = data.shape if data.is_image else (1, 1, data.dims)  # letters are one row
        self.extent = (height, width, channels)
        row_values = width * channels
        self.block = min(rows, height) * row_values if rows and data.is_image else self.length
        self.blocks = -(-self.length // self.block)
        index = torch.arange(self.length)
        self.places = torch.stack([index // row_values, index // channels % width, index % channels], dim=1)
        self.neighbours = self._neighbours(above, side)

    def _neighbours(self, above: int, side: int) -> Tensor:
        _, width, channels = self.extent
        steps = torch.cartesian_prod(
            torch.arange(-above, 1), torch.arange(-side, side + 1), torch.arange(1 - channels, channels)
        )
        places = self.places[:, None] + steps  # [L, all, 3]
        inside = ((places >= 0) & (places < torch.tensor(self.extent))).all(dim=2)
        index = (places[..., 0] * width + places[..., 1]) * channels + places[..., 2]
        earlier = inside & (index < torch.arange(self.length)[:, None])
        index = index.masked_fill(~earlier, self.length)
        # The last value of a row is next to none of the next row's first values. Attention sees a value only in the
        # tokens that hold it, so the token after it must.
        order = torch.arange(self.length)
        starts_row = (self.places[:, 1:] == 0).all(dim=1) & (order > 0)
        neighbours = index[:, earlier.any(dim=0)]
        if starts_row.any() or neighbours.shape[1] == 0:  # a single value has one neighbour, outside
            before = torch.where(starts_row, order - 1, self.length)
            neighbours = torch.cat([neighbours, before[:, None]], dim=1)
        return neighbours

    def relative(self) -> tuple[Tensor, Tensor, int]:
        """How far each value of a block is from those of its window, as an index.

        Returns:
            int64 ``[block, window]``, the difference of rows, of columns and the pair of channels as one number; bool
            ``[block, window]``, which of them do not come before or at the value; and how many numbers there are.
        """
        _, width, channels = self.extent
        window = self.block * min(self.blocks, 2)
        query = torch.arange(window - self.block, window)[:, None]
        key = torch.arange(window)[None]
        row_values = width * channels
        rows = query // row_values - key // row_values
        columns = query // channels % width - key // channels % width + width - 1
        pair = query % channels * channels + key % channels
        index = (rows.clamp_min(0) * (2 * width - 1) + columns) * channels**2 + pair
        return index, key > query, int(index.max()) + 1


class Tokens(nn.Module):
    """What is told of each place before any attention: the values next to it, where it is, and the class.

    Pixels enter as numbers, through a linear map of the neighbourhood; letters each through an embedding of their own
    for each distance. What is outside is the middle of the range, or a letter of its own. The last 2, 3 and 4 letters,
    as far as there are so many neighbours, also enter together, through embeddings in tables of ``BUCKETS`` rows that
    their combinations are hashed into: what a short training sees too few examples of to compute, it can look up
    (hashed n-grams: Joulin et al. 2017, arXiv:1607.01759; hashed embeddings of characters: Clark et al. 2022, CANINE,
    arXiv:2103.06874).
    """

    BUCKETS = 8192
    LONGEST = 4
    FACTORS = (1, 64, 5197, 332_617)
    """Of the last letter, the one before it and so on, in the sum whose remainder is the bucket. Of up to 63 levels no
    two pairs share one."""

    def __init__(self, data: DataSpec, layout: Layout, width: int, conditional: bool) -> None:
        super().__init__()
        self.levels, self.is_image = data.levels, data.is_image
        self.register_buffer("neighbours", layout.neighbours, persistent=False)
        count = layout.neighbours.shape[1]
        if self.is_image:
            self.values = nn.Linear(2 * count, width)
        else:
            self.register_buffer("offsets", torch.arange(count) * (data.levels + 1), persistent=False)
            self.values = nn.Embedding(count * (data.levels + 1), width)
            nn.init.normal_(self.values.weight, std=0.3)
            longest = min(self.LONGEST, count)
            self.grams = nn.Embedding((longest - 1) * self.BUCKETS, width) if longest > 1 else None
            if self.grams is not None:
                nn.init.normal_(self.grams.weight, std=0.02)
                # How often each n-gram counts each of the last letters: the factor within it, 0 beyond.
                factors = torch.tensor(self.FACTORS[:longest]).expand(longest - 1, -1).tril(1)  # [n-grams, longest]
                self.register_buffer("factors", factors.contiguous(), persistent=False)
        self.position = nn.Parameter(0.1 * torch.randn(layout.length, width))
        self.classes = nn.Embedding(data.classes, width) if conditional else None

    def forward(self, x: Tensor, labels: Tensor | None, place: slice = slice(None)) -> Tensor:
        """``[B, P, width]`` of the P places asked for, from uint8 ``[B, L]``."""
        neighbours = self.neighbours[place]  # [P, K]
        if self.is_image:
            dtype = self.position.dtype
            values = F.pad(to_unit(x, self.levels).to(dtype), (0, 1))
            blank = F.pad((x == 0).to(dtype), (0, 1))  # backgrounds are exactly 0: more than one end of the range
            features = torch.cat([values[:, neighbours], blank[:, neighbours]], dim=2)  # [B, P, 2 K]
            tokens = self.values(features)
        else:
            letters = F.pad(x.long(), (0, 1), value=self.levels)[:, neighbours]  # [B, P, K]
            tokens = self.values(letters + self.offsets).sum(dim=2)
            if self.grams is not None:
                tokens = tokens + self._of_grams(letters)
        tokens = tokens + self.position[place]
        return tokens if self.classes is None else tokens + self.classes(labels)[:, None]

    def buckets(self, letters: Tensor) -> Tensor:
        """Which row of its table each n-gram is hashed into, int64 ``[B, P, n-grams]``, those of 2 letters first.

        Args:
            letters: int64 ``[B, P, K]``, the ones before each place, the nearest last.
        """
        nearest = letters.flip(2)[..., : self.factors.shape[1]]
        return (nearest[..., None, :] * self.factors).sum(dim=3) % self.BUCKETS

    def _of_grams(self, letters: Tensor) -> Tensor:
        """The summed embeddings of the last letters together, ``[B, P, width]`` of ``[B, P, K]``, nearest last."""
        tables = torch.arange(len(self.factors), device=letters.device) * self.BUCKETS
        return self.grams(self.buckets(letters) + tables).sum(dim=2)


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

    def queries_keys_values(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[B, heads, P, width / heads]`` each, of ``[B, P, width]``; queries are scaled."""
        projected = self.project(self.norm1(h)).unflatten(2, (3, self.heads, -1))  # [B, P, 3, heads, d]
        query, key, value = projected.permute(2, 0, 3, 1, 4)
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
        dropout: share of features dropped in training, behind each attention and dense layer.
    """

    def __init__(
        self, data: DataSpec, size: int, width: int, layers: int, heads: int, expansion: int, layout: Layout,
        conditional: bool, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layout = layout
        self.tokens = Tokens(data, layout, width, conditional)
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

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``[B, size, L]`` of uint8 ``[B, L]`` in the layout's order; ``labels`` int64 ``[B]``, or None."""
        h = self.tokens(x, labels)
        h = F.pad(h, (0, 0, 0, self.layout.blocks * self.layout.block - self.layout.length))
        for block in self.layers:
            h = block.finish(h, self._attend(block, h))
        h = h[:, : self.layout.length]
        return self.head(self.norm(h)).transpose(1, 2)

    def bias(self, block: Block) -> Tensor:
        """Added to the scores of a block with its window, ``[heads, block, window]``; -inf at later values."""
        return block.bias[:, self.relative].masked_fill(self.later, -math.inf)

    def _attend(self, block: Block, h: Tensor) -> Tensor:
        """``[B, blocks * block, width]`` of the same."""
        parts = (self.layout.blocks, self.layout.block)
        query, key, value = (each.unflatten(2, parts) for each in block.queries_keys_values(h))
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
            query, key, value = block.queries_keys_values(h)
            keys[:, :, start + here], values[:, :, start + here] = key[:, :, 0], value[:, :, 0]
            scores = query @ keys[:, :, seen].transpose(-1, -2) + bias[:, here : here + 1, seen]
            attended = scores.softmax(dim=-1) @ values[:, :, seen]  # [n, heads, 1, d]
            h = block.finish(h, attended.flatten(1)[:, None])
        self.place += 1
        return self.net.head(self.net.norm(h))[:, 0]

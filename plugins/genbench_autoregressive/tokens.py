"""Where the values of an example stand, and what a transformer is told of each place before any attention."""

from __future__ import annotations

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


class Kept:
    """The places of a batch that dense layers are computed at: those up to the end of each sequence.

    Args:
        x: uint8 ``[B, L]``.
        end: the level that ends a sequence; the first one is kept, and nothing behind it.

    Attributes:
        index: int64 ``[N]``, the kept places in ``B L``, rising; N is at least B, as a first place is always kept.
        example, place: int64 ``[N]`` each, which they are of ``B`` and of ``L``.
    """

    def __init__(self, x: Tensor, end: int) -> None:
        self.shape = x.shape
        ends = x == end
        ended = ends.cumsum(dim=1) > ends.long()  # [B, L], an end came before
        self.index = (~ended).flatten().nonzero()[:, 0]
        self.example, self.place = self.index // x.shape[1], self.index % x.shape[1]

    def gather(self, whole: Tensor) -> Tensor:
        """``[1, N, d]`` of ``[B, L, d]``."""
        return whole.flatten(0, 1).index_select(0, self.index)[None]

    def spread(self, kept: Tensor, elsewhere: Tensor) -> Tensor:
        """``[B, L, d]`` of ``[1, N, d]``, and ``[1, d]`` at the places that are not kept."""
        everywhere = elsewhere.expand(self.shape.numel(), -1)
        return everywhere.index_put((self.index,), kept[0]).unflatten(0, self.shape)


class Tokens(nn.Module):
    """What is told of each place before any attention: the values next to it, where it is, and the class.

    Pixels enter as numbers, through a linear map of the neighbourhood; letters each through an embedding of their own
    for each distance. What is outside is the middle of the range, or a letter of its own. The last 2, 3 and 4 letters,
    as far as there are so many neighbours, also enter together, through embeddings in tables of ``BUCKETS`` rows that
    their combinations are hashed into: what a short training sees too few examples of to compute, it can look up
    (hashed n-grams: Joulin et al. 2017, arXiv:1607.01759; hashed embeddings of characters: Clark et al. 2022, CANINE,
    arXiv:2103.06874). Where there are classes, each n-gram also has an embedding for its class, in tables of
    ``CLASS_BUCKETS`` rows. Tables are decayed as matrices are. In training each embedding of an n-gram is left out by
    itself with the probability ``gram_dropout``: as in smoothed counts, what a longer context says is to be had from
    shorter ones too (Xie et al. 2017, arXiv:1703.02573, replace letters instead).

    Args:
        data: images (C, H, W) or sequences (L,).
        layout: the neighbours.
        width: features of a token.
        conditional: whether the class enters.
        dropout: share of a letter's features dropped in training. None of a pixel's are.
        gram_dropout: share of n-grams left out in training, in [0, 1).
    """

    BUCKETS = 8192
    CLASS_BUCKETS = 10_007
    """A prime, so that the number of classes shares no factor with it."""
    LONGEST = 4
    FACTORS = (1, 64, 5197, 332_617)
    """Of the last letter, the one before it and so on, in the sum whose remainder is the bucket. Of up to 63 levels no
    two pairs share one."""

    def __init__(
        self, data: DataSpec, layout: Layout, width: int, conditional: bool, dropout: float = 0.0,
        gram_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels, self.is_image = data.levels, data.is_image
        self.dropout, self.gram_dropout = nn.Dropout(dropout), gram_dropout
        self.register_buffer("neighbours", layout.neighbours, persistent=False)
        count = layout.neighbours.shape[1]
        if self.is_image:
            self.values = nn.Linear(2 * count, width)
        else:
            self.register_buffer("offsets", torch.arange(count) * (data.levels + 1), persistent=False)
            self.values = nn.Embedding(count * (data.levels + 1), width)
            nn.init.normal_(self.values.weight, std=0.3)
            longest = min(self.LONGEST, count)
            self.grams = None
            if longest > 1:
                # How often each n-gram counts each of the last letters: the factor within it, 0 beyond.
                factors = torch.tensor(self.FACTORS[:longest]).expand(longest - 1, -1).tril(1)  # [n-grams, longest]
                self.register_buffer("factors", factors.contiguous(), persistent=False)
                rows = (longest - 1) * (self.BUCKETS + (self.CLASS_BUCKETS if conditional else 0))
                # A dense layer's matrix, of which rows are looked up: weight decay falls on those of dense layers.
                self.grams = nn.Linear(width, rows, bias=False)
                nn.init.normal_(self.grams.weight, std=0.02)
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
            tokens = self._of_letters(self._before(x, neighbours), None if labels is None else labels[:, None])
        tokens = tokens + self.position[place]
        if self.classes is not None:
            tokens = tokens + self.classes(labels)[:, None]
        return tokens if self.is_image else self.dropout(tokens)

    def of_kept(self, x: Tensor, labels: Tensor | None, kept: Kept) -> Tensor:
        """``[1, N, width]`` of the kept places, from letters uint8 ``[B, L]``."""
        labels = None if labels is None else labels[kept.example][None]
        tokens = self._of_letters(kept.gather(self._before(x, self.neighbours)), labels) + self.position[kept.place]
        return self.dropout(tokens if self.classes is None else tokens + self.classes(labels))

    def _before(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """The letters before each place, int64 ``[B, P, K]``, of uint8 ``[B, L]``; one of their own is outside."""
        return F.pad(x.long(), (0, 1), value=self.levels)[:, neighbours]

    def _of_letters(self, letters: Tensor, labels: Tensor | None) -> Tensor:
        """``[B, P, width]`` of the letters before each place, int64 ``[B, P, K]``, and its class, int64 ``[B, P]`` or
        of a shape that broadcasts to it."""
        tokens = self.values(letters + self.offsets).sum(dim=2)
        return tokens if self.grams is None else tokens + self._of_grams(letters, labels)

    def rows(self, letters: Tensor, labels: Tensor | None) -> Tensor:
        """Which rows of the tables are those of each place, int64 ``[B, P, n-grams]``, the one of 2 letters first;
        then as many of n-grams with their class, where there are labels.

        Args:
            letters: int64 ``[B, P, K]``, the ones before each place, the nearest last.
            labels: int64 ``[B, P]``, or of a shape that broadcasts to it.
        """
        nearest = letters.flip(2)[..., : self.factors.shape[1]]
        grams = (nearest[..., None, :] * self.factors).sum(dim=3)
        tables = torch.arange(len(self.factors), device=letters.device)
        rows = grams % self.BUCKETS + tables * self.BUCKETS
        if self.classes is None:
            return rows
        of_class = (grams * self.classes.num_embeddings + labels[..., None]) % self.CLASS_BUCKETS
        return torch.cat([rows, of_class + len(tables) * self.BUCKETS + tables * self.CLASS_BUCKETS], dim=2)

    def _of_grams(self, letters: Tensor, labels: Tensor | None) -> Tensor:
        """The summed embeddings of the last letters together, ``[B, P, width]``; arguments as of :meth:`rows`."""
        embedded = F.embedding(self.rows(letters, labels), self.grams.weight)  # [B, P, n-grams, width]
        if self.training and self.gram_dropout > 0:
            kept = torch.rand(embedded.shape[:3], device=embedded.device) >= self.gram_dropout
            embedded = embedded * (kept / (1.0 - self.gram_dropout))[..., None]
        return embedded.sum(dim=2)

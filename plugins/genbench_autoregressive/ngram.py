"""``ngram``: the next letter from the few before it, by counting. The baseline for words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_autoregressive.config import NGramConfig
from genbench_blocks.labels import required_labels


@dataclass(frozen=True)
class Grams:
    """What was counted of the grams of k symbols, k - 1 of them a context h and the last the symbol w that followed.

    A key is a number whose digits, to the base ``levels + 1``, are the class and the k symbols. Sorted keys keep what
    followed a context together.

    Attributes:
        keys: int64 ``[K]``, rising.
        counts: int64 ``[K]``.
        ends: int64 ``[K]``, the counts added up.
        contexts: int64 ``[H]``, the keys without their last digit, rising, each once.
        totals, types: int64 ``[H]``, how much was counted behind a context, and how many different symbols.
        starts: int64 ``[H]``, the sum of the counts before a context's own.
        discount: D in (0, 1), taken off each count.
    """

    keys: Tensor
    counts: Tensor
    ends: Tensor
    contexts: Tensor
    totals: Tensor
    types: Tensor
    starts: Tensor
    discount: float

    @classmethod
    def of(cls, keys: Tensor, counts: Tensor, base: int) -> Grams:
        """From int64 ``[K]`` keys, rising, and their counts."""
        contexts, types = (keys // base).unique_consecutive(return_counts=True)
        ends = counts.cumsum(0)
        ends_of_contexts = ends[types.cumsum(0) - 1]
        starts = torch.cat([ends.new_zeros(1), ends_of_contexts[:-1]]) if len(keys) else ends
        # n1 / (n1 + 2 n2) of the grams counted once and twice (Ney, Essen and Kneser 1994), kept from 0 and 1.
        once, twice = (int((counts == times).sum()) for times in (1, 2))
        discount = (once + 0.5) / (once + 2 * twice + 1.0)
        return cls(keys, counts, ends, contexts, ends_of_contexts - starts, types, starts, discount)


class NGram:
    """P(x | y) = prod_t P(x_t | the n - 1 symbols before, y), interpolated Kneser-Ney.

    With c(h w) the count of a gram, c(h) the sum over what followed h and T(h) the number of different symbols in it,
    h' the context without its first symbol, and D the discount of the order,

        P(w | h) = (max(c(h w) - D, 0) + D T(h) P(w | h')) / c(h),

    down to the uniform distribution over all levels (Chen and Goodman 1999, section 2.7). Grams of n symbols count how
    often they occurred, shorter ones how many different symbols stood before them (Kneser and Ney 1995). A context that
    never occurred leaves it to h'. Before the first symbol stand n - 1 that begin an example. Nothing is known of
    words: that padding follows an end is learnt, and a word of more letters than there is room for stays without one.
    """

    def __init__(self, config: NGramConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("ngram counts per class, and the data carry no labels")
        self.config = config
        self.data = data
        self.device = device
        self.base = data.levels + 1  # with the symbol that begins an example
        if data.classes * self.base**config.order >= 2**63:
            raise ValueError(f"grams of order {config.order} over {data.levels} levels cannot be numbered in 63 bits")
        # What is counted, as it came: a table of its grams would be larger. On the CPU, where counting is at home.
        self.x: list[Tensor] = []  # uint8 [B, L] each
        self.labels: list[Tensor] = []  # int64 [B] each
        self.orders: list[Grams] | None = None  # of 1 .. n symbols, counted when needed

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Keep uint8 ``[B, L]`` and int64 ``[B]``, to be counted."""
        assert batch.labels is not None, "data with classes come with labels"
        self.x.append(batch.x.detach().to("cpu", copy=True))
        self.labels.append(batch.labels.detach().to("cpu", copy=True))
        self.orders = None
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, L]`` of the classes in int64 ``[n]``.

        P(w | h) is a mixture: a gram h w with probability c(h w) / c(h), taken with probability 1 - D / c(h w), else a
        draw from P(w | h'). So no distribution has to be written out.
        """
        labels = required_labels(labels, n, "ngram").cpu()
        drawn = torch.full((n, self.config.order - 1 + self.data.dims), self.data.levels)  # the beginning, then L
        for place in range(self.config.order - 1, drawn.shape[1]):
            drawn[:, place] = self._next(drawn[:, place - self.config.order + 1 : place], labels)
        return drawn[:, self.config.order - 1 :].to(self.device, torch.uint8)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x | y) in nats, float64 ``[B]``, of uint8 ``[B, L]`` and int64 ``[B]``."""
        probability = torch.full(x.shape, 1.0 / self.data.levels, dtype=torch.float64)
        labels = required_labels(labels, len(x), "ngram")
        for grams, keys in zip(self._tables(), self._grams(x, labels), strict=True):
            context, seen = _find(grams.contexts, keys // self.base)
            gram, followed = _find(grams.keys, keys)
            if len(grams.keys) == 0:
                continue
            left = torch.where(followed, grams.counts[gram].double() - grams.discount, 0.0)
            passed_on = grams.discount * grams.types[context].double() * probability
            probability = torch.where(seen, (left + passed_on) / grams.totals[context], probability)
        return probability.log().sum(1).to(self.device)

    def examples(self) -> tuple[Tensor, Tensor]:
        """All that is counted, uint8 ``[N, L]`` and int64 ``[N]``."""
        x = torch.cat([torch.empty(0, *self.data.shape, dtype=torch.uint8), *self.x])
        return x, torch.cat([torch.empty(0, dtype=torch.int64), *self.labels])

    def state_dict(self) -> dict[str, Tensor]:
        x, labels = self.examples()
        return {"x": x, "labels": labels}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Raises ValueError for examples of another shape, or labels that are not one an example."""
        x, labels = state["x"], state["labels"]
        if tuple(x.shape[1:]) != self.data.shape or labels.shape != x.shape[:1]:
            raise ValueError(
                f"examples of shape {tuple(x.shape)} with labels of shape {tuple(labels.shape)}, where "
                f"{('N', *self.data.shape)} and ('N',) belong"
            )
        self.x, self.labels, self.orders = [x.clone()], [labels.clone()], None

    def _next(self, context: Tensor, labels: Tensor) -> Tensor:
        """The symbols that follow int64 ``[n, order - 1]``, int64 ``[n]``: from the longest context downwards."""
        orders = self._tables()
        uniform = torch.rand(2 * len(orders) + 1, len(context), dtype=torch.float64)
        symbol = (uniform[0] * self.data.levels).long()
        undecided = torch.ones(len(context), dtype=torch.bool)
        for grams, of_gram, of_discount in zip(reversed(orders), uniform[1::2], uniform[2::2], strict=True):
            if len(grams.keys) == 0:
                continue
            place, seen = _find(grams.contexts, self._key(labels, context))
            gram = torch.searchsorted(
                grams.ends, grams.starts[place] + (of_gram * grams.totals[place]).long(), right=True
            )
            taken = undecided & seen & (of_discount * grams.counts[gram] >= grams.discount)
            symbol = torch.where(taken, grams.keys[gram] % self.base, symbol)
            undecided &= ~taken
            context = context[:, 1:]
        return symbol

    def _grams(self, x: Tensor, labels: Tensor) -> list[Tensor]:
        """The keys of the grams of 1 .. n symbols that end at each place of uint8 ``[B, L]``: int64 ``[B, L]`` each."""
        order = self.config.order
        begun = torch.nn.functional.pad(x.cpu().long(), (order - 1, 0), value=self.data.levels)
        windows = begun.unfold(1, order, 1)  # [B, L, order]
        labels = labels.cpu()[:, None].expand(windows.shape[:2])
        return [self._key(labels, windows[:, :, order - size :]) for size in range(1, order + 1)]

    def _key(self, labels: Tensor, symbols: Tensor) -> Tensor:
        """Keys ``[...]`` of classes ``[...]`` and symbols ``[..., k]``."""
        key = labels
        for digit in symbols.unbind(-1):
            key = key * self.base + digit
        return key

    def _tables(self) -> list[Grams]:
        """Of 1 .. n symbols."""
        if self.orders is None:
            longest = self._grams(*self.examples())[-1].flatten()
            keys, counts = _added_up(longest, torch.ones_like(longest))
            orders = [Grams.of(keys, counts, self.base)]
            for size in range(self.config.order - 1, 0, -1):
                label, symbols = keys // self.base ** (size + 1), keys % self.base**size
                keys, counts = _added_up(label * self.base**size + symbols, torch.ones_like(keys))
                orders.append(Grams.of(keys, counts, self.base))
            self.orders = orders[::-1]
        return self.orders


def _added_up(keys: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Each key once, rising, with the sum of its counts."""
    unique, place = keys.unique(return_inverse=True)
    return unique, torch.zeros_like(unique).index_add_(0, place, counts)


def _find(table: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Where keys stand in a rising table, and whether they do; any place where they don't."""
    if len(table) == 0:
        return torch.zeros_like(keys), torch.zeros_like(keys, dtype=torch.bool)
    place = torch.searchsorted(table, keys.contiguous()).clamp(max=len(table) - 1)
    return place, table[place] == keys

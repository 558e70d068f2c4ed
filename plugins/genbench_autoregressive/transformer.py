"""``transformer`` and ``ctransformer``: self-attention over the values of an example, with an exact likelihood."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench import DataSpec
from genbench_autoregressive.attention import CausalTransformer, KeyValueCache
from genbench_autoregressive.config import TransformerConfig
from genbench_autoregressive.likelihood_model import LikelihoodModel, Place
from genbench_autoregressive.tokens import Layout
from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics


class Transformer(LikelihoodModel):
    """log P(x) = sum_i log P(x_i | x_1 ... x_{i-1}) over pixels in raster order, or letters, by causal self-attention.

    After Vaswani et al. 2017 (arXiv:1706.03762) and, for images, Parmar et al. 2018 (Image Transformer,
    arXiv:1802.05751). A value is categorical, or a mixture of discretised logistics where the configuration says so.
    """

    takes_labels = False

    def __init__(self, config: TransformerConfig, data: DataSpec, device: torch.device) -> None:
        logistics = config.logistics
        output = DiscretisedLogistics(data.levels, logistics) if logistics else Categorical(data.levels)
        layout = Layout(data, config.rows, config.above, config.side)
        net = CausalTransformer(
            data, output.size, config.width, config.layers, config.heads, config.expansion, layout,
            self.takes_labels, config.dropout, config.gram_dropout,
            None if data.is_image or config.end < 0 else config.end,
        )  # fmt: skip
        window = layout.block * min(layout.blocks, 2)
        # Scores and weights of all heads, what a block computes, and the output with what its distribution makes of it.
        held = 2 * config.heads * window + (8 + config.expansion) * config.width + 4 * output.size
        super().__init__(
            net.to(device),
            output,
            data,
            config,
            held=layout.length * held,
            # Every layer's keys and values of the window, a part of them twice when it moves on; one value's pass.
            walked=(2 * config.layers + 1) * window * config.width + held,
            conditional=self.takes_labels,
            beta2=0.95,
        )

    def outputs(self, net: CausalTransformer, x: Tensor, labels: Tensor | None) -> Tensor:
        """``[B, size, *shape]``."""
        parameters = net(self.in_order(x), labels)  # [B, size, L]
        if not self.data.is_image:
            return parameters
        channels, height, width = self.data.shape
        return parameters.unflatten(2, (height, width, channels)).permute(0, 1, 4, 2, 3)

    def walk(self, net: CausalTransformer, x: Tensor, labels: Tensor | None) -> Iterator[tuple[Place, Tensor]]:
        """The parameters are ``[n, size]``, of one value."""
        order = self.in_order(x).clone()
        cache = KeyValueCache(net, order, labels)
        for index, place in enumerate(self._places()):
            yield place, cache.next()
            order[:, index] = x[(slice(None), *place)]

    def in_order(self, x: Tensor) -> Tensor:
        """``[B, L]`` of ``[B, *shape]``: rows, columns, then channels; letters as they are."""
        return x.permute(0, 2, 3, 1).flatten(1) if self.data.is_image else x

    def _places(self) -> list[Place]:
        """Where in ``shape`` each value of the order stands."""
        places = self.net.layout.places.tolist()
        return [(channel, row, column) if self.data.is_image else (column,) for row, column, channel in places]


class ConditionalTransformer(Transformer):
    """The same of examples given their class, whose embedding enters every token."""

    takes_labels = True

"""Configurations of the autoregressive models. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass

from genbench_blocks.ranges import Ranged, Ranges


@dataclass(frozen=True)
class PixelCNNConfig(Ranged):
    """Of ``pixelcnn`` and ``cpixelcnn``.

    Attributes:
        batch_size: images a step.
        channels: features of each stack; rounded up to a multiple of the image's channels.
        blocks: gated blocks.
        hidden: features of the output's hidden layer; rounded up likewise.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions and dense layers only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far; 500,000 at most.
    """

    batch_size: int = 32
    channels: int = 24
    blocks: int = 4
    hidden: int = 64
    lr: float = 6e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    ema_half_life: float = 0.05

    def ranges(self) -> Ranges:
        return {
            **self.counts("batch_size", "channels", "blocks", "hidden"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay"),
        }


@dataclass(frozen=True)
class PixelCNNPPConfig(Ranged):
    """Of ``pixelcnn-pp``.

    Attributes:
        batch_size: images a step.
        channels: features of each stream at full resolution.
        widen: features that each lower resolution has more than the one above it.
        scales: resolutions, each half of the one above; 1 for the image's alone.
        blocks: residual blocks on either side of the lower resolutions, at each resolution.
        logistics: components of a pixel's mixture.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions and dense layers only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far; 500,000 at most.
    """

    batch_size: int = 16
    channels: int = 32
    widen: int = 16
    scales: int = 3
    blocks: int = 1
    logistics: int = 10
    lr: float = 8e-3
    weight_decay: float = 0.1
    clip: float = 1.0
    ema_half_life: float = 0.05

    def ranges(self) -> Ranges:
        lowest = self.channels + (self.scales - 1) * self.widen
        return {
            **self.counts("batch_size", "channels", "scales", "blocks", "logistics"),
            "widen": (lowest >= 1, "such that the lowest resolution has 1 feature or more"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay"),
        }


@dataclass(frozen=True)
class TransformerConfig(Ranged):
    """Of ``transformer`` and ``ctransformer``.

    Attributes:
        batch_size: examples a step.
        width: features of a token, a multiple of ``heads``.
        layers: blocks of attention and dense layers.
        heads: of each attention.
        expansion: features of a hidden dense layer, as a multiple of ``width``.
        rows: of an image in a block of attention; a value sees its own block up to itself, and the block before. 0 for
            attention to everything before.
        above, side: a token is made of the values in the ``above`` rows above and ``side`` columns to either side, of
            a sequence of the ``side`` letters before.
        logistics: components of a value's mixture; 0 for a logit a level.
        dropout: share of features dropped in training.
        gram_dropout: of a sequence, share of the n-grams left out of tokens in training.
        end: of a sequence, the level that ends it; -1 where none does. All behind the first one is taken for padding,
            of which one distribution is learnt for all places, at next to no FLOPs. A likelihood is exact whatever
            follows.
        lr: learning rate at its height; AdamW (beta2 0.95), warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the matrices of dense layers and the tables of n-grams only.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the examples seen so far; 500,000 at most.
    """

    batch_size: int = 32
    width: int = 32
    layers: int = 2
    heads: int = 2
    expansion: int = 4
    rows: int = 0
    above: int = 2
    side: int = 3
    logistics: int = 0
    dropout: float = 0.0
    gram_dropout: float = 0.0
    end: int = -1
    lr: float = 4e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    ema_half_life: float = 0.05

    def ranges(self) -> Ranges:
        return {
            **self.counts("batch_size", "heads", "layers", "expansion", "side"),
            "width": (
                self.width >= 1 and self.heads >= 1 and self.width % self.heads == 0,
                f"a multiple of heads, {self.heads}",
            ),
            **self.below_one("dropout", "gram_dropout"),
            "end": (self.end >= -1, "a level, or -1 for none"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay", "rows", "above", "logistics"),
        }


@dataclass(frozen=True)
class NGramConfig(Ranged):
    """Of ``ngram``. The batches are small because one pass leaves the incomplete last one out.

    Attributes:
        batch_size: examples counted in one step.
        order: n, the symbols of a gram: one is predicted from n - 1.
    """

    batch_size: int = 50
    order: int = 6

    def ranges(self) -> Ranges:
        return self.counts("batch_size", "order")

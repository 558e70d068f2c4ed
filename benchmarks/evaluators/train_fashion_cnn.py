"""The recipe of ``fashion-cnn-v1``: ``python -m genbench_benchmarks.evaluators.train_fashion_cnn --out X.safetensors``.

Only the training split is used: three quarters of it for the weights, its validation fold for the temperature, so
neither the test split nor the fold that ``--dev`` scores against has shaped a feature. It is the second of two recipes:
the first, shorter and without mirroring, missed the gate by 0.0005. On one machine and torch build
the file comes out the same to the byte; elsewhere the last bits differ, which is why the weights ship.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genbench import paths
from genbench.engine.data import Examples, load_split, materialise, validation_fold
from genbench.plugins import discover
from genbench_benchmarks.evaluators.fashion_cnn import FashionCNN, network
from genbench_benchmarks.evaluators.recipe import Training, fit, fit_temperature, fold, logits_of, out_of, report, write

SEED = 20260101
GATE = 0.92
SHIFT = 1
"""Pixels a side."""


def load(split: str) -> Examples:
    """A split of the registered data set, downloaded if need be."""
    return load_split(materialise(discover().datasets["fashion-mnist"].spec, paths.data_cache()), split)


def train() -> tuple[nn.ModuleDict, float]:
    """The trained classifier, its features scaled and its temperature folded into the head; and that temperature."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x, labels = (torch.from_numpy(part) for part in load("train") if part is not None)
    kept, held_back = (torch.from_numpy(index) for index in validation_fold(x.numpy(), labels.numpy()))
    how = Training(
        epochs=12,
        batch=128,
        learning_rate=3e-3,
        weight_decay=0.1,
        averaged_share=0.25,
        scale=FashionCNN.scale,
        augment=augment,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        normalised = with_batch_norm(network()).to(memory_format=torch.channels_last)  # a sixth faster
        fit(normalised, x[kept], labels[kept], how)
    classifier = without_batch_norm(normalised.to(memory_format=torch.contiguous_format))
    temperature = fit_temperature(logits_of(classifier, x[held_back], how.scale), labels[held_back])
    fold(classifier, x[kept], temperature, how.scale)
    return classifier, temperature


def with_batch_norm(classifier: nn.ModuleDict) -> nn.ModuleDict:
    """The same with batch normalisation behind each convolution."""
    layers: list[nn.Module] = []
    for layer in classifier["body"]:  # type: ignore[attr-defined]
        layers += [layer, nn.BatchNorm2d(layer.out_channels)] if isinstance(layer, nn.Conv2d) else [layer]
    return nn.ModuleDict({"body": nn.Sequential(*layers), "head": classifier["head"]})


def without_batch_norm(classifier: nn.ModuleDict) -> nn.ModuleDict:
    """The same function with the normalisation, by running statistics, folded into the convolutions before it."""
    layers: list[nn.Module] = []
    for layer in classifier["body"]:  # type: ignore[attr-defined]
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)  # type: ignore[type-var]
        else:
            layers.append(layer)
    return nn.ModuleDict({"body": nn.Sequential(*layers), "head": classifier["head"]})


def augment(x: Tensor) -> Tensor:
    """Shift each image of float [B, 1, 28, 28] by -1, 0 or 1 pixels along each axis, zeros beyond the edge, and mirror
    every other one.

    Whole pixels, since interpolation would teach the features to overlook blur.
    """
    batch, _, height, width = x.shape
    padded = F.pad(x, [SHIFT] * 4)[:, 0]  # [B, H + 2, W + 2]
    start = torch.randint(0, 2 * SHIFT + 1, (2, batch, 1))
    rows, columns = start[0] + torch.arange(height), start[1] + torch.arange(width)  # [B, H], [B, W]
    columns = torch.where(torch.rand(batch, 1) < 0.5, columns, columns.flip(1))
    return padded[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]][:, None]


def main() -> int:
    """Train, print the figures of the test split, and write the weights if they pass the gate."""
    out = out_of(__doc__)
    classifier, temperature = train()
    x, labels = load("test")
    assert labels is not None
    figures = report(logits_of(classifier, torch.from_numpy(x), FashionCNN.scale), torch.from_numpy(labels))
    return write(classifier, temperature, figures, GATE, out)


if __name__ == "__main__":
    sys.exit(main())

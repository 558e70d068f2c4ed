"""What the recipes of the trained evaluators share: fitting, averaging, calibration, their figures and their gate.

A classifier here is a ``nn.ModuleDict`` of a ``body``, images to features, whose last layer is linear, and a linear
``head``, features to logits.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

WARM_UP = 0.1
"""The share of the training in which the learning rate rises."""
PASS = 1000
"""Images a pass where nothing is learnt."""


@dataclass(frozen=True)
class Training:
    """How a classifier is fitted, by AdamW under a one-cycle schedule.

    Attributes:
        epochs, batch, learning_rate, weight_decay: as everywhere; an incomplete last batch is left out.
        averaged_share: the weights are the mean over this last part of it (Izmailov et al., arXiv:1803.05407).
        scale: maps uint8 images to what the body takes.
        augment: changes a scaled batch at random.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    averaged_share: float
    scale: Callable[[Tensor], Tensor]
    augment: Callable[[Tensor], Tensor]


def fit(classifier: nn.ModuleDict, x: Tensor, labels: Tensor, how: Training) -> None:
    """Train in place on uint8 ``[N, C, H, W]`` and int64 ``[N]``, drawing from torch's default generator."""
    steps_an_epoch = len(x) // how.batch
    total = how.epochs * steps_an_epoch
    optimiser = torch.optim.AdamW(classifier.parameters(), how.learning_rate, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.learning_rate, total, pct_start=WARM_UP)
    average = torch.optim.swa_utils.AveragedModel(classifier, use_buffers=True)
    for step in range(total):
        if step % steps_an_epoch == 0:
            order = torch.randperm(len(x))
        start = step % steps_an_epoch * how.batch
        chosen = order[start : start + how.batch]
        features = classifier["body"](how.augment(how.scale(x[chosen])))
        loss = F.cross_entropy(classifier["head"](features), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= (1 - how.averaged_share) * total:
            average.update_parameters(classifier)
    classifier.load_state_dict(average.module.state_dict())
    classifier.eval()


@torch.no_grad()
def fold(classifier: nn.ModuleDict, x: Tensor, temperature: float, scale: Callable[[Tensor], Tensor]) -> None:
    """Divide the logits by the temperature, and the features by their root mean square, which the head makes up for."""
    last, head = classifier["body"][-1], classifier["head"]
    size = torch.cat([classifier["body"](scale(part)) for part in x.split(PASS)]).square().mean().sqrt()
    last.weight.div_(size)
    last.bias.div_(size)
    head.weight.mul_(size / temperature)
    head.bias.div_(temperature)


@torch.no_grad()
def logits_of(classifier: nn.ModuleDict, x: Tensor, scale: Callable[[Tensor], Tensor]) -> Tensor:
    """float32 [N, K] of uint8 [N, C, H, W]."""
    return torch.cat([classifier["head"](classifier["body"](scale(part))) for part in x.split(PASS)])


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T that minimises the cross-entropy of logits / T (Guo et al., arXiv:1706.04599), by bisection.

    The derivative with respect to 1/T, mean of E_p[z] - z_y, rises with 1/T, so its root is the minimum.
    """
    z = logits.double()
    target = z.gather(1, labels[:, None]).mean()
    low, high = 0.01, 100.0  # of 1/T
    for _ in range(60):
        middle = (low * high) ** 0.5
        slope = ((z * middle).softmax(1) * z).sum(1).mean() - target
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 1 / low


def report(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy, mean NLL in nats, expected calibration error (10 bins) and Inception Score of the test split."""
    p = logits.double().softmax(1)
    confidence, guess = p.max(1)
    right = (guess == labels).double()
    bins = (confidence * 10).long().clamp(max=9)
    gaps = [(right - confidence)[bins == index].sum().abs() for index in range(10)]
    kl = (p * (p.log() - p.mean(0).log())).sum(1)
    return {
        "accuracy": float(right.mean()),
        "nll": float(F.cross_entropy(logits.double(), labels)),
        "ece": float(sum(gaps)) / len(labels),
        "is": float(kl.mean().exp()),
    }


def write(classifier: nn.ModuleDict, temperature: float, figures: dict[str, float], gate: float, out: Path) -> int:
    """Print the test split's figures and write the weights if its accuracy passes the gate; 1 if it does not."""
    print(f"temperature {temperature:.4f}; test split: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    if figures["accuracy"] < gate:
        print(f"test accuracy {figures['accuracy']:.4f} is below the gate of {gate}; nothing written", file=sys.stderr)
        return 1
    save(classifier, out)
    return 0


def save(network: nn.Module, out: Path) -> None:
    """Write the network's weights to a safetensors file."""
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, out)
    print(f"wrote {out}")


def out_of(documentation: str | None) -> Path:
    """The file that a recipe's command line, ``--out FILE``, tells it to write.

    Args:
        documentation: the recipe's, for its ``--help``.
    """
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    out: Path = parser.parse_args().out
    return out

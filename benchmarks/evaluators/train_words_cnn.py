"""The recipe of ``words-cnn-v1``: ``python -m genbench_benchmarks.evaluators.train_words_cnn --out X.safetensors``.

Only the training split is used: three quarters of it for the weights, its validation fold for the temperature, so
neither the test split nor the fold that ``--dev`` scores against has shaped a feature. Many short words are words of
several languages, and are counted with one: no classifier is right on all of them. On one machine and torch build the
file comes out the same to the byte; elsewhere the last bits differ, which is why the weights ship.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from genbench.engine.data import validation_fold
from genbench_benchmarks.evaluators.recipe import Training, fit, fit_temperature, fold, logits_of, out_of, report, write
from genbench_benchmarks.evaluators.words_cnn import network
from genbench_benchmarks.evaluators.words_extractor import LEVELS, WordsExtractor
from genbench_benchmarks.words import load
from genbench_benchmarks.words_form import FIRST_LETTER

SEED = 20260101
EXCHANGED = 0.05
"""The share of letters that another one stands in for while training."""
GATE = 0.75

scale = WordsExtractor.scale


def exchange_letters(x: Tensor) -> Tensor:
    """Put any letter in the place of some of those of int64 [B, 16]; ends and padding stay."""
    chosen = (torch.rand(x.shape) < EXCHANGED) & (x >= FIRST_LETTER)
    return torch.where(chosen, torch.randint(FIRST_LETTER, LEVELS, x.shape), x)


HOW = Training(
    epochs=12,
    batch=64,
    learning_rate=2e-3,
    weight_decay=0.1,
    averaged_share=0.25,
    scale=scale,
    augment=exchange_letters,
)


def train() -> tuple[nn.ModuleDict, float]:
    """The trained classifier, its features scaled and its temperature folded into the head; and that temperature."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x, labels = (torch.from_numpy(part) for part in load()["train"] if part is not None)
    kept, held = (torch.from_numpy(index) for index in validation_fold(x.numpy(), labels.numpy()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        classifier = network()
        fit(classifier, x[kept], labels[kept], HOW)
    temperature = fit_temperature(logits_of(classifier, x[held], scale), labels[held])
    fold(classifier, x[kept], temperature, scale)
    return classifier, temperature


def main() -> int:
    """Train, print the figures of the test split, and write the weights if they pass the gate."""
    out = out_of(__doc__)
    classifier, temperature = train()
    x, labels = (torch.from_numpy(part) for part in load()["test"] if part is not None)
    return write(classifier, temperature, report(logits_of(classifier, x, scale), labels), GATE, out)


if __name__ == "__main__":
    sys.exit(main())

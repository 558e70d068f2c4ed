"""Cached against naive sampling of the autoregressive models on 28x28 grey images of 256 levels, in one run.

Naive sampling passes the whole images through the network once for each value drawn. All passes of a chunk cost the
same, so by default some of them are timed and multiplied; ``--full`` runs them all. Times are seconds of CPU on one
thread, for one chunk. Beside them stand the largest difference of any parameter of the output between a walk over the
images with the cache and one full pass (float32), whether both ways of sampling give the same images in float64 from
one random stream, and how far the likelihood is from the sum of what was met along sampling, relatively.

To add a model, add a line to ``MODELS``. It has ``outputs``, ``walk``, ``output`` and ``ema`` as
:class:`genbench_autoregressive.likelihood_model.LikelihoodModel` has them.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench.plugins import discover
from genbench.specs import resolve_config

MODELS = ("pixelcnn", "cpixelcnn", "pixelcnn-pp", "transformer", "ctransformer")
DATA = DataSpec((1, 28, 28), levels=256, classes=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help=" ".join(MODELS))
    parser.add_argument("--chunk", type=int, default=64, help="images sampled at once")
    parser.add_argument("--passes", type=int, default=8, help="naive passes that are timed")
    parser.add_argument("--full", action="store_true", help="time all naive passes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("model         naive s   cached s    ratio   max difference   same in float64   likelihood off by")
    for name in arguments.models:
        model = built(name)
        labels = torch.arange(arguments.chunk) % 10 if getattr(model, "conditional", False) else None
        x, cached = timed(lambda: model.sample(arguments.chunk, labels))  # noqa: B023 called at once
        naive = naive_seconds(model, x, labels, DATA.dims if arguments.full else arguments.passes)
        difference, off = agreement(model, x, labels)
        same = "yes" if same_in_double(model, labels) else "NO"
        print(
            f"{name:12}{naive:9.1f}{cached:11.2f}{naive / cached:9.0f}{difference:17.1e}{same:>18}{off:20.1e}",
            flush=True,
        )


def built(name: str) -> Any:
    """The model at its defaults for the data, after a step of training, so that no map of positions is zero."""
    spec = discover().models[name].spec
    module, attribute = str(spec.factory).split(":")
    torch.manual_seed(0)
    config = resolve_config(spec, DATA, {})
    model = getattr(importlib.import_module(module), attribute)(config, DATA, torch.device("cpu"))
    x = torch.randint(256, (2, *DATA.shape), dtype=torch.uint8)
    model.train_step(Batch(x, torch.tensor([0, 1])), 0.5)
    return model


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()  # of this process alone: other users of the machine do not count
    result = function()
    return result, time.process_time() - start


@torch.no_grad()
def naive_seconds(model: Any, x: Tensor, labels: Tensor | None, passes: int) -> float:
    """Seconds of one full pass for each value of the images, from the mean of some."""
    model.outputs(model.ema.average, x, labels)
    _, seconds = timed(lambda: [model.outputs(model.ema.average, x, labels) for _ in range(passes)])
    return seconds / passes * DATA.dims


@torch.no_grad()
def agreement(model: Any, x: Tensor, labels: Tensor | None) -> tuple[float, float]:
    """The largest difference of parameters along a walk over images from a full pass over them, and of likelihoods."""
    whole = model.outputs(model.ema.average, x, labels)
    walked = torch.zeros_like(x)
    difference, met = 0.0, torch.zeros(len(x), dtype=torch.float64)
    for place, parameters in model.walk(model.ema.average, walked, labels):
        difference = max(difference, (parameters - whole[(..., *place)]).abs().max().item())
        value = x[(slice(None), *place)]
        met += model.output.log_prob(parameters, value).double().view(len(x))
        walked[(slice(None), *place)] = value
    nats = model.log_prob(x, labels).double()
    return difference, ((nats - met).abs() / met.abs()).max().item()


@torch.no_grad()
def same_in_double(model: Any, labels: Tensor | None) -> bool:
    """Whether an image drawn by full passes is the one drawn from the cache, in float64 from one random stream."""
    net = model.ema.average.double()
    label = None if labels is None else labels[:1]
    cached, naive = (torch.zeros(1, *DATA.shape, dtype=torch.uint8) for _ in range(2))
    places = []
    torch.manual_seed(1)
    for place, parameters in model.walk(net, cached, label):
        cached[(slice(None), *place)] = model.output.sample(parameters)
        places.append(place)
    torch.manual_seed(1)
    for place in places:
        parameters = model.outputs(net, naive, label)[(..., *place)]
        naive[(slice(None), *place)] = model.output.sample(parameters)
    return torch.equal(cached, naive)


if __name__ == "__main__":
    main()

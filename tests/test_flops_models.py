"""Steps of every registered model against counts made by hand from its layers: B images, 2 for a multiply-add.

``w`` below is the multiply-adds of a layer for one image: places x outputs x inputs x kernel. A forward pass through it
costs w, the gradient of its weights w, and that of its input w, where each is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from counting import count

from genbench import Batch, DataSpec
from genbench.engine.contract import resolve
from genbench.engine.flops import FlopMeter
from genbench.engine.rng import seed_globals
from genbench.plugins import Registry, discover
from genbench.specs import resolve_config

DIGITS = DataSpec(shape=(1, 8, 8), levels=17, classes=10)


@dataclass(frozen=True)
class Gan:
    """Layers of ``dcgan`` and ``cgan`` on 8 x 8: 4 x 4 places after one halving, 2 x 2 after two."""

    latent: int = 32
    g: int = 24
    d: int = 24

    def step(self, penalised: bool) -> int:
        generator_in = self.latent * (4 * 4 * 2 * self.g)
        up = 4 * 4 * (2 * self.g) * self.g * 16
        to_image = 8 * 8 * self.g * 1 * 9
        first = 4 * 4 * self.d * 1 * 16
        second = 2 * 2 * (2 * self.d) * self.d * 16
        head = 2 * 2 * (2 * self.d)
        generated = generator_in + up + to_image
        # D on B real and B generated images, which are constants: the first layer's input wants no gradient.
        discriminator = 2 * ((first + second + head) + (first + 2 * second + 2 * head))
        # G through D, whose weights are frozen; z is a constant.
        generator = (first + second + head) * 2 + generator_in + 2 * up + 2 * to_image
        # The penalty: forward, gradient of the images, then of that the cotangents of weights and of the gradients
        # (the head's incoming gradient is the constant 1). Leaky ReLU's masks pass back zeros, on which the
        # backward passes of both convolutions run in full, images included.
        penalty = 2 * (first + second + head) + (2 * first + 2 * second + head) + (2 * first + 2 * second)
        return generated + discriminator + generator + (penalty if penalised else 0)


def gan_step(config: Any, step: int) -> int:
    return Gan(config.latent, config.generator_width, config.discriminator_width).step(step % config.r1_every == 0)


def autoencoder(width: int, latent: int, codes: int, numbers: int) -> int:
    """8 x 8 folded to 4 x 4 x 4, then to 2 x 2; ``codes`` numbers from the encoder, ``numbers`` for each pixel."""
    flat, wide = 8 * width, 2 * width
    image = 4 * 4 * width * 4 * 9  # 3 x 3 on the folded image, which is a constant
    residual = 4 * 4 * width * width * 9
    coarse = 2 * 2 * wide * (4 * width)
    encoder_dense = (4 * wide) * flat + flat * flat + flat * codes
    decoder_dense = latent * flat + flat * flat + flat * (4 * wide)
    finer = 2 * 2 * (4 * width) * wide
    out = 4 * 4 * (4 * numbers) * width * 9
    return 3 * (image + residual + coarse + encoder_dense + decoder_dense + finer + residual + out) - image


def vae_step(config: Any, step: int) -> int:
    # A mean and a log scale for each latent; a logit, a mean and a log scale for each logistic of a pixel.
    return autoencoder(config.width, config.latent, 2 * config.latent, 3 * config.logistics)


def hvae_step(config: Any, step: int) -> int:
    # Groups at 2 x 2 and 4 x 4: prior, posterior of decoder's and encoder's features, and the way back.
    c, groups = config.channels, 0
    for places, features in ((2 * 2, 2 * config.width), (4 * 4, config.width)):
        prior, posterior = features * 2 * c, 2 * features * features + features * 2 * c
        groups += places * (prior + posterior + c * features)
    return vae_step(config, step) + 3 * groups


def ae_gmm_step(config: Any, step: int) -> int:
    return autoencoder(config.width, config.latent, config.latent, 1)


def pixelcnn_step(config: Any, step: int) -> int:
    places, c, hidden, levels = 8 * 8, config.channels, config.hidden, 17
    first_vertical, first_horizontal = 2 * c * 1 * 3 * 7, 2 * c * 1 * 4  # of the image, which is a constant
    vertical, horizontal = 2 * c * c * 2 * 3, 2 * c * c * 2
    between, out = 2 * c * 2 * c, c * c
    blocks = first_vertical + first_horizontal + (config.blocks - 1) * (vertical + horizontal)
    blocks += config.blocks * (between + out)
    head = c * hidden + hidden * levels
    return places * (3 * (blocks + head) - first_vertical - first_horizontal)


def cpixelcnn_step(config: Any, step: int) -> int:
    # A one-hot vector of 10 classes, which is a constant, times a matrix: for each block two stacks' gates.
    return pixelcnn_step(config, step) + 2 * 10 * config.blocks * 2 * 2 * config.channels


def pixelcnn_pp_step(config: Any, step: int) -> int:
    stems = 64 * (3 * 7 + 3) * config.channels  # of the image, which is a constant
    first = 64 * config.channels**2
    logits = 64 * config.channels * 3 * config.logistics
    features = [config.channels + scale * config.widen for scale in range(config.scales)]
    places = [64, 16, 4][: config.scales]
    # A block: vertical 2 x 3 and out to twice as many, the message, horizontal 1 x 2 and out to twice as many.
    blocks = sum(2 * config.blocks * (6 + 2 + 1 + 2 + 2) * p * c * c for p, c in zip(places, features, strict=True))
    # Down: 2 x 3 and 1 x 2 for each place of the lower resolution; up: 2 x 2 from each, twice.
    between = sum((6 + 2 + 2 * 4) * p * c * d for p, c, d in zip(places[1:], features, features[1:], strict=False))
    return 3 * (stems + first + blocks + between + logits) - stems


def transformer_step(config: Any, step: int) -> int:
    places, d, levels = 8 * 8, config.width, 17
    # Values 2 rows above, 3 columns to either side and 3 to the left, and of a row's first the one before it; twice,
    # as numbers and as flags. They are constants.
    stem = 2 * (2 * 7 + 3 + 1) * d
    layer = 3 * d * d + d * d + 2 * config.expansion * d * d + 2 * places * d  # the last: scores and averages
    return places * (3 * (stem + config.layers * layer + d * levels) - stem)


def ddpm_step(config: Any, step: int) -> int:
    # Half the resolution is 4 x 4 places of w features, a quarter 2 x 2 of twice as many.
    w, embedding = config.width, 4 * config.width

    def block(places: int, inputs: int, outputs: int) -> int:
        skip = places * inputs * outputs if inputs != outputs else 0
        return places * 9 * (inputs + outputs) * outputs + skip + embedding * 2 * outputs

    stem = 16 * 9 * 4 * w
    waves = w * embedding
    blocks = block(16, w, w) + 2 * block(4, 2 * w, 2 * w) + block(16, 2 * w, w)
    others = embedding**2 + 4 * (4 * w) * (2 * w) + 4 * (2 * w) * (4 * w) + 16 * 9 * w * 4
    return 3 * (stem + waves + blocks + others) - stem - waves  # the noisy image and the step are constants


def nothing(config: Any, step: int) -> int:
    return 0


BY_HAND: dict[str, Callable[[Any, int], int]] = {
    "dcgan": gan_step,
    "cgan": gan_step,
    "vae": vae_step,
    "beta-vae": vae_step,
    "cvae": vae_step,  # looking a label up costs no multiply-add
    "hvae": hvae_step,
    "ae-gmm": ae_gmm_step,
    "pixelcnn": pixelcnn_step,
    "cpixelcnn": cpixelcnn_step,
    "pixelcnn-pp": pixelcnn_pp_step,
    "transformer": transformer_step,
    "ctransformer": transformer_step,  # looking a class up costs no multiply-add
    "ddpm": ddpm_step,
    "marginals": nothing,
    "class-marginals": nothing,
    "train-copy": nothing,
}
"""Multiply-adds an image of a training step."""
UNTRAINED = {"noise"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def built(registry: Registry, name: str) -> tuple[Any, Any]:
    spec = registry.models[name].spec
    config = resolve_config(spec, DIGITS, {})
    torch.manual_seed(0)
    return resolve(spec.factory)(config, DIGITS, torch.device("cpu")), config


def batch(size: int, step: int) -> Batch:
    seed_globals(0, "train", step)
    return Batch(torch.randint(0, 17, (size, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 10, (size,)))


def test_every_registered_model_has_a_count_made_by_hand(registry: Registry) -> None:
    assert set(registry.models) == set(BY_HAND) | UNTRAINED
    assert {name for name, entry in registry.models.items() if entry.spec.max_epochs == 0} == UNTRAINED


@pytest.mark.parametrize("name", BY_HAND)
def test_a_models_first_steps_cost_what_its_layers_say(registry: Registry, name: str) -> None:
    model, config = built(registry, name)
    for step in range(3):
        found = count(lambda step=step: model.train_step(batch(config.batch_size, step), 0.1))
        by_hand = 2 * config.batch_size * BY_HAND[name](config, step)
        assert found == pytest.approx(by_hand, rel=0.01)


@pytest.mark.parametrize("name", ["dcgan", "cgan"])
def test_a_gans_whole_run_is_charged_what_its_layers_say(registry: Registry, name: str) -> None:
    model, config = built(registry, name)
    meter, charged, steps = FlopMeter(seed=3), 0.0, 60
    for step in range(steps):
        with meter.step(step):
            model.train_step(batch(config.batch_size, step), step / steps)
        charged += meter.charge
    by_hand = sum(2 * config.batch_size * BY_HAND[name](config, step) for step in range(steps))
    assert meter.counted < steps / 2
    assert charged == pytest.approx(by_hand, rel=0.01)

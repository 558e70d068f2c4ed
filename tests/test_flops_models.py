"""Steps of every registered model against counts made by hand from its layers: B images, 2 for a multiply-add.

``w`` below is the multiply-adds of a layer for one image: places x outputs x inputs x kernel. A forward pass through it
costs w, the gradient of its weights w, and that of its input w, where each is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from counting import count
from gan_layers import acgan_step, dcgan_step, mlp_gan_step, recurrent_step, sagan_step, sngan_step, wgan_gp_step

from genbench import Batch, DataSpec
from genbench.engine.contract import resolve
from genbench.engine.flops import FlopMeter
from genbench.engine.rng import seed_globals
from genbench.plugins import Registry, discover
from genbench.specs import resolve_config

DIGITS = DataSpec(shape=(1, 8, 8), levels=17, classes=10)
WORDS = DataSpec(shape=(6,), levels=9, classes=3)
TINY = {"batch_size": 16, "generator_width": 8, "discriminator_width": 8}
"""Of GANs, whose steps are many."""


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


BY_HAND: dict[str, Callable[[Any, int], float]] = {
    "mlp-gan": mlp_gan_step,
    "dcgan": dcgan_step,
    "wgan-gp": wgan_gp_step,
    "sngan": sngan_step,
    "sagan": sagan_step,
    "rnn-gan": partial(recurrent_step, steps=8, features=8, embedded=False),
    "cgan": dcgan_step,  # looking a label's vectors up costs no multiply-add
    "acgan": acgan_step,
    "crnn-gan": partial(recurrent_step, steps=8, features=8, embedded=True),
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
    "ngram": nothing,
    "marginals": nothing,
    "class-marginals": nothing,
    "train-copy": nothing,
}
"""Multiply-adds an image of a training step."""
UNTRAINED = {"noise"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def built(registry: Registry, name: str, data: DataSpec) -> tuple[Any, Any]:
    spec = registry.models[name].spec
    config = resolve_config(spec, data, TINY if "gan" in name else {})
    torch.manual_seed(0)
    return resolve(spec.factory)(config, data, torch.device("cpu")), config


def batch(size: int, data: DataSpec, step: int) -> Batch:
    seed_globals(0, "train", step)
    x = torch.randint(0, data.levels, (size, *data.shape), dtype=torch.uint8)
    return Batch(x, torch.randint(0, data.classes or 1, (size,)))


def assert_steps_cost(by_hand: Callable[[Any, int], float], registry: Registry, name: str, data: DataSpec) -> None:
    model, config = built(registry, name, data)
    for step in range(3):
        found = count(lambda step=step: model.train_step(batch(config.batch_size, data, step), 0.1))
        assert found == 2 * config.batch_size * by_hand(config, step)


def test_every_registered_model_has_a_count_made_by_hand(registry: Registry) -> None:
    assert set(registry.models) == set(BY_HAND) | UNTRAINED
    assert {name for name, entry in registry.models.items() if entry.spec.max_epochs == 0} == UNTRAINED


@pytest.mark.parametrize("name", BY_HAND)
def test_a_models_first_steps_cost_what_its_layers_say(registry: Registry, name: str) -> None:
    takes_digits = registry.models[name].spec.supports(DIGITS) is None
    assert_steps_cost(BY_HAND[name], registry, name, DIGITS if takes_digits else WORDS)


@pytest.mark.parametrize("name", ["transformer", "ctransformer"])
def test_a_transformers_first_steps_on_words_cost_dense_layers_up_to_the_ends(registry: Registry, name: str) -> None:
    model, config = built(registry, name, WORDS)
    length, d, levels = WORDS.dims, config.width, WORDS.levels
    layer = 3 * d * d + d * d + 2 * config.expansion * d * d
    for step in range(3):
        words = batch(config.batch_size, WORDS, step)
        symbols = [row.index(config.end) + 1 if config.end in row else length for row in words.x.tolist()]
        # Looking letters and n-grams up costs nothing; scores and averages are of all places, and of one vector for
        # all that is behind an end only the output is computed.
        by_hand = sum(symbols) * (config.layers * layer + d * levels) + d * levels
        by_hand += len(symbols) * config.layers * 2 * length * length * d
        assert count(lambda words=words: model.train_step(words, 0.1)) == 3 * 2 * by_hand


@pytest.mark.parametrize("name", ["rnn-gan", "crnn-gan"])
def test_a_recurrent_gans_first_steps_on_words_cost_what_its_layers_say(registry: Registry, name: str) -> None:
    by_hand = partial(recurrent_step, steps=6, features=9, embedded=name == "crnn-gan", words=True)
    assert_steps_cost(by_hand, registry, name, WORDS)


@pytest.mark.parametrize("name", ["dcgan", "wgan-gp"])
def test_a_gans_whole_run_is_charged_what_its_layers_say(registry: Registry, name: str) -> None:
    model, config = built(registry, name, DIGITS)
    meter, charged, steps = FlopMeter(seed=3), 0.0, 40
    for step in range(steps):
        with meter.step(step):
            model.train_step(batch(config.batch_size, DIGITS, step), step / steps)
        charged += meter.charge
    by_hand = sum(2 * config.batch_size * BY_HAND[name](config, step) for step in range(steps))
    assert meter.counted < steps / 2
    assert charged == pytest.approx(by_hand, rel=0.01)

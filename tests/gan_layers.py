"""Multiply-adds an image of a GAN's training step, counted by hand from its layers on 8 x 8 pixels or on words.

A network is told as its ``layers``, first to last, each the multiply-adds w of one example: its forward pass costs w,
the gradient of its weights w and that of its input w. Products of two activations (attention) stand apart: their
backward pass costs 2 w whether weights are trained or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HALF, QUARTER = 4 * 4, 2 * 2
"""Places of maps of 8 x 8 pixels after one halving and after two."""


@dataclass(frozen=True)
class Network:
    """Layers in a chain of which the last of a discriminator is the head; z and images are constants.

    Attributes:
        layers: multiply-adds of each layer.
        products: those of products of two activations.
        norms: multiply-adds of finding the spectral norms of its weights, once a pass, whatever the batch.
    """

    layers: tuple[int, ...]
    products: int = 0
    norms: int = 0

    @property
    def forward(self) -> int:
        return sum(self.layers) + self.products

    @property
    def backward(self) -> int:
        """To the weights; the input wants no gradient."""
        return 2 * self.forward - self.layers[0]

    @property
    def backward_to_the_input(self) -> int:
        """Through frozen weights."""
        return sum(self.layers) + 2 * self.products

    @property
    def penalty(self) -> int:
        """Forward, gradient of the images, then of that the cotangents of weights and of the gradients (the head's
        incoming gradient is the constant 1). Leaky ReLU's masks pass back zeros, on which the backward passes of all
        layers but the head run in full, images included."""
        if self.products:
            raise ValueError("no penalised discriminator of these has attention, and none is counted here")
        body, head = sum(self.layers[:-1]), self.layers[-1]
        return 2 * (body + head) + (2 * body + head) + 2 * body


def step(g: Network, d: Network, batch_size: int, penalised: bool = False, turn_of_g: bool = True) -> float:
    """D on B real and B generated images, and G, if it is its turn, through the new D."""
    cost = g.forward + 2 * (d.forward + d.backward)
    if penalised:
        cost += d.penalty
    if turn_of_g:
        cost += d.forward + d.backward_to_the_input + g.backward
    return cost + (g.norms + (1 + turn_of_g) * d.norms) / batch_size


def norms(*weights: tuple[int, int]) -> int:
    """For weights of so many (rows, columns): W v, W' u, W v again and u' W v; backwards only an outer product."""
    return sum(3 * rows * columns + rows for rows, columns in weights)


def convolutional_generator(config: Any) -> Network:
    w = config.generator_width
    return Network((config.latent * HALF * 2 * w, HALF * 2 * w * w * 16, 64 * w * 9))


def convolutional_discriminator(config: Any) -> Network:
    w = config.discriminator_width
    return Network((HALF * w * 16, QUARTER * 2 * w * w * 16, QUARTER * 2 * w))


def dcgan_step(config: Any, number: int) -> float:
    g, d = convolutional_generator(config), convolutional_discriminator(config)
    return step(g, d, config.batch_size, penalised=number % config.r1_every == 0)


def acgan_step(config: Any, number: int) -> float:
    # The second head reads all that D reads, generated images (with gradients of 0) and penalised ones included.
    classifier = 10 * QUARTER * 2 * config.discriminator_width
    penalised = number % config.r1_every == 0
    return dcgan_step(config, number) + (2 * 3 + 2 + penalised) * classifier


def mlp_gan_step(config: Any, number: int) -> float:
    g, d = config.generator_width, config.discriminator_width
    generator, discriminator = Network((config.latent * g, g * g, g * 64)), Network((64 * d, d * d, d))
    return step(generator, discriminator, config.batch_size, penalised=number % config.r1_every == 0)


def wgan_gp_step(config: Any, number: int) -> float:
    g, d = convolutional_generator(config), convolutional_discriminator(config)
    turn_of_g = number % config.critic_steps == config.critic_steps - 1
    return step(g, d, config.batch_size, penalised=True, turn_of_g=turn_of_g)


def sngan_step(config: Any, number: int) -> float:
    w = config.discriminator_width
    layers = (64 * w * 9, HALF * w * w * 16, QUARTER * 2 * w * w * 16, QUARTER * 2 * w)
    d = Network(layers, norms=norms((w, 9), (w, w * 16), (2 * w, w * 16), (1, QUARTER * 2 * w)))
    return step(convolutional_generator(config), d, config.batch_size)


def attention(channels: int) -> tuple[int, int, int]:
    """Multiply-adds of the 1 x 1 convolutions, of the products on a map of 4 x 4, and of the spectral norms."""
    key, value = max(4, channels // 8), max(4, channels // 2)
    weights = ((2 * key, channels), (value, channels), (channels, value))
    return HALF * sum(rows * columns for rows, columns in weights), HALF * HALF * (key + value), norms(*weights)


def sagan_step(config: Any, number: int) -> float:
    w = config.generator_width
    convolutions, products, of_attention = attention(2 * w)
    project, up, to_image = convolutional_generator(config).layers
    of_others = norms((HALF * 2 * w, config.latent), (w, 2 * w * 16), (1, w * 9))
    g = Network((project, convolutions, up, to_image), products, of_attention + of_others)
    w = config.discriminator_width
    convolutions, products, of_attention = attention(w)
    first, second, head = convolutional_discriminator(config).layers
    of_others = norms((w, 16), (2 * w, w * 16), (1, QUARTER * 2 * w))
    d = Network((first, convolutions, second, head), products, of_attention + of_others)
    return step(g, d, config.batch_size)


def recurrent_step(config: Any, number: int, steps: int, features: int, embedded: bool, words: bool = False) -> float:
    """Of ``rnn-gan`` and ``crnn-gan``; with ``embedded`` labels z is no constant. A letter is told to the next step."""
    w = config.generator_width
    of_z = config.latent * (w + 3 * w)
    told = words * (steps - 1) * features * 3 * w
    each = told + steps * (3 * w * w + w * w + w * features)
    generator = 2 * of_z + embedded * of_z + 3 * each  # forward and backward

    w = config.discriminator_width
    d = Network((steps * 3 * features * 2 * w, steps * 2 * w * 4 * w, 4 * w * 2 * w, 2 * w))
    # Through the shares second derivatives are not 0, but the products are the same as in Network.penalty.
    return generator + step(Network((0,)), d, config.batch_size, penalised=number % config.r1_every == 0)

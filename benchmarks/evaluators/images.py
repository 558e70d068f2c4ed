"""The evaluators of small images that ship with genbench, as they are declared."""

from __future__ import annotations

from pathlib import Path

from genbench import EvaluatorSpec

HERE = Path(__file__).parent
MODULES = "genbench_benchmarks.evaluators"
DIGITS_CNN = "2c28c546dc2817e823efa6918d2ebf9b83cfc146fd2020097d2d5ce228ff07ee"
DIGITS_RANDOM = "cc6235650b20a80f23affa60ed183cf40a74cabe2c02ff03fcf364b92a8019ee"

IMAGES = (
    EvaluatorSpec(
        name="digits-cnn-v1",
        factory=f"{MODULES}.digits_cnn:DigitsCNN",
        weights=str(HERE / "digits-cnn-v1.safetensors"),
        sha256=DIGITS_CNN,
        features="features",
        logits="logits",
        dims=32,
        shape=(1, 8, 8),
        levels=17,
        batch_size=100,
        summary="convolutional classifier of 8x8 digits, test accuracy 0.995, 32 features, calibrated head",
    ),
    EvaluatorSpec(
        name="digits-random-v1",
        factory=f"{MODULES}.digits_random:DigitsRandom",
        weights=str(HERE / "digits-random-v1.safetensors"),
        sha256=DIGITS_RANDOM,
        features="features",
        logits=None,
        dims=32,
        shape=(1, 8, 8),
        levels=17,
        batch_size=100,
        summary="random convolutions on 8x8 digits, never trained, 32 features; a second opinion, and for copies",
    ),
    EvaluatorSpec(
        name="stacked-digits-cnn-v1",
        factory=f"{MODULES}.stacked_digits:StackedDigitsCNN",
        weights=str(HERE / "digits-cnn-v1.safetensors"),
        sha256=DIGITS_CNN,
        features="features",
        logits="logits",
        dims=96,
        shape=(3, 8, 8),
        levels=17,
        batch_size=100,
        summary="digits-cnn-v1 on each of three channels, 96 features, 1,000 classes: the modes of stacked digits",
    ),
    EvaluatorSpec(
        name="stacked-digits-random-v1",
        factory=f"{MODULES}.stacked_digits:StackedDigitsRandom",
        weights=str(HERE / "digits-random-v1.safetensors"),
        sha256=DIGITS_RANDOM,
        features="features",
        logits=None,
        dims=96,
        shape=(3, 8, 8),
        levels=17,
        batch_size=100,
        summary="digits-random-v1 on each of three channels, never trained, 96 features; a second opinion",
    ),
    EvaluatorSpec(
        name="fashion-cnn-v1",
        factory=f"{MODULES}.fashion_cnn:FashionCNN",
        weights=str(HERE / "fashion-cnn-v1.safetensors"),
        sha256="5c9e516c7566890594ab7094b5e828b3c8da657c7631ae8ce65f8b38e6dd6199",
        features="features",
        logits="logits",
        dims=64,
        shape=(1, 28, 28),
        levels=256,
        batch_size=100,
        summary="convolutional classifier of Fashion-MNIST, test accuracy 0.922, 64 features, calibrated head",
    ),
    EvaluatorSpec(
        name="fashion-random-v1",
        factory=f"{MODULES}.fashion_random:FashionRandom",
        weights=str(HERE / "fashion-random-v1.safetensors"),
        sha256="614c7da0fc9046671d42e777c15cee87a51075ac70b6babce7abffe960a2f7cf",
        features="features",
        logits=None,
        dims=64,
        shape=(1, 28, 28),
        levels=256,
        batch_size=100,
        summary="random convolutions on 28x28 images, never trained, 64 features; a second opinion, and for copies",
    ),
)

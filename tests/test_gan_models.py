"""Claims that hold of every GAN, and those that are particular to one as a model: steps, states, samples, labels."""

from __future__ import annotations

import copy
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import genbench_cgan
import genbench_gan
from genbench import Batch, DataSpec, ModelSpec
from genbench.engine.checkpoint import load_state, save_state
from genbench.errors import SpecError
from genbench.specs import resolve_config

DIGITS = DataSpec(shape=(1, 8, 8), levels=17, classes=10)
WORDS = DataSpec(shape=(6,), levels=9, classes=3)
CPU = torch.device("cpu")
SPECS = {spec.name: spec for spec in (*genbench_gan.register_models(), *genbench_cgan.register_models())}
CONVOLUTIONAL = ("dcgan", "wgan-gp", "sngan", "sagan", "cgan", "acgan")
CONDITIONAL = ("cgan", "acgan", "crnn-gan")
WITH_R1 = ("mlp-gan", "dcgan", "rnn-gan", "cgan", "acgan", "crnn-gan")
CASES = [*((name, DIGITS) for name in SPECS), ("rnn-gan", WORDS), ("crnn-gan", WORDS)]

of_every_case = pytest.mark.parametrize(
    ("name", "data"), [pytest.param(name, data, id=f"{name}-{len(data.shape)}d") for name, data in CASES]
)
of_every_model = pytest.mark.parametrize("name", SPECS)


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def build(name: str, data: DataSpec = DIGITS, **overrides: object) -> Any:
    """A small model of that name, always the same."""
    spec = SPECS[name]
    module, attribute = str(spec.factory).split(":")
    small = {"batch_size": 8, "generator_width": 8, "discriminator_width": 8, **overrides}
    torch.manual_seed(0)
    return getattr(importlib.import_module(module), attribute)(resolve_config(spec, data, small), data, CPU)


def batch_for(model: Any) -> Batch:
    data, size = model.data, model.config.batch_size
    x = torch.randint(0, data.levels, (size, *data.shape), dtype=torch.uint8)
    return Batch(x, torch.randint(0, data.classes or 1, (size,)))


def train(model: Any, steps: range, of: int = 10) -> list[dict[str, Tensor]]:
    """Steps whose batches and draws depend on their number only, as in the core."""
    logs = []
    for step in steps:
        torch.manual_seed(1000 + step)
        logs.append(model.train_step(batch_for(model), step / of))
    return logs


def tensors(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {name: leaf for key, value in state.items() for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


def differing(left: Any, right: Any) -> list[str]:
    """Paths at which two states differ."""
    left, right = tensors(left), tensors(right)
    assert left.keys() == right.keys()
    return [
        path
        for path, value in left.items()
        if not (torch.equal(value, right[path]) if isinstance(value, Tensor) else value == right[path])
    ]


def labels_for(model: Any, n: int) -> Tensor | None:
    return torch.arange(n) % model.data.classes if model.conditional else None


# State


@of_every_case
def test_training_resumed_from_a_saved_state_equals_uninterrupted_training_bit_for_bit(
    name: str, data: DataSpec, tmp_path: Path
) -> None:
    # Penalties and turns of G that fall on both sides of the interruption.
    overrides = {"r1_every": 3} if name in WITH_R1 else {"critic_steps": 3}
    whole = build(name, data, **overrides)
    train(whole, range(6))

    first = build(name, data, **overrides)
    train(first, range(3))
    save_state(first.state_dict(), tmp_path / "state")
    second = build(name, data, **overrides)
    second.load_state_dict(load_state(tmp_path / "state"))
    train(second, range(3, 6))
    assert differing(whole.state_dict(), second.state_dict()) == []


@of_every_model
def test_training_on_leaves_a_loaded_state_as_it_was(name: str) -> None:
    first = build(name)
    train(first, range(2))
    state = copy.deepcopy(first.state_dict())
    kept = copy.deepcopy(state)
    second = build(name)
    second.load_state_dict(state)
    train(second, range(2, 4))
    assert differing(kept, state) == []


@of_every_model
def test_a_state_of_other_widths_is_refused(name: str) -> None:
    state = build(name, generator_width=4).state_dict()
    with pytest.raises((RuntimeError, ValueError), match="size mismatch"):
        build(name, generator_width=8).load_state_dict(state)


# Steps


@of_every_case
def test_a_step_gives_finite_losses_and_moves_both_networks_when_it_is_the_turn_of_both(
    name: str, data: DataSpec
) -> None:
    model = build(name, data, critic_steps=2)
    before = copy.deepcopy(model.state_dict())
    first, second = train(model, range(2))
    assert "loss_g" not in first
    assert set(second) >= {"loss_d", "loss_g"}
    for value in (*first.values(), *second.values()):
        assert torch.isfinite(value)
        assert value.dim() == 0
        assert not value.requires_grad
    after = model.state_dict()
    assert after["steps"] == 2
    for part in ("generator", "discriminator", "ema"):
        assert differing(before[part], after[part])


def test_the_generator_and_its_average_move_in_every_so_many_steps_only() -> None:
    model = build("wgan-gp", critic_steps=3)
    moved = []
    for step in range(7):
        weights = model.generator.project.weight.clone()
        images = model.ema.images
        train(model, range(step, step + 1))
        moved.append(not torch.equal(weights, model.generator.project.weight))
        # The average counts all images seen since its last move.
        assert model.ema.images - images == (24 if moved[-1] else 0)
    assert moved == [False, False, True, False, False, True, False]


@pytest.mark.parametrize("name", WITH_R1)
def test_the_r1_penalty_is_taken_in_every_so_many_steps_with_so_many_times_the_weight(name: str) -> None:
    logs = train(build(name, r1_every=3), range(5))
    assert ["r1" in entry for entry in logs] == [True, False, False, True, False]
    assert "r1" not in train(build(name, r1=0.0), range(1))[0]

    # Gamma 0.2 every 3 steps weighs as much in its step as 0.6 in each. The first moment is the gradient, or a
    # fixed share of it.
    def gradients(**overrides: object) -> list[Tensor]:
        model = build(name, beta1=0.5, clip=0.0, **overrides)
        train(model, range(1))
        return [slots["exp_avg"] for slots in model.optimizer_d.state.values()]

    lazy, eager, without = gradients(r1=0.2, r1_every=3), gradients(r1=0.6, r1_every=1), gradients(r1=0.0)
    for mine, theirs in zip(lazy, eager, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.allclose(lazy[0], without[0], rtol=0.01, atol=0.0)


def test_step_sizes_are_constant_and_then_fall_linearly_to_zero_in_their_ratio() -> None:
    model = build("sagan", lr=1e-3, lr_ratio=4.0, lr_decay=0.5)
    found = []
    for progress in (0.0, 0.5, 0.75, 0.999):
        model.set_schedules(progress)
        found.append(model.optimizer_g.param_groups[0]["lr"])
        assert model.optimizer_d.param_groups[0]["lr"] == pytest.approx(4 * found[-1])
    assert found == pytest.approx([1e-3, 1e-3, 5e-4, 2e-6])
    constant = build("dcgan", lr=1e-3, lr_decay=0.0)
    constant.set_schedules(0.999)
    assert constant.optimizer_g.param_groups[0]["lr"] == 1e-3


def test_gradients_are_clipped_to_the_norm_that_is_asked_for() -> None:
    def norm(clip: float) -> float:
        model = build("rnn-gan", beta1=0.5, clip=clip)
        train(model, range(1))
        # The first moment after one step is half the gradient.
        moments = [slots["exp_avg"].flatten() * 2 for slots in model.optimizer_d.state.values()]
        return float(torch.cat(moments).norm())

    assert norm(0.0) > 0.02
    assert norm(0.01) == pytest.approx(0.01, rel=1e-3)


def test_the_temperature_of_letters_falls_geometrically_over_the_budget() -> None:
    model = build("rnn-gan", WORDS, temperature=2.0, last_temperature=0.5)
    found = []
    for progress in (0.0, 0.5, 1.0):
        model.set_schedules(progress)
        found.append(model.generator.temperature)
    assert found == pytest.approx([2.0, 1.0, 0.5])


# Samples


@of_every_case
@pytest.mark.parametrize("n", [1, 7])
def test_sampling_any_number_changes_no_part_of_the_model(name: str, data: DataSpec, n: int) -> None:
    model = build(name, data)
    before = copy.deepcopy(model.state_dict())
    x = model.sample(n, labels_for(model, n))
    assert x.dtype == torch.uint8
    assert x.shape == (n, *data.shape)
    assert int(x.max()) < data.levels
    assert differing(before, model.state_dict()) == []


@pytest.mark.parametrize(
    ("name", "side", "steps", "least", "recipe"),
    [
        ("cgan", 8, 120, 0.9, {"generator_width": 16, "discriminator_width": 8, "lr": 4e-3}),
        ("acgan", 8, 120, 0.9, {"generator_width": 16, "discriminator_width": 8, "lr": 4e-3, "class_weight_g": 0.5}),
        # The recurrent networks take longer: 0.58 after 120 steps, where chance gives 0.25.
        ("crnn-gan", 4, 240, 0.9, {"generator_width": 32, "discriminator_width": 32, "lr": 4e-3, "r1_every": 16}),
    ],
)
def test_a_conditional_model_learns_which_label_an_image_has(
    name: str, side: int, steps: int, least: float, recipe: dict[str, object]
) -> None:
    """Class k of four is a bright bar in a row of its own: samples are brightest in the row that was asked for."""
    model = build(name, DataSpec((1, side, side), 17, 4), batch_size=32, **recipe)
    rng = np.random.default_rng(0)
    for step in range(steps):
        torch.manual_seed(step)
        labels = torch.from_numpy(rng.integers(0, 4, 32))
        x = torch.from_numpy(rng.integers(0, 5, (32, 1, side, side), dtype=np.uint8))
        x[torch.arange(32), 0, side // 4 * labels] = torch.from_numpy(rng.integers(12, 17, (32, side), dtype=np.uint8))
        model.train_step(Batch(x, labels), step / steps)
    asked = torch.arange(200) % 4
    found = model.sample(200, asked).float().sum((1, 3)).argmax(1)
    assert (found == side // 4 * asked).float().mean() >= least


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_preparing_for_evaluation_costs_less_than_a_twentieth_of_training(name: str) -> None:
    model = build(name)
    train(model, range(1))
    with FlopCounterMode(display=False) as step:  # without a penalty where penalties are lazy
        train(model, range(1, 2))
    for steps in (2, 40):
        model.steps = steps
        with FlopCounterMode(display=False) as preparing:
            model.prepare_for_eval(iter([batch_for(model)] * 100))
        assert preparing.get_total_flops() <= 0.05 * steps * step.get_total_flops()
        assert (preparing.get_total_flops() > 0) == (steps >= 10)


# Data and settings


@pytest.mark.parametrize("side", [8, 28, 64])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_supported_size_trains_and_samples_in_colour(name: str, side: int) -> None:
    data = DataSpec((3, side, side), 256, 10)
    assert SPECS[name].supports(data) is None
    model = build(name, data, batch_size=2, critic_steps=1, generator_width=2, discriminator_width=2)
    assert all(torch.isfinite(value) for value in train(model, range(1))[0].values())
    assert model.sample(1, labels_for(model, 1)).shape == (1, *data.shape)


@pytest.mark.parametrize("name", ["mlp-gan", "rnn-gan", "crnn-gan"])
def test_dense_and_recurrent_models_take_images_of_any_shape(name: str) -> None:
    data = DataSpec((2, 3, 5), 4, 3)
    assert SPECS[name].supports(data) is None
    model = build(name, data)
    train(model, range(1))
    assert model.sample(2, labels_for(model, 2)).shape == (2, 2, 3, 5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DataSpec((40,), 27, 3), "sequences"),
        (DataSpec((1, 9, 9), 17, 10), "9x9"),
        (DataSpec((1, 8, 12), 17, 10), "8x12"),
        (DataSpec((1, 4, 4), 17, 10), "4x4"),
        (DataSpec((3, 128, 128), 256, 10), "128x128"),
    ],
)
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_data_that_do_not_fit_are_declined_with_the_reason(name: str, data: DataSpec, words: str) -> None:
    assert words in (SPECS[name].supports(data) or "")
    resolve_config(SPECS[name], data, {})


@of_every_model
def test_the_conditional_models_and_no_others_decline_data_without_labels(name: str) -> None:
    reason = SPECS[name].supports(DataSpec((1, 8, 8), 17, None))
    assert SPECS[name].conditional == (name in CONDITIONAL)
    assert "labels" in (reason or "") if name in CONDITIONAL else reason is None


def test_sequences_too_poor_to_be_words_are_declined() -> None:
    assert "end symbol" in (SPECS["rnn-gan"].supports(DataSpec((8,), 2)) or "")
    assert "sequences" in (SPECS["mlp-gan"].supports(WORDS) or "")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dcgan", {"batch_size": 1}),
        ("dcgan", {"lr": 0.0}),
        ("dcgan", {"r1": -1.0}),
        ("dcgan", {"augment": 1.5}),
        ("dcgan", {"lr_decay": 2.0}),
        ("dcgan", {"critic_steps": 0}),
        ("sagan", {"lr_ratio": 0.0}),
        ("rnn-gan", {"clip": -1.0}),
        ("rnn-gan", {"last_temperature": 0.0}),
        ("wgan-gp", {"gradient_penalty": -1.0}),
        ("wgan-gp", {"r1": 0.1}),
        ("acgan", {"class_weight_g": -0.1}),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, change: dict[str, object]) -> None:
    [field] = change
    with pytest.raises(SpecError, match=field):
        resolve_config(SPECS[name], DIGITS, change)


def test_words_cannot_be_augmented() -> None:
    with pytest.raises(ValueError, match="augment"):
        build("rnn-gan", WORDS, augment=0.5)


def test_the_hook_modules_import_no_torch_and_no_numpy() -> None:
    code = (
        "import sys, genbench_gan, genbench_cgan; genbench_gan.register_models(); genbench_cgan.register_models(); "
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_every_model_names_a_paper_and_the_packages_it_is_made_of() -> None:
    def complete(spec: ModelSpec) -> bool:
        shared = {"genbench_blocks"} | ({"genbench_gan"} if spec.conditional else set())
        return "arXiv:" in spec.reference and set(spec.code) == shared

    assert [name for name, spec in SPECS.items() if not complete(spec)] == []

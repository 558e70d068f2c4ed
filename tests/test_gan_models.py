"""Claims that are particular to the convolutional GANs and to the blocks that they are made of."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import genbench_cgan
import genbench_gan
from genbench import Batch, DataSpec, ModelSpec
from genbench.engine.checkpoint import load_state, save_state
from genbench.errors import SpecError
from genbench.specs import resolve_config
from genbench_blocks.pixels import to_levels, to_unit
from genbench_cgan.cgan import CGAN, ProjectionDiscriminator
from genbench_gan import augment, losses
from genbench_gan.blocks import (
    ConditionalBatchNorm2d,
    Discriminator,
    Generator,
    pyramid,
    refresh_batch_norm,
)
from genbench_gan.dcgan import DCGAN

DIGITS = DataSpec(shape=(1, 8, 8), levels=17, classes=10)
CPU = torch.device("cpu")
[DCGAN_SPEC] = genbench_gan.register_models()
[CGAN_SPEC] = genbench_cgan.register_models()
FAMILIES = [pytest.param(DCGAN_SPEC, DCGAN, id="dcgan"), pytest.param(CGAN_SPEC, CGAN, id="cgan")]


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def build(spec: ModelSpec, factory: Any, data: DataSpec = DIGITS, **overrides: object) -> Any:
    torch.manual_seed(0)
    return factory(resolve_config(spec, data, overrides), data, CPU)


def train(model: Any, steps: range, of: int = 10) -> list[dict[str, Tensor]]:
    """Steps whose batches and draws depend on their number only, as in the core."""
    data, size = model.data, model.config.batch_size
    logs = []
    for step in steps:
        torch.manual_seed(1000 + step)
        batch = Batch(
            torch.randint(0, data.levels, (size, *data.shape), dtype=torch.uint8),
            torch.randint(0, data.classes, (size,)),
        )
        logs.append(model.train_step(batch, step / of))
    return logs


def tensors(state: Any, path: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {name: leaf for key, value in state.items() for name, leaf in tensors(value, f"{path}/{key}").items()}
    return {path: state}


def labels_for(model: Any, n: int) -> Tensor | None:
    return torch.arange(n) % model.data.classes if isinstance(model, CGAN) else None


# State


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
@pytest.mark.parametrize("overrides", [{}, {"spectral_norm": True, "augment": 0.5, "r1_every": 3}])
def test_training_resumed_from_a_saved_state_equals_uninterrupted_training_bit_for_bit(
    spec: ModelSpec, factory: Any, overrides: dict[str, object], tmp_path: Path
) -> None:
    whole = build(spec, factory, batch_size=16, **overrides)
    train(whole, range(10))

    first = build(spec, factory, batch_size=16, **overrides)
    train(first, range(5))
    save_state(first.state_dict(), tmp_path / "state")
    second = build(spec, factory, batch_size=16, **overrides)
    second.load_state_dict(load_state(tmp_path / "state"))
    logs = train(second, range(5, 10))

    assert set(logs[0]) >= {"loss_g", "loss_d"}
    expected, found = tensors(whole.state_dict()), tensors(second.state_dict())
    assert expected.keys() == found.keys()
    for path, value in expected.items():
        same = torch.equal(value, found[path]) if isinstance(value, Tensor) else value == found[path]
        assert same, path


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
def test_training_on_leaves_a_loaded_state_as_it_was(spec: ModelSpec, factory: Any) -> None:
    first = build(spec, factory, batch_size=8)
    train(first, range(2))
    state = copy.deepcopy(first.state_dict())
    kept = copy.deepcopy(state)
    second = build(spec, factory, batch_size=8)
    second.load_state_dict(state)
    train(second, range(2, 4))
    for path, value in tensors(kept).items():
        found = tensors(state)[path]
        assert torch.equal(value, found) if isinstance(value, Tensor) else value == found, path


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
def test_a_state_of_other_widths_is_refused(spec: ModelSpec, factory: Any) -> None:
    state = build(spec, factory, generator_width=8).state_dict()
    with pytest.raises((RuntimeError, ValueError), match="size mismatch"):
        build(spec, factory, generator_width=16).load_state_dict(state)


# Sampling


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
@pytest.mark.parametrize("n", [1, 7])
def test_sampling_any_number_changes_no_part_of_the_model(spec: ModelSpec, factory: Any, n: int) -> None:
    model = build(spec, factory, batch_size=8)
    train(model, range(2))
    before = copy.deepcopy(tensors(model.state_dict()))
    x = model.sample(n, labels_for(model, n))
    assert x.dtype == torch.uint8
    assert x.shape == (n, 1, 8, 8)
    assert int(x.max()) <= 16
    for path, value in tensors(model.state_dict()).items():
        assert torch.equal(value, before[path]) if isinstance(value, Tensor) else value == before[path], path


def test_labels_change_the_samples_of_one_latent_code() -> None:
    model = build(CGAN_SPEC, CGAN)
    # At first all labels share one normalisation; after 30 steps the nearest two differ in several values of a batch,
    # after 4 in a single one, which the rounding of another number of threads can undo.
    train(model, range(30), of=30)
    drawn = []
    for label in range(10):
        torch.manual_seed(5)
        drawn.append(model.sample(3, torch.full((3,), label)))
    assert len({sample.numpy().tobytes() for sample in drawn}) == 10


def test_cgan_learns_which_label_an_image_has() -> None:
    """Class k is a bright bar in row k: after some steps, samples are brightest in the row that was asked for."""
    model = build(CGAN_SPEC, CGAN, DataSpec((1, 8, 8), 17, 8), batch_size=64)
    rng = np.random.default_rng(0)
    for step in range(120):
        torch.manual_seed(step)
        labels = torch.from_numpy(rng.integers(0, 8, 64))
        x = torch.from_numpy(rng.integers(0, 5, (64, 1, 8, 8), dtype=np.uint8))
        x[torch.arange(64), 0, labels] = torch.from_numpy(rng.integers(12, 17, (64, 8), dtype=np.uint8))
        model.train_step(Batch(x, labels), step / 120)
    asked = torch.arange(200) % 8
    found = model.sample(200, asked).float().sum((1, 3)).argmax(1)
    assert (found == asked).float().mean() >= 0.9


def test_refreshed_batch_norm_has_the_statistics_of_all_the_batches_together() -> None:
    torch.manual_seed(0)
    generator = Generator((1, 8, 8), latent=4, width=4).eval()
    batches = [(torch.randn(32, 4),) for _ in range(5)]
    refresh_batch_norm(generator, batches)
    first = generator.norms[0]
    with torch.no_grad():
        inside = [generator.project(z).unflatten(1, (4, 4, -1)) for (z,) in batches]  # [32, 4, 4, channels]
    torch.testing.assert_close(first.running_mean, torch.stack([h.mean((0, 1, 2)) for h in inside]).mean(0))
    assert not generator.training
    assert first.momentum == 0.1


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
def test_preparing_for_evaluation_costs_less_than_a_twentieth_of_training(spec: ModelSpec, factory: Any) -> None:
    for steps in (1, 12, 40):
        model = build(spec, factory, batch_size=8)
        with FlopCounterMode(display=False) as training:
            logs = train(model, range(steps), of=steps)
        assert len(logs) == steps
        batch = Batch(torch.zeros(8, 1, 8, 8, dtype=torch.uint8), torch.arange(8))
        with FlopCounterMode(display=False) as preparing:
            model.prepare_for_eval(iter([batch] * 100))
        assert preparing.get_total_flops() <= 0.05 * training.get_total_flops()
        assert (preparing.get_total_flops() > 0) == (steps >= 10)


# Networks


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_scaling_to_the_unit_range_is_undone_for_every_level(levels: int) -> None:
    x = torch.arange(levels, dtype=torch.uint8)
    y = to_unit(x, levels)
    assert (y.min(), y.max()) == (-1, 1)
    assert torch.equal(to_levels(y, levels), x)
    assert to_levels(torch.tensor([-5.0, 5.0]), levels).tolist() == [0, levels - 1]


@pytest.mark.parametrize(("side", "expected"), [(8, (4, 1)), (12, (6, 1)), (20, (5, 2)), (28, (7, 2)), (64, (4, 4))])
def test_sides_are_halved_as_long_as_four_pixels_are_left(side: int, expected: tuple[int, int]) -> None:
    assert pyramid(side) == expected


@pytest.mark.parametrize("shape", [(3, side, side) for side in range(8, 65, 4)])
@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
def test_every_supported_size_trains_and_samples_within_two_million_parameters(
    spec: ModelSpec, factory: Any, shape: tuple[int, ...]
) -> None:
    data = DataSpec(shape, 256, 10)
    assert spec.supports(data) is None
    model = build(spec, factory, data, batch_size=2)
    for logs in train(model, range(1)):
        assert all(torch.isfinite(value) and value.dim() == 0 and not value.requires_grad for value in logs.values())
    assert model.sample(1, labels_for(model, 1)).shape == (1, *shape)
    assert sum(p.numel() for net in (model.generator, model.discriminator) for p in net.parameters()) < 2_000_000


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
def test_data_that_do_not_fit_are_declined_with_the_reason(data: DataSpec, words: str) -> None:
    for spec in (DCGAN_SPEC, CGAN_SPEC):
        assert words in (spec.supports(data) or "")
        resolve_config(spec, data, {})


def test_only_the_conditional_model_declines_data_without_labels() -> None:
    data = DataSpec((1, 8, 8), 17, None)
    assert DCGAN_SPEC.supports(data) is None
    assert "labels" in (CGAN_SPEC.supports(data) or "")


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"lr": 0.0}, {"r1": -1.0}, {"augment": 1.5}, {"lr_decay": 2.0}])
def test_settings_out_of_range_are_refused_by_name(change: dict[str, object]) -> None:
    [name] = change
    with pytest.raises(SpecError, match=name):
        resolve_config(DCGAN_SPEC, DIGITS, change)


def test_spectrally_normalised_layers_have_norm_one_and_a_discriminator_is_bounded_by_their_product() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator((1, 8, 8), 8, spectral=True)
    with torch.no_grad():
        for layer in discriminator.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.normal_(layer.parametrizations.weight.original, std=3.0)
        for _ in range(100):  # power iterations, one a forward pass
            discriminator(torch.zeros(1, 1, 8, 8))
        discriminator.eval()
        for layer in discriminator.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, rel=1e-3)
        # A kernel of k x k and stride s meets each pixel (k / s)^2 = 4 times: |conv| <= sqrt(4) |weight| each.
        x, y = torch.randn(50, 1, 8, 8), torch.randn(50, 1, 8, 8)
        moved = (discriminator(x) - discriminator(y)).abs() / (x - y).flatten(1).norm(dim=1)
        assert moved.max() <= 2.0**2 * 1.01


def test_conditional_batch_norm_is_batch_norm_with_the_class_scale_and_shift() -> None:
    torch.manual_seed(0)
    layer = ConditionalBatchNorm2d(3, 2)
    nn.init.normal_(layer.scale.weight)
    nn.init.normal_(layer.shift.weight)
    x, labels = torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 1, 0])
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    scale, shift = layer.scale.weight[labels][:, :, None, None], layer.shift.weight[labels][:, :, None, None]
    torch.testing.assert_close(layer(x, labels), (x - mean) / (variance + 1e-5).sqrt() * scale + shift)


def test_the_projection_discriminator_differs_between_labels_by_the_projected_features() -> None:
    torch.manual_seed(0)
    discriminator = ProjectionDiscriminator((1, 8, 8), 4, False, 3)
    x = torch.randn(5, 1, 8, 8)
    zeros, twos = torch.zeros(5, dtype=torch.long), torch.full((5,), 2)
    difference = discriminator.embedding.weight[2] - discriminator.embedding.weight[0]
    torch.testing.assert_close(
        discriminator(x, twos) - discriminator(x, zeros), discriminator.features(x) @ difference, atol=1e-6, rtol=1e-4
    )


# Losses and penalties against values worked out by hand


def test_losses_agree_with_their_formulas() -> None:
    real, fake = torch.tensor([2.0, -0.5]), torch.tensor([0.3, -3.0])
    probability_real, probability_fake = real.sigmoid(), fake.sigmoid()
    torch.testing.assert_close(
        losses.cross_entropy_d(real, fake), -(probability_real.log().mean() + (1 - probability_fake).log().mean())
    )
    torch.testing.assert_close(losses.non_saturating_g(fake), -probability_fake.log().mean())
    assert losses.hinge_d(real, fake).item() == pytest.approx((0 + 1.5) / 2 + (1.3 + 0) / 2)
    assert losses.hinge_g(fake).item() == pytest.approx(1.35)


def test_the_r1_penalty_of_a_quadratic_is_four_times_the_squared_norm() -> None:
    """D(x) = |x|^2 has the gradient 2x; the penalty's own gradient with respect to a scale w of D is 2 * 4 |x|^2 w."""
    x = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    scale = torch.ones((), requires_grad=True)
    penalty = losses.r1_penalty(lambda y: scale * y.square().sum(1), x)
    penalty.backward()
    assert penalty.item() == pytest.approx(4 * (5 + 9) / 2)
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(8 * (5 + 9) / 2)


@pytest.mark.parametrize(("spec", "factory"), FAMILIES)
def test_the_penalty_is_taken_in_every_so_many_steps_with_so_many_times_the_weight(
    spec: ModelSpec, factory: Any
) -> None:
    logs = train(build(spec, factory, batch_size=4, r1_every=3), range(7))
    assert ["r1" in entry for entry in logs] == [True, False, False, True, False, False, True]
    assert "r1" not in train(build(spec, factory, batch_size=4, r1=0.0), range(1))[0]

    # Gamma 0.2 every 3 steps weighs as much in its step as 0.6 in each. The first moment is the gradient, or a
    # fixed share of it.
    def gradients(**overrides: object) -> list[Tensor]:
        model = build(spec, factory, batch_size=4, beta1=0.5, **overrides)
        train(model, range(1))
        return [slots["exp_avg"] for slots in model.optimizer_d.state.values()]

    lazy, eager, without = gradients(r1=0.2, r1_every=3), gradients(r1=0.6, r1_every=1), gradients(r1=0.0)
    for mine, theirs in zip(lazy, eager, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.allclose(lazy[0], without[0], rtol=0.01, atol=0.0)


def test_the_step_size_is_constant_and_then_falls_linearly_to_zero() -> None:
    model = build(DCGAN_SPEC, DCGAN, lr=1e-3, lr_decay=0.5)
    found = []
    for progress in (0.0, 0.5, 0.75, 0.999):
        model.set_step_size(progress)
        found.append(model.optimizer_d.param_groups[0]["lr"])
    assert found == pytest.approx([1e-3, 1e-3, 5e-4, 2e-6])
    constant = build(DCGAN_SPEC, DCGAN, lr=1e-3, lr_decay=0.0)
    constant.set_step_size(0.999)
    assert constant.optimizer_g.param_groups[0]["lr"] == 1e-3


# Augmentation


def test_translated_images_are_one_of_the_integer_shifts_filled_with_zero() -> None:
    torch.manual_seed(0)
    x = torch.rand(64, 2, 8, 8) + 0.5
    moved = augment.translate(x, torch.ones(64, 1, 1, dtype=torch.bool))
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    shifts = {(i, j): padded[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)}
    used = {next(key for key, all_ in shifts.items() if torch.equal(all_[k], moved[k])) for k in range(64)}
    assert len(used) == 9


def test_cut_out_images_lose_one_rectangle_of_at_most_half_the_side() -> None:
    torch.manual_seed(0)
    cut = augment.cut_out(torch.ones(200, 1, 8, 8), torch.ones(200, 1, 1, dtype=torch.bool))[:, 0] == 0
    heights, widths = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), heights * widths)
    assert heights.max() == widths.max() == 4
    assert cut.any(0).all()


def test_augmentation_passes_unchosen_images_and_gradients_through() -> None:
    x = torch.rand(6, 1, 8, 8, requires_grad=True)
    assert augment.augment(x, 0.0) is x
    nobody = torch.zeros(6, 1, 1, dtype=torch.bool)
    assert torch.equal(augment.cut_out(augment.translate(x, nobody), nobody), x)
    torch.manual_seed(0)
    y = augment.augment(x, 1.0)
    y.sum().backward()
    # A pixel is passed on once or not at all.
    assert x.grad is not None
    assert set(x.grad.unique().tolist()) <= {0.0, 1.0}
    assert 0 < x.grad.sum() < x.numel()


def test_the_hook_modules_import_no_torch_and_no_numpy() -> None:
    code = (
        "import sys, genbench_gan, genbench_cgan; genbench_gan.register_models(); genbench_cgan.register_models(); "
        "sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0

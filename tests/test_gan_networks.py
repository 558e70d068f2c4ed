"""Claims about what the GANs are made of: losses, penalties, normalisation, networks, augmentation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genbench_blocks.pixels import to_levels, to_unit
from genbench_gan import augment, losses
from genbench_gan.attention import SelfAttention2d
from genbench_gan.blocks import Features, Generator, pyramid
from genbench_gan.heads import Discriminator, ProjectionDiscriminator
from genbench_gan.norms import ConditionalBatchNorm2d, refresh_batch_norm

# Losses and penalties against values worked out by hand


def test_losses_agree_with_their_formulas() -> None:
    real, fake = torch.tensor([2.0, -0.5]), torch.tensor([0.3, -3.0])
    probability_real, probability_fake = real.sigmoid(), fake.sigmoid()
    torch.testing.assert_close(
        losses.cross_entropy_d(real, fake), -(probability_real.log().mean() + (1 - probability_fake).log().mean())
    )
    torch.testing.assert_close(losses.non_saturating_g(fake), -probability_fake.log().mean())
    assert losses.hinge_d(real, fake).item() == pytest.approx((0 + 1.5) / 2 + (1.3 + 0) / 2)
    assert losses.wasserstein_d(real, fake).item() == pytest.approx((0.3 - 3.0) / 2 - (2.0 - 0.5) / 2)
    assert losses.critic_g(fake).item() == pytest.approx(1.35)


def test_the_r1_penalty_of_a_quadratic_is_four_times_the_squared_norm() -> None:
    """D(x) = |x|^2 has the gradient 2x; the penalty's own gradient with respect to a scale w of D is 2 * 4 |x|^2 w."""
    x = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    scale = torch.ones((), requires_grad=True)
    penalty = losses.r1_penalty(lambda y: scale * y.square().sum(1), x)
    penalty.backward()
    assert penalty.item() == pytest.approx(4 * (5 + 9) / 2)
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(8 * (5 + 9) / 2)


def test_the_gradient_penalty_is_the_squared_distance_of_a_critics_slope_from_one() -> None:
    """w . x has the slope |w| = 5 everywhere; the gradient of (|w| - 1)^2 is 2 (|w| - 1) w / |w|."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = losses.gradient_penalty(lambda y: y @ weight, torch.randn(6, 2), torch.randn(6, 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(16.0)
    torch.testing.assert_close(weight.grad, 8 * torch.tensor([0.6, 0.8]))


def test_the_gradient_penalty_is_taken_between_the_examples_of_each_pair_and_finite_where_the_critic_is_flat() -> None:
    seen: list[Tensor] = []
    real, fake = torch.zeros(500, 1, 2, 1), torch.ones(500, 1, 2, 1)

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return 0.0 * x.flatten(1).sum(1)

    assert losses.gradient_penalty(critic, real, fake).item() == pytest.approx(1.0, abs=1e-5)
    (points,) = seen
    assert torch.equal(points[:, 0, 0], points[:, 0, 1])  # one share for all of an image
    assert 0 <= points.min() < 0.1
    assert 0.9 < points.max() <= 1


# Normalisation


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


def test_spectrally_normalised_layers_have_norm_one_and_a_discriminator_is_bounded_by_their_product() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(Features((1, 8, 8), 8, spectral=True), spectral=True)
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


# Convolutional networks


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


def test_the_projection_discriminator_differs_between_labels_by_the_projected_features() -> None:
    torch.manual_seed(0)
    discriminator = ProjectionDiscriminator(Features((1, 8, 8), 4), 3)
    x = torch.randn(5, 1, 8, 8)
    zeros, twos = torch.zeros(5, dtype=torch.long), torch.full((5,), 2)
    difference = discriminator.embedding.weight[2] - discriminator.embedding.weight[0]
    torch.testing.assert_close(
        discriminator(x, twos) - discriminator(x, zeros), discriminator.body(x) @ difference, atol=1e-6, rtol=1e-4
    )


def test_self_attention_begins_as_the_identity_and_then_adds_weighted_means_of_values() -> None:
    torch.manual_seed(0)
    layer = SelfAttention2d(16, spectral=False)
    x = torch.randn(2, 16, 3, 3)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 0.5)
    query, key = layer.query_key(x).flatten(2).split(4, dim=1)
    value, found = layer.value(x).flatten(2), layer(x)
    for image in range(2):
        for place in range(9):
            weights = torch.softmax(torch.stack([query[image, :, place] @ key[image, :, j] for j in range(9)]), 0)
            mean = (value[image] * weights).sum(1)
            expected = x[image].flatten(1)[:, place] + 0.5 * layer.out.weight.flatten(1) @ mean
            torch.testing.assert_close(found[image].flatten(1)[:, place], expected)


@pytest.mark.parametrize("side", [8, 28])
def test_attention_looks_at_maps_of_half_resolution_in_both_networks(side: int) -> None:
    seen: list[int] = []
    generator = Generator((1, side, side), 4, 4, attention=True)
    body = Features((1, side, side), 4, attention=True)
    for network in (generator, body):
        for module in network.modules():
            if isinstance(module, SelfAttention2d):
                module.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[-1]))
    body(generator(torch.randn(2, 4)))
    assert seen == [side // 2, side // 2]


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


def test_images_that_are_not_square_are_shifted_and_cut_by_their_height_and_their_width() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 1, 8, 16) + 0.5
    everybody = torch.ones(200, 1, 1, dtype=torch.bool)
    moved = augment.translate(x, everybody)
    padded = nn.functional.pad(x, (2, 2, 1, 1))
    shifts = {(i, j): padded[:, :, i : i + 8, j : j + 16] for i in range(3) for j in range(5)}
    used = {next(key for key, all_ in shifts.items() if torch.equal(all_[k], moved[k])) for k in range(200)}
    cut = augment.cut_out(x, everybody)[:, 0] == 0
    assert len(used) == 15
    assert (cut.any(2).sum(1).max(), cut.any(1).sum(1).max()) == (4, 8)
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

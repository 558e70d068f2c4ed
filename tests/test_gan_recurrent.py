"""Claims about the recurrent networks of GANs, on rows of images and on words."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genbench import DataSpec
from genbench_blocks.likelihoods import gumbel_like
from genbench_gan.letters import END, PADDING, Writer, write
from genbench_gan.recurrence import unroll
from genbench_gan.recurrent import GRUGenerator, RecurrentFeatures, one_hot

WORDS = DataSpec(shape=(6,), levels=9, classes=3)


def cell_of(weight: Tensor, bias: Tensor) -> nn.GRUCell:
    """Torch's own unit, whose input is what comes from outside, as it is."""
    cell = nn.GRUCell(3 * weight.shape[1], weight.shape[1])
    cell.weight_ih, cell.bias_ih = nn.Parameter(torch.eye(len(weight))), nn.Parameter(torch.zeros(len(weight)))
    for name, mine in (("weight_hh", weight), ("bias_hh", bias)):
        delattr(cell, name)
        setattr(cell, name, mine)
    return cell


def gradients_agree(found: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(expected)
    pairs = zip(*(torch.autograd.grad(each, inputs, direction) for each in (found, expected)), strict=True)
    for mine, by_torch in pairs:
        torch.testing.assert_close(mine, by_torch, atol=1e-4, rtol=1e-4)


def recurrent_inputs(steps: int, batch: int, width: int) -> list[Tensor]:
    """From outside, the first state, weight and bias."""
    shapes = (steps, batch, 3 * width), (batch, width), (3 * width, width), (3 * width,)
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("steps", [1, 5])
def test_the_unrolled_unit_and_its_gradients_are_those_of_torchs_gated_recurrent_unit(steps: int) -> None:
    torch.manual_seed(0)
    inputs = recurrent_inputs(steps, 3, 4)
    outside, hidden, weight, bias = inputs
    cell, hiddens = cell_of(weight, bias), []
    for each in outside:
        hidden = cell(each, hidden)
        hiddens.append(hidden)
    gradients_agree(unroll(*inputs), torch.stack(hiddens), inputs)


@pytest.mark.parametrize("steps", [1, 5])
def test_letters_and_their_straight_through_gradients_are_those_of_the_formulas_step_by_step(steps: int) -> None:
    torch.manual_seed(0)
    batch, width, size, temperature = 40, 4, 6, 0.7
    outside, first, weight, bias = inputs = recurrent_inputs(steps, batch, width)
    shapes = (3 * width, size), (width, width), (width,), (size, width), (size,)
    weights = [torch.randn(shape, requires_grad=True) for shape in shapes]
    noise, writer = torch.randn(steps, batch, size), Writer(weight, bias, *weights)

    cell, hidden, letters = cell_of(weight, bias), first, []
    padding, going = one_hot(torch.tensor(PADDING), size).expand(batch, size), torch.ones(batch, 1)
    for place in range(steps):
        told = nn.functional.linear(letters[-1], writer.previous) if letters else 0.0
        hidden = cell(outside[place] + told, hidden)
        inside = nn.functional.leaky_relu(nn.functional.linear(hidden, writer.inner, writer.inner_bias), 0.2)
        sums = nn.functional.linear(inside, writer.out, writer.out_bias) + noise[place]
        sums = torch.where(padding > 0, -torch.inf, sums)
        soft, hard = torch.softmax(sums / temperature, dim=1), one_hot(sums.argmax(dim=1), size)
        letters.append(torch.lerp(padding, hard + soft - soft.detach(), going))
        going = going * (1.0 - hard[:, END : END + 1])
    found = write(outside, first, noise, temperature, writer)
    assert steps == 1 or 0 < going.sum() < batch
    # With one step nothing is told of the letter before.
    told = weights if steps > 1 else weights[1:]
    gradients_agree(found, torch.stack(letters), [*inputs, *told])


def test_the_rows_of_an_image_are_functions_of_the_units_states() -> None:
    torch.manual_seed(0)
    generator = GRUGenerator(DataSpec((2, 3, 4)), latent=5, width=7)
    cell = cell_of(generator.recurrent.weight, generator.recurrent.bias)
    nn.init.normal_(generator.place)
    z = torch.randn(6, 5)
    images, hidden = generator(z), generator.start(z).tanh()  # [6, 2, 3, 4]
    for place in range(3):
        hidden = cell(generator.context(z) + generator.place[place], hidden)
        torch.testing.assert_close(images[:, :, place], generator.out(hidden).tanh().unflatten(1, (2, 4)))


def test_recurrent_states_stay_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    inputs = recurrent_inputs(4, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = unroll(*inputs)
        gradients = torch.autograd.grad(found.sum(), inputs)
    exact = unroll(*inputs)
    assert torch.equal(found, exact)
    for mine, expected in zip(gradients, torch.autograd.grad(exact.sum(), inputs), strict=True):
        assert torch.equal(mine, expected)


def test_generated_words_are_one_hot_and_stop_at_their_end_symbol() -> None:
    torch.manual_seed(0)
    generator = GRUGenerator(WORDS, latent=4, width=8)
    words = generator(torch.randn(300, 4))
    assert set(words.detach().unique().tolist()) == {0.0, 1.0}
    assert (words.sum(2) == 1).all()
    ended = 0
    for word in words.argmax(2).tolist():
        length = word.index(END) if END in word else len(word)
        assert PADDING not in word[:length]
        assert set(word[length + 1 :]) <= {PADDING}
        ended += length < len(word)
    assert 100 < ended < 300  # at first an end is one letter of eight


def test_letters_are_drawn_with_the_probabilities_of_their_logits_at_any_temperature() -> None:
    torch.manual_seed(0)
    probabilities, batch = torch.tensor([0.0, 0.5, 0.3, 0.2]), 20_000
    logits = probabilities.log().clamp_min(-9.0).requires_grad_()
    writer = Writer(*(torch.zeros(shape) for shape in ((3, 1), (3,), (3, 4), (1, 1), (1,), (4, 1))), logits)
    noise = gumbel_like(torch.empty(1, batch, 4))
    drawn = write(torch.zeros(1, batch, 3), torch.zeros(batch, 1), noise, 0.2, writer)[0]
    # Six standard errors of a share of 20,000.
    torch.testing.assert_close(drawn.mean(0).detach(), probabilities, atol=0.021, rtol=0.0)
    (gradient,) = torch.autograd.grad(drawn[:, 1].sum(), logits)
    assert gradient[1] > 0 > gradient[2]


def test_a_letter_draws_gradients_through_what_follows_it_until_the_end_symbol() -> None:
    torch.manual_seed(0)
    generator = GRUGenerator(WORDS, latent=4, width=8)
    z = torch.randn(64, 4, requires_grad=True)
    words = generator(z)
    ends = words[:, :, END].cumsum(1) > 0  # [B, T], from the end symbol on
    (gradient,) = torch.autograd.grad(words[:, -1, 3].sum(), z)
    over = ends[:, -2]  # what follows the end is constant padding
    assert over.any()
    assert (gradient[over] == 0).all()
    assert (gradient[~over].abs().sum(1) > 0).all()


def test_the_recurrent_discriminator_reads_images_row_by_row_with_all_channels() -> None:
    torch.manual_seed(0)
    body = RecurrentFeatures(DataSpec((2, 3, 4)), 5)
    x = torch.randn(6, 2, 3, 4)
    rows = torch.stack([torch.cat([x[:, 0, row], x[:, 1, row]], 1) for row in range(3)], 1)  # [6, 3, 8]
    torch.testing.assert_close(body(x), body(rows))
    assert body(x).shape == (6, body.size)


def test_the_recurrent_discriminators_directions_read_as_each_other_with_the_rows_reversed() -> None:
    torch.manual_seed(0)
    data, width = DataSpec((1, 5, 3)), 4
    body = RecurrentFeatures(data, width)
    seen: list[Tensor] = []
    body.mix.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].unflatten(1, (4, width))))
    x = torch.randn(6, 1, 5, 3)
    body(x)
    with torch.no_grad():  # swap the directions, and the windows' two neighbours
        body.gates.weight.copy_(body.gates.weight.roll(2 * width, 0))
        body.gates.bias.copy_(body.gates.bias.roll(2 * width, 0))
        body.look[0].weight.copy_(body.look[0].weight.unflatten(1, (3, 3)).flip(1).flatten(1))
    body(x.flip(2))
    forth, back = seen  # [6, 4, width]: means and ends, onwards and backwards
    torch.testing.assert_close(forth[:, [1, 0, 3, 2]], back)


def test_the_recurrent_discriminator_blends_each_candidate_with_what_it_remembers() -> None:
    torch.manual_seed(0)
    body, x = RecurrentFeatures(DataSpec((1, 4, 3)), 5), torch.randn(2, 1, 4, 3)
    seen: list[Tensor] = []
    body.mix.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    body(x)
    rows = nn.functional.pad(x[:, 0], (0, 0, 1, 1))  # [2, 6, 3]
    hiddens = [torch.zeros(2, 5)]
    for row in range(4):
        candidate, share, *_ = body.gates(body.look(rows[:, row : row + 3].flatten(1))).split(5, dim=1)
        hiddens.append(share.sigmoid() * hiddens[-1] + (1 - share.sigmoid()) * candidate)
    torch.testing.assert_close(seen[0][:, :5], torch.stack(hiddens[1:]).mean(0))
    torch.testing.assert_close(seen[0][:, 10:15], hiddens[-1])


def test_one_hot_is_one_at_the_level() -> None:
    levels = torch.tensor([[2, 0], [1, 3]], dtype=torch.uint8)
    assert one_hot(levels, 4).argmax(2).tolist() == levels.tolist()
    assert one_hot(levels, 4).sum().item() == 4

"""transformer and ctransformer: their order, their exact likelihood, and that cached sampling computes the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from genbench import Batch, DataSpec
from genbench_autoregressive import small_images_or_sequences
from genbench_autoregressive.attention import KeyValueCache
from genbench_autoregressive.config import TransformerConfig
from genbench_autoregressive.tokens import Layout, Tokens
from genbench_autoregressive.transformer import ConditionalTransformer, Transformer
from genbench_blocks.support import labelled

CPU = torch.device("cpu")
SMALL = TransformerConfig(batch_size=4, width=8, layers=2, heads=2, above=1, side=1, rows=1)
END = 2
ENDING = dataclasses.replace(SMALL, side=3, end=END)
"""For ``WORDS``: of six random symbols of nine, half of the examples have an end before their last place."""
WORDS = DataSpec((6,), levels=9, classes=3)
ALL_SHAPES = pytest.mark.parametrize(
    "data",
    [DataSpec((1, 5, 4), 5, 3), DataSpec((3, 3, 2), 4, 3), DataSpec((2, 1, 3), 7, 2), WORDS],
    ids=["grey", "colour", "one row", "words"],
)
BOTH = pytest.mark.parametrize("kind", [Transformer, ConditionalTransformer])


def examples(n, data, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8),
        torch.randint(data.classes or 1, (n,), generator=generator),
    )


def trained(data, kind=Transformer, config=SMALL, steps=3):
    torch.default_generator.manual_seed(0)
    model = kind(config, data, CPU)
    for step in range(steps):
        model.train_step(Batch(*examples(config.batch_size, data, step)), step / steps)
    return model


def labels_for(model, labels):
    return labels if model.conditional else None


@ALL_SHAPES
@pytest.mark.parametrize("rows", [0, 1])
def test_a_value_depends_on_its_window_and_on_no_later_value(data, rows):
    model = trained(data, config=dataclasses.replace(SMALL, rows=rows, layers=1))
    net, layout = model.net.double(), model.net.layout
    x, _ = examples(1, data)
    order = model.in_order(x)
    depends = torch.zeros(data.dims, data.dims, dtype=torch.bool)
    with torch.no_grad():
        before = net(order, None)[0]  # [size, L]
        for place in range(data.dims):
            other = order.clone()
            other[0, place] = (other[0, place] + 1) % data.levels
            depends[:, place] = (net(other, None)[0] != before).any(dim=0)
    earlier = torch.ones(data.dims, data.dims).tril(-1).bool()
    assert not (depends & ~earlier).any(), "a later value is seen"
    block = torch.arange(data.dims) // layout.block
    window = earlier & (block[:, None] - block[None] <= 1)
    # The token of a value holds the one before it, so what a value attends to begins a place before its window.
    assert not (window & ~depends).any(), "a value of the window is not seen"


@ALL_SHAPES
@BOTH
def test_the_cache_gives_the_logits_of_a_full_pass(data, kind):
    model = trained(data, kind, of_words_and_images(data))
    x, labels = examples(20, data)
    order, labels = model.in_order(x), labels_for(model, labels)
    seen = torch.zeros_like(order)  # filled in behind the walk: the cache must not read ahead
    with torch.no_grad():
        whole = model.ema.average(order, labels)
        cache = KeyValueCache(model.ema.average, seen, labels)
        for place in range(data.dims):
            torch.testing.assert_close(cache.next(), whole[:, :, place], rtol=0, atol=1e-4)
            seen[:, place] = order[:, place]


def of_words_and_images(data):
    return SMALL if data.is_image else ENDING


@ALL_SHAPES
@BOTH
def test_in_double_precision_cached_and_naive_sampling_draw_the_same_from_one_stream(data, kind):
    model = trained(data, kind, of_words_and_images(data))
    model.ema.average.double()
    _, labels = examples(20, data)
    labels = labels_for(model, labels)

    def naive(n):
        x = torch.zeros(n, *data.shape, dtype=torch.uint8)
        for row, column, channel in model.net.layout.places.tolist():
            place = (slice(None), channel, row, column) if data.is_image else (slice(None), column)
            parameters = model.outputs(model.ema.average, x, labels)[(place[0], slice(None), *place[1:])]
            x[place] = model.output.sample(parameters)
        return x

    torch.default_generator.manual_seed(3)
    fast = model.sample(20, labels)
    torch.default_generator.manual_seed(3)
    with torch.no_grad():
        slow = naive(20)
    assert torch.equal(fast, slow)


@pytest.mark.parametrize("data", [DataSpec((1, 4, 4), 5, 3), WORDS], ids=["image", "words"])
def test_a_teacher_forced_likelihood_is_the_sum_along_sampling(data, monkeypatch):
    model = trained(data, config=of_words_and_images(data))
    along = []
    draw = model.output.sample

    def noting(parameters):
        drawn = draw(parameters)
        along.append(model.output.log_prob(parameters, drawn))
        return drawn

    monkeypatch.setattr(model.output, "sample", noting)
    x = model.sample(20)
    torch.testing.assert_close(model.log_prob(x), torch.stack(along).sum(dim=0), rtol=1e-5, atol=1e-4)


def test_sampling_costs_less_than_two_full_passes_and_not_one_a_value():
    data = DataSpec((1, 8, 8), levels=256)
    model = trained(data, config=dataclasses.replace(SMALL, rows=2, layers=1, logistics=2), steps=0)

    def cost(work):
        with FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops()

    x, _ = examples(1, data)
    assert cost(lambda: model.sample(1)) < 2 * cost(lambda: model.log_prob(x))


@pytest.mark.parametrize(
    "data", [DataSpec((1, 1, 2), 4), DataSpec((2, 1, 1), 4), DataSpec((1, 3, 1), 4), DataSpec((2,), 4)]
)
@pytest.mark.parametrize("logistics", [0, 2])
def test_probabilities_sum_to_one_over_all_examples(data, logistics):
    everything = torch.cartesian_prod(*[torch.arange(4)] * data.dims).to(torch.uint8).view(-1, *data.shape)
    model = trained(data, config=dataclasses.replace(SMALL, logistics=logistics))
    assert model.log_prob(everything).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_a_conditional_models_probabilities_sum_to_one_for_each_class_and_differ():
    data = DataSpec((1, 1, 2), levels=3, classes=2)
    model = trained(data, ConditionalTransformer, steps=20)
    everything = torch.cartesian_prod(torch.arange(3), torch.arange(3)).to(torch.uint8).view(-1, 1, 1, 2)
    first, second = (model.log_prob(everything, torch.full((9,), label)).exp() for label in (0, 1))
    assert first.sum().item() == pytest.approx(1.0, abs=1e-4)
    assert second.sum().item() == pytest.approx(1.0, abs=1e-4)
    assert (first - second).abs().max() > 1e-3


def test_it_samples_what_it_assigns_probability_to():
    data = DataSpec((1, 1, 2), levels=3)
    model = trained(data, steps=20)
    everything = torch.cartesian_prod(torch.arange(3), torch.arange(3)).to(torch.uint8).view(-1, 1, 1, 2)
    probs = model.log_prob(everything).exp()
    torch.default_generator.manual_seed(0)
    n = 20_000
    drawn = model.sample(n).view(n, 2).long()
    frequency = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / n
    assert ((frequency - probs).abs() < 4.5 * (probs * (1 - probs) / n).sqrt()).all()


def test_training_lowers_the_nats_of_what_it_sees():
    data = DataSpec((1, 8, 8), levels=17)
    torch.default_generator.manual_seed(0)
    model = Transformer(dataclasses.replace(SMALL, width=16), data, CPU)
    x, _ = examples(4, data)
    losses = [model.train_step(Batch(x // 4, None), step / 60)["nats"].item() for step in range(60)]
    assert losses[-1] < 0.7 * losses[0]


@BOTH
@pytest.mark.parametrize("data", [DataSpec((3, 4, 5), 256, 4), WORDS], ids=["image", "words"])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(data, kind):
    config = dataclasses.replace(SMALL, dropout=0.1, gram_dropout=0.3, side=3, end=END)
    first = trained(data, kind, config)
    second = kind(config, data, CPU)
    second.load_state_dict(first.state_dict())
    x, labels = examples(4, data, 9)
    for model in (first, second):
        torch.default_generator.manual_seed(1)
        model.train_step(Batch(x, labels), 0.6)
    labels = labels_for(first, labels)
    assert torch.equal(first.log_prob(x, labels), second.log_prob(x, labels))
    moments, again = (model.state_dict()["optimizer"]["state"] for model in (first, second))
    assert all(torch.equal(slot["exp_avg"], again[index]["exp_avg"]) for index, slot in moments.items())


@BOTH
def test_a_likelihood_does_not_depend_on_the_rest_of_the_batch(kind, monkeypatch):
    data = DataSpec((1, 4, 4), levels=17, classes=3)
    model, (x, labels) = trained(data, kind), examples(5, data)
    labels = labels_for(model, labels)
    together = model.log_prob(x, labels)
    monkeypatch.setattr("genbench_autoregressive.likelihood_model.EVAL_BYTES", 1)  # one at a time
    torch.testing.assert_close(model.log_prob(x, labels), together)


def test_neighbours_are_the_values_above_and_to_the_left_and_nothing_later():
    layout = Layout(DataSpec((1, 3, 3)), rows=0, above=1, side=1)
    outside = 9
    assert sorted(layout.neighbours[4].tolist()) == [0, 1, 2, 3, outside]
    # First of its row: the two above it, and the last of the row above, which comes just before it.
    assert sorted(layout.neighbours[3].tolist()) == [0, 1, 2, outside, outside]
    assert layout.neighbours[0].tolist() == [outside] * 5
    # No value of a sequence starts a row but the first: the letters before it and no more, the nearest last.
    letters = Layout(DataSpec((4,)), rows=0, above=1, side=2)
    assert letters.neighbours.tolist() == [[4, 4], [4, 0], [0, 1], [1, 2]]


def test_an_n_gram_is_of_the_last_n_letters():
    layout = Layout(DataSpec((7,), levels=9), rows=0, above=1, side=5)
    tokens = Tokens(DataSpec((7,), levels=9), layout, width=4, conditional=False)
    word = torch.tensor([1, 2, 3, 4, 5, 6, 7])

    def buckets(letters):  # of the last place, at which the letters before are 1 to 6
        return tokens.rows(F.pad(letters, (0, 1), value=9)[layout.neighbours[6]].view(1, 1, -1), None).flatten()

    for back, changed in ((1, [1, 1, 1]), (2, [1, 1, 1]), (3, [0, 1, 1]), (4, [0, 0, 1]), (5, [0, 0, 0])):
        other = word.clone()
        other[6 - back] = 8
        assert (buckets(word) != buckets(other)).int().tolist() == changed, f"the letter {back} back"


def test_probabilities_of_sequences_that_end_sum_to_one_also_over_those_that_go_on():
    data = DataSpec((4,), levels=4)
    everything = torch.cartesian_prod(*[torch.arange(4)] * 4).to(torch.uint8)
    model = trained(data, config=dataclasses.replace(ENDING, end=1))
    assert model.log_prob(everything).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_up_to_the_end_a_network_computes_what_it_would_without_knowing_of_ends():
    model = trained(WORDS, config=ENDING, steps=5)
    net, (x, _) = model.ema.average, examples(50, WORDS)
    with torch.no_grad():
        sparing, behind = net(x, None), net.behind_the_end()[0]
        net.end = None
        everywhere = net(x, None)
    ends = (x == END).int().cumsum(dim=1) - (x == END).int() > 0
    assert ends.any(dim=1).sum() > 10
    torch.testing.assert_close(sparing.transpose(1, 2)[~ends], everywhere.transpose(1, 2)[~ends])
    assert (sparing.transpose(1, 2)[ends] == behind).all()


def test_padding_costs_no_dense_layer_in_training():
    def cost(x):
        model = trained(WORDS, config=ENDING, steps=0)
        with FlopCounterMode(display=False) as counter:
            model.train_step(Batch(x, None), 0.5)
        return counter.get_total_flops()

    full = torch.full((4, 6), 5, dtype=torch.uint8)
    short = full.clone()
    short[:, 1], short[:, 2:] = END, 0  # 2 of 6 places are computed
    d, levels = ENDING.width, WORDS.levels
    dense = ENDING.layers * (4 * d * d + 2 * ENDING.expansion * d * d) + d * levels
    assert cost(full) - cost(short) == 3 * 2 * 4 * 4 * dense  # forward and backward, multiply-adds, 4 examples


def test_learning_what_follows_an_end_makes_padding_free():
    torch.default_generator.manual_seed(0)
    model = Transformer(dataclasses.replace(ENDING, lr=3e-2), WORDS, CPU)
    x = torch.tensor([[5, 6, END, 0, 0, 0], [5, END, 0, 0, 0, 0]], dtype=torch.uint8)
    for step in range(60):
        model.train_step(Batch(x, None), step / 60)
    assert model.net.behind_the_end().log_softmax(dim=1)[0, 0].item() > -0.05


def test_n_grams_are_left_out_in_training_only_and_make_up_for_it():
    layout = Layout(WORDS, rows=0, above=1, side=3)
    tokens = Tokens(WORDS, layout, width=4, conditional=False, gram_dropout=0.5)
    letters = examples(400, WORDS)[0].long()[:, None, :3]
    torch.default_generator.manual_seed(0)
    with torch.no_grad():
        noisy, clean = tokens._of_grams(letters, None), tokens.eval()._of_grams(letters, None)
        each = tokens.grams.weight[tokens.rows(letters, None)]
    torch.testing.assert_close(clean, each.sum(dim=2))
    possible = torch.stack([0 * clean, 2 * each[:, :, 0], 2 * each[:, :, 1], 2 * clean])  # none, one or both, doubled
    which = (noisy - possible).abs().amax(dim=-1).argmin(dim=0).flatten()
    torch.testing.assert_close(noisy.flatten(0, 1), possible.flatten(1, 2)[which, torch.arange(400)])
    assert (torch.bincount(which, minlength=4) > 60).all()  # each with probability 1/4


def test_of_a_class_an_n_gram_has_a_row_of_its_own_beside_the_one_of_all():
    tokens = Tokens(WORDS, Layout(WORDS, rows=0, above=1, side=3), width=4, conditional=True)
    letters = torch.tensor([3, 4, 5]).expand(3, 1, 3)
    first, second, third = tokens.rows(letters, torch.arange(3)[:, None])[:, 0]
    assert torch.equal(first[:2], second[:2])
    assert torch.equal(first[:2], third[:2])
    assert len({row.item() for rows in (first[2:], second[2:], third[2:]) for row in rows}) == 6
    assert first[2:].min() >= 2 * tokens.BUCKETS
    assert third[2:].max() < len(tokens.grams.weight)


def test_decay_falls_on_the_tables_of_n_grams():
    model = trained(WORDS, config=ENDING, steps=0)
    (decayed, _) = model.descent.optimizer.param_groups
    assert any(weight is model.net.tokens.grams.weight for weight in decayed["params"])


def test_only_small_images_and_sequences_are_taken_and_the_conditional_one_needs_labels():
    assert small_images_or_sequences(DataSpec((1, 8, 8))) is None
    assert small_images_or_sequences(DataSpec((16,))) is None
    assert "65x8" in small_images_or_sequences(DataSpec((1, 65, 8)))
    assert labelled(small_images_or_sequences)(DataSpec((16,), classes=3)) is None
    assert "labels" in labelled(small_images_or_sequences)(DataSpec((3, 8, 8)))

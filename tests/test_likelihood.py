"""Likelihoods of every kind against closed forms on a space small enough to sum over."""

import gc
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.engine.likelihood import LogProbs, log_probs
from genbench.errors import InvalidOutput

CLASSES, LEVELS = 3, 2
PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
PIXEL = torch.tensor([[0.9, 0.2], [0.4, 0.6], [0.1, 0.5]], dtype=torch.float64)
"""p(pixel = 1 | class), of two pixels."""
SPACE = torch.tensor(list(itertools.product(range(LEVELS), repeat=2)), dtype=torch.uint8).reshape(-1, 1, 1, 2)


def given(x: Tensor, labels: Tensor) -> Tensor:
    """Exact log p(x | y), float64 ``[B]``."""
    ones = PIXEL[labels]  # [B, 2]
    bits = x.reshape(len(x), 2).double()
    return (bits * ones.log() + (1 - bits) * (1 - ones).log()).sum(1)


def truth(x: Tensor) -> Tensor:
    """Exact log p(x), float64 ``[B]``."""
    return torch.stack([given(x, torch.full((len(x),), y)) + PRIOR[y].log() for y in range(CLASSES)]).logsumexp(0)


class Toy:
    """A model whose log_prob is any function of (x, labels)."""

    def __init__(self, function: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        self.log_prob = function


def score(model: Toy, kind: str, conditional: bool, draws: int = 1, x: Tensor = SPACE) -> np.ndarray:
    prior = PRIOR.log().tolist() if conditional else None
    chunk = 3 if len(x) == len(SPACE) else len(x)
    found = log_probs(model, kind, x, prior, draws, chunk, seed=0)  # type: ignore[arg-type]
    assert found is not None
    assert found.dims == 2
    return found.nats


def test_exact_is_taken_as_it_is() -> None:
    assert score(Toy(lambda x, y: truth(x)), "exact", False) == pytest.approx(truth(SPACE).numpy())


def test_conditional_exact_is_marginalised_over_the_classes() -> None:
    assert score(Toy(lambda x, y: given(x, y)), "exact", True) == pytest.approx(truth(SPACE).numpy())


def noisy(x: Tensor, y: Tensor) -> Tensor:
    """The log of an unbiased estimate of p(x | y): a log-normal weight of mean 1."""
    return given(x, y) + 0.5 * torch.randn(len(x), dtype=torch.float64) - 0.125


@pytest.mark.parametrize("conditional", [False, True])
def test_importance_tends_to_the_truth_with_more_draws(conditional: bool) -> None:
    model = Toy(noisy if conditional else lambda x, y: truth(x) + 0.5 * torch.randn(len(x)) - 0.125)
    many = np.abs(score(model, "importance", conditional, draws=4000) - truth(SPACE).numpy()).max()
    assert many < 0.05


def test_importance_is_below_the_truth_on_average() -> None:
    x = SPACE[:1].expand(20_000, 1, 1, 2)
    nats = score(Toy(lambda x, y: truth(x) + torch.randn(len(x)).double() - 0.5), "importance", False, draws=2, x=x)
    assert nats.mean() < float(truth(SPACE[:1])) - 0.1


def test_a_bound_is_averaged_outside_the_log() -> None:
    x = SPACE[:1].expand(20_000, 1, 1, 2)
    nats = score(Toy(lambda x, y: truth(x) - 1 + torch.randn(len(x)).double()), "bound", False, draws=4, x=x)
    assert nats.mean() == pytest.approx(float(truth(SPACE[:1])) - 1, abs=0.03)


def test_a_conditional_bound_stays_a_bound_though_its_noise_is_large() -> None:
    x = SPACE[:1].expand(20_000, 1, 1, 2)
    model = Toy(lambda x, y: given(x, y) - 0.1 + 2 * torch.randn(len(x)).double())
    naive = torch.stack([model.log_prob(x, torch.full((len(x),), y)) + PRIOR[y].log() for y in range(CLASSES)])
    assert naive.logsumexp(0).mean() > truth(SPACE[:1])[0]  # what the core must not report
    nats = score(model, "bound", True, draws=2, x=x)
    assert nats.mean() < float(truth(SPACE[:1]))


def test_a_class_that_never_occurs_does_not_count() -> None:
    found = log_probs(Toy(lambda x, y: given(x, y)), "bound", SPACE, [0.0, -math.inf, -math.inf], 2, 4, 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.nats == pytest.approx(given(SPACE, torch.zeros(len(SPACE), dtype=torch.int64)).numpy())


def test_a_conditional_estimate_is_not_marginalised() -> None:
    assert log_probs(Toy(lambda x, y: given(x, y)), "estimate", SPACE, PRIOR.log().tolist(), 2, 4, 0) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, y: truth(x).sum(), "shape"),
        (lambda x, y: truth(x)[:, None], "shape"),
        (lambda x, y: truth(x) * math.nan, "example 0"),
        (lambda x, y: torch.full((len(x),), -math.inf), "probability above 0"),
        (lambda x, y: torch.ones(len(x)), "above 1"),
        (lambda x, y: torch.ones(len(x), dtype=torch.int64), "int64"),
        (lambda x, y: truth(x).tolist(), "list"),
    ],
)
def test_what_is_no_log_probability_is_refused(function: Callable[..., Tensor], message: str) -> None:
    with pytest.raises(InvalidOutput, match=message):
        score(Toy(function), "exact", False)


def of(model: Toy, kind: str, conditional: bool, draws: int, x: Tensor = SPACE) -> LogProbs:
    found = log_probs(model, kind, x, PRIOR.log().tolist() if conditional else None, draws, 100_000, 0)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_conditional_bound_that_is_tight_is_the_marginal_itself() -> None:
    found = of(Toy(lambda x, y: given(x, y)), "bound", True, draws=2)
    assert found.nats == pytest.approx(truth(SPACE).numpy(), abs=1e-12)


@pytest.mark.parametrize("draws", [1, 2, 5, 16])
@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_a_conditional_bound_is_below_the_marginal_of_every_example_at_any_noise(noise: float, draws: int) -> None:
    # b_y = log p(x | y) + noise of mean 0: the tightest noisy bound there is, so any inflation shows.
    n = 10_000
    model = Toy(lambda x, y: given(x, y) + noise * torch.randn(len(x)).double())
    for example in range(len(SPACE)):
        x = SPACE[example : example + 1].expand(n, 1, 1, 2)
        nats = of(model, "bound", True, draws, x).nats
        assert nats.mean() <= float(truth(SPACE)[example]) + 4 * nats.std(ddof=1) / math.sqrt(n)


def test_a_conditional_bound_comes_near_to_the_marginal_with_more_draws() -> None:
    model = Toy(lambda x, y: given(x, y) + torch.randn(len(x)).double())
    x = SPACE[:1].expand(2000, 1, 1, 2)
    gaps = [float(truth(SPACE[:1])) - of(model, "bound", True, draws, x).nats.mean() for draws in (2, 16, 128)]
    assert gaps[0] > gaps[1] > gaps[2] > -0.01
    assert gaps[2] < 0.02


def test_conditional_importance_weights_are_averaged_inside_each_class_and_then_over_classes() -> None:
    x = SPACE[:1].expand(20_000, 1, 1, 2)
    # Unbiased in the classes' sum: the mean of exp(nats) is P(x), whatever K.
    for draws in (1, 3):
        found = np.exp(of(Toy(noisy), "importance", True, draws, x).nats)
        assert found.mean() == pytest.approx(float(truth(SPACE[:1]).exp()), abs=4 * found.std() / math.sqrt(len(x)))


def test_the_weights_are_added_up_as_a_logsumexp_over_all_of_them() -> None:
    weights = torch.randn(7, 4, dtype=torch.float64) * 30  # [draws, examples]
    each = iter(weights)
    found = of(Toy(lambda x, y: next(each) - 100), "importance", False, draws=7)
    assert found.nats == pytest.approx((weights - 100).logsumexp(0).numpy() - math.log(7))
    normal = weights.softmax(0)
    assert found.effective_draws == pytest.approx((1 / normal.square().sum(0)).numpy())


def test_equal_weights_count_in_full_and_one_that_dominates_counts_alone() -> None:
    assert of(Toy(lambda x, y: truth(x)), "importance", False, 16).effective_draws == pytest.approx(np.full(4, 16.0))
    values = iter([0.0, -50.0, -60.0])
    found = of(Toy(lambda x, y: torch.full((len(x),), next(values))), "importance", False, 3)
    assert found.effective_draws == pytest.approx(np.ones(4))


def test_effective_draws_of_a_conditional_model_weigh_the_classes_by_their_prior() -> None:
    draws = 5
    found = of(Toy(lambda x, y: given(x, y)), "importance", True, draws)
    joint = torch.stack([given(SPACE, torch.full((len(SPACE),), y)) + PRIOR[y].log() for y in range(CLASSES)])
    posterior = joint.softmax(0)  # [classes, examples]; each is split evenly over its draws
    assert found.effective_draws == pytest.approx((draws / posterior.square().sum(0)).numpy())


@pytest.mark.parametrize("kind", ["exact", "bound", "estimate"])
def test_only_importance_weights_have_an_effective_number(kind: str) -> None:
    assert of(Toy(lambda x, y: truth(x)), kind, False, 4).effective_draws is None


@pytest.mark.parametrize("kind", ["importance", "bound"])
def test_no_more_is_held_in_memory_when_more_is_drawn(kind: str) -> None:
    n = 5003
    alive = []

    def count(x: Tensor, y: Tensor | None) -> Tensor:
        held = [each for each in gc.get_objects() if type(each) is Tensor and each.shape == (n,)]
        alive.append(len(held))
        return torch.zeros(n, dtype=torch.float64) - 1

    x = torch.zeros(n, 1, 1, 2, dtype=torch.uint8)
    log_probs(Toy(count), kind, x, None, 12, n, 0)  # type: ignore[arg-type]
    assert alive[-1] <= alive[2]

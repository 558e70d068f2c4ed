"""When training ends, and what a model is told of it."""

import dataclasses

import pytest

from genbench.engine.budget import Clock, Spending
from genbench.specs import Budget

BUDGET = Budget(images=100, flops=1000.0, seconds=60.0, memory=1 << 30, parameters=10)


def spent(budget: Budget = BUDGET, steps: int = 0, flops: float = 0.0, max_epochs: int | None = None) -> Spending:
    spending = Spending(budget, batch_size=10, train_examples=25, max_epochs=max_epochs)
    for _ in range(steps):
        spending.charge(flops)
    return spending


@pytest.mark.parametrize(
    ("steps", "flops", "seconds", "reason"),
    [
        (0, 0.0, 0.0, None),
        (9, 10.0, 59.0, None),
        (10, 10.0, 0.0, "images"),
        (5, 200.0, 0.0, "flops"),
        (10, 100.0, 99.0, "images"),
        (3, 10.0, 60.0, "seconds"),
    ],
)
def test_training_ends_at_whichever_limit_comes_first(steps: int, flops: float, seconds: float, reason: str) -> None:
    assert spent(steps=steps, flops=flops).ended_by(seconds) == reason


def test_a_model_that_counts_no_flops_ends_by_images() -> None:
    assert spent(steps=10, flops=0.0).ended_by(0.0) == "images"


@pytest.mark.parametrize(("max_epochs", "steps"), [(0, 0), (1, 2), (2, 5)])
def test_no_example_is_handed_out_more_often_than_max_epochs(max_epochs: int, steps: int) -> None:
    assert spent(steps=steps, max_epochs=max_epochs).ended_by(0.0) == "max_epochs"
    if steps:
        assert spent(steps=steps - 1, max_epochs=max_epochs).ended_by(0.0) is None


def test_progress_is_the_larger_share() -> None:
    assert spent(steps=2, flops=10.0).progress == pytest.approx(0.2)
    assert spent(steps=2, flops=300.0).progress == pytest.approx(0.6)


def test_progress_stays_below_one() -> None:
    assert spent(steps=50, flops=500.0).progress < 1.0


def test_without_a_flop_limit_images_alone_count() -> None:
    assert spent(dataclasses.replace(BUDGET, flops=None), steps=5, flops=1e9).progress == pytest.approx(0.5)


def test_the_clock_stands_still_while_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = Clock()
    clock.start()
    now[0] = 5.0
    with clock.paused():
        now[0] = 105.0
    now[0] = 107.0
    clock.stop()
    now[0] = 200.0
    assert clock.seconds == 7.0

"""What ``realnvp`` promises: the contract of genbench, and what is true of this model and no other."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import pytest
import torch

from genbench import Batch, DataSpec
from genbench.testing import parametrize_with_checks
from genbench_flow import RealNVPConfig, needs_even_images, register_models
from genbench_flow.model import RealNVP

CPU = torch.device("cpu")
SMALL = RealNVPConfig(batch_size=64, couplings=4, width=32, dropout=0.1, learning_rate=3e-3)


def equal_pairs(count: int, levels: int) -> torch.Tensor:
    """2x2 images whose two rows are equal: uint8 ``[count, 1, 2, 2]`` of 2 log(levels) nats."""
    row = torch.randint(levels, (count, 1, 1, 2), dtype=torch.uint8)
    return row.expand(-1, 1, 2, 2).contiguous()


def trained(data: DataSpec, steps: int) -> RealNVP:
    torch.manual_seed(0)
    model = RealNVP(SMALL, data, CPU)
    for step in range(steps):
        model.train_step(Batch(equal_pairs(SMALL.batch_size, data.levels), None), step / steps)
    return model


@parametrize_with_checks(*register_models())
def test_the_model_keeps_the_contract(check):
    check()


@pytest.fixture(scope="module")
def model() -> RealNVP:
    return trained(DataSpec((1, 2, 2), levels=3), steps=400)


def test_listing_the_plugin_imports_no_torch():
    code = "import sys, genbench_flow; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_images_of_even_size_are_supported_and_others_get_a_reason():
    assert [spec.name for spec in register_models()] == ["realnvp"]
    assert needs_even_images(DataSpec((1, 8, 8), 17)) is None
    assert needs_even_images(DataSpec((3, 32, 28))) is None
    assert "7x8" in needs_even_images(DataSpec((1, 7, 8)))
    assert "sequences" in needs_even_images(DataSpec((16,), 27))


@pytest.mark.parametrize(
    "change", [{"alpha": 0.5}, {"dropout": 1.0}, {"couplings": 0}, {"max_log_scale": 0.0}], ids=str
)
def test_impossible_options_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        RealNVPConfig(**change)


def test_the_estimated_probabilities_of_all_images_sum_to_at_most_one(model):
    every = torch.tensor(list(itertools.product(range(3), repeat=4)), dtype=torch.uint8).view(-1, 1, 2, 2)
    torch.manual_seed(1)
    totals = torch.stack([model.log_prob(every).double().exp().sum() for _ in range(2000)])
    error = totals.std() / math.sqrt(len(totals))
    assert totals.mean() <= 1 + 4 * error
    # What is missing lies in the margins that alpha leaves outside [0, 1].
    assert totals.mean() > 0.8


def test_training_finds_that_two_rows_are_equal(model):
    torch.manual_seed(1)
    x = equal_pairs(500, 3)
    nats = torch.stack([model.log_prob(x) for _ in range(64)]).logsumexp(0) - math.log(64)
    # Between the truth, 2 log 3, and pixels that know nothing of each other, 4 log 3.
    assert 2 * math.log(3) < -nats.mean() < 2.8 * math.log(3)
    drawn = model.sample(500)
    assert (drawn[:, :, 0] == drawn[:, :, 1]).float().mean() > 0.7  # by chance 1 / 3


def test_samples_have_the_levels_frequencies(model):
    torch.manual_seed(2)
    frequencies = torch.bincount(model.sample(4000).flatten().long(), minlength=3) / 16000
    torch.testing.assert_close(frequencies, torch.full((3,), 1 / 3), rtol=0, atol=0.08)


def test_samples_of_an_untrained_model_are_in_range():
    data = DataSpec((3, 4, 6), levels=256)
    x = RealNVP(SMALL, data, CPU).sample(5)
    assert x.dtype == torch.uint8
    assert x.shape == (5, 3, 4, 6)


def test_a_restored_model_trains_on_as_the_first_one_would(model):
    state = model.state_dict()
    restored = RealNVP(SMALL, model.data, CPU)
    restored.load_state_dict(state)
    before = {key: value.clone() for key, value in state["flow"].items()}
    batch = Batch(equal_pairs(SMALL.batch_size, 3), None)
    torch.manual_seed(3)
    restored.train_step(batch, 0.5)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict()["flow"].items())

    first = RealNVP(SMALL, model.data, CPU)
    first.load_state_dict(state)
    torch.manual_seed(3)
    first.train_step(batch, 0.5)
    torch.manual_seed(4)
    expected = first.log_prob(batch.x)
    torch.manual_seed(4)
    assert torch.equal(restored.log_prob(batch.x), expected)


def test_a_state_of_another_width_is_refused(model):
    with pytest.raises(RuntimeError, match="size mismatch"):
        RealNVP(RealNVPConfig(couplings=4, width=16), model.data, CPU).load_state_dict(model.state_dict())

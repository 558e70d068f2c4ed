"""Claims about the building blocks that the first-party models share: averaging and optimiser state."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from genbench_blocks.ema import EMA
from genbench_blocks.optim import load_optimizer_state, optimizer_state


def test_the_average_agrees_with_its_closed_form() -> None:
    """One weight that is k after step k, batches of 10: a = sum of (1 - d_k) k times the later decays."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = EMA(module, half_life=100, rampup=0.25)
    decays = [0.5 ** (10 / min(100, 0.25 * 10 * k)) for k in range(1, 61)]
    for k in range(1, 61):
        nn.init.constant_(module.weight, float(k))
        ema.update(module, 10)
    expected = sum((1 - decays[k - 1]) * k * math.prod(decays[k:]) for k in range(1, 61))
    assert ema.average.weight.item() == pytest.approx(expected, rel=1e-5)
    assert ema.images == 600


def test_a_weight_that_changed_has_half_left_after_the_half_life() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    ema = EMA(module, half_life=64, rampup=1e9)
    nn.init.zeros_(module.weight)
    for _ in range(4):
        ema.update(module, 16)
    assert ema.average.weight.item() == pytest.approx(0.5, rel=1e-6)


def test_the_average_covers_floating_buffers_and_copies_counters() -> None:
    module = nn.BatchNorm1d(2)
    ema = EMA(module, half_life=8, rampup=1e9)
    module(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    ema.update(module, 8)
    torch.testing.assert_close(ema.average.running_mean, module.running_mean / 2)  # from 0, half the way
    assert ema.average.num_batches_tracked == 1
    assert not ema.average.training


@pytest.mark.parametrize("settings", [(0, 0.05), (100, 0)])
def test_an_average_without_a_half_life_is_refused(settings: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        EMA(nn.Linear(1, 1), *settings)


@pytest.mark.parametrize("kind", ["adam", "fused adam", "adamw", "sgd"])
def test_optimiser_state_has_string_keys_and_comes_back_whole(kind: str) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        groups = [{"params": network[0].parameters()}, {"params": network[1].parameters(), "lr": 0.5}]
        optimizer: torch.optim.Optimizer = {
            "adam": lambda: torch.optim.Adam(groups, lr=1e-2, betas=(0.0, 0.9)),
            "fused adam": lambda: torch.optim.Adam(groups, lr=1e-2, fused=True),
            "adamw": lambda: torch.optim.AdamW(groups, lr=1e-2),
            "sgd": lambda: torch.optim.SGD(groups, lr=1e-2, momentum=0.9),
        }[kind]()
        return network, optimizer

    def steps(network: nn.Module, optimizer: torch.optim.Optimizer, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            network(torch.ones(2, 3)).square().sum().backward()
            optimizer.step()

    whole, optimizer = made()
    steps(whole, optimizer, 3)
    optimizer.param_groups[0]["lr"] = 0.25
    state = copy.deepcopy({"weights": whole.state_dict(), "optimizer": optimizer_state(optimizer)})
    steps(whole, optimizer, 3)

    other, restored = made()
    other.load_state_dict(state["weights"])
    load_optimizer_state(restored, state["optimizer"])
    assert [group["lr"] for group in restored.param_groups] == [0.25, 0.5]
    steps(other, restored, 3)
    assert all(isinstance(key, str) for key in state["optimizer"]["state"])
    assert len(state["optimizer"]["state"]) == 4
    for mine, theirs in zip(whole.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_optimiser_state_of_another_network_is_refused() -> None:
    def stepped(width: int) -> torch.optim.Optimizer:
        layer = nn.Linear(width, 1)
        optimizer = torch.optim.Adam(layer.parameters())
        layer(torch.ones(1, width)).sum().backward()
        optimizer.step()
        return optimizer

    with pytest.raises(ValueError, match=r"shape \[1, 3\], where the parameter has \[1, 2\]"):
        load_optimizer_state(stepped(2), optimizer_state(stepped(3)))
    one_parameter = torch.optim.Adam([nn.Parameter(torch.ones(1, 3))])
    with pytest.raises(ValueError, match="parameter 1, where there are 1"):
        load_optimizer_state(one_parameter, optimizer_state(stepped(3)))

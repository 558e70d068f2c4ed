"""Every registered model under autocast to bfloat16, as a budget of ``precision = "bf16"`` trains and samples it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from genbench import Batch, DataSpec, ModelSpec
from genbench.engine.contract import resolve
from genbench.plugins import discover
from genbench.specs import resolve_config

CPU = torch.device("cpu")
IMAGES = DataSpec((1, 8, 8), levels=17, classes=2)
WORDS = DataSpec((6,), levels=9, classes=2)
SPECS = {name: model.spec for name, model in discover().models.items()}
CASES = [(name, data) for name, spec in SPECS.items() for data in (IMAGES, WORDS) if spec.supports(data) is None]
SMALL: dict[str, object] = {
    "batch_size": 4, "width": 8, "channels": 8, "hidden": 8, "widen": 2, "latent": 4, "generator_width": 8,
    "discriminator_width": 8, "critic_steps": 1, "steps": 20, "sample_steps": 2, "prior_components": 2,
}  # fmt: skip
"""Overrides of every configuration that has such a field. In their one step GANs train both networks."""


def build(spec: ModelSpec, data: DataSpec) -> Any:
    fields = {field.name for field in dataclasses.fields(spec.config)}
    config = resolve_config(spec, data, {name: value for name, value in SMALL.items() if name in fields})
    return resolve(str(spec.factory), "factory")(config, data, CPU)


def tensors(state: object) -> list[torch.Tensor]:
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in tensors(value)]
    return [state] if isinstance(state, torch.Tensor) else []


@pytest.mark.parametrize(("name", "data"), CASES, ids=[f"{name}-{len(data.shape)}d" for name, data in CASES])
def test_a_step_and_a_sample_in_bf16_are_finite_and_leave_the_state_in_full_precision(
    name: str, data: DataSpec
) -> None:
    spec = SPECS[name]
    torch.manual_seed(0)
    model = build(spec, data)
    labels = torch.arange(4) % 2
    batch = Batch(torch.randint(0, data.levels, (4, *data.shape), dtype=torch.uint8), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        logs = {} if spec.max_epochs == 0 else model.train_step(batch, 0.5)
    if hasattr(model, "prepare_for_eval"):
        model.prepare_for_eval(iter([batch]))
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        x = model.sample(3, labels[:3] if spec.conditional else None)
    assert (x.dtype, x.shape) == (torch.uint8, (3, *data.shape))
    assert int(x.max()) < data.levels
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logs.values()), logs
    assert torch.bfloat16 not in {tensor.dtype for tensor in tensors(model.state_dict())}

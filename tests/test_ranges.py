"""Configurations refuse values that no network can be built of, by name and before any run."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from commands import inside

from genbench import DataSpec
from genbench.errors import SpecError
from genbench.plugins import discover
from genbench.specs import resolve_config
from genbench_gan.config import AdversarialConfig
from genbench_vae.config import HVAEConfig
from genbench_vae.hvae import HVAE

IMAGES = DataSpec((1, 8, 8), levels=17, classes=10)
WORDS = DataSpec((16,), levels=64, classes=8)
SPECS = {name: model.spec for name, model in discover().models.items()}
OUTSIDE: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("dropout", "gram_dropout", "beta1", "beta2"), (-0.1, 1.0)),
    **dict.fromkeys(("augment", "eta", "kl_warmup", "lr_decay"), (-0.1, 1.1)),
    **dict.fromkeys(("clip", "class_weight_d", "class_weight_g", "code_penalty", "gradient_penalty"), (-0.1,)),
    **dict.fromkeys(("r1", "weight_decay"), (-0.1,)),
    **dict.fromkeys(("above", "rows", "side"), (-1,)),
    "end": (-2,),
    "sample_steps": (0, 1001),
    "schedule": ("flat",),
    "steps": (1,),
    "widen": (-32,),
}
"""Values just outside a field's range. Of fields that are not here, whole numbers of which there must be 1 or more and
numbers that must be above 0, it is 0."""
OF_A_MODEL: dict[tuple[str, str], tuple[object, ...]] = {
    **{(name, "batch_size"): (1,) for name, spec in SPECS.items() if issubclass(spec.config, AdversarialConfig)},
    **{(name, "width"): (0, 6, 36) for name in ("vae", "beta-vae", "cvae", "hvae", "ae-gmm")},
    **{(name, "width"): (0, 33) for name in ("transformer", "ctransformer")},
    **{(name, "logistics"): (-1,) for name in ("transformer", "ctransformer")},
    ("ddpm", "width"): (0, 12),
    ("wgan-gp", "r1"): (0.1,),
}
"""Where a model's range is not that of its field's other models."""


@pytest.mark.parametrize("name", SPECS)
def test_every_option_outside_its_range_is_refused_by_name(name: str) -> None:
    spec = SPECS[name]
    data = next(data for data in (IMAGES, WORDS) if spec.supports(data) is None)
    for field in dataclasses.fields(spec.config):
        if isinstance(field.default, bool):
            continue
        for value in OF_A_MODEL.get((name, field.name), OUTSIDE.get(field.name, (0,))):
            with pytest.raises(SpecError, match=rf": {field.name} must be .*, not {re.escape(repr(value))}(\.0)?$"):
                resolve_config(spec, data, {field.name: value})


@pytest.mark.parametrize("width", [4, 12, 28, 32, 40, 48])
def test_every_width_of_an_autoencoder_that_is_not_refused_can_be_built(width: int) -> None:
    config = HVAEConfig(width=width, latent=2)
    assert HVAE(config, IMAGES, torch.device("cpu")).sample(1).shape == (1, 1, 8, 8)


def test_a_run_of_a_model_that_cannot_be_built_is_refused_before_it_begins(tmp_path: Path) -> None:
    done = inside("run", "vae[width=36]", "-b", "digits-smoke", "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "width must be a multiple of 4 up to 32, of 8 beyond" in done.stderr
    assert not (tmp_path / "results").exists()

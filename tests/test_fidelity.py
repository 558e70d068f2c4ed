"""torch-fidelity's own command line with genbench's evaluators."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import environment, genbench
from PIL import Image

from genbench.engine.fidelity import register_evaluators
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.frechet import frechet_distance_of_features, square_root_factor
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError
from genbench.plugins import discover

mend()
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY  # noqa: E402

REGISTRY = discover()


@pytest.mark.parametrize("name", ["digits-cnn-v1", "digits-random-v1"])
def test_torch_fidelitys_command_line_computes_our_fid_with_our_evaluator(tmp_path: Path, name: str) -> None:
    from genbench_benchmarks.digits import load

    sides = {split: x[:120] for split, (x, _) in load().items()}
    for split, x in sides.items():
        (tmp_path / split).mkdir()
        for index, image in enumerate(x):
            Image.fromarray(image[0]).save(tmp_path / split / f"{index:03}.png")
    inputs = ("--input1", str(tmp_path / "train"), "--input2", str(tmp_path / "test"))
    quiet = ("--json", "--silent", "--save-cpu-ram", "--no-cache")
    words = (*inputs, *quiet, "--cpu", "--fid", "--feature-extractor", name)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "genbench.cli", "fidelity", *words],
        capture_output=True, text=True, timeout=200, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["frechet_inception_distance"]
    spec = REGISTRY.evaluators[name].spec
    train, test = (extract(load_evaluator(spec), sides[split])[0] for split in ("train", "test"))
    expected = frechet_distance_of_features(train, test.mean(0, dtype=np.float64), square_root_factor(test))
    assert found == pytest.approx(expected, rel=1e-4)


def test_changed_weights_are_refused_in_torch_fidelitys_command_line_too(tmp_path: Path) -> None:
    spec = dataclasses.replace(REGISTRY.evaluators["digits-cnn-v1"].spec, name="changed-v1", sha256="0" * 64)
    assert register_evaluators([spec]) == ["changed-v1"]
    with pytest.raises(DataError, match="where 0000"):
        FEATURE_EXTRACTORS_REGISTRY["changed-v1"]("changed-v1", ["features"])


def test_torch_fidelitys_options_are_its_own() -> None:
    done = genbench("fidelity", "--", "--help")
    assert done.returncode == 0
    assert "--samples-find-deep" in done.stdout
    assert "digits-cnn-v1" in done.stdout

"""Inception and torch-fidelity's other extractors, on weights of the right architecture that the tests make."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import genbench
from torch import nn

from genbench.engine.scoring.evaluators import as_rgb, extract, load_evaluator
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError
from genbench.plugins import discover
from genbench.specs import EvaluatorSpec
from genbench.supplies import file_sha256

mend()
from torch_fidelity.feature_extractor_clip import CLIPVisual  # noqa: E402
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: E402

PUBLISHED = {name: entry.spec for name, entry in discover().evaluators.items() if entry.spec.rgb}
INCEPTION = PUBLISHED["inception-v3-compat"]
EXAMPLES = 8


# ---- weights of the right architecture, made here


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of Inception in a file as torch-fidelity publishes it."""

    class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: Any, **__: Any) -> None:
            """The constructor has to load something."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Untrained("random", ["2048"], feature_extractor_weights_path=nothing)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)  # else nothing of an image is left after 90 layers
    path = tmp_path_factory.mktemp("weights") / "random-inception.pth"
    torch.save(network.state_dict(), path)
    return path


def pinned(spec: EvaluatorSpec, path: Path) -> EvaluatorSpec:
    """The evaluator with other weights, fitted to grey images of 8x8 with 17 levels."""
    changes = {"weights": str(path), "sha256": file_sha256(path), "shape": (1, 8, 8), "levels": 17}
    return dataclasses.replace(spec, **changes)


def images(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 17, (n, 1, 8, 8)).astype(np.uint8)


def test_inceptions_layers_are_those_that_torch_fidelity_computes(weights: Path) -> None:
    x = images(2)
    found = extract(load_evaluator(pinned(INCEPTION, weights)), x, batch_size=2)
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(as_rgb(x, 17)))
    assert all(np.array_equal(mine, other.numpy()) for mine, other in zip(found, expected, strict=True))
    assert float(found[0].std()) > 1e-3


class Escape:
    """What a hostile pickle does when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_pickle_with_the_declared_hash_is_still_not_executed(tmp_path: Path) -> None:
    torch.save({"fc.weight": Escape(tmp_path / "escaped")}, tmp_path / "hostile.pth")
    with pytest.raises(DataError, match="has the declared hash, but"):
        load_evaluator(pinned(INCEPTION, tmp_path / "hostile.pth"))
    assert not (tmp_path / "escaped").exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "hostile.pth", weights_only=True)


def test_clip_is_read_from_a_torchscript_archive(tmp_path: Path) -> None:
    class Archived(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = CLIPVisual(512, 32, 1, 64, 16).visual
            self.text_projection = nn.Parameter(torch.zeros(4, 512))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(0)
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still how CLIP is published
        torch.jit.trace(Archived().half(), torch.zeros(1)).save(str(tmp_path / "clip.pt"))
        spec = dataclasses.replace(pinned(PUBLISHED["clip-vit-b-32"], tmp_path / "clip.pt"), name="clip-vit-b-32@0")
        features, logits = extract(load_evaluator(spec), images(3))
    assert (features.shape, logits.shape) == ((3, 512), (3, 0))
    assert float(features.std()) > 1e-3


@pytest.mark.parametrize("gated", [False, True], ids=["perceptron", "gated"])
def test_dinov2_is_built_from_its_weights_alone(tmp_path: Path, gated: bool) -> None:
    from genbench_benchmarks.evaluators.dinov2 import Block, GatedPerceptron, Perceptron, VisionTransformer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        mlp = GatedPerceptron(384, 128) if gated else Perceptron(384, 128)
        network = VisionTransformer(384, 1 + 37**2, [Block(384, mlp)])
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.05)
    torch.save(network.state_dict(), tmp_path / "dinov2.pth")
    features, _ = extract(load_evaluator(pinned(PUBLISHED["dinov2-vit-s-14"], tmp_path / "dinov2.pth")), images(3))
    assert features.shape == (3, 384)
    assert float(features.std(0).max()) > 1e-4


def test_dinov2s_attention_is_that_of_torch() -> None:
    from genbench_benchmarks.evaluators.dinov2 import Attention

    with torch.random.fork_rng():
        torch.manual_seed(0)
        mine, theirs, x = Attention(192), nn.MultiheadAttention(192, 3, batch_first=True), torch.randn(2, 7, 192)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(mine.qkv.weight)
        theirs.in_proj_bias.copy_(mine.qkv.bias)
        theirs.out_proj.load_state_dict(mine.proj.state_dict())
        torch.testing.assert_close(mine(x), theirs(x, x, x)[0])


# ---- end to end


TINY = """
from genbench import DataSpec, DatasetSpec, hookimpl
from genbench_benchmarks.digits import load as digits


def load():
    return {split: (x[:N], labels[:N]) for split, (x, labels) in digits().items()}


@hookimpl
def register_datasets():
    return [DatasetSpec("tiny-digits", DataSpec((1, 8, 8), 17, 10), "genbench_tiny:load", "SHA256", N, N)]
"""

DEFINITION = """
name = "NAME"
dataset = "tiny-digits"
evaluator = "inception-v3-compat"
evaluator_sha256 = "PINNED"
metrics = ["fid", "is"]
seeds = [0]
milestones = [1.0]

[budget]
images = 8
seconds = 60.0
grace = 240.0
memory_mib = 3072
parameters = 2000000

[samples]
n = 8
milestone_n = 8
chunk = 8

[likelihood]
examples = 8
milestone_examples = 8
draws = 1
milestone_draws = 1
chunk = 8
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distribution with eight digits to train on and eight to score against."""
    from genbench.engine.data import content_sha256
    from genbench_benchmarks.digits import load

    folder = tmp_path_factory.mktemp("plugin")
    splits = {split: (x[:EXAMPLES], labels[:EXAMPLES]) for split, (x, labels) in load().items()}  # type: ignore[index]
    code = TINY.replace("N]", f"{EXAMPLES}]").replace("N, N", f"{EXAMPLES}, {EXAMPLES}")
    (folder / "genbench_tiny.py").write_text(code.replace("SHA256", content_sha256(splits)))
    info = folder / "genbench_tiny-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genbench-tiny\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[genbench]\ntiny = genbench_tiny\n")
    return folder


def definition(folder: Path, sha256: str | None) -> Path:
    path = folder / "tiny-inception.toml"
    text = DEFINITION.replace("NAME", path.stem)
    path.write_text(text.replace("PINNED", sha256) if sha256 else text.replace('evaluator_sha256 = "PINNED"\n', ""))
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, plugin: Path, weights: Path) -> dict[str, Any]:
    """The record of a run that was scored with Inception, given its weights, offline."""
    folder = tmp_path_factory.mktemp("ran")
    toml = definition(folder, file_sha256(weights))
    command = ("run", "noise", "-b", toml, "--weights", weights, "--offline", "--results", folder / "r", "--json")
    done = genbench(*command, python_path=(plugin,))
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    record["stored_samples"] = next((folder / "r").rglob("samples.npz"))
    return record  # type: ignore[no-any-return]


def test_a_run_is_scored_with_inception_offline_from_a_given_file(ran: dict[str, Any], weights: Path) -> None:
    fid = ran["scores"]["fid"]
    sha256 = file_sha256(weights)
    assert fid["fingerprint"]["evaluator"] == f"inception-v3-compat@{sha256[:8]}@{sha256[:16]}"
    assert fid["value"] > 0


def test_inceptions_fid_of_a_run_is_that_of_torch_fidelitys_features(ran: dict[str, Any], weights: Path) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    from genbench_benchmarks.digits import load

    theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))
    with np.load(ran["stored_samples"]) as arrays, torch.inference_mode():
        sides = (arrays["samples"], load()["test"][0][:EXAMPLES])
        samples, real = (theirs(torch.from_numpy(as_rgb(x, 17)))[0] for x in sides)
    statistics = (fid_features_to_statistics(features) for features in (samples, real))
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    trace = sum(float(x.double().var(0).sum()) for x in (samples, real))
    assert ran["scores"]["fid"]["value"] == pytest.approx(expected, rel=1e-4, abs=1e-6 * trace)


def test_without_weights_and_offline_a_run_is_refused_before_it_is_trained(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    toml = definition(tmp_path, None)
    done = genbench("run", "noise", "-b", toml, "--results", tmp_path / "r", python_path=(plugin,))
    assert done.returncode == 2
    assert INCEPTION.url in done.stderr
    assert "--weights PATH" in done.stderr
    assert not list((tmp_path / "r").rglob("record.json"))


@pytest.mark.parametrize("sha256", [None, "0" * 64], ids=["published", "pinned"])
def test_a_given_file_with_another_hash_is_refused(
    tmp_path: Path, plugin: Path, weights: Path, sha256: str | None
) -> None:
    toml = definition(tmp_path, sha256)
    done = genbench(
        "run", "noise", "-b", toml, "--weights", weights, "--results", tmp_path / "r", python_path=(plugin,)
    )
    assert done.returncode == 2
    assert f"has the SHA-256 {file_sha256(weights)}, which no evaluator" in done.stderr
    assert (sha256 or INCEPTION.sha256) in done.stderr
    assert not list((tmp_path / "r").rglob("record.json"))


def test_weights_that_were_exchanged_after_they_were_given_are_refused_on_load(tmp_path: Path, weights: Path) -> None:
    spec = pinned(INCEPTION, weights)
    (tmp_path / "exchanged.pth").write_bytes(b"other")
    with pytest.raises(DataError, match="scores of other weights could not be compared"):
        load_evaluator(dataclasses.replace(spec, weights=str(tmp_path / "exchanged.pth")))

"""Evaluators whose weights do not ship: what is declared, where weights are found, and which definitions fit."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import toml
from serving import served as served

from genbench.engine.contract import resolve
from genbench.engine.scoring.evaluators import as_rgb
from genbench.engine.scoring.weights import find_weights
from genbench.engine.torchvision_compat import mend
from genbench.errors import BenchmarkError, DataError
from genbench.executors.launcher import Launcher
from genbench.executors.prepare import ready_evaluators
from genbench.plugins import discover
from genbench.selection import load_benchmark
from genbench.specs import EvaluatorSpec
from genbench.supplies import change_evaluators, supplied

mend()
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS  # noqa: E402
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3  # noqa: E402
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY  # noqa: E402
from torchvision.models import VGG16_Weights  # noqa: E402

REGISTRY = discover()
PUBLISHED = {name: entry.spec for name, entry in REGISTRY.evaluators.items() if entry.spec.rgb}
INCEPTION = PUBLISHED["inception-v3-compat"]
each_published = pytest.mark.parametrize("spec", PUBLISHED.values(), ids=PUBLISHED.keys())


# ---- what is declared


def test_every_extractor_that_torch_fidelity_registers_is_an_evaluator_of_the_same_name() -> None:
    # In a process of its own: other tests of this one may have registered extractors with torch-fidelity too.
    code = (
        "from genbench.engine.torchvision_compat import mend; mend();"
        "from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY as known; print(*known)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(PUBLISHED) == set(done.stdout.split())


def test_declaring_them_imports_neither_torch_nor_torch_fidelity() -> None:
    code = "import sys, genbench_benchmarks; genbench_benchmarks.register_evaluators(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "torch_fidelity", "torchvision"} & set(done.stdout.split())


@each_published
def test_the_declared_layers_are_those_that_torch_fidelity_takes(spec: EvaluatorSpec) -> None:
    extractor = FEATURE_EXTRACTORS_REGISTRY[spec.name]
    assert extractor.get_default_feature_layer_for_metric("fid") == spec.features
    if spec.logits is not None:
        assert extractor.get_default_feature_layer_for_metric("isc") == spec.logits


@each_published
def test_the_declared_class_is_torch_fidelitys_own(spec: EvaluatorSpec) -> None:
    assert issubclass(resolve(spec.factory), FEATURE_EXTRACTORS_REGISTRY[spec.name])


def test_the_declared_addresses_and_hashes_are_the_published_ones() -> None:
    assert INCEPTION.url == URL_INCEPTION_V3
    vgg = VGG16_Weights.IMAGENET1K_V1.url
    assert PUBLISHED["vgg16"].url == vgg
    for spec in (INCEPTION, PUBLISHED["vgg16"]):
        prefix = re.search(r"-([0-9a-f]{8})\.pth$", spec.file)
        assert prefix
        assert spec.sha256.startswith(prefix[1])
    for name, published in MODEL_METADATA.items():
        assert (PUBLISHED[name].sha256, PUBLISHED[name].url) == (published["hash"], MODEL_URLS[name])


# ---- preprocessing


@pytest.mark.parametrize("levels", [2, 16, 17, 255, 256])
def test_levels_are_spread_over_256_by_rounding_half_up(levels: int) -> None:
    x = np.arange(levels, dtype=np.uint8).reshape(levels, 1, 1, 1)
    expected = np.floor(255 * np.arange(levels) / (levels - 1) + 0.5)
    assert np.array_equal(as_rgb(x, levels)[:, 0, 0, 0], expected)


def test_grey_is_repeated_and_colours_are_kept() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)
    assert np.array_equal(as_rgb(grey, 256), np.concatenate([grey] * 3, 1))
    colours = np.arange(36, dtype=np.uint8).reshape(1, 3, 3, 4)
    assert np.array_equal(as_rgb(colours, 256), colours)


# ---- finding weights


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluatorSpec:
    """An evaluator whose weights are a few bytes, and a torch hub of the test's own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    sha256 = hashlib.sha256(b"weights").hexdigest()
    return dataclasses.replace(INCEPTION, sha256=sha256, url="http://localhost:9/there/original.pth", file="kept.pth")


@pytest.mark.parametrize("place", ["cache/kept.pth", "cache/original.pth", "torch/hub/checkpoints/kept.pth"])
def test_weights_are_found_in_the_cache_and_in_torch_hubs(wanted: EvaluatorSpec, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_bytes(b"weights")
    assert find_weights(wanted, tmp_path / "cache", offline=True) == tmp_path / place


def test_a_file_of_the_right_name_with_another_hash_is_passed_over_and_told(
    wanted: EvaluatorSpec, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kept.pth").write_bytes(b"other")
    with pytest.raises(DataError, match=r"not taken: .*kept\.pth has another hash"):
        find_weights(wanted, tmp_path / "cache", offline=True)


def test_offline_the_error_says_what_is_missing_and_every_way_to_get_it(wanted: EvaluatorSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        find_weights(wanted, tmp_path / "cache", offline=True)
    said = str(refused.value)
    for part in (
        wanted.name,
        wanted.sha256,
        wanted.url,
        "kept.pth",
        "--weights PATH",
        str(tmp_path / "cache/kept.pth"),
    ):
        assert part in said


def test_a_network_that_refuses_leads_to_the_same_explanation(wanted: EvaluatorSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"localhost:9/there/original\.pth cannot be had: .*\n.*SHA-256"):
        find_weights(wanted, tmp_path / "cache", offline=False)


def test_weights_are_downloaded_into_the_cache_once(
    wanted: EvaluatorSpec, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, folder = served
    (folder / "original.pth").write_bytes(b"weights")
    spec = dataclasses.replace(wanted, url=f"{address}/original.pth")
    assert find_weights(spec, tmp_path / "cache", offline=False) == tmp_path / "cache" / "kept.pth"
    (folder / "original.pth").unlink()
    assert find_weights(spec, tmp_path / "cache", offline=False).read_bytes() == b"weights"


def test_a_download_with_another_hash_is_refused_and_not_kept(
    wanted: EvaluatorSpec, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, folder = served
    (folder / "original.pth").write_bytes(b"other")
    with pytest.raises(DataError, match="invalid hash value"):
        find_weights(dataclasses.replace(wanted, url=f"{address}/original.pth"), tmp_path / "cache", offline=False)
    assert not list((tmp_path / "cache").iterdir())


# ---- definitions


def changed(folder: Path, **changes: Any) -> Path:
    """The definition of digits-smoke with some keys replaced or added, or left out where None."""
    path = folder / "changed.toml"
    raw = tomllib.loads(Path(REGISTRY.benchmarks["digits-smoke"].spec).read_text())
    raw |= {"name": "changed", "description": "", "second_evaluator": None, "metrics": ["fid", "is"], **changes}
    path.write_text(toml({key: value for key, value in raw.items() if value is not None}))
    return path


def test_a_pinned_hash_makes_another_evaluator_of_another_name(tmp_path: Path) -> None:
    path = changed(tmp_path, evaluator="inception-v3-compat", evaluator_sha256="ab" * 32)
    evaluator = load_benchmark(REGISTRY, str(path)).evaluator
    assert (evaluator.name, evaluator.sha256, evaluator.url) == ("inception-v3-compat@abababab", "ab" * 32, "")


def test_pinning_the_published_hash_keeps_the_published_name(tmp_path: Path) -> None:
    path = changed(tmp_path, evaluator="inception-v3-compat", evaluator_sha256=INCEPTION.sha256)
    evaluator = load_benchmark(REGISTRY, str(path)).evaluator
    assert (evaluator.name, evaluator.shape, evaluator.levels) == ("inception-v3-compat", (1, 8, 8), 17)


def test_the_pinned_hash_is_part_of_the_digest_and_the_place_of_the_file_is_not(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    digests = set()
    for sha256 in ("ab" * 32, hashlib.sha256(b"weights").hexdigest()):
        path = changed(tmp_path, evaluator="inception-v3-compat", evaluator_sha256=sha256)
        digests.add(load_benchmark(REGISTRY, str(path)).digest)
    given = supplied(load_benchmark(REGISTRY, str(path)), [weights])
    assert given.evaluator.weights == str(weights)
    assert len(digests | {given.digest}) == 2


def test_weights_that_ship_and_are_others_than_declared_are_refused_before_a_run(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    benchmark = change_evaluators(
        load_benchmark(REGISTRY, "digits"), lambda spec: dataclasses.replace(spec, weights=str(other))
    )
    told = f"{hashlib.sha256(b'other').hexdigest()}, where .* if you are making it, declare the hash of the file"
    with pytest.raises(DataError, match=told), Launcher(threads=1) as launcher:
        ready_evaluators(REGISTRY, benchmark, launcher, str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"evaluator_sha256": "ab" * 32}, "evaluator_sha256: digits-cnn-v1 ships with weights of the hash"),
        ({"evaluator_sha256": "6726825d"}, "evaluator_sha256: must be a SHA-256 as 64"),
        ({"evaluator": "clip-rn50"}, "evaluator: clip-rn50 has no class logits, without which there is no is;"),
        ({"evaluator": "digits-random-v1"}, "evaluator: digits-random-v1 has no class logits"),
        (
            {"evaluator": "inception-v3-compat", "metrics": ["fid", "label_accuracy"]},
            "evaluator: the classes of inception-v3-compat are those of ImageNet, .* judge label_accuracy;",
        ),
        ({"second_evaluator": "digits-cnn-v1"}, "second_evaluator: must be another than evaluator"),
        ({"second_evaluator": "digits-randm-v1"}, "second_evaluator: .*did you mean 'digits-random-v1'"),
    ],
    ids=[
        "pinned although it ships",
        "half a hash",
        "no logits",
        "no logits of its own",
        "other classes",
        "twice the same",
        "unknown",
    ],
)
def test_a_definition_whose_evaluators_do_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BenchmarkError, match=why):
        load_benchmark(REGISTRY, str(changed(tmp_path, **changes)))


def test_an_evaluator_without_logits_may_be_the_second(tmp_path: Path) -> None:
    benchmark = load_benchmark(REGISTRY, str(changed(tmp_path, second_evaluator="digits-random-v1")))
    assert benchmark.second_evaluator
    assert benchmark.second_evaluator.name == "digits-random-v1"


def test_an_evaluator_without_logits_may_be_the_first_where_no_metric_reads_them(tmp_path: Path) -> None:
    path = changed(tmp_path, evaluator="clip-rn50", metrics=["fid", "kid"])
    assert load_benchmark(REGISTRY, str(path)).evaluator.logits is None

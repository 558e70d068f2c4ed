"""Evaluators, what they say of real data, and the whole of scoring against torch-fidelity's."""

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.engine.contract import resolve
from genbench.engine.scoring import score
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import Reference, reference_for
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError, GenbenchError
from genbench.plugins import discover
from genbench.specs import EvaluatorSpec, MetricSpec

Splits = dict[str, tuple[np.ndarray, np.ndarray]]

REGISTRY = discover()
EVALUATORS = {n: entry.spec for n, entry in REGISTRY.evaluators.items() if entry.plugin.distribution == "genbench"}
METRICS = [entry.spec for entry in REGISTRY.metrics.values() if entry.plugin.distribution == "genbench"]
each_evaluator = pytest.mark.parametrize("spec", EVALUATORS.values(), ids=EVALUATORS.keys())
DIGITS = REGISTRY.datasets["digits"].spec
DIGITS_CNN = EVALUATORS["digits-cnn-v1"]


@pytest.fixture(scope="module")
def digits() -> Splits:
    splits: Splits = resolve(DIGITS.loader)()
    return splits


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The weights of two runs of the recipe in processes of their own, side by side."""
    folder = tmp_path_factory.mktemp("recipe")
    outs = [folder / f"{index}.safetensors" for index in range(2)]
    recipe = "genbench_benchmarks.evaluators.train_digits_cnn"
    runs = [subprocess.Popen([sys.executable, "-m", recipe, "--out", str(out)]) for out in outs]
    assert [run.wait(timeout=250) for run in runs] == [0, 0]
    return outs


def random_images(spec: EvaluatorSpec, n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, spec.levels, (n, *spec.shape)).astype(np.uint8)


@each_evaluator
def test_an_evaluator_gives_the_declared_layers(spec: EvaluatorSpec) -> None:
    features, logits = extract(load_evaluator(spec), random_images(spec, 7))
    assert (features.shape, features.dtype, len(logits), logits.dtype) == ((7, spec.dims), np.float32, 7, np.float32)


@each_evaluator
def test_the_features_of_an_image_do_not_hang_on_how_many_there_are(spec: EvaluatorSpec) -> None:
    images = random_images(spec, spec.batch_size + 3)
    few, many = (extract(load_evaluator(spec), x)[0] for x in (images[:7], images))
    assert np.array_equal(few, many[:7])


@each_evaluator
def test_weights_that_were_changed_are_refused(spec: EvaluatorSpec, tmp_path: Path) -> None:
    content = bytearray(Path(spec.weights).read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=f"where {spec.sha256} is declared"):
        load_evaluator(dataclasses.replace(spec, weights=str(tmp_path / "changed.safetensors")))


@each_evaluator
def test_weights_that_are_missing_are_told_by_their_path(spec: EvaluatorSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.safetensors cannot be read"):
        load_evaluator(dataclasses.replace(spec, weights=str(tmp_path / "absent.safetensors")))


@each_evaluator
def test_images_of_another_shape_are_refused(spec: EvaluatorSpec) -> None:
    with pytest.raises(DataError, match="takes uint8"):
        extract(load_evaluator(spec), random_images(spec, 3)[..., :-1])


@each_evaluator
def test_images_that_are_no_uint8_are_refused(spec: EvaluatorSpec) -> None:
    with pytest.raises(DataError, match="takes uint8"):
        extract(load_evaluator(spec), random_images(spec, 3).astype(np.float32))


def test_values_beyond_the_levels_are_refused() -> None:
    with pytest.raises(DataError, match=r"0 \.\. 16, and the largest is 17"):
        extract(load_evaluator(DIGITS_CNN), np.full((2, 1, 8, 8), 17, np.uint8))


def test_the_digits_evaluator_passes_its_gate_of_98_per_cent(digits: Splits) -> None:
    x, labels = digits["test"]
    assert (extract(load_evaluator(DIGITS_CNN), x)[1].argmax(1) == labels).mean() >= 0.98


def test_the_digits_evaluators_head_is_calibrated(digits: Splits) -> None:
    from genbench_benchmarks.evaluators.train_digits_cnn import report

    x, labels = digits["test"]
    figures = report(torch.from_numpy(extract(load_evaluator(DIGITS_CNN), x)[1]), torch.from_numpy(labels))
    assert figures["ece"] < 0.02


def test_the_fitted_temperature_has_the_least_cross_entropy() -> None:
    from genbench_benchmarks.evaluators.train_digits_cnn import fit_temperature

    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2000, 10, generator=generator)
    labels = torch.multinomial((logits / 3).softmax(1), 1, generator=generator)[:, 0]
    fitted = fit_temperature(logits, labels)
    loss = {
        t: float(torch.nn.functional.cross_entropy(logits / t, labels)) for t in (fitted, fitted - 0.1, fitted + 0.1)
    }
    assert min(loss, key=loss.__getitem__) == fitted


def test_retraining_the_digits_evaluator_gives_identical_bytes(retrained: list[Path]) -> None:
    assert retrained[0].read_bytes() == retrained[1].read_bytes()


def test_the_recipe_gives_a_classifier_like_the_shipped_one(retrained: list[Path], digits: Splits) -> None:
    # Bytes may differ from the shipped ones on another machine; what the classifier says may hardly.
    sha256 = hashlib.sha256(retrained[0].read_bytes()).hexdigest()
    again = load_evaluator(dataclasses.replace(DIGITS_CNN, weights=str(retrained[0]), sha256=sha256))
    said = [extract(evaluator, digits["test"][0])[1].argmax(1) for evaluator in (again, load_evaluator(DIGITS_CNN))]
    assert (said[0] == said[1]).mean() > 0.98


def test_grey_images_in_three_channels_have_the_features_of_one(digits: Splits) -> None:
    extractor = load_evaluator(DIGITS_CNN).extractor
    x = torch.from_numpy(digits["test"][0][:5])
    assert torch.equal(extractor(x)[0], extractor(x.expand(-1, 3, -1, -1))[0])


def test_colours_are_refused_by_the_digits_evaluator() -> None:
    x = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    x[0, 1, 2, 2] = 1
    with pytest.raises(ValueError, match="three channels of these differ"):
        load_evaluator(DIGITS_CNN).extractor(x)


class Held(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Images as torch-fidelity takes them."""

    def __init__(self, x: np.ndarray) -> None:
        self._x = torch.from_numpy(x)

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._x[index]


def reference(x: np.ndarray, cache: Path, split: str = "test") -> Reference:
    return reference_for(DIGITS_CNN, DIGITS.sha256, split, lambda: (x, None), cache)


def test_scores_equal_those_of_torch_fidelitys_own_call(digits: Splits, tmp_path: Path) -> None:
    mend()
    import torch_fidelity
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    if DIGITS_CNN.name not in FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(DIGITS_CNN.name, resolve(DIGITS_CNN.factory))
    samples, real = digits["train"][0][:600] // 2 * 2, digits["test"][0]
    expected = torch_fidelity.calculate_metrics(
        input1=Held(samples), input2=Held(real), feature_extractor=DIGITS_CNN.name, cuda=False, cache=False,
        save_cpu_ram=True, verbose=False, fid=True, kid=True, isc=True, prc=True, isc_splits=1, kid_subsets=1,
        kid_subset_size=600,
    )  # fmt: skip
    found = score(samples, None, DIGITS_CNN, METRICS, reference(real, tmp_path))
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "is": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    assert {k: found[k].value for k in names} == pytest.approx({k: expected[v] for k, v in names.items()}, rel=1e-4)


def test_a_metric_that_does_not_apply_has_no_score(digits: Splits, tmp_path: Path) -> None:
    x = digits["test"][0]
    assert "bits_per_dim" not in score(x, None, DIGITS_CNN, METRICS, reference(x, tmp_path))


def test_a_metric_that_returns_a_bare_number_is_refused_by_name(digits: Splits, tmp_path: Path) -> None:
    x = digits["test"][0]
    wrong = MetricSpec("wrong", "Wrong", "builtins:id", "lower", "features")
    with pytest.raises(GenbenchError, match="metric 'wrong': must return a Measured"):
        score(x, None, DIGITS_CNN, [wrong], reference(x, tmp_path))


def never() -> tuple[np.ndarray, None]:
    raise AssertionError("the examples were asked for again")


def test_a_cached_reference_is_read_without_the_examples(digits: Splits, tmp_path: Path) -> None:
    made = reference(digits["test"][0], tmp_path)
    again = reference_for(DIGITS_CNN, DIGITS.sha256, "test", never, tmp_path)
    assert all(np.array_equal(getattr(made.arrays, name), array) for name, array in vars(again.arrays).items())


@pytest.mark.parametrize(
    "changes",
    [{"data_sha256": "0" * 64}, {"split": "validation"}, {"evaluator": "other"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_reference_of_something_else_is_computed_anew(
    digits: Splits, tmp_path: Path, changes: dict[str, str]
) -> None:
    reference(digits["test"][0], tmp_path)
    evaluator = dataclasses.replace(DIGITS_CNN, name=changes.get("evaluator", DIGITS_CNN.name))
    with pytest.raises(AssertionError, match="asked for again"):
        reference_for(
            evaluator, changes.get("data_sha256", DIGITS.sha256), changes.get("split", "test"), never, tmp_path
        )


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [_flip_a_byte, lambda path: path.write_bytes(path.read_bytes()[:99]), lambda path: path.write_bytes(b"")],
    ids=["a flipped bit", "cut short", "empty"],
)
def test_a_damaged_reference_is_noticed_and_computed_anew(
    digits: Splits,
    tmp_path: Path,
    damage: Callable[[Path], object],
) -> None:
    made = reference(digits["test"][0], tmp_path)
    (path,) = tmp_path.iterdir()
    intact = path.read_bytes()
    damage(path)
    again = reference(digits["test"][0], tmp_path)
    assert path.read_bytes() == intact
    assert np.array_equal(made.arrays.cov, again.arrays.cov)


def test_a_cache_that_cannot_be_written_only_costs_time(digits: Splits, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = reference(digits["test"][0], tmp_path / "file")
    assert len(made.arrays.features) == 600


def test_the_reference_has_the_mean_and_covariance_of_the_real_features(digits: Splits, tmp_path: Path) -> None:
    arrays = reference(digits["test"][0], tmp_path).arrays
    features = extract(load_evaluator(DIGITS_CNN), digits["test"][0])[0].astype(np.float64)
    np.testing.assert_allclose(arrays.mean, features.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(arrays.cov, np.cov(features, rowvar=False), rtol=1e-12, atol=1e-12)

"""Evaluators, what they say of real data, and the whole of scoring against torch-fidelity's."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from genbench.engine.contract import resolve
from genbench.engine.scoring import score
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.frechet import frechet_distance_of_features, square_root_factor
from genbench.engine.scoring.material import Material
from genbench.engine.scoring.reference import Reference, reference_for
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError, GenbenchError
from genbench.plugins import discover
from genbench.record import Score
from genbench.specs import EvaluatorSpec, MetricSpec

Splits = dict[str, tuple[np.ndarray, np.ndarray]]

REGISTRY = discover()
EVALUATORS = {
    n: entry.spec
    for n, entry in REGISTRY.evaluators.items()
    if entry.plugin.distribution == "genbench" and entry.spec.weights
}
"""Those whose weights ship; for the others see test_weights.py and test_inception.py."""
each_evaluator = pytest.mark.parametrize("spec", EVALUATORS.values(), ids=EVALUATORS.keys())
DIGITS = REGISTRY.datasets["digits"].spec
DIGITS_CNN = EVALUATORS["digits-cnn-v1"]
DIGITS_RANDOM = EVALUATORS["digits-random-v1"]


@pytest.fixture(scope="module")
def digits() -> Splits:
    splits: Splits = resolve(DIGITS.loader)()
    return splits


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run of the recipe, in a process of its own."""
    from genbench_benchmarks.evaluators import train_digits_cnn

    out = tmp_path_factory.mktemp("recipe") / "again.safetensors"
    subprocess.run([sys.executable, "-m", train_digits_cnn.__name__, "--out", str(out)], check=True, timeout=250)
    return out


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


@pytest.fixture(scope="module")
def figures(digits: Splits) -> dict[str, float]:
    """What the recipe's gate looks at, of the shipped weights on the test split."""
    from genbench_benchmarks.evaluators.recipe import report

    x, labels = digits["test"]
    return report(torch.from_numpy(extract(load_evaluator(DIGITS_CNN), x)[1]), torch.from_numpy(labels))


def test_the_digits_evaluators_head_is_calibrated(figures: dict[str, float]) -> None:
    assert figures["ece"] < 0.02


def test_the_inception_score_of_real_digits_is_near_the_number_of_classes(figures: dict[str, float]) -> None:
    # A classifier that is unsure of real digits, as one trained with smoothed labels, gives 5.
    assert 9.5 < figures["is"] <= 10


def test_the_declared_accuracy_is_the_measured_one(figures: dict[str, float]) -> None:
    assert f"test accuracy {figures['accuracy']:.3f}" in DIGITS_CNN.summary


def test_the_recipe_writes_no_weights_below_its_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from genbench_benchmarks.evaluators import train_digits_cnn

    monkeypatch.setattr(train_digits_cnn, "train", lambda: (train_digits_cnn.network(), 1.0))
    monkeypatch.setattr(sys, "argv", ["recipe", "--out", str(tmp_path / "untrained.safetensors")])
    assert train_digits_cnn.main() == 1
    assert not list(tmp_path.iterdir())
    assert "below the gate of 0.98" in capsys.readouterr().err


def test_the_fitted_temperature_has_the_least_cross_entropy() -> None:
    from genbench_benchmarks.evaluators.recipe import fit_temperature

    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2000, 10, generator=generator)
    labels = torch.multinomial((logits / 3).softmax(1), 1, generator=generator)[:, 0]
    fitted = fit_temperature(logits, labels)
    loss = {
        t: float(torch.nn.functional.cross_entropy(logits / t, labels)) for t in (fitted, fitted - 0.1, fitted + 0.1)
    }
    assert min(loss, key=loss.__getitem__) == fitted


def test_retraining_the_digits_evaluator_gives_identical_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from genbench_benchmarks.evaluators import train_digits_cnn

    monkeypatch.setattr(train_digits_cnn, "EPOCHS", 4)  # of 40; each draws, steps and averages alike
    mode = torch.get_deterministic_debug_mode()
    written = []
    for seed in range(2):
        torch.manual_seed(seed)  # what came before is no part of the recipe
        classifier, temperature = train_digits_cnn.train()
        written.append((save(dict(classifier.state_dict())), temperature))
    torch.set_deterministic_debug_mode(mode)
    assert written[0] == written[1]


def test_the_recipe_gives_a_classifier_like_the_shipped_one(retrained: Path, digits: Splits) -> None:
    # Bytes may differ from the shipped ones on another machine; what the classifier says may hardly.
    sha256 = hashlib.sha256(retrained.read_bytes()).hexdigest()
    again = load_evaluator(dataclasses.replace(DIGITS_CNN, weights=str(retrained), sha256=sha256))
    said = [extract(evaluator, digits["test"][0])[1].argmax(1) for evaluator in (again, load_evaluator(DIGITS_CNN))]
    assert (said[0] == said[1]).mean() > 0.98


def test_the_random_evaluators_recipe_gives_the_shipped_weights() -> None:
    from genbench_benchmarks.evaluators.draw_digits_random import draw

    shipped, drawn = load_file(DIGITS_RANDOM.weights), draw().state_dict()
    assert set(shipped) == set(drawn)
    for name, values in shipped.items():
        torch.testing.assert_close(drawn[name], values, rtol=1e-4, atol=1e-5)


def seen(x: np.ndarray) -> np.ndarray:
    return extract(load_evaluator(DIGITS_RANDOM), x)[0].astype(np.float64)


def test_the_random_evaluators_features_vary_in_many_directions(digits: Splits) -> None:
    # exp of the entropy of the covariance's normalised eigenvalues: Roy and Vetterli 2007, "effective rank".
    values = np.linalg.eigvalsh(np.cov(seen(digits["test"][0]), rowvar=False))
    shares = values / values.sum()
    assert np.exp(-(shares * np.log(shares)).sum()) > 10
    assert values[0] > 1e-3 * values[-1]


def test_the_random_evaluator_orders_noise_marginals_and_training_data(digits: Splits) -> None:
    train, test = digits["train"][0], digits["test"][0]
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 17, test.shape).astype(np.uint8)
    columns = np.arange(64).reshape(1, 8, 8)
    marginals = train.reshape(-1, 64)[generator.integers(0, len(train), (600, 1, 8, 8)), columns]
    copies = train[generator.permutation(len(train))[:600]]
    real = seen(test)
    mean, factor = real.mean(0), square_root_factor(real)
    copied, independent, random = (
        frechet_distance_of_features(seen(x), mean, factor) for x in (copies, marginals, noise)
    )
    assert 5 * copied < independent
    assert 3 * independent < random


def test_the_random_evaluator_shows_copies_and_holds_nothing_against_held_out_data(digits: Splits) -> None:
    train, test = (torch.from_numpy(seen(digits[split][0])) for split in ("train", "test"))
    exact = "donot_use_mm_for_euclid_dist"
    copied = torch.cdist(torch.from_numpy(seen(digits["train"][0][::-7])), train, compute_mode=exact).amin(1)
    held_out = torch.cdist(test, train, compute_mode=exact).amin(1)
    among_train = torch.cdist(train, train, compute_mode=exact).fill_diagonal_(torch.inf).amin(1)
    assert float(copied.max()) == 0
    assert float(held_out.min()) > 0
    assert float(held_out.median() / among_train.median()) == pytest.approx(1, abs=0.1)


def test_the_random_evaluator_gives_torch_fidelity_no_inception_score() -> None:
    with pytest.raises(ValueError, match="has no classes"):
        resolve(DIGITS_RANDOM.factory).get_default_feature_layer_for_metric("isc")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    spec = dataclasses.replace(DIGITS_CNN, weights=DIGITS_RANDOM.weights, sha256=DIGITS_RANDOM.sha256)
    with pytest.raises(DataError, match=r"has the declared hash, but .* cannot load it"):
        load_evaluator(spec)


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


def material(samples: np.ndarray, reference: Reference) -> Material:
    return Material(samples, None, *extract(load_evaluator(DIGITS_CNN), samples), reference)


def scores_of(samples: np.ndarray, names: list[str], reference: Reference) -> dict[str, Score]:
    return score(material(samples, reference), [REGISTRY.metrics[name].spec for name in names])


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
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "is": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    found = scores_of(samples, list(names), reference(real, tmp_path))
    assert {k: found[k].value for k in names} == pytest.approx({k: expected[v] for k, v in names.items()}, rel=1e-4)


def test_a_metric_that_does_not_apply_has_no_score(digits: Splits, tmp_path: Path) -> None:
    x = digits["test"][0]
    assert set(scores_of(x, ["fid", "bits_per_dim"], reference(x, tmp_path))) == {"fid"}


def test_a_metric_that_returns_a_bare_number_is_refused_by_name(digits: Splits, tmp_path: Path) -> None:
    x = digits["test"][0]
    with pytest.raises(GenbenchError, match="metric 'wrong': must return a Measured"):
        score(material(x, reference(x, tmp_path)), [MetricSpec("wrong", "Wrong", "builtins:id", "lower")])

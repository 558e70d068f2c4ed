"""The likelihood audit: honest models pass at every seed, and each way of flattering oneself is caught."""

import errno
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import audit_mutants as mutants
import numpy as np
import pytest
import torch
from audit_jobs import DIGITS, job_for, job_of_spec, worker_settings
from audit_mutants import FAMILIES, MUTANTS, Mutant, SharedFits, audited, failures, flattery
from audit_words import WORDS

from genbench import DataSpec
from genbench.audit_key import key_of, seed_of, small_spaces, supported_spaces
from genbench.engine.audit import audit, audit_with
from genbench.engine.audit.causes import likely_cause
from genbench.engine.audit.degenerate import two_images
from genbench.engine.audit.finding import Unfit, guarded
from genbench.engine.audit.known_entropy import DRAWS, FRESH, Excess
from genbench.engine.audit.mass import estimated_mass, whole_space
from genbench.engine.audit.subject import Subject
from genbench.engine.audit.synthetic import Source, hidden_source, narrow_source, uniform_source
from genbench.plugins import discover
from genbench_baselines.config import MarginalsConfig
from genbench_flow import register_models as flow_models

# The audit of every registered model as it is configured, on every data set, is tests/every_model.py; here each family
# is small.
SPECS = {name: entry.spec for name, entry in discover().models.items() if entry.spec.likelihood is not None}
SPECS |= {spec.name: spec for spec in flow_models()}  # whose audit is a part of its runs in test_example.py


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_settings():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audits")


# ---- honest models


@pytest.mark.parametrize("family", FAMILIES)
def test_an_honest_model_of_each_family_passes_and_little_flattery_would_have(family: str, folder: Path) -> None:
    found = audited(folder, "honest", family)
    assert found.verdict == "passed", found.reason
    assert found.smallest_flattery is not None
    assert 0 < found.smallest_flattery < 0.1


@pytest.mark.parametrize("name", ["marginals", "class-marginals", "noise"])
def test_no_seed_of_ten_raises_a_false_alarm(name: str, folder: Path) -> None:
    # Large batches: the counts are the same, and are made in fewer steps.
    job = job_of_spec(folder, SPECS[name], batch_size=128)
    verdicts = [audit_with(Subject(job, seed), "0" * 32) for seed in range(10)]
    assert [found.reason for found in verdicts if found.verdict == "failed"] == []


def test_a_model_of_texts_is_audited_as_one_of_images_is(folder: Path) -> None:
    found = audit(job_of_spec(folder, SPECS["marginals"], WORDS))
    assert found["verdict"] == "passed"
    assert "sum over 2 with 3 levels" in {finding["name"] for finding in found["findings"]}


def test_a_verdict_is_a_function_of_the_key(folder: Path) -> None:
    job = job_of_spec(folder, SPECS["marginals"], batch_size=128)
    torch.manual_seed(1)
    first = audit(job)
    torch.manual_seed(2)
    assert audit(replace(job, seed=5)) == first
    assert audit(replace(job, max_epochs=0))["key"] != first["key"]


def test_an_audit_leaves_the_global_generators_as_they_were(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    audit(job_of_spec(folder, SPECS["noise"]))
    assert torch.equal(torch.rand(1), expected)


# ---- mutants

# What only costs a model whose kind promises no more than a bound, and what is smaller than the threshold.
UNSEEN = {("bits", "vae"), ("bits", "elbo"), ("bits", "realnvp")}

# What trains anew, or scores sixteen times, runs in its cheapest family.
CHEAPEST = {mutant.name: "vae" for mutant in MUTANTS if mutant.retrains and "vae" in mutant.families}
CHEAPEST["best of 16 draws"] = CHEAPEST["bits"] = "realnvp"

CAUSES = {
    "mean over dimensions": ("pixelcnn", "a mean over dimensions"),
    "log10": ("pixelcnn", "log10"),
    "bits per dimension": ("pixelcnn", "bits per dimension"),
    "levels - 1 for levels": ("pixelcnn", "16 used for 17 levels"),
    "density on [-1, 1]": ("realnvp", "density on [-1, 1]"),
    "remembers what it scored": ("pixelcnn", "remember"),
    "leaks the batch": ("pixelcnn", "BatchNorm"),
}
# What a test looks at more closely runs in the same family, so that it is audited once.
CHEAPEST |= {name: family for name, (family, _) in CAUSES.items()}


def families_of(index: int, mutant: Mutant) -> tuple[str, ...]:
    """One family a mutant, in turn; `python tests/audit_mutants.py` runs all."""
    return (CHEAPEST.get(mutant.name, mutant.families[index % len(mutant.families)]),)


CASES = [
    pytest.param(mutant, family, id=f"{mutant.name}, {family}")
    for index, mutant in enumerate(MUTANTS)
    for family in families_of(index, mutant)
]


@pytest.mark.parametrize(("mutant", "family"), CASES)
def test_what_flatters_by_more_than_the_threshold_is_caught(mutant: Mutant, family: str, folder: Path) -> None:
    if (mutant.name, family) in UNSEEN:
        threshold = audited(folder, "honest", family).smallest_flattery
        assert threshold is not None
        assert flattery(folder, mutant.name, family) < threshold
        assert audited(folder, mutant.name, family).verdict == "passed"
        return
    assert next(failures(folder, mutant.name, family)).message


def test_every_mistake_runs_and_three_families_see_twelve_that_flatter() -> None:
    cases = [(mutant, family) for case in CASES for mutant, family in [case.values]]
    assert {mutant.name for mutant, _ in cases} == {mutant.name for mutant in MUTANTS}
    three = {family for _, family in cases} & {"pixelcnn", "vae", "realnvp"}
    assert len(three) == 3
    assert len({mutant.name for mutant, family in cases if mutant.flatters and family in three}) >= 12


# ---- a latent term, without a small space to sum over


def test_a_lost_kl_term_makes_two_images_more_likely_than_certain(folder: Path) -> None:
    assert two_images(SharedFits(folder, "KL term lost", "vae", 1)).verdict == "failed"
    assert guarded("two images", lambda: two_images(SharedFits(folder, "honest", "vae", 1))).verdict != "failed"


def test_where_a_lost_latent_term_was_not_looked_for_no_smallest_flattery_is_claimed(folder: Path) -> None:
    job = replace(job_of_spec(folder, SPECS["marginals"], batch_size=128), likelihood="importance")
    assert audit(job)["smallest_flattery"] > 0
    found = audit(replace(job, audit_spaces=[]))
    assert found["verdict"] == "passed"
    assert found["smallest_flattery"] is None
    (couple,) = [finding for finding in found["findings"] if finding["name"] == "two images"]
    assert couple["verdict"] == "skipped"
    assert "not looked for" in couple["message"]


# ---- what says nothing about a model

OF_THE_MACHINE = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EROFS, "Read-only file system"),
]


@pytest.mark.parametrize("error", OF_THE_MACHINE, ids=repr)
def test_memory_or_disk_that_runs_out_is_no_verdict(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject(job_of_spec(folder, SPECS["marginals"]), seed=0)

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subject, "fit", fails)
    with pytest.raises(type(error)):
        audit_with(subject, "0" * 32)
    with pytest.raises(type(error)):
        guarded("sum", lambda: whole_space(subject, small_spaces(DIGITS)[0]))


# ---- what a finding says


@pytest.mark.parametrize("name", CAUSES)
def test_a_failure_names_the_likely_cause(name: str, folder: Path) -> None:
    family, cause = CAUSES[name]
    assert any(cause in finding.message for finding in failures(folder, name, family))


def test_a_lost_dequantisation_constant_is_named() -> None:
    source = uniform_source(DIGITS)
    log_q = -DIGITS.dims * math.log(17)
    assert "D log(levels)" in likely_cause(log_q - 2.0 + DIGITS.dims * math.log(17), log_q, source)


class Raising:
    """Builds and trains, and has no likelihood after all."""

    def __init__(self, config: object, data: DataSpec, device: torch.device) -> None: ...

    def train_step(self, batch: object, progress: float) -> dict[str, torch.Tensor]:
        return {}

    def log_prob(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        raise KeyError("a table that was never made")

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


class Drifting(Raising):
    """Returns integers: no nats."""

    def log_prob(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return torch.zeros(len(x), dtype=torch.int64) - 400


@pytest.mark.parametrize(("model", "message"), [(Raising, "a table that was never made"), (Drifting, "int64")])
def test_what_raises_or_returns_no_nats_fails_with_the_reason(model: type, message: str, folder: Path) -> None:
    found = audit(job_for(folder, f"{__name__}:{model.__name__}", MarginalsConfig(), "exact"))
    assert found["verdict"] == "failed"
    assert message in found["reason"]
    assert found["smallest_flattery"] is None


def test_a_space_that_the_model_cannot_take_is_skipped_with_the_reason(folder: Path) -> None:
    (spec,) = flow_models()
    with pytest.raises(Unfit, match="1x1x2"):
        whole_space(Subject(job_of_spec(folder, spec), seed=0), small_spaces(DIGITS)[0])
    assert supported_spaces(spec, DIGITS) == small_spaces(DIGITS)[1:]
    assert supported_spaces(SPECS["pixelcnn"], DIGITS) == small_spaces(DIGITS)


def test_an_estimate_is_held_to_no_inequality(folder: Path) -> None:
    job = mutants.mutant_job(folder, "five nats added", "pixelcnn")
    found = audit(replace(job, likelihood="estimate"))
    assert found["verdict"] == "passed"
    assert {finding["verdict"] for finding in found["findings"]} == {"skipped", "passed"}


def test_a_conditional_estimate_is_skipped_altogether(folder: Path) -> None:
    found = audit(replace(job_of_spec(folder, SPECS["class-marginals"]), likelihood="estimate"))
    assert found["verdict"] == "passed"
    assert {finding["verdict"] for finding in found["findings"]} == {"skipped"}


# ---- the parts, against closed forms

SMALL = DataSpec((1, 1, 3), levels=3, classes=4)


@pytest.mark.parametrize(
    "source", [uniform_source(SMALL), narrow_source(SMALL, True), narrow_source(SMALL, False), hidden_source(SMALL)]
)
def test_a_source_gives_probabilities_that_sum_to_one_and_draws_by_them(source: Source) -> None:
    space = np.array(list(itertools.product(range(3), repeat=3)), dtype=np.uint8).reshape(-1, *SMALL.shape)
    probabilities = np.exp(source.log_prob(space))
    assert probabilities.sum() == pytest.approx(1.0)
    x, labels = source.draw(50_000, np.random.default_rng(0))
    assert labels is not None
    index = x.reshape(-1, 3) @ [9, 3, 1]
    seen = np.bincount(index, minlength=27) / len(x)
    assert np.abs(seen - probabilities).max() < 4 * math.sqrt(0.25 / len(x))
    assert np.abs(np.bincount(labels, minlength=4) / len(x) - source.label_prior).max() < 0.01


def entropy_of(source: Source) -> float:
    """H(q) in nats of a source whose classes all share one distribution."""
    assert np.ptp(source.pixel, axis=0).max() == 0.0, "a mixture has no closed form"
    return float(-source.data.dims * (source.pixel[0] * np.log(source.pixel[0])).sum())


def test_the_entropy_of_a_source_is_minus_its_mean_log_probability() -> None:
    source = narrow_source(DIGITS, by_class=False)
    log_q = source.log_prob(source.draw(20_000, np.random.default_rng(1))[0])
    assert -log_q.mean() == pytest.approx(entropy_of(source), abs=4 * log_q.std() / math.sqrt(20_000))


def test_a_model_that_gives_up_what_is_rare_is_no_false_alarm() -> None:
    # P = q / (1 - e) off a set of probability e = 1e-5 that no draw meets: the mean excess has standard error 0.
    excess = Excess(mean=-math.log1p(-1e-5), standard_error=0.0, n=FRESH, log_prob=-50.0, log_q=-50.0)
    assert excess.mean > 4 * excess.standard_error
    assert excess.mean < excess.limit


def test_four_standard_errors_are_never_a_failure() -> None:
    excess = Excess(mean=1.0, standard_error=0.3, n=FRESH, log_prob=-50.0, log_q=-51.0)
    assert excess.limit == pytest.approx(1.2)
    assert excess.smallest_flattery == pytest.approx(0.2)


@pytest.mark.parametrize("kind", ["importance", "bound"])
def test_noisy_probabilities_that_sum_to_one_stay_within_their_limit(kind: str) -> None:
    generator = np.random.default_rng(2)
    log_p = np.log(generator.dirichlet(np.ones(20)))
    over = 0
    for _ in range(500):
        noise = 0.7 * generator.standard_normal((20, 200))
        # An unbiased weight has mean 1; an honest bound has mean 0 in the logarithm.
        mass = estimated_mass(kind, log_p[:, None] + noise - (0.245 if kind == "importance" else 0.0))  # type: ignore[arg-type]
        over += mass.total > mass.limit
    assert over == 0


@pytest.mark.parametrize("kind", ["importance", "bound"])
def test_noisy_probabilities_that_sum_to_more_are_seen(kind: str) -> None:
    generator = np.random.default_rng(3)
    log_p = np.log(generator.dirichlet(np.ones(20))) + 0.3
    mass = estimated_mass(kind, log_p[:, None] + 0.7 * generator.standard_normal((20, 500)) - 0.245 * (kind[0] == "i"))  # type: ignore[arg-type]
    assert mass.total > mass.limit


@pytest.mark.parametrize("kind", ["importance", "bound"])
def test_a_density_too_large_for_a_float_is_a_finite_failure(kind: str) -> None:
    mass = estimated_mass(kind, 1000.0 + np.random.default_rng(4).standard_normal((5, 50)))  # type: ignore[arg-type]
    assert math.isfinite(mass.total)
    assert math.isfinite(mass.limit)
    assert mass.total > mass.limit


def test_a_huge_sum_does_not_hide_behind_its_standard_error() -> None:
    # One weight in a hundred is e^100: the mean is within two of its standard errors of 0.
    nats = np.full((1, 100), -50.0)
    nats[0, 0] = 100.0
    mass = estimated_mass("importance", nats)
    assert mass.total > mass.limit


def test_the_key_is_of_the_model_and_the_shape_of_its_data_only(folder: Path) -> None:
    job = job_of_spec(folder, SPECS["marginals"])
    assert key_of(replace(job, seed=3, data_sha256="other", metrics=[])) == key_of(job)
    assert key_of(job_of_spec(folder, SPECS["class-marginals"])) != key_of(job)
    assert key_of(replace(job, likelihood="importance")) != key_of(job)
    assert key_of(replace(job, budget=replace(job.budget, threads=2))) != key_of(job)
    assert 0 <= seed_of(key_of(job)) < 2**31


def test_there_are_draws_enough_for_the_promised_false_alarm_rate() -> None:
    assert DRAWS >= 2
    assert FRESH >= 256

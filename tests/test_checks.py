"""The conformance kit: every registered model passes, failures teach, and the process is left as it was."""

import dataclasses
import math
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from installing import ROOT
from jobs import job_of, one_of_each_family, usual_benchmark
from mutants import (
    HONEST,
    MUTANTS,
    ChangesTheDefaultDtype,
    HonestByCounting,
    SeedsWhenBuilt,
    TakesMoreThreads,
    spec_of,
)

from genbench import ModelSpec
from genbench.engine import checks
from genbench.engine.checks import RULES, Result, Rule, judge, process
from genbench.engine.checks.place import OF_CHECK, place_of_method
from genbench.engine.checks.subject import Subject
from genbench.plugins import discover
from genbench.reports import CheckReport
from genbench.testing import explanation

REGISTRY = discover()
RULE = {rule.name: rule for rule in RULES}
AUDIT = "likelihood_passes_its_audit"
DOCUMENT = ROOT / "docs" / "conformance.md"


def ask(model: str | ModelSpec, folder: Path, *names: str) -> dict[str, Result]:
    """The results of the named checks; of all but the audit, which has tests of its own, if none is named."""
    subject = Subject(job_of(REGISTRY, model, folder))
    return {name: judge(subject, RULE[name])[0] for name in names or [name for name in RULE if name != AUDIT]}


# In small batches, since a check takes the same steps again and again: every_model.py asks the whole kit and the audit
# of every registered model as it is configured, on every data set.
CHEAP = (
    "is_built_from_config_data_and_device",
    "training_logs_are_finite_scalars",
    "samples_have_the_promised_form",
    "log_probs_have_the_promised_form",
    "unseen_examples_have_a_probability",
    "state_survives_the_disk",
    "resumed_training_equals_uninterrupted",
    "a_reloaded_model_samples_the_same",
)
REPRESENTATIVES = [*one_of_each_family(REGISTRY), "noise"]


@pytest.mark.parametrize("model", REPRESENTATIVES)
def test_a_model_of_each_family_keeps_its_whole_contract(model: str, tmp_path: Path) -> None:
    results = ask(f"{model}[batch_size=8]", tmp_path)
    assert {name: result.message for name, result in results.items() if result.verdict == "failed"} == {}


@pytest.mark.parametrize("model", sorted(set(REGISTRY.models) - set(REPRESENTATIVES)))
def test_every_other_registered_model_trains_samples_scores_and_resumes_as_promised(model: str, tmp_path: Path) -> None:
    benchmark = usual_benchmark(REGISTRY, model)
    if benchmark == "words":
        pytest.importorskip("wordfreq", reason="the data set words needs genbench[text]")
    subject = Subject(job_of(REGISTRY, f"{model}[batch_size=8]", tmp_path, benchmark))
    results = [judge(subject, RULE[name])[0] for name in CHEAP]
    assert {result.name: result.message for result in results if result.verdict == "failed"} == {}
    assert "passed" in {result.verdict for result in results}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Result]]:
    """The results of the honest models behind the mutants, by model."""
    return {spec.name: ask(spec, tmp_path_factory.mktemp(spec.name)) for spec in HONEST}


@pytest.mark.parametrize("name", [spec.name for spec in HONEST])
def test_the_honest_models_behind_the_mutants_pass_every_check(name: str, honest: dict[str, dict[str, Result]]) -> None:
    assert {check: result.message for check, result in honest[name].items() if result.verdict == "failed"} == {}


def test_each_check_is_passed_by_an_honest_model_to_which_it_applies(honest: dict[str, dict[str, Result]]) -> None:
    passed = {AUDIT}  # by the honest models of its own tests
    for results in honest.values():
        passed |= {name for name, result in results.items() if result.verdict == "passed"}
    assert passed == set(RULE)


def test_there_are_at_least_25_checks_in_six_groups() -> None:
    assert len(RULE) == len(RULES) >= 25
    assert list(dict.fromkeys(rule.group for rule in RULES)) == list(checks.GROUPS)
    assert set(checks.GROUPS) == {"construction", "training", "sampling", "likelihood", "state", "cost"}


def test_whatever_blocks_or_precedes_a_check_is_itself_a_check() -> None:
    sources = Path(checks.__file__).parent.glob("*.py")
    owners = {name for path in sources for name in re.findall(r'owned_by\("(\w+)"\)', path.read_text())}
    assert len(owners) >= 6
    assert owners <= set(RULE)
    assert {name for rule in RULES for name in rule.needs} <= set(RULE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_check_states_its_promise_in_one_sentence(rule: Rule) -> None:
    assert rule.promise.endswith(".")
    assert rule.function.__doc__ is not None
    assert len(rule.function.__doc__.strip().splitlines()) == 1


def test_a_failure_says_what_was_promised_measured_and_likely(tmp_path: Path) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == "SamplesFloats")
    result = ask(mutant.spec, tmp_path, mutant.caught_by)[mutant.caught_by]
    promised, measured, where, cause, read = explanation(dataclasses.asdict(result))
    assert promised == "promised:     sample(n) gives uint8 [n, *shape] within the levels."
    assert "must return uint8 in 0 .. 16, not torch.float32" in measured
    assert re.fullmatch(r"where:        mutants\.py:\d+, SamplesFloats\.sample", where)
    assert cause.startswith("likely cause: ")
    assert read == "read more:    python -m pydoc genbench.model.Model.sample; docs/conformance.md#sampling"


class Counts(HonestByCounting):
    """Its likelihood is that of its counts, lowered by ``too_low`` of what knowing nothing takes."""

    too_low = 0.0

    def log_prob(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        logs = (self.counts / self.counts.sum(1, keepdim=True)).log()  # [D, levels]
        nats = logs.gather(1, x.flatten(1).long().T).sum(0)
        return nats - self.too_low * self.data.dims * math.log(self.data.levels)


class CountsTooLow(Counts):
    too_low = 0.1


@pytest.mark.parametrize(("model", "remarked"), [(Counts, False), (CountsTooLow, True)])
def test_a_likelihood_below_that_of_knowing_nothing_is_remarked_upon_and_passes(
    model: type, remarked: bool, tmp_path: Path
) -> None:
    spec = spec_of(model, likelihood="bound", conditional=False, max_epochs=1)
    result = ask(spec, tmp_path, AUDIT)[AUDIT]
    assert result.verdict == "passed"
    assert ("knowing nothing takes D log(levels) = 181.3" in result.message) is remarked
    shown = CheckReport("toy", "digits", (dataclasses.asdict(result),))
    assert (f"remark {AUDIT}" in str(shown)) is remarked


class Shy(type):
    """Of a class that raises when one of its methods is looked at."""

    def __getattribute__(cls, name: str) -> object:
        if name == "sample":
            raise SystemExit("look elsewhere")
        return super().__getattribute__(name)


class Hidden(metaclass=Shy):
    pass


def test_a_class_that_cannot_be_looked_at_has_no_place_and_ends_no_check(tmp_path: Path) -> None:
    job = dataclasses.replace(job_of(REGISTRY, "noise", tmp_path), factory=f"{__name__}:Hidden")
    assert place_of_method(job, "sample") == ""
    assert place_of_method(job, "train_step").endswith(", Hidden")


@pytest.mark.parametrize("method", sorted({rule.method for rule in RULES}))
def test_where_to_read_more_is_a_page_that_there_is(method: str) -> None:
    for rule in [rule for rule in RULES if rule.method == method]:
        command, section = rule.read.split("; ")
        assert getattr(pydoc.locate(command.removeprefix("python -m pydoc ")), "__doc__", None)
        assert f"\n### {section.partition('#')[2]}\n" in DOCUMENT.read_text().lower()


def test_no_place_is_kept_of_a_check_that_there_is_not() -> None:
    assert set(OF_CHECK) <= set(RULE)


def test_an_error_of_the_model_comes_with_its_line(tmp_path: Path) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == "ScheduleEndsTooEarly")
    result = ask(mutant.spec, tmp_path, mutant.caught_by)[mutant.caught_by]
    assert "IndexError: list index out of range" in result.measured
    assert re.search(r"mutants\.py:\d+", result.cause)


def test_a_check_that_needs_what_fails_is_not_asked_and_says_so(tmp_path: Path) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == "SamplesFloats")
    result = ask(mutant.spec, tmp_path, "labels_are_heard")["labels_are_heard"]
    assert result.verdict == "skipped"
    assert result.message == "not asked, since the check samples_have_the_promised_form fails"


@pytest.fixture
def unusual_settings() -> Iterator[None]:
    with process.preserved():
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.backends.cudnn.benchmark = True
        torch.set_deterministic_debug_mode("warn")
        yield


@pytest.mark.parametrize("model", [ChangesTheDefaultDtype, TakesMoreThreads, SeedsWhenBuilt])
@pytest.mark.usefixtures("unusual_settings")
def test_whatever_a_model_does_the_process_is_put_back(model: type, tmp_path: Path) -> None:
    subject = Subject(job_of(REGISTRY, spec_of(model), tmp_path))
    torch.manual_seed(7)
    before, draws = process.settings(), torch.get_rng_state()
    for name in ("is_built_from_config_data_and_device", "global_settings_are_left_alone"):
        judge(subject, RULE[name])
        assert process.settings() == before
        assert torch.equal(torch.get_rng_state(), draws)


def test_every_check_is_documented_with_its_promise_and_its_mutants() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: (promise, set(re.findall(r"`(\w+)`", mutants))) for name, promise, mutants in rows}
    caught = {rule.name: {mutant.name for mutant in MUTANTS if mutant.caught_by == rule.name} for rule in RULES}
    assert documented == {rule.name: (rule.promise, caught[rule.name]) for rule in RULES}

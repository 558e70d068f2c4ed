"""The decorator and the function of ``genbench.testing``, as a stranger's package uses them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import pytest
from mutants import HonestByCounting, spec_of

from genbench import ModelSpec, testing
from genbench.engine import data
from genbench.engine.checks import RULES
from genbench.errors import GenbenchError, SpecError
from genbench.testing import ModelCheck, check_model, parametrize_with_checks

MODELS = """
from dataclasses import dataclass

from genbench import ModelSpec


@dataclass(frozen=True)
class Config:
    batch_size: int = 8


class Good:
    def __init__(self, config, data, device):
        import torch

        self.data, self.counts = data, torch.ones(data.dims, data.levels)

    def train_step(self, batch, progress):
        x = batch.x.flatten(1).long()
        self.counts.scatter_add_(1, x.T, self.counts.new_ones(x.T.shape))
        return {}

    def sample(self, n, labels=None):
        return self.counts.multinomial(n, replacement=True).T.reshape(n, *self.data.shape).byte()

    def state_dict(self):
        return {"counts": self.counts}

    def load_state_dict(self, state):
        self.counts.copy_(state["counts"])


class Bad(Good):
    def sample(self, n, labels=None):
        import torch

        torch.set_num_threads(3)
        return super().sample(n, labels).float()


class Crashing(Good):
    def train_step(self, batch, progress):
        raise RuntimeError("the crash in the model")


def spec(model, **changes):
    return ModelSpec(model.__name__.lower(), model, Config, "for tests", **changes)


good, bad, crashing = spec(Good), spec(Bad), spec(Crashing)
unfit = ModelSpec("unfit", Good, Config, "for tests", supports=lambda data: "wants sequences")
"""

TESTS = """
import torch
from genbench.testing import parametrize_with_checks
from stranger_models import bad, crashing, good, unfit

torch.set_num_threads(2)


@parametrize_with_checks(good, bad, "noise")
def test_contract(check):
    check()


def test_settings_afterwards():
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()


@parametrize_with_checks(crashing)
def test_crash(check):
    check()


@parametrize_with_checks(unfit)
def test_unfit(check):
    check()


@parametrize_with_checks(bad, expected_failures={"samples_have_the_promised_form": "to be mended"})
def test_known(check):
    check()


"""

NAMES = [rule.name for rule in RULES]


@dataclass(frozen=True)
class Case:
    """One test as pytest's report has it; ``said`` is the reason or the failure's text."""

    outcome: str
    said: str


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """A stranger's tests, run in a process of their own; test id to case."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "stranger_models.py").write_text(MODELS)
    (folder / "test_stranger.py").write_text(TESTS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("--junitxml=report.xml", "-o", "junit_family=xunit1"),
            *("-k", "not test_unknown or samples_have_the_promised_form"),
        ],
        cwd=folder,
        env={**os.environ, "GENBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        result = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = "passed" if result is None else result.get("type", "").removeprefix("pytest.") or result.tag
        said = "" if result is None else f"{result.get('message')}\n{result.text}"
        found[str(case.get("name"))] = Case(outcome, said)
    return found


def of(cases: dict[str, Case], test: str, model: str) -> dict[str, Case]:
    """Check's name to case, of one test and model."""
    found = {}
    for rule in RULES:
        identity = f"{test}[{model}-{rule.group}-{rule.name}]"
        if identity in cases:
            found[rule.name] = cases[identity]
    return found


@pytest.mark.parametrize("model", ["good", "bad", "noise"])
def test_each_check_is_one_test_named_by_model_group_and_check(cases: dict[str, Case], model: str) -> None:
    assert list(of(cases, "test_contract", model)) == NAMES


@pytest.mark.parametrize("model", ["good", "noise"])
def test_a_good_model_passes_whether_given_as_a_spec_or_by_name(cases: dict[str, Case], model: str) -> None:
    outcomes = {case.outcome for case in of(cases, "test_contract", model).values()}
    assert outcomes == {"passed", "skip"}


def test_a_check_that_does_not_apply_is_skipped_with_the_reason(cases: dict[str, Case]) -> None:
    found = of(cases, "test_contract", "good")
    assert found["labels_are_heard"].outcome == "skip"
    assert "not declared conditional" in found["labels_are_heard"].said
    assert "declares no likelihood" in found["exact_log_probs_repeat"].said


def test_a_bad_model_fails_its_checks_and_no_others(cases: dict[str, Case]) -> None:
    found = of(cases, "test_contract", "bad")
    failed = {name for name, case in found.items() if case.outcome not in ("passed", "skip")}
    assert failed == {"samples_have_the_promised_form"}
    assert found["samples_repeat_from_their_stream"].outcome == "skip"
    assert "since the check samples_have_the_promised_form fails" in found["samples_repeat_from_their_stream"].said


def test_a_failure_says_what_was_promised_measured_and_likely(cases: dict[str, Case]) -> None:
    said = of(cases, "test_contract", "bad")["samples_have_the_promised_form"].said
    assert "bad on digits-smoke: samples_have_the_promised_form" in said
    for part in ("promised:     sample(n) gives uint8", "measured:     sample: must return uint8", "likely cause: "):
        assert part in said
    assert "in __call__" not in said


def test_an_error_of_the_model_is_shown_with_its_own_traceback(cases: dict[str, Case]) -> None:
    found = of(cases, "test_crash", "crashing")
    said = found["training_logs_are_finite_scalars"].said
    assert "RuntimeError: the crash in the model" in said
    assert re.search(r"stranger_models\.py:\d+", said)
    assert {name for name, case in found.items() if case.outcome not in ("passed", "skip")} == {
        "training_logs_are_finite_scalars"
    }


def test_the_tests_process_is_left_as_it_was(cases: dict[str, Case]) -> None:
    assert cases["test_settings_afterwards"].outcome == "passed"


def test_a_model_that_does_not_fit_the_data_is_skipped_with_its_reason(cases: dict[str, Case]) -> None:
    found = of(cases, "test_unfit", "unfit")
    assert {case.outcome for case in found.values()} == {"skip"}
    assert all("wants sequences" in case.said for case in found.values())


def test_an_expected_failure_is_an_xfail(cases: dict[str, Case]) -> None:
    found = of(cases, "test_known", "bad")
    assert found["samples_have_the_promised_form"].outcome == "xfail"
    assert {case.outcome for name, case in found.items() if name != "samples_have_the_promised_form"} <= {
        "passed",
        "skip",
    }


def test_an_unknown_model_is_named_with_the_nearest_before_any_check() -> None:
    with pytest.raises(GenbenchError, match="did you mean 'marginals'"):
        parametrize_with_checks("marginls")


def test_importing_the_module_imports_neither_torch_nor_pytest() -> None:
    code = "import sys, genbench.testing; sys.exit(bool({'torch', 'pytest', 'pandas', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_data_are_brought_into_the_cache_once_for_all_checks_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, calls, materialise = spec_of(HonestByCounting, likelihood=None, conditional=False), [], data.materialise
    monkeypatch.setattr(data, "materialise", lambda *given: calls.append(given) or materialise(*given))
    testing._made.cache_clear()
    for rule in RULES[:6]:
        ModelCheck(spec, "digits-smoke", rule)()
    assert len(calls) == 1


def test_the_function_returns_what_each_check_found() -> None:
    results = check_model("noise")
    assert [result.name for result in results] == NAMES
    assert {result.verdict for result in results} == {"passed", "skipped"}


@dataclass(frozen=True)
class Nowhere:
    batch_size: int = 8


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nois", "did you mean 'noise'"),
        ("nothing.py", "no such file"),
        (ModelSpec("x", "a.b:C", int, ""), "config must be a dataclass"),
        (ModelSpec("x", "nowhere_at_all.b:C", Nowhere, ""), "is not installed"),
    ],
)
def test_what_can_not_be_checked_is_refused_with_the_reason(model: str | ModelSpec, message: str) -> None:
    with pytest.raises(GenbenchError, match=message):
        check_model(model)


def test_a_decorator_without_models_is_refused() -> None:
    with pytest.raises(SpecError, match="none was given"):
        parametrize_with_checks()


def test_an_expected_failure_of_no_check_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(GenbenchError, match="did you mean 'labels_are_heard'"):
        parametrize_with_checks("noise", expected_failures={"labels_are_herd": "a slip"})

"""For each check there is a broken model that it catches; what else such a model fails is listed and explained."""

from pathlib import Path

import pytest
from jobs import job_of
from mutants import MUTANTS, Mutant

from genbench.engine.checks import RULES, judge
from genbench.engine.checks.subject import Subject
from genbench.plugins import discover

REGISTRY = discover()
AUDIT = "likelihood_passes_its_audit"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fails_its_check_and_no_other_that_is_not_explained(mutant: Mutant, tmp_path: Path) -> None:
    subject = Subject(job_of(REGISTRY, mutant.spec, tmp_path))
    # The audit takes seconds and judges numbers, not conduct: it is asked of its own mutant here, and has more.
    asked = [rule for rule in RULES if rule.name != AUDIT or mutant.caught_by == AUDIT]
    results = [judge(subject, rule)[0] for rule in asked]
    failed = {result.name: result for result in results if result.verdict == "failed"}
    expected = {mutant.caught_by, *mutant.also}
    assert set(failed) == expected, {name: result.message for name, result in failed.items() if name not in expected}
    assert all(result.measured and result.cause for result in failed.values())


def test_every_check_has_a_mutant() -> None:
    assert {mutant.caught_by for mutant in MUTANTS} == {rule.name for rule in RULES}


def test_every_further_failure_is_explained() -> None:
    assert all(why for mutant in MUTANTS for why in mutant.also.values())


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)

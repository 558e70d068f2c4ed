"""The likelihood audit of models that give probability 0 to what is not of their data's form."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_jobs import job_for, job_of_spec, worker_settings
from audit_words import WORDS

from genbench import DataSpec
from genbench.engine.audit import audit
from genbench.engine.audit.known_entropy import Excess
from genbench.engine.audit.synthetic import Source, word_sources
from genbench.job import Job
from genbench.plugins import discover
from genbench_baselines.config import MarginalsConfig


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_settings():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audits")


def test_a_model_that_rules_out_all_but_words_passes_on_words(folder: Path) -> None:
    found = audit(words_job(folder, "Words"))
    assert found["verdict"] == "passed", found["reason"]
    assert 0 < found["smallest_flattery"] < 0.1
    assert "known entropy: words that end with 3 and are padded with 4" in {
        finding["name"] for finding in found["findings"] if finding["verdict"] == "passed"
    }


def test_a_model_of_words_that_flatters_itself_fails(folder: Path) -> None:
    found = audit(words_job(folder, "EndlessWords"))
    assert found["verdict"] == "failed"
    assert found["reason"].startswith("known entropy: words")


def test_a_model_that_rules_out_all_that_is_drawn_fails_as_unknown(folder: Path) -> None:
    found = audit(words_job(folder, "Impossible"))
    assert found["verdict"] == "failed"
    assert "nothing is known" in found["reason"]
    assert found["smallest_flattery"] is None


def words_job(folder: Path, model: str) -> Job:
    return replace(job_for(folder, f"audit_words:{model}", MarginalsConfig(), "exact", data=WORDS), audit_spaces=[])


def test_an_honest_model_that_rules_out_the_rare_passes(folder: Path) -> None:
    # Without pseudo-counts a value that a pixel never took in training has probability 0.
    job = job_of_spec(folder, discover().models["marginals"].spec, batch_size=128)
    found = audit(replace(job, model=replace(job.model, config={**job.model.config, "pseudo_count": 1e-320})))
    assert found["verdict"] == "passed", found["reason"]
    assert "probability 0" in found["findings"][0]["message"]


def test_what_a_model_rules_out_may_make_the_rest_likelier_but_no_more() -> None:
    # P = q / q(A) on a part A of 0.9: an honest excess of ln(1 / 0.9).
    excess = Excess(-math.log(0.9), 0.0, n=461, log_prob=-50.0, log_q=-50.0, ruled_out=51)
    assert excess.mean < excess.limit < excess.mean + 0.1


@pytest.mark.parametrize("source", word_sources(DataSpec((4,), levels=4)), ids=lambda source: source.name)
def test_the_words_of_a_source_have_probabilities_that_sum_to_one(source: Source) -> None:
    x, _ = source.draw(20_000, np.random.default_rng(0))
    words, counts = np.unique(x, axis=0, return_counts=True)
    probabilities = np.exp(source.log_prob(words))
    assert probabilities.sum() == pytest.approx(1.0)
    assert np.abs(counts / len(x) - probabilities).max() < 4 * math.sqrt(0.25 / len(x))

"""The gate of ``genbench compare``: what counts as a regression, what cannot be told, what would have been found."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from scipy import stats

import genbench.plugins
from genbench import cli
from genbench.comparison import Comparison, compare, compare_all, side_of
from genbench.power import POWER, detectable
from genbench.record import Record
from genbench.regression import Verdict, judged
from genbench.report.comparison_text import markdown
from genbench.statistics import ALPHA, welch
from genbench.store import Loaded, RunKey, Store

Run = Callable[..., tuple[int, str, str]]
OLD, NEW = "a" * 64, "b" * 64
TINY = factories.benchmark()


def cell(model: str, fid: float = 2.0, code: str = "c" * 64, version: str = "1.0", **changes: Any) -> list[Record]:
    """Five seeds of one code, no two alike."""
    records = [factories.record(model, seed, TINY, fid=fid * (1 + 0.02 * (seed - 2)), **changes) for seed in range(5)]
    return [replace(of, model=replace(of.model, code_sha256=code, version=version)) for of in records]


def compared(records: list[Record], *wanted: str) -> Comparison:
    sides = [side_of(TINY, Loaded(records, []), model, model) for model in ("a", "b")]
    return compare(TINY, factories.METRICS, *sides, wanted=wanted)


def gate(records: list[Record], *wanted: str) -> Verdict:
    return judged([compared(records, *wanted)])


def found(verdict: Verdict) -> list[tuple[str, str]]:
    return [(entry.kind, entry.key) for entry in verdict.regressions]


def with_score(records: list[Record], key: str, **changes: Any) -> list[Record]:
    return [replace(of, scores={**of.scores, key: replace(of.scores[key], **changes)}) for of in records]


def test_a_score_that_is_significantly_worse_is_a_regression() -> None:
    verdict = gate(cell("a", 2.0) + cell("b", 3.0))
    assert found(verdict) == [("worse", "fid")]
    assert verdict.exit_code == 3


def test_a_score_that_is_significantly_better_is_none() -> None:
    verdict = gate(cell("a", 3.0) + cell("b", 2.0))
    assert found(verdict) == []
    assert (verdict.exit_code, verdict.tested) == (0, 6)


def test_a_bound_that_rises_is_a_regression_though_it_says_nothing_of_the_truth() -> None:
    records = cell("a", bits=1.0) + cell("b", bits=3.0, kind="iwae")
    for index, record in enumerate(records):  # seeds that differ
        bits = record.scores["bits_per_dim"]
        jittered = replace(bits, value=bits.value + 0.001 * index)
        records[index] = replace(record, scores={**record.scores, "bits_per_dim": jittered})
    assert found(gate(records)) == [("worse", "bits_per_dim")]


def test_seeds_that_failed_or_were_not_run_are_regressions_told_apart() -> None:
    b = cell("b")
    b[1] = factories.record("b", 1, status="diverged", reason="the loss became NaN")
    verdict = gate(cell("a") + b[:4])
    assert [entry.text for entry in verdict.regressions] == [
        "seed 1, ok of a: diverged: the loss became NaN",
        "seed 4, ok of a: not run",
    ]
    assert verdict.exit_code == 3


def test_seeds_that_failed_of_the_baseline_too_leave_the_gate_undecided() -> None:
    a, b = cell("a"), cell("b")
    a[0], b[0] = (factories.record(model, 0, status="failed") for model in "ab")
    verdict = gate(a + b)
    assert (verdict.regressions, verdict.exit_code) == ((), 5)
    assert {entry.key for entry in verdict.untested} == {metric.name for metric in factories.METRICS}
    assert "A has 4/5, B has 4/5 seeds" in verdict.untested[0].text


def test_four_seeds_are_too_few_to_pass_the_gate() -> None:
    of = factories.benchmark(seeds=[0, 1, 2, 3])
    records = [factories.record(model, seed, of) for model in "ab" for seed in range(4)]
    sides = [side_of(of, Loaded(records, []), model, model) for model in "ab"]
    verdict = judged([compare(of, factories.METRICS, *sides)])
    assert verdict.exit_code == 5
    assert "a verdict needs 5 seeds" in verdict.untested[0].text


@pytest.mark.parametrize(
    ("b", "text"),
    [
        (cell("b", audit=factories.failed_audit("too good")), "withheld of b: too good"),
        (cell("b", bits=None), "no such score of b"),
        (cell("b", audit=None), "the likelihood of b is unaudited"),
        (cell("b", kind="estimate"), "the likelihood of b is an estimate and no bound"),
        (with_score(cell("b"), "bits_per_dim", n=7), "7 examples, where the benchmark has 600"),
    ],
    ids=["withheld", "missing", "unaudited", "estimate", "another n"],
)
def test_a_score_of_the_baseline_that_the_candidate_lacks_is_a_regression(b: list[Record], text: str) -> None:
    verdict = gate(cell("a") + b)
    assert found(verdict) == [("missing", "bits_per_dim")]
    assert text in verdict.regressions[0].text


def test_a_score_that_the_baseline_lacks_is_no_regression() -> None:
    assert gate(cell("a", bits=None) + cell("b")).exit_code == 0
    assert gate(cell("a", audit=factories.failed_audit()) + cell("b", bits=None)).exit_code == 0


def test_a_score_that_some_seeds_lack_is_a_regression_and_no_pass() -> None:
    b = cell("b")
    b[2] = replace(b[2], scores={key: of for key, of in b[2].scores.items() if key != "kid"})
    assert ("missing", "kid") in found(gate(cell("a") + b))


def test_a_flag_that_only_the_candidate_has_is_a_regression() -> None:
    flagged = with_score(cell("b")[:1], "fid", flag="samples lie too close") + cell("b")[1:]
    verdict = gate(cell("a") + flagged)
    assert found(verdict) == [("flagged", "fid")]
    assert "seed 0: samples lie too close" in verdict.regressions[0].text
    assert found(gate(with_score(cell("a"), "fid", flag="as before") + flagged)) == []


def test_what_was_measured_in_two_ways_cannot_be_told_and_does_not_pass() -> None:
    versioned = {**factories.FINGERPRINT, "metric": "fid/2"}
    verdict = gate(cell("a") + with_score(cell("b"), "fid", fingerprint=versioned))
    assert [entry.key for entry in verdict.untested] == ["fid"]
    assert verdict.exit_code == 5


def test_what_is_not_comparable_does_not_hide_a_regression() -> None:
    versioned = {**factories.FINGERPRINT, "metric": "kid/2"}
    verdict = gate(cell("a", 2.0) + with_score(cell("b", 3.0), "kid", fingerprint=versioned))
    assert (found(verdict), verdict.exit_code) == ([("worse", "fid")], 3)


def noise(rng: np.random.Generator, model: str, scale: float = 1.0) -> list[Record]:
    """Five seeds of independent scores of one distribution, quality ``scale``."""
    plain = factories.record(model, of=TINY)
    values = {key: of.value * rng.lognormal(0.0, 0.1, 5) for key, of in plain.scores.items()}
    values["fid"] *= scale
    return [
        replace(
            plain,
            seed=seed,
            scores={key: replace(of, value=float(values[key][seed])) for key, of in plain.scores.items()},
        )
        for seed in range(5)
    ]


def test_two_versions_that_differ_by_noise_alarm_in_at_most_one_comparison_in_twenty() -> None:
    rng = np.random.default_rng(0)
    verdicts, uncorrected = [], 0
    for _ in range(150):
        comparison = compared(noise(rng, "a") + noise(rng, "b"))
        verdicts.append(judged([comparison]))
        uncorrected += any(
            entry.difference is not None and entry.difference.p is not None and entry.difference.p <= ALPHA
            for entry in comparison.metrics
        )
    assert all(verdict.tested == 6 for verdict in verdicts)
    assert np.mean([verdict.exit_code != 0 for verdict in verdicts]) <= ALPHA
    assert uncorrected / len(verdicts) > 2 * ALPHA  # which is what the correction is for


def test_a_planted_regression_of_the_detectable_size_is_found_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    tests = len(factories.METRICS)
    values = list(np.exp(0.1 * np.array([-2, -1, 0, 1, 2]) / math.sqrt(2.5)))  # of a standard deviation of 0.1
    ratio = detectable(values, values, True, ALPHA / tests)
    assert ratio is not None
    alarms = [("worse", "fid") in found(gate(noise(rng, "a") + noise(rng, "b", ratio))) for _ in range(100)]
    assert np.mean(alarms) > POWER - 0.1  # three standard errors


@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("alpha", [ALPHA, ALPHA / 11])
def test_the_power_at_the_detectable_difference_is_that_of_a_simulation(spread: float, alpha: float) -> None:
    unit = np.array([-2, -1, 0, 1, 2]) / math.sqrt(2.5)  # of a standard deviation of 1
    difference = detectable(list(unit), list(spread * unit), False, alpha)
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.0, 1.0, (20_000, 5)), rng.normal(difference, spread, (20_000, 5))
    tests = stats.ttest_ind(a, b, axis=1, equal_var=False)
    assert np.mean((tests.pvalue <= alpha) & (tests.statistic < 0)) == pytest.approx(POWER, abs=0.01)


def test_the_detectable_difference_has_the_unit_of_the_scores_and_is_a_ratio_of_logarithms() -> None:
    a, b = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 3.5, 4.0, 6.0]
    plain, ratio = detectable(a, b, False, ALPHA), detectable(a, b, True, ALPHA)
    assert plain is not None
    assert ratio is not None
    assert detectable([10 * x for x in a], [10 * x for x in b], False, ALPHA) == pytest.approx(10 * plain, rel=1e-3)
    assert detectable([10 * x for x in a], [10 * x for x in b], True, ALPHA) == pytest.approx(ratio, rel=1e-3)
    logs = [[math.log(x) for x in group] for group in (a, b)]
    assert math.log(ratio) == pytest.approx(detectable(*logs, False, ALPHA), rel=1e-3)
    assert detectable(a, b, False, ALPHA, 0.9) > plain


def test_groups_that_never_vary_show_any_difference_and_too_wide_ones_none() -> None:
    assert detectable([2.0] * 5, [2.0] * 5, False, ALPHA) == 0
    assert detectable([2.0] * 5, [2.0] * 5, True, ALPHA) == 1
    assert detectable([1e300, 1e-300], [1e300, 1e-300], True, ALPHA) is None


@pytest.mark.parametrize(("a", "alpha", "power"), [([1.0], 0.05, 0.8), ([1.0, 2.0], 0.0, 0.8), ([1.0, 2.0], 0.1, 0.04)])
def test_power_that_cannot_be_had_is_refused(a: list[float], alpha: float, power: float) -> None:
    with pytest.raises(ValueError, match="power"):
        detectable(a, [1.0, 3.0], False, alpha, power)


def test_pairs_of_models_are_corrected_in_one_family() -> None:
    of = TINY
    loaded = Loaded(cell("a", 2.0) + cell("b", 2.06), [])
    a, b = (side_of(of, loaded, model, model) for model in "ab")
    (alone,) = compare_all(of, factories.METRICS, [(a, b)], wanted=["fid"])
    both = compare_all(of, factories.METRICS, [(a, b), (a, b)], wanted=["fid"])
    assert alone.metrics[0].p_adjusted == welch(*alone.metrics[0].values, log_scale=True).p
    assert [of.metrics[0].p_adjusted for of in both] == [pytest.approx(2 * alone.metrics[0].p_adjusted)] * 2


def test_costs_stand_side_by_side_as_ratios() -> None:
    half = [replace(of, cost={**of.cost, "train_seconds": 6.5}) for of in cell("b")]
    costs = {entry.key: entry for entry in compared(cell("a") + half).costs}
    assert (costs["train_seconds"].a, costs["train_seconds"].b) == (pytest.approx(3.25), pytest.approx(6.5))
    assert costs["train_seconds"].ratio == pytest.approx(0.5)
    assert costs["parameters"].ratio == 1


def test_the_markdown_for_a_pull_request_begins_with_the_verdict_and_escapes_names() -> None:
    comparison = compared(cell("a", 2.0) + cell("b", 3.0))
    named = replace(comparison, b=replace(comparison.b, name="b|<script>`x`"))
    text = markdown(named, judged([named]))
    assert text.startswith("**Regression: B is worse than A in 1 respect (6 tests at 5 % over all of them)**\n\n- FID")
    assert "b\\|\\<script\\>\\`x\\`" in text
    header, ruler, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert header.count("|") == ruler.count("|") == 8
    assert sum(row.count(" | ") == 6 for row in rows) == len(comparison.metrics)
    assert "| **A is better** |" in text


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The model ``toy`` of an old and a newer code, both of version 1.0, and one of version 0.9 before them."""
    store = Store(tmp_path_factory.mktemp("versions") / "results")
    for records in (
        cell("toy", 9.0, "d" * 64, "0.9"),
        cell("toy", 2.0, OLD),
        cell("toy", 3.0, NEW),
    ):
        for record in records:
            with store.claim(RunKey("tiny", "toy", record.seed), record.model.code_sha256) as claim:
                assert claim is not None
                store.commit(claim, record, replace=True)
    return store


@pytest.fixture
def run(tmp_path: Path, versions: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``genbench compare`` on ``versions`` in this process: status, stdout, stderr."""
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("GENBENCH_RESULTS", str(versions.root))

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(["compare", *[str(arg) for arg in args], "-b", "tiny"])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_a_superseded_version_is_compared_with_the_one_in_place(run: Run) -> None:
    status, out, err = run("toy@aaaaaa", "toy", "--fail-on-regression")
    assert (status, err) == (3, "")
    assert "FID [toys, tiny-cnn-v1]: A is better: A / B x 0.667" in out
    assert "A: version 1.0, code aaaaaaaa." in out
    assert "B: version 1.0, code bbbbbbbb." in out


def test_a_version_is_named_by_that_of_its_plugin_too(run: Run) -> None:
    document = json.loads(run("toy@0.9", "toy@bbbbbb", "--json", "--fail-on-regression")[1])
    assert document["a"]["versions"] == [{"version": "0.9", "code_sha256": "d" * 64}]
    assert document["regression"]["found"] is False
    assert (document["a"]["ok"], document["b"]["ok"]) == (5, 5)
    fid = document["metrics"][0]
    assert (fid["key"], fid["better"]) == ("fid", "b")
    assert fid["detectable"] > 1


def test_a_version_of_several_codes_is_told_with_the_choices(run: Run) -> None:
    status, out, err = run("toy@1.0", "toy@0.9")
    assert (status, out) == (2, "")
    assert "toy@1.0 on tiny" in err
    assert "toy@aaaaaaaa: version 1.0, superseded, seeds 0, 1, 2, 3, 4" in err
    assert "toy@bbbbbbbb: version 1.0, current, seeds 0, 1, 2, 3, 4" in err


def test_an_unknown_version_and_one_that_is_too_short_are_told_with_the_choices(run: Run) -> None:
    for wanted in ("toy@2.0", "toy@aaaaa"):
        status, _, err = run(wanted, "toy")
        assert status == 2
        assert f"no results of {wanted} on tiny" in err
        assert "toy@dddddddd: version 0.9" in err


def test_what_lies_among_superseded_records_and_is_none_is_told_and_passed_over(run: Run, versions: Store) -> None:
    heap = versions.root / ".superseded" / "tiny" / "toy"
    (heap / "seed-0.00000000").mkdir()
    (heap / "seed-0.00000000" / "record.json").write_text("{}")
    (heap / "seed-1.11111111").symlink_to(next(iter(versions.root.glob("tiny/toy/seed-*"))))
    status, out, _ = run("toy@0.9", "toy@aaaaaa")
    assert status == 0
    assert "seed-0.00000000" not in out.partition("Metric")[0]
    assert "11111111" not in out


def test_the_records_of_two_folders_are_compared_model_by_model(run: Run, tmp_path: Path) -> None:
    a, b = Store(tmp_path / "old"), Store(tmp_path / "new")
    for record in cell("toy", 2.0) + cell("toy[width=3]", 2.0) + cell("gone"):
        factories.commit(a, record)
    for record in cell("toy", 2.01) + cell("toy[width=3]", 3.0) + cell("young"):
        factories.commit(b, record)
    status, out, err = run(a.root, b.root)
    assert (status, err) == (0, "")
    for part in ("Only in A: gone.", "Only in B: young.", "toy[width=3]: FID [toys, tiny-cnn-v1]: A is better"):
        assert part in out
    status, out, _ = run(a.root, b.root, "--fail-on-regression", "--format", "md")
    assert status == 3
    assert out.startswith("**Regression: B is worse than A in 2 respects (12 tests")
    assert "gone: seeds 0, 1, 2, 3, 4, ok of gone: not run" in out
    document = json.loads(run(a.root, b.root, "--json")[1])
    assert [each["a"]["model"] for each in document["comparisons"]] == ["toy", "toy[width=3]"]
    assert document["tests"] == 12
    only = {"only_a": ["gone"], "only_b": ["young"], "unreadable": 0}
    assert document["folders"] == {"a": str(a.root), "b": str(b.root), **only}


def test_the_open_division_is_compared_by_itself(run: Run, tmp_path: Path) -> None:
    store = Store(tmp_path / "open")
    for record in cell("outside", 2.0) + cell("beyond", 3.0):
        factories.commit(store, replace(record, division="open"), folder="tiny+open")
    arguments = ("outside", "beyond", "--results", store.root, "--metric", "fid")
    assert "A is better" in run(*arguments, "--division", "open")[1]
    assert run(*arguments)[0] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{old}", "toy"], "is a folder, and toy is none"),
        (["{old}", "{old}", "--results-b", "x"], "nothing for --results-b"),
        (["toy", "toy"], "two versions (toy@VERSION)"),
    ],
)
def test_what_is_no_pair_is_refused(run: Run, versions: Store, arguments: list[str], message: str) -> None:
    status, out, err = run(*[argument.format(old=versions.root) for argument in arguments])
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())


def test_a_candidate_of_which_every_run_failed_is_a_regression(run: Run, versions: Store) -> None:
    for seed in range(5):
        factories.commit(versions, factories.record("toy[width=3]", seed, status="failed", reason="it broke here"))
    status, out, _ = run("toy", "toy[width=3]", "--fail-on-regression")
    assert status == 3
    assert "seeds 0, 1, 2, 3, 4, ok of toy: failed: it broke here" in out


def test_a_gate_that_passes_says_what_it_would_have_found(run: Run) -> None:
    status, out, _ = run("toy@0.9", "toy", "--fail-on-regression", "--metric", "fid", "--metric", "kid")
    assert status == 0
    flat = " ".join(out.split())
    assert flat.startswith("No regression found in 2 tests at 5 % over all of them a change for the worse would have")
    assert "with 80 % probability from these sizes on: FID [toys, tiny-cnn-v1] x 1.0" in flat

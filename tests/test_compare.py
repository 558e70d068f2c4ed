"""Two models side by side: differences, tests, verdicts, and what is not compared."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest
from rich.console import Console

import genbench.plugins
from genbench import cli
from genbench.comparison import Compared, Comparison, compare, side_of
from genbench.record import Record
from genbench.report.comparison import print_comparison
from genbench.report.comparison_text import document
from genbench.report.console import console
from genbench.specs import MetricSpec
from genbench.statistics import holm, improvement, mean_interval, welch
from genbench.store import Loaded, Store

Run = Callable[..., tuple[int, str, str]]
TINY = factories.benchmark()


def cell(model: str, fid: float = 2.0, bits: float | None = 2.0, **changes: Any) -> list[Record]:
    """Five seeds, no two alike."""
    return [
        factories.record(
            model, seed, TINY, fid=fid * (1 + 0.02 * (seed - 2)), bits=bits and bits + 0.01 * (seed - 2), **changes
        )
        for seed in range(5)
    ]


def compared(records: list[Record], *wanted: str, plugins: Any = None) -> Comparison:
    of, loaded = TINY, Loaded(records, [])
    sides = [side_of(of, loaded, model, model) for model in ("a", "b")]
    return compare(of, factories.METRICS, *sides, plugins, wanted)


def metric(comparison: Comparison, key: str) -> Compared:
    (found,) = [entry for entry in comparison.metrics if entry.column.key == key]
    return found


def refusal(comparison: Comparison, key: str) -> str:
    (found,) = [entry for entry in comparison.refused if entry.key == key]
    return found.reason


def test_a_score_on_a_log_scale_is_compared_by_the_ratio_of_its_means() -> None:
    found = metric(compared(cell("a", 1.0) + cell("b", 2.0)), "fid")
    values = [[fid * (1 + 0.02 * (seed - 2)) for seed in range(5)] for fid in (1.0, 2.0)]
    assert found.difference == welch(*values, log_scale=True)
    assert found.difference.value == pytest.approx(0.5)
    assert found.a == mean_interval(values[0], log_scale=True)
    assert found.improvement == improvement(*values, "lower")


def test_another_score_is_compared_by_the_difference_of_its_means() -> None:
    found = metric(compared(cell("a", bits=2.0) + cell("b", bits=2.5)), "bits_per_dim")
    assert found.difference is not None
    assert found.difference.value == pytest.approx(-0.5)
    assert not found.difference.log_scale


def test_p_values_are_corrected_over_the_metrics_that_are_shown() -> None:
    records = cell("a", 2.0, 2.0) + cell("b", 2.05, 2.01)
    every = compared(records)
    tests = [entry.difference.p for entry in every.metrics if entry.difference and entry.difference.p is not None]
    assert len(tests) == 6
    assert [entry.p_adjusted for entry in every.metrics] == holm(tests)
    (alone,) = compared(records, "fid").metrics
    assert alone.difference is not None
    assert alone.p_adjusted == alone.difference.p


@pytest.mark.parametrize(("fids", "verdict"), [((1.0, 2.0), "A is better"), ((2.0, 1.0), "B is better")])
def test_the_verdict_names_the_better_one(fids: tuple[float, float], verdict: str) -> None:
    assert metric(compared(cell("a", fids[0]) + cell("b", fids[1])), "fid").verdict == verdict


def test_of_a_score_that_rises_the_higher_one_is_better() -> None:
    records = [factories.record("a", seed, inception=9 + 0.01 * seed) for seed in range(5)]
    records += [factories.record("b", seed, inception=5 + 0.01 * seed) for seed in range(5)]
    found = metric(compared(records), "is")
    assert found.verdict == "A is better"
    assert found.improvement is not None
    assert found.improvement.value == 1.0


def test_what_the_test_does_not_separate_is_not_distinguishable() -> None:
    assert metric(compared(cell("a", 2.0) + cell("b", 2.01)), "fid").verdict == "not distinguishable"


@pytest.mark.parametrize(
    ("kinds", "bits", "verdict"),
    [
        (("iwae", "exact"), (1.0, 2.0), "A is better"),
        (("exact", "iwae"), (1.0, 2.0), "A is lower than the bound of B"),
        (("iwae", "bound"), (1.0, 2.0), "A is lower than the bound of B"),
        (("exact", "exact"), (1.0, 2.0), "A is better"),
        (("exact", "bound"), (2.0, 1.0), "B is better"),
    ],
)
def test_a_lower_bound_is_better_and_a_higher_one_says_nothing_of_the_truth(
    kinds: tuple[str, str], bits: tuple[float, float], verdict: str
) -> None:
    records = cell("a", bits=bits[0], kind=kinds[0]) + cell("b", bits=bits[1], kind=kinds[1])
    found = metric(compared(records), "bits_per_dim")
    assert found.verdict == verdict
    assert found.kinds == kinds
    assert found.marks == tuple("" if kind == "exact" else "<= " for kind in kinds)


@pytest.mark.parametrize("kinds", [("estimate", "exact"), ("exact", "estimate"), ("estimate", "estimate")])
def test_an_estimate_of_the_likelihood_is_compared_with_nothing(kinds: tuple[str, str]) -> None:
    records = cell("a", kind=kinds[0]) + cell("b", kind=kinds[1])
    assert "is an estimate and no bound" in refusal(compared(records), "bits_per_dim")


def test_a_side_with_a_failed_seed_is_not_tested() -> None:
    records = cell("a", 1.0) + cell("b", 2.0)
    records[0] = factories.record("a", 0, status="failed")
    found = metric(compared(records), "fid")
    assert (found.difference, found.p_adjusted, found.improvement) == (None, None, None)
    assert found.a.half_width is None
    assert found.verdict == "not tested: A has 4/5 seeds"


def test_fewer_than_five_seeds_have_a_test_and_no_verdict() -> None:
    of = factories.benchmark(seeds=[0, 1, 2])
    records = [
        factories.record(model, seed, of, fid=fid + 0.01 * seed)
        for model, fid in (("a", 1.0), ("b", 3.0))
        for seed in range(3)
    ]
    sides = [side_of(of, Loaded(records, []), model, model) for model in ("a", "b")]
    found = metric(compare(of, factories.METRICS, *sides), "fid")
    assert found.p_adjusted is not None
    assert found.verdict == "none: a verdict needs 5 seeds"


def other(records: list[Record], key: str, **changes: Any) -> list[Record]:
    return [
        replace(record, scores={**record.scores, key: replace(record.scores[key], **changes)}) for record in records
    ]


def test_scores_of_different_fingerprints_are_refused_with_the_difference() -> None:
    versioned = {**factories.FINGERPRINT, "metric": "fid/2"}
    comparison = compared(cell("a") + other(cell("b"), "fid", fingerprint=versioned))
    assert refusal(comparison, "fid") == "a and b were measured differently: metric absent, not fid/2"
    assert "fid" not in [entry.column.key for entry in comparison.metrics]


def test_scores_that_are_not_what_the_benchmark_demands_are_refused_though_both_are_alike() -> None:
    records = other(cell("a") + cell("b"), "fid", n=300)
    assert "300 samples, where the benchmark has 600" in refusal(compared(records), "fid")


def test_seeds_of_one_side_that_were_measured_differently_are_refused() -> None:
    records = cell("a") + cell("b")
    versioned = {**factories.FINGERPRINT, "metric": "fid/2"}
    records[3:4] = other(records[3:4], "fid", fingerprint=versioned)
    assert "the seeds of a were not measured alike: seed 3" in refusal(compared(records), "fid")


def test_a_withheld_and_an_unaudited_likelihood_are_not_compared() -> None:
    caught = cell("a", audit=factories.failed_audit("too good"))
    assert refusal(compared(caught + cell("b")), "bits_per_dim") == "withheld of a: too good"
    assert "unaudited" in refusal(compared(cell("a", audit=None) + cell("b")), "bits_per_dim")


def test_a_score_that_one_side_lacks_is_told() -> None:
    assert refusal(compared(cell("a") + cell("b", bits=None)), "bits_per_dim") == "no such score of b"


def test_a_score_that_both_lack_is_told_only_if_it_was_asked_for() -> None:
    records = cell("a", bits=None) + cell("b", bits=None)
    assert compared(records).refused == ()
    assert refusal(compared(records, "bits_per_dim"), "bits_per_dim") == "no such score of a and b"


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_comparison_fits_a_terminal_and_keeps_differences_and_verdicts(width: int) -> None:
    stream = io.StringIO()
    comparison = compared(cell("a", 1.0) + cell("b", 2.0, kind="iwae"))
    print_comparison(comparison, Console(width=width, file=stream, markup=False, highlight=False))
    output = stream.getvalue()
    assert all(len(line.rstrip()) <= width for line in output.splitlines())
    assert "…" not in output
    flat = " ".join(output.split())
    fid = metric(comparison, "fid").difference
    assert fid is not None
    interval = f"[{fid.low:.3f}, {fid.high:.3f}]"
    for part in ("x 0.500", interval, "A is better", "<= 2.000", "A = a, B = b"):
        assert part in flat
    assert ("Not shown" in flat) == (width < 180)


def test_the_comparison_as_json_has_all_numbers() -> None:
    comparison = compared(cell("a", 1.0) + cell("b", 2.0, kind="iwae"))
    found = json.loads(json.dumps(document(comparison), allow_nan=False))
    fid = next(entry for entry in found["metrics"] if entry["key"] == "fid")
    assert fid["difference"]["of"] == "ratio"
    assert fid["difference"]["value"] == pytest.approx(0.5)
    assert fid["p"] <= fid["p_adjusted"] <= 1
    bits = next(entry for entry in found["metrics"] if entry["key"] == "bits_per_dim")
    assert (bits["a"]["kind"], bits["b"]["kind"], bits["difference"]["of"]) == ("exact", "iwae", "difference")
    version = {"version": "1.0", "code_sha256": "c" * 64}
    about = {"model": "a", "versions": [version], "anchor": False, "ok": 5, "seeds": 5, "not_ok": [], "left_out": []}
    assert found["a"] == about


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("compare") / "results")
    for record in cell("toy", 1.0) + cell("toy[ema=true,width=3]", 2.0):
        factories.commit(store, record)
    old = factories.benchmark(samples__chunk=7)
    for seed in range(5):
        factories.commit(store, factories.record("old", seed, of=old))
    return store.root


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: status, stdout, stderr."""
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main([str(arg) for arg in args])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_two_models_of_one_folder_are_compared(run: Run, results: Path) -> None:
    status, out, err = run("compare", "toy", "toy[width=3,ema=true]", "-b", "tiny", "--results", results)
    assert (status, err) == (0, "")
    assert "A = toy, B = toy[ema=true,width=3] on tiny" in out
    assert "A is better" in out


def test_json_is_alone_on_stdout_and_has_the_metrics_asked_for(run: Run, results: Path) -> None:
    arguments = ("compare", "toy", "toy[ema=true,width=3]", "-b", "tiny", "--results", results, "--json")
    found = json.loads(run(*arguments, "--metric", "fid", "--metric", "bits_per_dim")[1])
    assert [entry["key"] for entry in found["metrics"]] == ["fid", "bits_per_dim"]


def test_a_model_can_be_compared_with_itself_in_another_folder(run: Run, results: Path, tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "elsewhere")
    for record in cell("toy", 4.0):
        factories.commit(elsewhere, record)
    arguments = ("compare", "toy", "toy", "-b", "tiny", "--results", results, "--metric", "fid", "--json")
    (fid,) = json.loads(run(*arguments, "--results-b", elsewhere.root)[1])["metrics"]
    assert fid["difference"]["value"] == pytest.approx(0.25)
    assert run(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["toy", "tyo"], 2, "did you mean 'toy'?"),
        (["toy", "toy[width=3"], 2, "a model is written name or name[option=value,...]"),
        (["toy", "old", "--metric", "fdi"], 2, "did you mean 'fid'?"),
        (["toy", "old"], 5, "of another definition of tiny: its digest is"),
        (["toy", "toy"], 2, "name two models"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    run: Run, results: Path, arguments: list[str], status: int, message: str
) -> None:
    found, out, err = run("compare", *arguments, "-b", "tiny", "--results", results)
    assert (found, out) == (status, "")
    assert message in " ".join(err.split())


def test_without_results_it_exits_5_and_says_how_to_get_some(run: Run, tmp_path: Path) -> None:
    status, _, err = run("compare", "a", "b", "-b", "tiny", "--results", tmp_path / "none")
    assert status == 5
    assert "genbench run --all -b tiny" in err


def test_models_without_a_score_in_common_exit_5_with_the_reasons(run: Run, results: Path) -> None:
    store = Store(results)
    for record in other(cell("bare"), "fid", n=3):
        factories.commit(store, replace(record, scores={"fid": record.scores["fid"]}, audit=None))
    status, out, err = run("compare", "toy", "bare", "-b", "tiny", "--results", results, "--metric", "fid")
    assert (status, out) == (5, "")
    assert "toy and bare were measured differently: n 600, not 3" in err


def test_a_model_of_which_every_run_failed_exits_5_with_its_reasons(run: Run, results: Path) -> None:
    for seed in range(5):
        factories.commit(Store(results), factories.record("fails", seed, status="failed", reason="it broke here"))
    status, _, err = run("compare", "toy", "fails", "-b", "tiny", "--results", results)
    assert status == 5
    assert "it broke here" in err


def printed(comparison: Comparison, width: int = 120) -> str:
    stream = io.StringIO()
    print_comparison(comparison, Console(width=width, file=stream, markup=False, highlight=False))
    return " ".join(stream.getvalue().split())


def test_warnings_and_anchors_are_carried_into_the_comparison() -> None:
    of, loaded = factories.benchmark(), Loaded(other(cell("a"), "fid", flag="memory ran low") + cell("b[x=1]"), [])
    sides = [side_of(of, loaded, model, model, {"b"}) for model in ("a", "b[x=1]")]
    comparison = compare(of, factories.METRICS, *sides)
    output = printed(comparison)
    assert "1.999!" in output
    assert "! warning: FID [tiny-cnn-v1] of a (5/5 seeds): memory ran low" in output
    assert "B = b[x=1] †" in output
    assert "† anchor" in output
    found = document(comparison)
    fid = next(entry for entry in found["metrics"] if entry["key"] == "fid")
    assert fid["a"]["flags"] == {str(seed): "memory ran low" for seed in range(5)}
    assert fid["b"]["flags"] == {}
    assert (found["a"]["anchor"], found["b"]["anchor"]) == (False, True)


def test_descriptive_scores_and_tests_of_copying_are_not_in_the_family_of_tests() -> None:
    extra = (
        MetricSpec("norm", "Norm", "nowhere:f", "none"),
        MetricSpec("c_t", "C_T", "nowhere:f", "higher", "copying"),
    )
    more = {name: factories.score(2.0) for name in ("norm", "c_t")}
    records = [
        factories.record(model, seed, fid=2.0 + 0.01 * seed, more=more) for model in ("a", "b") for seed in range(5)
    ]
    of = factories.benchmark()
    sides = [side_of(of, Loaded(records, []), model, model) for model in ("a", "b")]
    comparison = compare(of, (*factories.METRICS, *extra), *sides)
    for key in ("norm", "c_t"):
        found = metric(comparison, key)
        assert (found.p_adjusted, found.improvement, found.decided) == (None, None, False)
    assert sum(entry.p_adjusted is not None for entry in comparison.metrics) == len(factories.METRICS)
    output = printed(comparison)
    assert "No verdict (-) on Norm: not tested: descriptive" in output
    assert "No verdict (-) on C_T: not tested: no value is better" in output


def test_the_reason_for_which_no_score_has_a_verdict_is_said_once() -> None:
    records = cell("a", 1.0)[:3] + cell("b", 2.0)
    output = printed(compared(records), 80)
    assert output.count("A has 3/5 seeds") == 1
    assert "No verdict (-): not tested: A has 3/5 seeds." in output


def test_a_ratio_beyond_all_floats_is_compared_and_null_in_json() -> None:
    comparison = compared(cell("a", 1e307) + cell("b", 1e-300))
    fid = metric(comparison, "fid")
    assert fid.verdict == "B is better"
    assert "e+306" in printed(comparison)
    (entry,) = [entry for entry in document(comparison)["metrics"] if entry["key"] == "fid"]
    assert entry["difference"] == {"of": "ratio", "value": None, "low": None, "high": None}
    json.dumps(document(comparison), allow_nan=False)


def test_a_reader_of_the_output_that_has_gone_is_told_to_the_program_and_does_not_end_it() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    output = console()
    output.file = Closed()
    with pytest.raises(BrokenPipeError):
        print_comparison(compared(cell("a") + cell("b")), output)

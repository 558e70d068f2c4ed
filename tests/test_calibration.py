"""The calibration ladder climbed: the claims of genbench's metrics hold, and the command tells those that do not."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import statistics
from types import SimpleNamespace

import pytest
from installing import ROOT
from jobs import job_of
from test_docs import section

from genbench import cli
from genbench.calibration import Calibration
from genbench.engine.bench import bench_of
from genbench.engine.calibration import climb
from genbench.engine.scoring.classes import inception_score
from genbench.errors import DataError
from genbench.plugins import discover
from genbench.rungs import ANY, DRAWS, HALVES, RUNGS, THRESHOLD, WHOLE, Claim, claims_of
from genbench.selection import load_benchmark

PAGE = ROOT / "docs" / "calibration.md"
QUALITY_DRAWS, COPYING_DRAWS = 4, 2
WIDE = 8.0
"""So many standard errors over 20 draws show in few draws too."""
SURE = THRESHOLD * math.sqrt(DRAWS / QUALITY_DRAWS)
"""Within this many standard errors over 20 draws, so few draws cannot tell a gap from none."""


@pytest.fixture(scope="module")
def specs():
    registry = discover()
    job_metrics = [entry.spec for entry in registry.metrics.values() if entry.plugin.distribution == "genbench"]
    return {spec.name: spec for spec in job_metrics}


def ladder(folder, draws, copying):
    """The ladder of ``digits`` with few draws, and only the copying metrics or only the others."""
    registry = discover()
    job = job_of(registry, "noise", folder, "digits")
    modes = [registry.metrics[name].spec for name in ("modes_found", "modes_kl")]
    chosen = [spec for spec in [*job.metrics, *modes] if (spec.group == "copying") is copying]
    job = dataclasses.replace(job, metrics=chosen)
    measured = climb(job, draws, only_halves=copying)
    return Calibration("digits", measured, {spec.name: spec for spec in chosen})


@pytest.fixture(scope="module")
def quality(tmp_path_factory):
    return ladder(tmp_path_factory.mktemp("quality"), QUALITY_DRAWS, copying=False)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return ladder(tmp_path_factory.mktemp("copies"), COPYING_DRAWS, copying=True)


def test_every_metric_of_digits_gave_values(quality, copies):
    assert not quality.unmeasured()
    assert not copies.unmeasured()


def test_every_difference_that_a_metric_claims_to_see_is_seen(quality, copies):
    """Those that 20 draws show by a wide margin must show in a few draws too, the others must have the right sign."""
    documented = {(name, claim): z for name, claim, z, _ in documented_claims()}
    held = [entry for entry in quality.held() + copies.held() if entry.claim.relation == ">"]
    assert len(held) > 100
    wide = [entry for entry in held if documented.get((entry.metric, str(entry.claim)), math.inf) > WIDE]
    assert len(wide) > 80
    assert not [f"{entry.metric}: {entry.claim} {entry.verdict}" for entry in wide if not entry.verified]
    assert not [f"{entry.metric}: {entry.claim} {entry.verdict}" for entry in held if entry.verdict.gap <= 0]


def test_no_blindness_that_is_admitted_is_refuted(quality):
    held = [entry for entry in quality.held() if entry.claim.relation == "="]
    assert len(held) > 20
    assert not [f"{entry.metric}: {entry.claim} {entry.verdict}" for entry in held if abs(entry.verdict.z) > SURE]


def test_metrics_that_take_the_worse_set_for_the_better_one_are_known(quality):
    held = [entry for entry in quality.held() if entry.claim.relation == "<"]
    assert held
    assert not [f"{entry.metric}: {entry.claim} {entry.verdict}" for entry in held if not entry.verified]


def test_every_metric_of_samples_claims_to_see_something(specs):
    unsaid = {
        name
        for name, spec in specs.items()
        if spec.group != "likelihood" and spec.direction != "none" and not spec.tells_apart
    }
    assert not unsaid


def test_a_wrong_claim_is_found_out(quality):
    spec = dataclasses.replace(quality.specs["fid"], tells_apart=("train-copy>labels-shuffled",), blind_to=())
    wrong = dataclasses.replace(quality, specs={"fid": spec})
    assert [entry.claim for entry in wrong.failed()] == [Claim("train-copy", ">", "labels-shuffled")]


def test_copies_of_the_training_data_have_a_better_inception_score_than_real_data(quality, tmp_path):
    reference = bench_of(job_of(discover(), "noise", tmp_path, "digits")).reference
    assert min(quality.values["is"]["train-copy"]) > inception_score(reference.arrays.logits)


def test_a_mild_blur_costs_more_fid_than_a_mild_noise(quality):
    assert statistics.fmean(quality.values["fid"]["blur-2"]) > 4 * statistics.fmean(quality.values["fid"]["noise-2"])


def test_the_copying_flag_trips_on_replayed_training_data_and_on_near_copies(copies):
    flags = copies.measured["flags"]
    for name in copies.measured["nulls"]:
        assert flags[name]["replayed"] == COPYING_DRAWS, name
        assert flags[name]["near-copies"] == COPYING_DRAWS, name


def test_honest_held_out_data_are_not_flagged(copies):
    assert copies.measured["flags"][ANY]["held-out"] == 0
    assert copies.measured["flags"][ANY]["replayed"] == COPYING_DRAWS


def test_the_two_evaluators_rank_the_rungs_much_alike(quality):
    (agreement,) = [entry for entry in quality.agreements() if entry.metric == "fid"]
    assert agreement.rungs == len(WHOLE)
    assert 0.5 < agreement.tau < 1


def test_too_few_examples_are_refused(tmp_path):
    job = job_of(discover(), "noise", tmp_path, "digits")
    few = dataclasses.replace(job, samples=dataclasses.replace(job.samples, n=20))
    with pytest.raises(DataError, match="too few training examples for the calibration ladder"):
        climb(few, 2)


def fake(values):
    return {
        "n": 200, "half": 300, "draws": 2, "alarms": 0, "values": values, "flags": {}, "nulls": {}, "problems": {},
        "false_alarms": {ANY: 0},
    }  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """``genbench doctor --calibrate`` with measurements of our own, so that no process is needed."""

    def call(measured, *options):
        prepared = SimpleNamespace(job=SimpleNamespace(folder=tmp_path), call=lambda target, **arguments: measured)
        monkeypatch.setattr("genbench.executors.task.task", lambda *_, **__: contextlib.nullcontext(prepared))
        status = cli.main(["doctor", "--calibrate", "digits-smoke", *options])
        return status, *capsys.readouterr()

    return call


def good(spec):
    """Values that make all claims of a metric true, whatever they are."""
    step = -1.0 if spec.direction == "higher" else 1.0
    level = dict.fromkeys(RUNGS, 0.0)
    for _ in RUNGS:
        for claim in claims_of(spec):
            if claim.relation == ">" and step * (level[claim.worse] - level[claim.better]) < 1:
                level[claim.worse] = level[claim.better] + step
            elif claim.relation == "<":
                level[claim.worse] = level[claim.better] - step
            elif claim.relation == "=":
                level[claim.worse] = level[claim.better]
    return {rung: [value, value + 1e-9] for rung, value in level.items()}


def test_the_command_exits_0_when_all_claims_hold(run, specs):
    status, out, err = run(fake({"fid": good(specs["fid"])}))
    assert status == 0, err
    assert "NOT VERIFIED" not in out


def test_the_command_exits_3_and_names_the_claim_that_does_not_hold(run, specs):
    flat = {rung: [0.0, 1.0] for rung in RUNGS}
    status, out, err = run(fake({"fid": flat}), "--markdown")
    first = next(str(claim) for claim in claims_of(specs["fid"]) if claim.relation == ">")
    assert status == 3
    assert f"| `fid` | `{first}` | 0.0 | NOT VERIFIED |" in out
    assert f"fid: declares {first}, and z is 0.0 (=)" in err


def test_the_command_exits_3_when_a_metric_gave_nothing(run):
    status, _, err = run(fake({}) | {"problems": {"fid": "at shift: ValueError: no"}})
    assert status == 3
    assert "fid: gave no values: at shift: ValueError: no" in err


def test_the_ladder_runs_in_a_process_of_its_own(tmp_path, capsys):
    definition = (ROOT / "benchmarks" / "digits-smoke.toml").read_text()
    definition = re.sub(r"(?s)metrics = \[.*?\]", 'metrics = ["is"]', definition)
    definition = re.sub(r"(?m)^(n|milestone_n) = \d+$", r"\1 = 60", definition)
    path = tmp_path / "quick.toml"
    path.write_text(definition.replace('"digits-smoke"', '"quick"', 1))
    status = cli.main(["doctor", "--calibrate", str(path), "--draws", "2", "--json"])
    out, err = capsys.readouterr()
    assert status in (0, 3), err
    document = json.loads(out)
    assert set(document["scores"]["is"]) == set(RUNGS)
    assert document["n"] == 60
    assert "claims verified" in err


def documented_claims():
    """Metric, claim, z and verdict of each row of the page's table of claims."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+[<=>][^`]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [(name, claim, float(z.split()[-1]), verdict) for name, claim, z, verdict in rows]


def test_the_documented_claims_are_those_that_are_declared_for_digits_and_all_are_verified(specs):
    measured = load_benchmark(discover(), "digits").file.metrics
    declared = [(name, str(claim)) for name in measured for claim in claims_of(specs[name])]
    documented = documented_claims()
    assert [row[:2] for row in documented] == declared
    assert {verdict for *_, verdict in documented} == {"verified"}


def test_the_documented_false_alarms_are_rare_and_the_documented_copies_are_all_found():
    rows = re.findall(r"^\| (?:`[^`]+`|any of them) \| [^%\n]*\| ([\d.]+) % \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 7
    assert max(float(false_alarms) for false_alarms, _ in rows[:-1]) <= 3
    assert all(found.split("|")[-2:] == [" 100 % ", " 100 % "] for _, found in rows)


def test_the_documented_rungs_are_those_that_there_are():
    text = section(PAGE, "The ladder on digits")
    assert [rung for rung in RUNGS if f"| `{rung}` | {RUNGS[rung]} |" not in text] == []
    assert set(HALVES) < set(RUNGS)

"""The audit as a part of a run: made once for a model, kept, and its verdict in each record."""

import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ZOO, inside
from jobs import job_of

from genbench.audit_key import AUDIT_VERSION, key_of
from genbench.executors.audits import Audits
from genbench.executors.protocol import StageEnd
from genbench.job import Job
from genbench.plugins import discover
from genbench.record import Audit
from genbench.store import Store

REGISTRY = discover()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_of(REGISTRY, "vae", tmp_path)


def passed(job: Job) -> StageEnd:
    verdict = {"version": AUDIT_VERSION, "key": key_of(job), "verdict": "passed", "reason": None}
    return StageEnd("audit", "ok", None, {**verdict, "smallest_flattery": 0.01, "findings": []})


def go_on() -> bool:
    """Whether the harness was asked to stop."""
    return False


def never() -> StageEnd:
    raise AssertionError("the audit was made again")


def test_a_verdict_is_made_once_and_then_read(job: Job, tmp_path: Path) -> None:
    audits = Audits(tmp_path / "audits")
    first = audits.verdict(job, go_on, lambda: passed(job))
    assert first is not None
    assert first.verdict == "passed"
    assert audits.verdict(job, go_on, never) == first


def test_another_seed_shares_the_verdict_and_another_configuration_does_not(job: Job) -> None:
    assert key_of(replace(job, seed=7)) == key_of(job)
    other = replace(job.model, config={**job.model.config, "batch_size": 7})
    assert key_of(replace(job, model=other)) != key_of(job)
    assert key_of(replace(job, model=replace(job.model, code_sha256="0" * 64))) != key_of(job)
    assert key_of(replace(job, data=replace(job.data, levels=16))) != key_of(job)


@pytest.mark.parametrize("spoiled", ["", "{", '{"verdict": "passed"}', "other key"])
def test_a_spoiled_verdict_is_made_again(job: Job, tmp_path: Path, spoiled: str) -> None:
    audits = Audits(tmp_path / "audits")
    audits.verdict(job, go_on, lambda: passed(job))
    (path,) = (tmp_path / "audits").glob("*.json")
    path.write_text(spoiled if spoiled != "other key" else path.read_text().replace(key_of(job), "0" * 32))
    again = audits.verdict(job, go_on, lambda: passed(job))
    assert again is not None
    assert again.key == key_of(job)


@pytest.mark.parametrize(
    "ended", [StageEnd("audit", "failed", "it broke", None), StageEnd("audit", "crashed", "it broke", None, 11)]
)
def test_an_audit_that_the_model_breaks_fails_the_likelihood(job: Job, tmp_path: Path, ended: StageEnd) -> None:
    audits = Audits(tmp_path / "audits")
    found = audits.verdict(job, go_on, lambda: ended)
    assert found is not None
    assert (found.verdict, found.reason) == ("failed", "the audit could not be completed: it broke")
    assert audits.verdict(job, go_on, never) == found


@pytest.mark.parametrize(
    "ended",
    [
        StageEnd("audit", "harness_error", "lost", None),
        StageEnd("audit", "timeout", "slow", None),
        StageEnd("audit", "oom_host", "large", None),
        StageEnd("audit", "lost", "killed", None, signal.SIGKILL),
    ],
)
def test_an_accident_of_the_machine_is_no_verdict(job: Job, tmp_path: Path, ended: StageEnd) -> None:
    assert Audits(tmp_path / "audits").verdict(job, go_on, lambda: ended) is None
    assert not list((tmp_path / "audits").glob("*.json"))


def test_where_no_verdict_can_be_kept_each_run_makes_its_own(job: Job, tmp_path: Path) -> None:
    (tmp_path / "audits").write_text("a file where a folder should be")
    found = Audits(tmp_path / "audits").verdict(job, go_on, lambda: passed(job))
    assert found is not None
    assert found.verdict == "passed"


def test_two_runs_of_a_model_wait_for_one_audit(job: Job, tmp_path: Path) -> None:
    audits, made, found = Audits(tmp_path / "audits"), [], list[Audit | None]()
    begun = threading.Event()

    def slowly() -> StageEnd:
        made.append(1)
        begun.set()
        threading.Event().wait(0.5)
        return passed(job)

    first = threading.Thread(target=lambda: found.append(audits.verdict(job, go_on, slowly)))
    first.start()
    begun.wait()
    found.append(Audits(tmp_path / "audits").verdict(job, go_on, never))
    first.join()
    assert len(made) == 1
    assert found[0] == found[1]


def test_a_cancelled_run_does_not_wait(job: Job, tmp_path: Path) -> None:
    assert Audits(tmp_path / "audits").verdict(job, lambda: True, never) is None


def test_a_likelihood_that_flatters_is_withheld_and_the_run_is_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    done = inside(
        "run", "zoo-flatters", "marginals", "-b", "digits-smoke", "--seeds", "0", "--results", tmp_path / "results",
        python_path=(ZOO,),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {record.model.name: record for record in Store(tmp_path / "results").load().records}
    bad, good = found["zoo-flatters"], found["marginals"]
    assert bad.status == "ok"
    assert "fid" in bad.scores
    assert "bits_per_dim" not in bad.scores
    assert bad.audit is not None
    assert bad.withheld == {"bits_per_dim": f"likelihood audit: {bad.audit.reason}"}
    assert all("bits_per_dim" not in milestone.scores for milestone in bad.milestones)
    assert good.audit is not None
    assert good.audit.verdict == "passed"
    assert "bits_per_dim" in good.scores
    shown = inside("show", "digits-smoke/zoo-flatters/seed-0", "--results", tmp_path / "results")
    assert (bad.audit.reason or "") in " ".join(shown.stdout.split())
    assert (
        json.loads(inside("show", "digits-smoke/marginals/seed-0", "--json", "--results", tmp_path / "results").stdout)[
            "audit"
        ]["verdict"]
        == "passed"
    )

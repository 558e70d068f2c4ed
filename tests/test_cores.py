"""Cores: how many there are to use, and claims of them by processes that know nothing of one another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genbench.executors import usable
from genbench.executors.cores import Cores, claims_folder
from genbench.executors.prepare import default_jobs

AVAILABLE = sorted(os.sched_getaffinity(0))


def test_a_core_is_claimed_once(tmp_path: Path) -> None:
    held = [Cores(1, str(tmp_path)) for _ in AVAILABLE]
    assert sorted(core for cores in held for core in cores.claimed) == AVAILABLE
    assert Cores(1, str(tmp_path)).claimed == []
    held[0].close()
    assert Cores(1, str(tmp_path)).claimed == [AVAILABLE[0]]


def test_fewer_cores_than_wanted_are_none_and_stay_free(tmp_path: Path) -> None:
    assert Cores(len(AVAILABLE) + 1, str(tmp_path)).claimed == []
    assert Cores(len(AVAILABLE), str(tmp_path)).claimed == AVAILABLE


def test_a_claim_ends_with_its_process_even_by_sigkill(tmp_path: Path) -> None:
    code = f"from genbench.executors.cores import Cores; \
c = Cores({len(AVAILABLE)}, {str(tmp_path)!r}); print(c.claimed, flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(AVAILABLE)
        assert Cores(1, str(tmp_path)).claimed == []
        process.kill()
    assert Cores(1, str(tmp_path)).claimed == AVAILABLE[:1]


def test_claims_stand_in_the_cache_apart_for_each_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path))
    claim = Cores(1, claims_folder())
    assert len(list(tmp_path.glob("cores/*/*.lock"))) == 1
    claim.close()


def test_without_a_cache_claims_stand_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert claims_folder() == str(tmp_path / "temporary" / f"genbench-cores-{os.getuid()}")
    assert os.path.isdir(claims_folder())


def test_where_nothing_can_be_claimed_nothing_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Cores(1, str(tmp_path / "file")).claimed == []


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups in which this process is in ``/jobs/mine``, on a machine of 16 cores without Slurm."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(usable, "CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(usable, "OWN_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("1:cpu:/\n0::/jobs/mine\n")
    (tmp_path / "cgroup/jobs/mine").mkdir(parents=True)
    return tmp_path / "cgroup"


def test_without_quotas_the_usable_cores_are_those_of_the_affinity(groups: Path) -> None:
    (groups / "jobs/mine/cpu.max").write_text("max 100000\n")
    assert usable.usable_cores() == 16


@pytest.mark.parametrize(("place", "quota", "cores"), [("jobs/mine", 250_000, 2), ("jobs", 400_000, 4), ("", 10, 1)])
def test_a_control_group_s_quota_bounds_the_usable_cores(groups: Path, place: str, quota: int, cores: int) -> None:
    (groups / place / "cpu.max").write_text(f"{quota} 100000\n")
    assert usable.usable_cores() == cores


def test_the_cores_of_a_slurm_task_bound_the_usable_cores(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert usable.usable_cores() == 3
    assert (default_jobs(1), default_jobs(2), default_jobs(4)) == (3, 1, 1)

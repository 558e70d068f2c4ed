"""What `genbench run --dry-run` expects a call to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import factories
import pytest

from genbench.calls import Call, make_call
from genbench.cli.dry_run import print_matrix
from genbench.forecast import Expected, forecast, jobs_of, packed
from genbench.store import Store

BOUND = factories.DEFINITION["budget"]["seconds"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def call_of(store: Store, jobs: int | None = 2, **changes: object) -> Call:
    """Five seeds of the synthetic model, looked at only; its code, of which there is none, is taken for sound."""
    call = make_call(factories.registry(), factories.benchmark(**changes), store, ["toy"], dry=True, jobs=jobs)
    return replace(call, runs=tuple(replace(run, entry=replace(run.entry, problem=None)) for run in call.runs))


def commit(store: Store, seed: int, train: float, rest: float, **changes: object) -> None:
    record = factories.record(seed=seed, **changes)
    cost = {**record.cost, "train_seconds": train, "stage_seconds": {"train": train, "evaluate": rest}}
    factories.commit(store, replace(record, cost=cost))


def test_without_finished_runs_each_run_is_bounded_by_the_budget(store: Store) -> None:
    found = forecast(call_of(store))
    assert set(found.runs.values()) == {Expected(BOUND, BOUND, 0)}
    assert (found.known_runs, found.bound_runs, found.bound_seconds) == (0, 5, 5 * BOUND)
    assert found.wall_seconds == 3 * BOUND  # two side by side


def test_finished_runs_of_the_model_tell_what_the_others_take_by_their_median(store: Store) -> None:
    for seed, train in enumerate((1.0, 2.0, 30.0)):
        commit(store, seed, train, 4.0)
    found = forecast(call_of(store))
    assert set(found.runs.values()) == {Expected(2.0, 6.0, 3)}
    assert (found.known_runs, found.known_seconds, found.bound_runs) == (5, 30.0, 0)


def test_runs_of_another_digest_or_that_failed_tell_nothing(store: Store) -> None:
    commit(store, 0, 1.0, 1.0, of=factories.benchmark(budget__images=1001))
    commit(store, 1, 1.0, 1.0, status="failed", reason="it did", scores={}, artifacts={}, milestones=[])
    assert forecast(call_of(store)).known_runs == 0


def test_what_the_data_do_not_suit_takes_no_time(store: Store) -> None:
    call = call_of(store)
    unfit = [replace(run, entry=replace(run.entry, unsupported="too small")) for run in call.runs]
    found = forecast(replace(call, runs=tuple(unfit)))
    assert (found.known_runs, found.bound_runs, found.wall_seconds) == (0, 0, 0.0)


@pytest.mark.parametrize(("device", "executor"), [("cuda", "local"), ("cpu", "ray")])
def test_how_many_devices_or_nodes_there_are_is_not_asked(store: Store, device: str, executor: str) -> None:
    call = replace(call_of(store, None, budget__device=device), executor=executor)
    assert jobs_of(call) is None
    assert forecast(call).wall_seconds is None


def test_what_is_known_and_what_is_bounded_are_told_apart(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    print_matrix(call_of(store), as_json=False)
    out = capsys.readouterr().out
    assert "tiny/toy/seed-0  new; at most 60 s of training" in out
    assert (
        "5 of 5 runs to do: at most 5 minutes of training for 5 runs, one after another; at most 3 minutes with 2"
        in out
    )
    assert "Each run has 1 thread, 1,024 MiB of memory; executor local, 2 side by side" in out
    commit(store, 0, 2.0, 4.0)
    print_matrix(call_of(store), as_json=False)
    assert "about 6 s, 2 s of it training, by a finished run" in capsys.readouterr().out


def test_jobs_are_told_as_a_bound_where_nodes_may_have_room_for_fewer(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    print_matrix(replace(call_of(store, 100), executor="ray"), as_json=False)
    assert "executor ray, at most 100 side by side" in capsys.readouterr().out


def test_runs_are_packed_in_their_order() -> None:
    assert packed([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert packed([1.0, 1.0, 1.0], 8) == 1.0
    assert packed([], 4) == 0.0

"""Claims of runs: one harness at a time, attempts that follow one another, and what dead ones have left."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest
import store_race
from faulty_disk import Death, Dying

from genbench.claims import run_name
from genbench.disk import Disk
from genbench.errors import StoreError
from genbench.record import Attempt, Record, Status
from genbench.store import Claim, FencedOff, RunKey, Store, model_folder

KEY = RunKey("tiny", "toy", 0)
ME = "identity"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def work(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / ".work").iterdir())


def attempt(claim: Claim, status: Status = "ok") -> Attempt:
    return Attempt(status, None if status == "ok" else "why", claim.started, claim.started, claim.token)


def commit(store: Store, claim: Claim, status: Status = "ok", files: tuple[str, ...] = (), **how: Any) -> Record:
    record = replace(
        factories.record(status=status),
        artifacts=claim.artifacts(files),
        attempts=[*claim.attempts, attempt(claim, status)],
    )
    store.commit(claim, record, files, **how)
    return record


def interrupted(store: Store, identity: str = ME, key: RunKey = KEY) -> str:
    """An attempt whose harness dies in it; returns its token."""
    token = ""
    with suppress(Death), store.claim(key, identity) as claim:
        token = claim.token
        (claim.folder / "state").write_text("half way")
        raise Death
    return token


def test_one_run_is_held_by_one_harness_at_a_time(store: Store) -> None:
    other = Store(store.root)
    with store.claim(KEY, ME) as mine:
        assert mine is not None
        with other.claim(KEY, ME) as theirs:
            assert theirs is None
        with other.claim(RunKey("tiny", "toy", 1), ME) as unrelated:
            assert unrelated is not None
    with other.claim(KEY, ME) as afterwards:
        assert afterwards is not None
    assert work(store) == []


def test_a_claim_is_lost_to_nobody_when_its_lock_file_is_removed_under_a_waiting_harness(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Disk):
        """Opens the lock file just before its holder removes it and a third harness makes it anew."""

    late = Late()
    open_lock, opened = late.calls.open_lock, []

    def open_late(path: Path) -> int:
        descriptor = open_lock(path)
        if not opened:
            opened.append(descriptor)
            path.unlink()
            third.append(Store(store.root).claim(KEY, ME))
            assert third[0].__enter__() is not None
        return descriptor

    third: list[Any] = []
    monkeypatch.setattr(late.calls, "open_lock", open_late)
    with Store(store.root, late).claim(KEY, ME) as claim:
        assert claim is None
    third[0].__exit__(None, None, None)
    assert work(store) == []


def test_a_claim_without_a_commit_leaves_nothing(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "file").write_text("")
    assert work(store) == []


def test_a_new_attempt_adopts_what_an_interrupted_one_has_left_and_knows_of_it(store: Store) -> None:
    token = interrupted(store)
    with store.claim(KEY, ME) as claim:
        assert claim.resumed
        assert claim.token != token
        assert (claim.folder / "state").read_text() == "half way"
        assert [(each.status, each.token) for each in claim.attempts] == [("lost", token)]
        assert claim.attempts[0].reason == "the harness ended before the run did"
        commit(store, claim)
    assert work(store) == []
    record = store.read(KEY)
    assert [each.status for each in record.attempts] == ["lost", "ok"]


def test_every_death_is_an_attempt(store: Store) -> None:
    tokens = [interrupted(store) for _ in range(3)]
    with store.claim(KEY, ME) as claim:
        assert [each.token for each in claim.attempts] == tokens


def test_a_process_of_the_old_attempt_writes_to_nowhere(store: Store) -> None:
    with suppress(Death), store.claim(KEY, ME) as old:
        raise Death
    with store.claim(KEY, ME) as claim:
        with pytest.raises(FileNotFoundError):
            (old.folder / "outcome-train.json").write_text("late")
        assert [path.name for path in claim.folder.iterdir()] == ["run.json"]


def test_what_an_attempt_of_another_identity_left_is_removed(store: Store) -> None:
    interrupted(store, "of other code")
    with store.claim(KEY, ME) as claim:
        assert not claim.resumed
        assert claim.attempts == []
        assert [path.name for path in claim.folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    "ledger",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"identity": "identity"}',
        '{"identity": "identity", "run": [], "token": 1, "started": "", "attempts": []}',
        "\ud800",
    ],
)
def test_a_folder_whose_ledger_cannot_be_read_is_removed(store: Store, ledger: str) -> None:
    interrupted(store)
    (path,) = (store.root / ".work").iterdir()
    (path / "run.json").write_bytes(ledger.encode("utf-8", "surrogatepass"))
    with store.claim(KEY, ME) as claim:
        assert not claim.resumed
        assert len(work(store)) == 2  # the lock and the new folder


def test_a_link_in_the_place_of_an_attempt_is_removed_and_not_followed(store: Store, tmp_path: Path) -> None:
    interrupted(store)
    (path,) = (store.root / ".work").iterdir()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with store.claim(KEY, ME) as claim:
        assert not claim.resumed
    assert (tmp_path / "elsewhere" / "state").read_text() == "half way"
    assert work(store) == []


def test_attempts_of_one_call_follow_one_another_in_one_folder(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        first = claim.token
        (claim.folder / "state").write_text("half way")
        before = claim.folder
        claim.next(attempt(claim, "lost"))
        assert claim.token != first
        assert not before.exists()
        assert (claim.folder / "state").read_text() == "half way"
        assert json.loads((claim.folder / "run.json").read_text())["token"] == claim.token
        assert [each.token for each in claim.attempts] == [first]
        raise_if_left = work(store)
    assert len(raise_if_left) == 2
    assert work(store) == []


def test_a_reason_that_no_record_could_hold_is_noted_without_what_is_wrong_with_it(store: Store) -> None:
    with suppress(Death), store.claim(KEY, ME) as claim:
        claim.next(replace(attempt(claim, "lost"), reason="\ud800" + "x" * 10_000))
        raise Death
    with store.claim(KEY, ME) as again:
        assert again.resumed
        assert len(again.attempts[0].reason) < 600


def test_an_attempt_whose_folder_a_plugin_has_removed_is_followed_by_a_new_one(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        first = claim.token
        shutil.rmtree(claim.folder)
        claim.next(attempt(claim, "lost"))
        assert claim.folder.is_dir()
        assert [each.token for each in claim.attempts] == [first]
        shutil.rmtree(claim.folder)
        commit(store, claim)
    assert [each.status for each in store.read(KEY).attempts] == ["lost", "ok"]
    assert work(store) == []


@pytest.mark.parametrize("released", [False, True], ids=["while the newer one works", "when the newer one is done"])
def test_the_late_result_of_an_attempt_that_was_taken_over_is_refused(store: Store, released: bool) -> None:
    """As where a file server has forgotten a lock: two harnesses hold the run, the newer one counts."""
    with store.claim(KEY, ME) as old:
        lock = next((store.root / ".work").glob("*.lock"))
        lock.unlink()
        newer = Store(store.root).claim(KEY, ME)
        claim = newer.__enter__()
        assert claim.resumed
        if released:
            commit(store, claim, replace=True)
            newer.__exit__(None, None, None)
        with pytest.raises(FencedOff, match="a newer attempt") as caught:
            commit(store, old, replace=True)
        assert caught.value.exit_code == 4
        with pytest.raises(FencedOff):
            old.next(attempt(old, "lost"))
        if not released:
            commit(store, claim)
            newer.__exit__(None, None, None)
    assert store.read(KEY).attempts[-1].token == claim.token
    assert work(store) == []


def test_a_parked_folder_is_gone_on_with_and_its_attempts_are_those_of_the_record(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "state").write_text("half way")
        (claim.folder / "log.txt").write_text("log")
        record = commit(store, claim, "cancelled", ("log.txt",), park=True)
    assert len(work(store)) == 1
    with store.claim(KEY, ME) as claim:
        assert claim.resumed
        assert claim.attempts == []
        assert (claim.folder / "state").read_text() == "half way"
        (claim.folder / "log.txt").write_text("log that has grown")
    assert store.read(KEY) == record
    assert (store.root / KEY.path / "log.txt").read_text() == "log"


def test_a_parked_folder_that_nothing_was_done_with_stays_parked(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        commit(store, claim, "cancelled", park=True)
    for _ in range(2):
        with store.claim(KEY, ME) as claim:
            assert claim.resumed
            assert claim.attempts == []


def test_what_is_committed_is_only_what_was_asked_for(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        for name in ("log.txt", "state", "rubbish"):
            (claim.folder / name).write_text(name)
        commit(store, claim, files=("log.txt",))
    assert sorted(path.name for path in (store.root / KEY.path).iterdir()) == ["log.txt", "record.json"]


def test_links_folders_and_pipes_are_no_artifacts(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "link").symlink_to("/etc/hostname")
        (claim.folder / "folder").mkdir()
        os.mkfifo(claim.folder / "pipe")
        (claim.folder / "file").write_text("")
        assert list(claim.artifacts(["link", "folder", "pipe", "file", "missing"])) == ["file"]


def test_a_file_that_has_become_a_link_is_not_committed(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "log.txt").write_bytes(Path("/etc/hostname").read_bytes())
        record = replace(factories.record(), artifacts=claim.artifacts(["log.txt"]))
        (claim.folder / "log.txt").unlink()
        (claim.folder / "log.txt").symlink_to("/etc/hostname")
        with pytest.raises(StoreError, match="has changed"):
            store.commit(claim, record, ["log.txt"])
    assert store.read(KEY) is None


def test_a_file_that_changes_between_hash_and_commit_is_not_committed(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "log.txt").write_text("log")
        record = replace(factories.record(), artifacts=claim.artifacts(["log.txt"]))
        (claim.folder / "log.txt").write_text("more")
        with pytest.raises(StoreError, match="still writing"):
            store.commit(claim, record, ["log.txt"])
        assert len(work(store)) == 2  # of the commit nothing is left
    assert store.read(KEY) is None


@pytest.mark.parametrize("name", ["../escaped", "record.json", "a/b", ".hidden", "", "a\nb"])
def test_a_file_that_would_not_stand_beside_the_record_is_not_committed(store: Store, name: str) -> None:
    with store.claim(KEY, ME) as claim, pytest.raises(StoreError, match="no name for a file"):
        store.commit(claim, replace(factories.record(), artifacts={name: "sha256:0"}), [name])


def test_files_that_the_record_does_not_name_are_not_committed(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        (claim.folder / "log.txt").write_text("log")
        with pytest.raises(StoreError, match=r"log\.txt"):
            store.commit(claim, factories.record(), ["log.txt"])


def test_a_folder_without_a_record_makes_room_and_is_kept(store: Store) -> None:
    (store.root / KEY.path).mkdir(parents=True)
    (store.root / KEY.path / "notes.txt").write_text("a person's")
    with store.claim(KEY, ME) as claim:
        commit(store, claim)
    (kept,) = (store.root / ".quarantine" / "tiny" / "toy").iterdir()
    assert (kept / "notes.txt").read_text() == "a person's"
    assert store.read(KEY) is not None


def dying_commit(store: Store, final: Path, identity: str, status: Status = "ok") -> Record | None:
    """A commit whose process dies when all is done but the rename into its place; returns its record."""
    calls = Dying(when=lambda name, arguments: name == "rename" and arguments[1] == final)
    record = None
    with suppress(Death), Store(store.root, Disk(calls)).claim(KEY, identity) as claim:
        (claim.folder / "log.txt").write_text("log")
        record = replace(
            factories.record(status=status),
            artifacts=claim.artifacts(["log.txt"]),
            attempts=[attempt(claim, status)],
        )
        Store(store.root, Disk(calls)).commit(claim, record, ["log.txt"], replace=True)
    return record


@pytest.mark.parametrize("status", ["ok", "diverged", "cancelled"])
def test_a_commit_that_was_cut_short_is_finished_by_the_next_claim(store: Store, status: Status) -> None:
    record = dying_commit(store, store.root.resolve() / KEY.path, ME, status)
    assert store.read(KEY) is None
    with store.claim(KEY, ME) as claim:
        assert claim.finished == record
        assert claim.resumed == (status == "cancelled")
        assert claim.attempts == []
        assert store.read(KEY) == record


@pytest.mark.parametrize(
    ("harm", "identity"),
    [
        (lambda folder: None, "of other code"),
        (lambda folder: (folder / "log.txt").write_text("bits have flipped"), ME),
        (lambda folder: (folder / "log.txt").unlink(), ME),
        (lambda folder: (folder / "more.txt").write_text(""), ME),
        (lambda folder: (folder / "record.json").unlink(), ME),
        (lambda folder: (folder / "record.json").write_text("{"), ME),
        (lambda folder: shutil.rmtree(folder), ME),
    ],
    ids=["another identity", "a wrong hash", "a file too few", "a file too many", "no record", "half a record", "gone"],
)
def test_half_a_commit_is_not_finished(store: Store, harm: Any, identity: str) -> None:
    dying_commit(store, store.root.resolve() / KEY.path, identity)
    harm(next((store.root / ".work").glob("*.publish")))
    with store.claim(KEY, ME) as claim:
        assert claim.finished is None
    assert store.read(KEY) is None
    assert [name for name in work(store) if name.endswith(("publish", "trash"))] == []


def test_a_sweep_removes_what_is_over_and_leaves_what_is_held_or_can_be_gone_on_with(store: Store) -> None:
    held, unfinished, done = (RunKey("tiny", "toy", seed) for seed in (1, 2, 3))
    interrupted(store, key=unfinished)
    with store.claim(done, ME) as claim:
        left = claim.folder
        shutil.copytree(left, store.root / "copy")
        store.commit(claim, replace(factories.record(seed=3), attempts=[attempt(claim)]))
    # As where the process died after its commit: its folder, its lock, and what it was removing.
    (store.root / "copy").rename(left)
    (store.root / ".work" / "tiny--toy--seed-3.lock").touch()
    (store.root / ".work" / f"tiny--toy--seed-3.{'0' * 16}.trash").mkdir()
    (store.root / ".work" / "probe-0").touch()
    os.utime(store.root / ".work" / "probe-0", (0, 0))
    with store.claim(held, ME) as claim:
        store.sweep()
        assert claim.folder.is_dir()
        assert sorted(name.partition(".")[0] for name in work(store)) == [
            "tiny--toy--seed-1", "tiny--toy--seed-1", "tiny--toy--seed-2",
        ]  # fmt: skip
    with store.claim(unfinished, ME) as claim:
        assert claim.resumed


def renumber(folder: Path, started: str, **changes: Any) -> None:
    """Change the ledger of an attempt."""
    ledger = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**ledger, "started": started, **changes}))


def test_of_two_leftovers_the_one_of_the_later_attempt_is_adopted_whatever_the_clocks_said(store: Store) -> None:
    for _ in range(3):
        interrupted(store)
    (newer,) = (store.root / ".work").iterdir()
    shutil.copytree(newer, store.root / "newer")
    shutil.rmtree(newer)
    interrupted(store)
    (older,) = (store.root / ".work").iterdir()
    renumber(older, "2199-01-01T00:00:00+00:00")
    renumber(store.root / "newer", "1999-01-01T00:00:00+00:00")
    (store.root / "newer" / "state").write_text("further")
    (store.root / "newer").rename(newer)
    with store.claim(KEY, ME) as claim:
        assert (claim.folder / "state").read_text() == "further"
        assert len(claim.attempts) == 3


def test_attempts_are_numbered_within_a_call_and_from_call_to_call(store: Store) -> None:
    found = []

    def note(claim: Claim) -> None:
        found.append(json.loads((claim.folder / "run.json").read_text())["number"])

    for _ in range(2):
        with suppress(Death), store.claim(KEY, ME) as claim:
            note(claim)
            claim.next(attempt(claim, "lost"))
            note(claim)
            raise Death
    assert found == [1, 2, 3, 4]


def test_a_ledger_from_before_attempts_were_numbered_is_gone_on_with(store: Store) -> None:
    interrupted(store)
    (folder,) = (store.root / ".work").iterdir()
    ledger = json.loads((folder / "run.json").read_text())
    del ledger["number"]
    (folder / "run.json").write_text(json.dumps(ledger))
    with store.claim(KEY, ME) as claim:
        assert claim.resumed


def test_an_attempt_whose_results_folder_has_lost_its_work_is_over_and_the_next_claim_begins_anew(store: Store) -> None:
    with store.claim(KEY, ME) as claim:
        shutil.rmtree(store.root / ".work")
        with pytest.raises(FencedOff):
            claim.next(attempt(claim, "lost"))
        with pytest.raises(FencedOff):
            commit(store, claim)
    with store.claim(KEY, ME) as claim:
        assert not claim.resumed
        commit(store, claim)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "half built"])
def test_a_sweep_removes_half_built_commits_and_leaves_whole_ones_to_the_next_claim(store: Store, whole: bool) -> None:
    record = dying_commit(store, store.root.resolve() / KEY.path, ME)
    (publish,) = (store.root / ".work").glob("*.publish")
    if not whole:
        (publish / "record.json").unlink()
    store.sweep()
    assert publish.exists() == whole
    with store.claim(KEY, ME) as claim:
        assert claim.finished == (record if whole else None)


@pytest.mark.parametrize("place", [["..", "..", "etc"], ["tiny", "toy"], [], ["tiny", "toy", "seed-0\n"]])
def test_a_sweep_reads_nothing_outside_the_results(store: Store, place: list[str]) -> None:
    interrupted(store)
    (folder,) = (store.root / ".work").iterdir()
    ledger = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**ledger, "run": place}))
    store.sweep()
    assert work(store) == []


def test_names_of_files_stay_short_and_apart() -> None:
    long = run_name(("b" * 128, "m" * 128, "seed-0"))
    assert len(long) <= 150
    assert long != run_name(("b" * 128, "m" * 128, "seed-1"))
    assert run_name(("a--b", "c", "seed-0")) != run_name(("a", "b--c", "seed-0"))
    assert run_name(("a-", "b", "seed-0")) != run_name(("a", "-b", "seed-0"))


def test_a_run_with_the_longest_names_is_claimed_and_committed(store: Store) -> None:
    name = "toy[" + ",".join(f"option{number}=value" for number in range(40)) + "]"
    key = RunKey("b" * 64, name, 2**31 - 1)
    assert len(model_folder(name)) == 128
    with store.claim(key, ME) as claim:
        store.commit(claim, factories.record(name, seed=2**31 - 1))
    assert store.read(key) is not None
    assert work(store) == []


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_are_killed_at_random_commit_every_run_once(processes: int) -> None:
    """``tests/store_race.py`` does many more rounds."""
    killed = sum(store_race.race(processes, runs=6, kills=12, seed=seed) for seed in range(2))
    assert killed >= 24

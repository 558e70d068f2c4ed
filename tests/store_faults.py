"""Every fault of the disk at every step of a run's commit: `python tests/store_faults.py` prints how many points.

A scenario is what stands in the results folder and what a run does there. At each step of it the system refuses (once,
or from then on), the process dies (in earnest or by an exception that nothing catches), or the power goes, with what
was not flushed lost in every single way. Afterwards the folder is opened with a disk that works, and:

- no part of a record is visible, every artifact has its hash;
- a commit that has returned is in place, for good; an older record is in place or in its heap;
- what an attempt had done before an error or its death is there for the next, with all attempts known;
- the next claim and commit succeed, and leave nothing in ``.work``.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import factories
from faulty_disk import Counting, Death, Dying, Failing, Forgetting, Unlinking, build, print_of

from genbench.disk import Disk
from genbench.errors import StoreError
from genbench.ledger import read_ledger
from genbench.record import Attempt, Record, Status
from genbench.replay import file_differences
from genbench.store import Claim, RunKey, Store, read_record

KEY = RunKey("tiny", "toy", 0)
FILES = {"samples.png": b"picture" * 20, "log.txt": b"log" * 30}
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)


@dataclass
class Seen:
    """What a run has been told before the fault: only that may be relied on."""

    written: bool = False
    tokens: list[str] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    acknowledged_at: int = 0


Act = Callable[[Store, Counting, Seen], None]


@dataclass(frozen=True)
class Scenario:
    """A situation: what stands in the results folder, and what a run does.

    Attributes:
        before: the values by which the records are known that stand there and must not be lost.
        unreadable: whether what stands in place is no record, but must not be lost either.
    """

    name: str
    prepare: Callable[[Path], None]
    act: Act
    before: tuple[float, ...] = ()
    unreadable: bool = False
    calls: type[Counting] = Counting


@functools.cache
def plain_record(status: Status) -> Record:
    """A short one: it is written and read thousands of times."""
    plain = factories.record(status=status)
    scores = {"fid": plain.scores["fid"]} if status == "ok" else {}
    return replace(plain, scores=scores, milestones=[], environment={}, budget={}, cost={}, audit=None)


def record_of(claim: Claim, value: float, status: Status = "ok", files: dict[str, str] | None = None) -> Record:
    """A record known by its value: the score of one that is ok, its images else."""
    attempt = Attempt(status, None if status == "ok" else "a reason", claim.started, claim.started, claim.token)
    record = replace(plain_record(status), artifacts=files or {}, attempts=[*claim.attempts, attempt])
    return replace(record, spent={**record.spent, "images": value})


def value_of(record: Record) -> float:
    return float(record.spent["images"])


def commit(
    store: Store,
    calls: Counting,
    seen: Seen,
    value: float,
    status: Status = "ok",
    retries: int = 0,
    deleted: bool = False,
    identity: str = "identity",
) -> None:
    """A run: claim, write, commit."""
    with store.claim(KEY, identity) as claim:
        assert claim is not None
        for _ in range(retries):
            seen.tokens.append(claim.token)
            claim.next(Attempt("lost", "a reason", claim.started, claim.started, claim.token))
        seen.tokens.append(claim.token)
        for name, content in FILES.items():
            calls.outside(claim.folder / name, content)
        seen.written = True
        if deleted:
            calls.removed_outside(claim.folder)
            seen.written = False
            seen.tokens.clear()
        artifacts = claim.artifacts(FILES)
        record = record_of(claim, value, status, artifacts)
        store.commit(claim, record, list(artifacts), park=status == "cancelled", replace=True)
        seen.acknowledged.append(value)
        seen.acknowledged_at = calls.done


def with_record(root: Path, status: Status = "ok") -> None:
    calls = Counting()
    commit(Store(root, Disk(calls)), calls, Seen(), 1.0, status)


def with_unreadable(root: Path) -> None:
    with_record(root)
    (root / KEY.path / "record.json").write_bytes(b"{")


def with_interrupted(root: Path, identity: str = "identity") -> None:
    with_record(root)
    calls = Counting()
    with suppress(Death), Store(root, Disk(calls)).claim(KEY, identity) as claim:
        assert claim is not None
        claim.next(Attempt("lost", "a reason", claim.started, claim.started, claim.token))
        calls.outside(claim.folder / "log.txt", b"half")
        raise Death


def half_done(root: Path, at: str) -> None:
    """A commit that died when it was about to rename what stood in the place, or the new record into it."""
    with_record(root)

    def when(name: str, arguments: tuple[object, ...]) -> bool:
        final = root.resolve() / KEY.path
        return name == "rename" and arguments[0 if at == "old" else 1] == final

    calls = Dying(when=when)
    try:
        commit(Store(root, Disk(calls)), calls, Seen(), 2.0)
    except Death:
        return
    raise AssertionError("did not die")


def finish(store: Store, calls: Counting, seen: Seen) -> None:
    with store.claim(KEY, "identity") as claim:
        assert claim is not None
        assert claim.finished is not None
        assert value_of(claim.finished) == 2.0
        seen.acknowledged.append(2.0)
        seen.acknowledged_at = calls.done


def run_with(value: float, **how: object) -> Act:
    return lambda store, calls, seen: commit(store, calls, seen, value, **how)  # type: ignore[arg-type]


SCENARIOS = [
    Scenario("a first commit", lambda root: None, run_with(2.0)),
    Scenario("an old record", with_record, run_with(2.0), (1.0,)),
    Scenario("an unreadable record", with_unreadable, run_with(2.0), unreadable=True),
    Scenario("a cancelled run", lambda root: with_record(root, "cancelled"), run_with(2.0, status="cancelled"), (1.0,)),
    Scenario("a parked run goes on", lambda root: with_record(root, "cancelled"), run_with(2.0), (1.0,)),
    Scenario("an interrupted attempt", with_interrupted, run_with(2.0), (1.0,)),
    Scenario("an interrupted attempt of another run", lambda root: with_interrupted(root, "x"), run_with(2.0), (1.0,)),
    Scenario("attempts within a call", with_record, run_with(2.0, retries=2), (1.0,)),
    Scenario("a folder that is deleted", with_record, run_with(2.0, deleted=True), (1.0,)),
    Scenario("a disk without second names", with_record, run_with(2.0), (1.0,), calls=Unlinking),
    Scenario("a commit cut short before the old record", lambda root: half_done(root, "old"), finish, (1.0,)),
    Scenario("a commit cut short before the new record", lambda root: half_done(root, "new"), finish, (1.0,)),
    Scenario("a commit cut short, then run", lambda root: half_done(root, "new"), run_with(3.0), (1.0,)),
]


def whole(folder: Path) -> Record:
    """The record in a folder, which has all its artifacts and nothing else."""
    record = read_record(folder / "record.json")
    assert file_differences(folder, record) == []
    assert {path.name for path in folder.iterdir()} == {"record.json", *record.artifacts}
    return record


def kept(root: Path) -> list[Record]:
    """All records in the heap of the superseded ones and in place, the one in place last."""
    heap = (root / ".superseded" / KEY.path).parent
    folders = sorted(heap.iterdir()) if heap.exists() else []
    if (root / KEY.path / "record.json").exists() and (root / KEY.path / "record.json").read_bytes() != b"{":
        folders.append(root / KEY.path)
    return [whole(folder) for folder in folders]


def check(root: Path, scenario: Scenario, seen: Seen, power: bool = False) -> None:
    """Open the folder with a disk that works: all that was promised is there, and the run can be done again."""
    store = Store(root, Disk(Counting()))
    loaded = store.load()
    records = kept(root)
    values = [value_of(record) for record in records]
    assert set(scenario.before) <= set(values)
    assert len(loaded.records) + len(loaded.unreadable) <= 1
    if scenario.unreadable:
        heap = (root / ".quarantine" / KEY.path).parent
        quarantined = [path.read_bytes() for path in heap.glob("*/record.json")]
        assert quarantined + [b"{"] * len(loaded.unreadable) == [b"{"]
    else:
        assert loaded.unreadable == []
    if seen.acknowledged:
        assert [value_of(record) for record in loaded.records] == seen.acknowledged[-1:]

    with store.claim(KEY, "identity") as claim:
        assert claim is not None
        records = kept(root)
        values = [value_of(record) for record in records]
        assert claim.finished is None or claim.finished == records[-1]
        if not power:
            attempts = [attempt for record in records for attempt in record.attempts] + claim.attempts
            assert set(seen.tokens) <= {attempt.token for attempt in attempts}
            if seen.written and not {2.0, 3.0} & set(values):
                assert claim.resumed
                assert all((claim.folder / name).read_bytes() == content for name, content in FILES.items())
        (claim.folder / "log.txt").write_bytes(b"again")
        artifacts = claim.artifacts(["log.txt"])
        store.commit(claim, record_of(claim, 9.0, files=artifacts), list(artifacts), replace=True)
    assert [value_of(record) for record in store.load().records] == [9.0]
    assert [value_of(record) for record in kept(root)][-1] == 9.0
    assert sorted(value_of(record) for record in kept(root)) == sorted([*values, 9.0])
    assert list((root / ".work").iterdir()) == []


def tokens_in(root: Path) -> list[str]:
    """The attempts that the folder knows of before the run."""
    if not (root / ".work").exists():
        return []
    ledgers = [read_ledger(folder) for folder in sorted((root / ".work").iterdir()) if folder.is_dir()]
    mine = [ledger for ledger in ledgers if ledger is not None and ledger.identity == "identity"]
    return [token for ledger in mine for token in [*(each.token for each in ledger.attempts), ledger.token] if token]


class Points:
    """All points of one scenario.

    Args:
        folder: an empty one to work in.
        every: only each so many-th step; 1 is all of them.
    """

    def __init__(self, scenario: Scenario, folder: Path, every: int = 1, first: int = 0) -> None:
        self.scenario, self.folder = scenario, folder
        self.counts: Counter[str] = Counter()
        self.folders = 0
        self.start = folder / "start"
        scenario.prepare(self.start)
        self.tokens = tokens_in(self.start)
        calls, seen = scenario.calls(), Seen()
        scenario.act(Store(self._copy(), Disk(calls)), calls, seen)
        assert seen.acknowledged
        self.total = calls.done
        self.steps = range(first % every, self.total, every)

    def run(self) -> None:
        for step in self.steps:
            for number in ERRORS:
                self.fail(step, number, persistent=False)
            self.fail(step, errno.ENOSPC, persistent=True)
            self.kill(step)
        self.lose()

    def _copy(self) -> Path:
        root = Path(tempfile.mkdtemp(dir=self.folder)) / "results"
        if self.start.exists():
            shutil.copytree(self.start, root)
        return root

    def _with(self, kind: type[Counting], *arguments: object, **options: object) -> Counting:
        """The calls of the scenario, with a fault."""
        if self.scenario.calls is Counting:
            return kind(*arguments, **options)
        both = type("Both", (kind, self.scenario.calls), {})
        return both(*arguments, **options)  # type: ignore[no-any-return]

    def _done(self, root: Path) -> None:
        shutil.rmtree(root.parent)

    def fail(self, step: int, number: int, persistent: bool) -> None:
        root, seen = self._copy(), Seen(tokens=list(self.tokens))
        calls = self._with(Failing, step, number, persistent)
        refusal = None
        try:
            self.scenario.act(Store(root, Disk(calls)), calls, seen)
        except StoreError as error:
            refusal = error
        assert refusal is None or (refusal.exit_code == 4 and os.strerror(number) in str(refusal))
        assert refusal is not None or seen.acknowledged
        check(root, self.scenario, seen)
        self.counts[errno.errorcode[number] + (" from then on" if persistent else "")] += 1
        self._done(root)

    def kill(self, step: int) -> None:
        root, seen = self._copy(), Seen(tokens=list(self.tokens))
        calls = self._with(Dying, step)
        with suppress(Death):
            self.scenario.act(Store(root, Disk(calls)), calls, seen)
        check(root, self.scenario, seen)
        self._done(root)
        self.counts["death"] += 1

        root = self._copy()
        child = os.fork()
        if child == 0:
            try:
                calls = self._with(Dying, step, kill=True)
                self.scenario.act(Store(root, Disk(calls)), calls, Seen())
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        # The attempts of this process have other tokens, but those that it found there are known.
        check(root, self.scenario, replace(seen, tokens=self.tokens))
        self._done(root)
        self.counts["SIGKILL"] += 1

    def lose(self) -> None:
        root, seen = self._copy(), Seen()
        calls = self._with(Forgetting, root)
        self.scenario.act(Store(root, Disk(calls)), calls, seen)
        checked = set()
        for steps in [*self.steps, self.total]:
            told = seen if steps >= seen.acknowledged_at else Seen()
            for node in calls.losses(steps):
                self.counts["power loss"] += 1
                if (which := (print_of(node), bool(told.acknowledged))) in checked:
                    continue
                checked.add(which)
                place = Path(tempfile.mkdtemp(dir=self.folder))
                build(node, place)
                check(place / "results", self.scenario, told, power=True)
                shutil.rmtree(place)
        self.folders = len(checked)
        self._done(root)


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder to work in; what is flushed is a matter of the model, so a disk would only be slower."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def main() -> None:
    total: Counter[str] = Counter()
    folders = 0
    for scenario in SCENARIOS:
        with in_memory() as folder:
            points = Points(scenario, folder)
            points.run()
        total += points.counts
        folders += points.folders
        print(f"{scenario.name}: {points.total} steps, {points.counts.total()} points", flush=True)
    for kind, count in total.items():
        print(f"{count:7d}  {kind}")
    print(f"{total.total():7d}  in all, {folders} different folders after a power loss; every invariant held at each")


if __name__ == "__main__":
    main()

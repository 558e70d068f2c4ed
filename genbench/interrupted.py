"""What interrupted attempts have left to go on from, as it can be seen without claiming or changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genbench.benchmark import Benchmark
from genbench.claims import LEFTOVER
from genbench.ledger import Ledger, read_ledger
from genbench.matrix import PlannedRun
from genbench.record import UNFINISHED, Record
from genbench.store import RunKey


def attempts_left(root: Path) -> list[Ledger]:
    """The ledgers of the attempts' folders in a results folder: interrupted attempts, and those under way.

    Which is which only their locks say, and to try a lock might turn a harness away that is about to claim the run.
    """
    work = root / ".work"
    try:
        names = sorted(path.name for path in work.iterdir())
    except OSError:
        return []  # no such folder, or none that can be read: the claims of a run will tell
    found = []
    for name in names:
        match = LEFTOVER.match(name)
        if match is None or match["token"] is None or name.endswith((".trash", ".publish")):
            continue
        try:
            ledger = read_ledger(work / name)
        except OSError:
            continue
        if ledger is not None:
            found.append(ledger)
    return found


def going_on(root: Path, runs: Sequence[PlannedRun], benchmark: Benchmark) -> set[RunKey]:
    """Those of the runs to do for which :meth:`genbench.claims.Claim.take` will adopt what an attempt has left."""
    left: dict[tuple[str, ...], list[Ledger]] = {}
    for ledger in attempts_left(root):
        left.setdefault(tuple(ledger.run), []).append(ledger)
    return {
        run.key
        for run in runs
        if run.state != "done"
        and any(_is_adoptable(ledger, run, benchmark) for ledger in left.get(run.key.path.parts, ()))
    }


def _is_adoptable(ledger: Ledger, run: PlannedRun, benchmark: Benchmark) -> bool:
    return ledger.identity == run.identity(benchmark) and not _is_over(ledger, run.record)


def _is_over(ledger: Ledger, record: Record | None) -> bool:
    """Whether the attempt has ended in the record that stands in the run's place."""
    if record is None or record.status in UNFINISHED:
        return False
    return ledger.token in {attempt.token for attempt in record.attempts}

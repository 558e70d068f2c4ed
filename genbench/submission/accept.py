"""Taking verified runs into a results folder, with the numbers that came out and what was verified of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genbench import __version__
from genbench.benchmark import Benchmark
from genbench.claims import now
from genbench.commits import FILE
from genbench.disk import Disk
from genbench.errors import RecordError, StoreError, clean
from genbench.reading import read_file
from genbench.record import Record
from genbench.store import RECORD, RunKey, Store, as_store_error
from genbench.strict_json import MAX_RECORD_BYTES
from genbench.submission.bundle import MAX_BYTES
from genbench.submission.machine import machine_class
from genbench.submission.verdict import Verdict
from genbench.verification import Finding, Verification, load_verification, sha256, write_verification

MOST_FINDINGS = 100
"""Of those that are kept beside a record."""
LEAST_LEVEL = 1
"""Below it nothing is recomputed, and so nothing could be shown."""


@dataclass(frozen=True)
class Accepted:
    """What became of a run, for people; ``stands`` says whether the results now hold it."""

    text: str
    stands: bool


def accept(benchmark: Benchmark, verdicts: Sequence[Verdict], level: int, results: Path) -> list[Accepted]:
    """Write verified runs of one benchmark into a results folder.

    A model goes in with all its runs, or not at all. A record that stands there is never replaced: where it is the
    very record that would be written, its verification is written anew, and where it is the same run verified further,
    nothing is left to be done.

    Args:
        level: that was asked for.

    Returns:
        What went in, and what did not and why.

    Raises:
        StoreError: if the results folder refuses.
    """
    store = Store(results)
    told: list[Accepted] = []
    models: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.record is not None:
            models.setdefault(verdict.record.model.name, []).append(verdict)
    for model, runs in models.items():
        poor = [verdict.run for verdict in runs if verdict.level is None or verdict.level < max(level, LEAST_LEVEL)]
        if benchmark.dev or benchmark.custom_budget:
            why = "made with --dev or --budget, which no leaderboard takes"
            told.append(Accepted(f"{model}: not accepted: {why}", False))
        elif poor:
            why = f"{len(poor)} of {len(runs)} runs are not verified, {poor[0]} first"
            told.append(Accepted(f"{model}: not accepted: {why}", False))
        else:
            told += _accept_model(store, benchmark, runs)
    return told


@dataclass(frozen=True)
class _Entry:
    """A run on its way into the results.

    Attributes:
        own: whether it stands where it would go.
        record: what would be written.
        standing: the record that stands there, if any.
        higher: the level that stands there of this very run, where it is a higher one.
        refused: why it can't go in, or None.
    """

    verdict: Verdict
    key: RunKey
    own: bool
    record: Record
    standing: Record | None = None
    higher: int | None = None
    refused: str | None = None


def _accept_model(store: Store, benchmark: Benchmark, runs: Sequence[Verdict]) -> list[Accepted]:
    """Write the runs of a model, after it is known that all can be."""
    entries = [_entry(store, benchmark, verdict) for verdict in runs]
    keys = [entry.key for entry in entries]
    twice = "is in what was verified twice; accept one bundle of a model at a time"
    entries = [entry if keys.count(entry.key) == 1 else replace(entry, refused=twice) for entry in entries]
    refused = [entry for entry in entries if entry.refused is not None]
    if not refused and (others := _others(store, entries)):
        why = f"of this model {', '.join(others)} stand there, which are not in what was verified; submit all seeds"
        refused = [replace(entry, refused=why) for entry in entries[:1]]
    if refused:
        told = [Accepted(f"{entry.verdict.run}: not accepted: {entry.refused}", False) for entry in refused]
        rest = len(entries) - len(refused)
        return [*told, *[Accepted(f"{rest} more runs of that model: not accepted either", False)] * (rest > 0)]
    return [_write(store, entry) for entry in entries]


def _entry(store: Store, benchmark: Benchmark, verdict: Verdict) -> _Entry:
    assert verdict.record is not None
    key = RunKey(benchmark.folder, verdict.record.model.name, verdict.record.seed)
    place = store.root / key.path
    own = place.resolve() == verdict.folder.resolve()
    entry = _Entry(verdict, key, own, verdict.record if own else accepted_record(verdict))
    if own and verdict.same_machine is False:
        why = f"it stands in {store.root} with numbers of another class of machine; verify it into another folder"
        return replace(entry, refused=why)
    try:
        standing = store.read(key)
    except RecordError as error:
        return replace(entry, refused=f"what stands in {place} can't be read ({error}); nothing is overwritten")
    higher = _higher(place, verdict)
    if standing is not None and higher is not None and _same_run(standing, verdict.record):
        return replace(entry, standing=standing, higher=higher)
    if standing is not None and standing != entry.record:
        return replace(entry, refused=f"another record stands in {place}, and nothing is overwritten")
    return replace(entry, standing=standing)


def _others(store: Store, entries: Sequence[_Entry]) -> list[str]:
    """Seeds of the model that stand there and are not among these: one row would hold the runs of two submissions."""
    if all(entry.own for entry in entries):
        return []
    model = (store.root / entries[0].key.path).parent
    known = {Path(entry.key.path).name for entry in entries}
    standing = sorted(path.parent.name for path in model.glob(f"seed-*/{RECORD}"))
    return [name for name in standing if name not in known]


def _write(store: Store, entry: _Entry) -> Accepted:
    verdict, place = entry.verdict, store.root / entry.key.path
    if entry.higher is not None:
        return Accepted(f"{verdict.run}: stands in {place} already, verified to L{entry.higher}", True)
    if entry.standing is None:
        _put(store, entry.key, entry.record, verdict)
    content = read_file(place / RECORD, MAX_RECORD_BYTES, below=store.root)
    with as_store_error(place):
        write_verification(place, _verification(verdict, content, entry.own))
    return Accepted(f"{verdict.run}: accepted at L{verdict.level} into {place}", True)


def _same_run(one: Record, other: Record) -> bool:
    """Whether two records are of one run, whatever was left out of them when they were accepted."""
    marks = [(each.run, each.started, each.finished, each.artifacts.get("samples.npz")) for each in (one, other)]
    return marks[0] == marks[1]


def accepted_record(verdict: Verdict) -> Record:
    """The record of a verified run with the numbers that came out again, and without those that nobody could check.

    Repeats and milestones need states that no bundle has: they are kept where level 2 or 3 gave them again.
    """
    record = verdict.record
    assert record is not None
    files = {name: digest for name, digest in record.artifacts.items() if (verdict.folder / name).is_file()}
    if record.status != "ok":
        return replace(record, artifacts=files)
    withheld = dict(record.withheld)
    scores = {}
    for name, recorded in record.scores.items():
        found = verdict.recomputed.get(name)
        if found is not None:
            scores[name] = replace(found, repeats=recorded.repeats if "repeats" in verdict.repeatable else [])
        elif verdict.level == 3 and "repeats" in verdict.repeatable:
            scores[name] = recorded  # a third party's, which the repetition has measured again
        else:
            withheld[name] = f"verified to level {verdict.level}, which does not compute it"
    milestones = record.milestones if "milestones" in verdict.repeatable else []
    return replace(record, artifacts=files, scores=scores, withheld=withheld, milestones=milestones)


def _put(store: Store, key: RunKey, record: Record, verdict: Verdict) -> None:
    """Commit a record with its files, by the way that runs take.

    Raises:
        StoreError: if the results folder refuses, another harness holds the run, or a file has changed meanwhile.
    """
    disk = Disk()
    with store.claim(key, f"submission {sha256(record.to_json().encode())}") as claim:
        if claim is None:
            raise StoreError(f"{key}: another genbench is at work on this run in {store.root}; try again when it ends")
        with as_store_error(claim.folder):
            for name in record.artifacts:
                if name in MAX_BYTES and FILE.match(name):
                    disk.adopt(verdict.folder / name, claim.folder / name, copy=True)
        store.commit(claim, record, list(record.artifacts))


def _verification(verdict: Verdict, content: bytes, own: bool) -> Verification:
    assert verdict.level is not None
    return Verification(
        level=verdict.level,
        record_sha256=sha256(content),
        genbench=__version__,
        date=now(),
        machine=machine_class(verdict.environment),
        findings=[_brief(finding) for finding in (*verdict.findings, *_left_out(verdict, own))[:MOST_FINDINGS]],
    )


def _left_out(verdict: Verdict, own: bool) -> Iterator[Finding]:
    """What the record holds no longer; or, of a run that stands where it was made, what nobody has checked."""
    record = verdict.record
    assert record is not None
    advice = "Verify to level 3 to have them computed again."
    what = []
    if any(score.repeats for score in record.scores.values()) and "repeats" not in verdict.repeatable:
        what.append("repeats")
    if record.milestones and "milestones" not in verdict.repeatable:
        what.append("milestones")
    if what:
        found = "unchecked" if own else "left out"
        promised = "numbers that were computed again from what was submitted"
        told = f"{' and '.join(what)} need states that a bundle has not; {found}"
        yield Finding(verdict.level or 0, "warning", found, RECORD, promised, told, advice)
    if record.cost and "milestones" not in verdict.repeatable:
        promised, told = "costs that were measured again", "parameters, FLOPs, times and memory as they were submitted"
        yield Finding(verdict.level or 0, "warning", "costs unchecked", "cost", promised, told, advice)


def _brief(finding: Finding) -> Finding:
    """A finding that any page can hold: it may quote what was submitted."""
    return replace(finding, place=clean(finding.place), promised=clean(finding.promised), found=clean(finding.found))


def _higher(place: Path, verdict: Verdict) -> int | None:
    """The level that stands there, where it is a higher one."""
    try:
        standing = load_verification(place)
    except (RecordError, OSError):
        return None  # of another record, or damaged: it says nothing
    assert verdict.level is not None
    return standing.level if standing is not None and standing.level > verdict.level else None

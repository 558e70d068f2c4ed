"""One planned run, carried out: from the claim to the record on disk. Every executor calls this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from genbench.claims import Claim, FencedOff, of_attempt
from genbench.errors import RecordError, StoreError, clean
from genbench.executors.assembly import assemble, attempt_of
from genbench.executors.context import Context, make_job
from genbench.executors.ends import read_ends
from genbench.executors.foreign import Answer
from genbench.executors.launcher import Launcher
from genbench.executors.stages import OnProgress, Outcome, carry_out_stages, without_folder
from genbench.executors.supervision import Killed, Stop
from genbench.job import Job
from genbench.matrix import PlannedRun, code_has_changed, is_current
from genbench.newer import newer_schema
from genbench.record import UNFINISHED, Attempt, Record, Status, parse
from genbench.store import RECORD
from genbench.strict_json import MAX_RECORD_BYTES

ATTEMPTS = 3
"""The most that one call makes at a run whose ends say nothing about the model."""

OTHER_CODE = (
    "the model's code was changed after the run was planned and before it ended; code_sha256 is that of the code as it "
    "was, and the run may have used either"
)
"""What a record says whose run need not be of the code that it names: workers import it when they start."""

OnRetry = Callable[[Status, str | None, int, int], None]
"""Told how an attempt ended that another one follows, which of this call it was, from 1, and the most there are."""


def _tell_nobody(status: Status, reason: str | None, tries: int, most: int) -> None:
    """Where nobody wants to know of attempts."""


def carry_out(
    run: PlannedRun,
    context: Context,
    launcher: Launcher,
    stop: Stop,
    on_progress: OnProgress,
    on_retry: OnRetry = _tell_nobody,
) -> Record | None:
    """Do a run and commit its record, whatever its status.

    What an interrupted attempt left is gone on with. An attempt that ended for reasons that are not the model's is
    followed by another one; all are kept in the record.

    Returns:
        The record; None where another harness holds the run or has taken it over.

    Raises:
        StoreError: if the results folder refuses; what was done so far stays for the next call.
        Killed: if ``stop`` said so; likewise.
    """
    if (record := _done_meanwhile(run, context)) is not None:
        return record
    return _claimed(
        run,
        context,
        lambda claim, standing: _carry_out(run, context, claim, standing, launcher, stop, on_progress, on_retry),
    )


def give_up(run: PlannedRun, context: Context, reason: str) -> Record | None:
    """Commit a run as ``lost`` whose harnesses were lost one after another; what they left stays for the next call.

    Args:
        reason: for the table.

    Returns:
        The record, of another status where there is one by now; None where another harness holds the run.

    Raises:
        StoreError: if the results folder refuses.
    """

    def commit(claim: Claim, standing: _Standing) -> Record:
        job = make_job(run, context, claim.folder)
        outcome = Outcome("lost", reason, earlier=read_ends(claim.folder))
        return _commit(job, outcome, claim, standing, context)

    return _claimed(run, context, commit)


def _claimed(run: PlannedRun, context: Context, work: Callable[[Claim, _Standing], Record]) -> Record | None:
    """What ``work`` makes of a run that is claimed and not done; None where another harness holds it or takes it."""
    try:
        with context.store.claim(run.key, run.identity(context.benchmark)) as claim:
            if claim is None:
                return None
            standing = _standing(run, context, claim)
            return work(claim, standing) if standing.done is None else standing.done
    except FencedOff:
        return None


def _done_meanwhile(run: PlannedRun, context: Context) -> Record | None:
    """A record of this run that has come since it was planned, as another harness on the same folder may have made it.

    Looked for before the run is claimed, since a claim costs a folder and several flushes, and harnesses side by side
    meet each other's runs at every step.
    """
    try:
        record = context.store.read(run.key)
    except RecordError:
        return None  # what that means is decided under the claim
    if record is None or record == run.record or record.status in UNFINISHED:
        return None
    return record if is_current(record, context.benchmark, run.entry) else None


@dataclass(frozen=True)
class _Standing:
    """What stands in a run's place once it is claimed.

    Attributes:
        done: a record that says all there is to say, so that nothing is left to be done.
        replace: whether something stands there that the new record replaces.
        before: the attempts at this very run in the record that is replaced.
    """

    done: Record | None = None
    replace: bool = False
    before: list[Attempt] = field(default_factory=list)


def _standing(run: PlannedRun, context: Context, claim: Claim) -> _Standing:
    """Look at the run's place again: much may have happened since it was planned.

    Raises:
        FencedOff: if a newer genbench has put a record there, which this one can't read.
    """
    if claim.finished is not None:  # by an attempt that was interrupted while it was committed
        if claim.finished.status not in UNFINISHED:
            return _Standing(done=claim.finished)
        return _Standing(replace=True, before=claim.finished.attempts)
    try:
        record = context.store.read(run.key)
    except RecordError:
        if run.state != "unreadable" and newer_schema(context.store.root / run.key.path / RECORD) is not None:
            raise FencedOff(f"{run.key}: a newer genbench has done this run meanwhile") from None
        return _Standing(replace=True)
    if record is None:
        return _Standing()
    if record != run.record:
        return _Standing(done=record)  # another harness has done it, or somebody has mended what was unreadable
    # Attempts belong to the same code and benchmark: a stale run's are not this run's.
    return _Standing(replace=True, before=record.attempts if run.state == "retry" else [])


def _carry_out(
    run: PlannedRun,
    context: Context,
    claim: Claim,
    standing: _Standing,
    launcher: Launcher,
    stop: Stop,
    on_progress: OnProgress,
    on_retry: OnRetry,
) -> Record:
    """Attempt a claimed run until it ends for reasons of its own, and commit its record."""
    for tries in range(1, ATTEMPTS + 1):
        outcome, job = _attempt(run, context, claim.folder, launcher, stop, on_progress)
        if outcome.status not in UNFINISHED or outcome.status == "cancelled" or tries == ATTEMPTS:
            break
        if stop() == "cancel":
            outcome.status, outcome.reason = "cancelled", f"the harness was asked to stop after: {outcome.reason}"
            break
        context.store.check_writable()  # another attempt would not mend a full disk
        claim.next(attempt_of(outcome.status, outcome.reason, outcome, claim))
        on_retry(outcome.status, outcome.reason, tries, ATTEMPTS)
    return _commit(job, outcome, claim, standing, context)


def _commit(job: Job, outcome: Outcome, claim: Claim, standing: _Standing, context: Context) -> Record:
    """Commit the record of a claimed run; its folder stays for the next call where the run is not over."""
    record = _record_of(job, outcome, claim, standing.before)
    park = record.status in UNFINISHED
    context.store.commit(claim, record, list(record.artifacts), park=park, replace=standing.replace)
    return record


def _attempt(
    run: PlannedRun, context: Context, folder: Path, launcher: Launcher, stop: Stop, on_progress: OnProgress
) -> tuple[Outcome, Job]:
    """One attempt in the folder of a claim."""
    job = make_job(run, context, folder)
    if run.entry.problem is not None:
        return Outcome("failed", run.entry.problem), job
    if run.entry.unsupported is not None:
        return Outcome("unsupported", run.entry.unsupported), job
    with of_attempt(folder):
        job.write()
    try:
        outcome = carry_out_stages(job, context.audits, launcher, stop, on_progress, context.held)
        outcome.warnings += [OTHER_CODE] * code_has_changed(run.entry)
        return outcome, job
    except (StoreError, Killed):
        raise
    except Exception as error:
        # A plugin may have brought its folder into any state, and said anything; the other runs go on.
        reason = clean(without_folder(f"{type(error).__name__}: {error}", job))
        return Outcome("harness_error", reason, earlier=read_ends(folder)), job


def _record_of(job: Job, outcome: Outcome, claim: Claim, before: list[Attempt]) -> Record:
    """The record of a run after its last attempt; one that can be read again, whatever a plugin has said."""
    try:
        return _readable(assemble(job, outcome, claim, before))
    except StoreError:
        raise
    except Exception as error:
        problem = clean(f"{type(error).__name__}: {error}")
    if any(answer.scores for answer in outcome.answers):
        # Third parties' scores may each be in order and yet be too much together; the run's own are none the worse.
        withheld = f"what it gave does not go into a record: {problem}"
        answers = [Answer({}, {**dict.fromkeys(each.scores, withheld), **each.withheld}) for each in outcome.answers]
        return _record_of(job, replace(outcome, answers=answers), claim, before)
    broken = Outcome("harness_error", problem, ends=outcome.ends, earlier=outcome.earlier)
    return assemble(job, broken, claim, before)


def _readable(record: Record) -> Record:
    """The record itself.

    Raises:
        RecordError: if it could not be read again.
    """
    if len(text := record.to_json().encode()) > MAX_RECORD_BYTES:
        raise RecordError(f"a record of {len(text)} bytes, where {MAX_RECORD_BYTES} are the most")
    parse(text)
    return record

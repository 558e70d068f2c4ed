"""One planned run, carried out: from the claim to the record on disk. Every executor calls this."""

from __future__ import annotations

from pathlib import Path

from genbench.claims import Claim
from genbench.errors import StoreError
from genbench.executors.assembly import assemble, attempt_of
from genbench.executors.context import Context, make_job
from genbench.executors.launcher import Launcher
from genbench.executors.stages import OnProgress, Outcome, carry_out_stages
from genbench.executors.supervision import Killed, Stop
from genbench.job import Job
from genbench.matrix import PlannedRun
from genbench.record import MAX_RECORD_BYTES, UNFINISHED, Record, RecordError, clean, parse
from genbench.store import as_store_error

ATTEMPTS = 3
"""The most that one call makes at a run whose ends say nothing about the model."""


def carry_out(
    run: PlannedRun, context: Context, launcher: Launcher, stop: Stop, on_progress: OnProgress
) -> Record | None:
    """Do a run and commit its record, whatever its status.

    What an interrupted attempt left is gone on with. An attempt that ended for reasons that are not the model's is
    followed by another one; all are kept in the record.

    Returns:
        The record; None where another harness holds the run.

    Raises:
        StoreError: if the results folder refuses; what was done so far stays for the next call.
        Killed: if ``stop`` said so; likewise.
    """
    store = context.store
    with store.claim(run.key, run.identity(context.benchmark)) as claim:
        if claim is None:
            return None
        if claim.finished is not None:
            return claim.finished  # by an attempt that was interrupted while it was committed
        if run.state != "unreadable" and (current := store.read(run.key)) != run.record:
            return current  # another harness has done it since this one planned
        for tries in range(1, ATTEMPTS + 1):
            outcome, job = _attempt(run, context, claim.folder, launcher, stop, on_progress)
            if outcome.status not in UNFINISHED or outcome.status == "cancelled" or tries == ATTEMPTS:
                break
            store.check_writable()  # another attempt would not mend a full disk
            claim.next(attempt_of(outcome.status, outcome.reason, outcome, claim))
        record = _record_of(run, job, outcome, claim)
        park, replace = record.status in UNFINISHED, run.record is not None or run.state == "unreadable"
        store.commit(claim, record, list(record.artifacts), park=park, replace=replace)
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
    with as_store_error(folder):
        job.write()
    try:
        return carry_out_stages(job, context.audits, launcher, stop, on_progress), job
    except (StoreError, Killed):
        raise
    except Exception as error:
        # A plugin may have brought its folder into any state, and said anything; the other runs go on.
        return Outcome("harness_error", clean(f"{type(error).__name__}: {error}")), job


def _record_of(run: PlannedRun, job: Job, outcome: Outcome, claim: Claim) -> Record:
    """The record of a run after its last attempt; one that can be read again, whatever a plugin has said."""
    # Attempts belong to the same code and benchmark: a stale run's are not this run's.
    before = run.record.attempts if run.record is not None and run.state == "retry" else []
    try:
        record = assemble(job, outcome, claim, before)
        if len(text := record.to_json().encode()) > MAX_RECORD_BYTES:
            raise RecordError(f"a record of {len(text)} bytes, where {MAX_RECORD_BYTES} are the most")
        parse(text)
    except StoreError:
        raise
    except Exception as error:
        broken = Outcome("harness_error", clean(f"{type(error).__name__}: {error}"))
        return assemble(job, broken, claim, before)
    return record

"""The likelihood audit: are the numbers that a model's ``log_prob`` gives those of a probability distribution?

It trains the model a little on synthetic data whose distribution is known, so it needs neither the benchmark's data
nor trust in the plugin: whatever was summed, scaled or left out shows as a likelihood better than the truth's. One
audit serves all runs of a (code, configuration, data's spec); see :func:`genbench.audit_key.key_of`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from genbench.audit_key import AUDIT_VERSION, key_of, seed_of
from genbench.engine import rng
from genbench.engine.audit import degenerate, known_entropy, mass, repeatable
from genbench.engine.audit.finding import failed, guarded, skipped
from genbench.engine.audit.subject import Subject
from genbench.engine.audit.synthetic import Source, narrow_source, uniform_source, word_sources
from genbench.engine.contract import prepare_torch
from genbench.job import Job
from genbench.record import Audit, AuditFinding
from genbench.specs import DataSpec

__all__ = ["audit", "audit_with", "findings_of", "key_of"]

MAX_REASON = 300


def audit(job: Job) -> dict[str, Any]:
    """Audit the likelihood of a job's model: seconds for small images, on synthetic data of the job's spec.

    Returns:
        A :class:`genbench.record.Audit` as a dict. What the model raises is a finding, never an error.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    key = key_of(job)
    with rng.preserved():
        return asdict(audit_with(Subject(job, seed_of(key)), key))


def audit_with(subject: Subject, key: str) -> Audit:
    """The audit of a subject, which may have another seed than the key's.

    Raises:
        Exception: if memory or disk ran out: no verdict on the model.
    """
    if subject.kind == "estimate":
        return _audit_estimate(subject, key)
    flatteries: list[float] = []
    findings = list(findings_of(subject, flatteries))
    return _verdict(key, findings, min(flatteries, default=None), subject.data)


def findings_of(subject: Subject, flatteries: list[float] | None = None) -> Iterator[AuditFinding]:
    """The findings on a likelihood that is no estimate, each as soon as it is made.

    Args:
        flatteries: takes up, in nats, what each test by Gibbs' inequality would have seen; at the end it is empty if
            nothing may be claimed.

    Raises:
        Exception: if memory or disk ran out: no verdict on the model.
    """
    flatteries = [] if flatteries is None else flatteries
    data = subject.data
    findings: list[AuditFinding] = []
    for source in (narrow_source(data, by_class=subject.job.conditional), uniform_source(data)):
        with_form = not any(known.name == "repeats" for known in findings)
        for finding in _test_on(subject, source, flatteries, with_form):
            findings.append(finding)
            yield finding
    if not flatteries and not _any(findings, "failed"):
        yield from _test_on_words(subject, flatteries)
    yield guarded("slice", lambda: degenerate.one_pixel(subject))
    sums = []
    for finding in _sums(subject, subject.job.audit_spaces):
        sums.append(finding)
        yield finding
    if subject.kind != "exact" and not _any(sums, "passed", "failed"):
        finding = _latent(subject)
        if finding.verdict == "skipped":
            flatteries.clear()
        yield finding


def _test_on(subject: Subject, source: Source, flatteries: list[float], with_form: bool) -> Iterator[AuditFinding]:
    """The tests at the real shape of a model trained on a source; adds the flattery that Gibbs' inequality leaves."""
    name = f"known entropy: {source.name}"
    fitted = {}

    def gibbs() -> AuditFinding:
        fitted["model"] = known_entropy.fit_source(subject, source)
        excess = known_entropy.measure(subject, fitted["model"], source)
        flatteries.append(excess.smallest_flattery)
        return known_entropy.judge(name, excess, source)

    finding = guarded(name, gibbs)
    yield finding
    # Of what a model rules out, every number is the same: nothing would be tested.
    if with_form and "model" in fitted and finding.verdict != "skipped":
        model = fitted["model"]
        yield guarded("repeats", lambda: repeatable.same_again(subject, model, source))
        yield guarded("company", lambda: repeatable.same_in_company(subject, model, source))


def _test_on_words(subject: Subject, flatteries: list[float]) -> Iterator[AuditFinding]:
    """The same tests on words, for models that rule out what is not of their form, in the first coding that they know.

    A model that rules out all that the audit can draw fails: nothing is known of its likelihood.
    """
    for source in word_sources(subject.data):
        tests = _test_on(subject, source, flatteries, with_form=True)
        first = next(tests)
        if first.verdict != "skipped":
            yield first
            yield from tests
            return
    yield failed(
        "known entropy",
        "the model rules out, or can't be trained on, every distribution that the audit draws from, so that "
        "nothing is known of its likelihood; give what is impossible in the data a small probability",
    )


def _latent(subject: Subject) -> AuditFinding:
    """The test for a lost latent term of models that can't be summed over a small space."""
    finding = guarded("two images", lambda: degenerate.two_images(subject))
    if finding.verdict == "skipped":
        return skipped(
            finding.name,
            f"{finding.message}. Nor was there a sum over a small space: a lost term of a latent code was not looked "
            "for, and no smallest flattery is claimed",
        )
    return finding


def _any(findings: list[AuditFinding], *verdicts: str) -> bool:
    return any(finding.verdict in verdicts for finding in findings)


def _sums(subject: Subject, spaces: list[DataSpec]) -> Iterator[AuditFinding]:
    """Sums over the small spaces that the model can be used on."""
    if not spaces:
        yield skipped("sum over a small space", "the model's spec supports none that is small enough")
    for space in spaces:
        yield guarded(mass.name_of(space), partial(mass.whole_space, subject, space))


def _audit_estimate(subject: Subject, key: str) -> Audit:
    """An estimate promises no inequality, so none is tested; that it repeats is all that can be."""
    promise = "of kind estimate, which promises nothing about log P(x) and stands apart in tables"
    findings = [skipped(name, promise) for name in ("known entropy", "slice", "sum over a small space")]
    if subject.job.conditional:
        findings.append(skipped("repeats", "a conditional estimate is not marginalised, and so not scored"))
        return _verdict(key, findings, None, subject.data)
    source = narrow_source(subject.data, by_class=False)

    def repeats() -> AuditFinding:
        return repeatable.same_again(subject, known_entropy.fit_source(subject, source), source)

    return _verdict(key, [*findings, guarded("repeats", repeats)], None, subject.data)


def _verdict(key: str, findings: list[AuditFinding], flattery: float | None, data: DataSpec) -> Audit:
    """All findings as one verdict; the reason is that of the first failure."""
    wrong = [finding for finding in findings if finding.verdict == "failed"]
    reason = None
    if wrong:
        reason = f"{wrong[0].name}: {wrong[0].message}"
        reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 4] + " ..."
    return Audit(
        version=AUDIT_VERSION,
        key=key,
        verdict="failed" if wrong else "passed",
        reason=reason,
        smallest_flattery=None if flattery is None else flattery / (data.dims * math.log(2.0)),
        findings=findings,
    )

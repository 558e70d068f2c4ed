"""The likelihood audit: are the numbers that a model's ``log_prob`` gives those of a probability distribution?

It trains the model a little on synthetic data whose distribution is known, so it needs neither the benchmark's data
nor trust in the plugin: whatever was summed, scaled or left out shows as a likelihood better than the truth's. One
audit serves all runs of a (code, configuration, data's spec); see :func:`genbench.audit_key.key_of`.
"""

from __future__ import annotations

import math
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

__all__ = ["audit", "audit_with", "key_of"]

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
    data, conditional = subject.data, subject.job.conditional
    if subject.kind == "estimate":
        return _audit_estimate(subject, key)
    findings: list[AuditFinding] = []
    flatteries: list[float] = []
    for source in (narrow_source(data, by_class=conditional), uniform_source(data)):
        tested, flattery = _test_on(subject, source, with_form=not any(known.name == "repeats" for known in findings))
        findings += tested
        flatteries += flattery
    if not flatteries and not _any(findings, "failed"):
        tested, flatteries = _test_on_words(subject)
        findings += tested
    findings.append(guarded("slice", lambda: degenerate.one_pixel(subject)))
    sums = _sums(subject, subject.job.audit_spaces)
    findings += sums
    if subject.kind != "exact" and not _any(sums, "passed", "failed"):
        findings.append(_latent(subject))
        if findings[-1].verdict == "skipped":
            flatteries = []
    return _verdict(key, findings, min(flatteries, default=None), data)


def _test_on(subject: Subject, source: Source, with_form: bool) -> tuple[list[AuditFinding], list[float]]:
    """The tests at the real shape of a model trained on a source, and the flattery that Gibbs' inequality leaves."""
    name = f"known entropy: {source.name}"
    fitted = {}
    flattery = []

    def gibbs() -> AuditFinding:
        fitted["model"] = known_entropy.fit_source(subject, source)
        excess = known_entropy.measure(subject, fitted["model"], source)
        flattery.append(excess.smallest_flattery)
        return known_entropy.judge(name, excess, source)

    findings = [guarded(name, gibbs)]
    # Of what a model rules out, every number is the same: nothing would be tested.
    if with_form and "model" in fitted and findings[0].verdict != "skipped":
        model = fitted["model"]
        findings.append(guarded("repeats", lambda: repeatable.same_again(subject, model, source)))
        findings.append(guarded("company", lambda: repeatable.same_in_company(subject, model, source)))
    return findings, flattery


def _test_on_words(subject: Subject) -> tuple[list[AuditFinding], list[float]]:
    """The same tests on words, for models that rule out what is not of their form, in the first coding that they know.

    A model that rules out all that the audit can draw fails: nothing is known of its likelihood.
    """
    for source in word_sources(subject.data):
        findings, flatteries = _test_on(subject, source, with_form=True)
        if findings[0].verdict != "skipped":
            return findings, flatteries
    return [
        failed(
            "known entropy",
            "the model rules out, or can't be trained on, every distribution that the audit draws from, so that "
            "nothing is known of its likelihood; give what is impossible in the data a small probability",
        )
    ], []


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


def _sums(subject: Subject, spaces: list[DataSpec]) -> list[AuditFinding]:
    """Sums over the small spaces that the model can be used on."""
    if not spaces:
        return [skipped("sum over a small space", "the model's spec supports none that is small enough")]
    return [guarded(mass.name_of(space), partial(mass.whole_space, subject, space)) for space in spaces]


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

"""The likelihood audit, asked as a check: whether the numbers of ``log_prob`` can be those of a distribution."""

from __future__ import annotations

from genbench.engine.audit import audit
from genbench.engine.checks import likelihood, state
from genbench.engine.checks.subject import NO_LIKELIHOOD, Broken, Check, Subject, needs

FORM = tuple(check.__name__.removeprefix("check_") for check in likelihood.CHECKS)
"""A likelihood that breaks a rule of form fails the audit for that reason, which its own check says better."""


@needs(
    "is_built_from_config_data_and_device",
    "training_logs_are_finite_scalars",
    "training_works_at_every_progress",
    "state_can_be_written",
    "state_survives_the_disk",
    *state.DETERMINED,
    *FORM,
)
def check_likelihood_passes_its_audit(subject: Subject) -> str | None:
    """The numbers of log_prob are those of a probability distribution: no better than the truth, summing to 1."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    found = audit(subject.job)
    if found["verdict"] == "passed":
        return None
    failed = [finding for finding in found["findings"] if finding["verdict"] == "failed"]
    others = f"; {len(failed) - 1} further tests fail: {', '.join(test['name'] for test in failed[1:])}"
    raise Broken(
        f"{failed[0]['name']}: {failed[0]['message']}" + (others if len(failed) > 1 else ""),
        "its score would be withheld; is a constant left out (dequantisation, D log(levels)), a unit or a sign wrong?",
    )


CHECKS: tuple[Check, ...] = (check_likelihood_passes_its_audit,)

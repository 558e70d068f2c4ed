"""The likelihood audit, asked as a check: whether the numbers of ``log_prob`` can be those of a distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.engine.audit import audit
from genbench.engine.audit.synthetic import uniform_source
from genbench.engine.checks import likelihood, state
from genbench.engine.checks.subject import NO_LIKELIHOOD, Broken, Check, Remark, Subject, needs
from genbench.specs import DataSpec

FORM = tuple(check.__name__.removeprefix("check_") for check in likelihood.CHECKS)
"""A likelihood that breaks a rule of form fails the audit for that reason, which its own check says better."""

WORSE_THAN_NOISE = 0.05
"""Of the nats of uniform pixels, by how much more a likelihood may take for them before it is remarked upon."""


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
        return _worse_than_noise(found["findings"], subject.data)
    failed = [finding for finding in found["findings"] if finding["verdict"] == "failed"]
    others = f"; {len(failed) - 1} further tests fail: {', '.join(test['name'] for test in failed[1:])}"
    raise Broken(
        f"{failed[0]['name']}: {failed[0]['message']}" + (others if len(failed) > 1 else ""),
        "its score would be withheld; is a constant left out (dequantisation, D log(levels)), a unit or a sign wrong?",
    )


def _worse_than_noise(findings: Sequence[Mapping[str, Any]], data: DataSpec) -> Remark | None:
    """Of a likelihood that is far too low: no audit withholds it, since it flatters nobody, but it may be a mistake."""
    source = uniform_source(data)
    nats = data.dims * math.log(data.levels)
    for finding in findings:
        measured = finding["measured"]
        if finding["name"].endswith(source.name) and measured is not None and measured < -WORSE_THAN_NOISE * nats:
            return Remark(
                f"after training on {source.name} it takes {nats - measured:.4g} nats for one of them, where knowing "
                f"nothing takes D log(levels) = {nats:.4g}. A likelihood may be poor, and is not withheld for it; but "
                "has a term the wrong sign, such as a log-determinant, or is a Jacobian or a constant counted twice?"
            )
    return None


CHECKS: tuple[Check, ...] = (check_likelihood_passes_its_audit,)

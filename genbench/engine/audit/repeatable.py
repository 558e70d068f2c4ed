"""Whether log_prob is a function of the example and of the random numbers, and of nothing else that it saw."""

from __future__ import annotations

import math

import numpy as np

from genbench.engine.audit.finding import STANDARD_ERRORS, failed, passed
from genbench.engine.audit.subject import Subject
from genbench.engine.audit.synthetic import Source
from genbench.model import Model
from genbench.record import AuditFinding

PROBES = 8
"""Examples whose log_prob is taken again and again; they stand in batches of twice as many."""

TOLERANCE = 1e-5
"""Relative: kernels round otherwise in batches of another size; a leak is far larger."""

REPLICATES = 64


def same_again(subject: Subject, model: Model, source: Source) -> AuditFinding:
    """Two calls agree bit for bit, with other examples scored between; for ``exact`` also at other random numbers."""
    name = "repeats"
    x, _ = source.draw(2 * PROBES, subject.generator("repeats"))
    others, _ = source.draw(4 * PROBES, subject.generator("repeats", "others"))
    first = subject.nats(model, x, source.label_prior, chunk=len(x), position="repeats")
    subject.nats(model, others, source.label_prior, chunk=len(x), position="between")
    again = subject.nats(model, x, source.label_prior, chunk=len(x), position="repeats")
    gap = float(np.abs(first - again).max())
    if gap > 0:
        return failed(
            name,
            f"the same examples with the same random numbers, scored again after {len(others)} others, differ by up to "
            f"{gap:.3g} nats: does log_prob learn from, or remember, what it scores?",
            gap,
            0.0,
        )
    if subject.kind == "exact":
        gap = float(
            np.abs(first - subject.nats(model, x, source.label_prior, chunk=len(x), position="elsewhere")).max()
        )
        if gap > 0:
            return failed(
                name,
                f"an exact likelihood draws nothing, and with other random numbers differs by up to {gap:.3g} nats: "
                "is a dropout active, or is it of kind importance?",
                gap,
                0.0,
            )
    return passed(name, "the same examples get the same nats, whatever was scored between", gap, 0.0)


def same_in_company(subject: Subject, model: Model, source: Source) -> AuditFinding:
    """An example's number does not depend on what else is in the batch.

    Where random numbers are drawn, the batch keeps its size and the example its place, so that it gets the same ones.
    A model whose drawing depends on the examples gets others even so; then means over many draws are compared.
    """
    name = "company"
    x, _ = source.draw(PROBES, subject.generator("company"))
    companies = [source.draw(PROBES, subject.generator("company", which))[0] for which in range(2)]
    # Company unlike the example, and copies of it, are where a leak shows most.
    companies += [np.zeros_like(x), x[::-1]]

    def probed(company: np.ndarray, position: int | str = "company") -> np.ndarray:
        batch = np.concatenate([x, company])
        return subject.nats(model, batch, source.label_prior, chunk=len(batch), position=position)[:PROBES]

    together = probed(companies[0])
    seen = [probed(company) for company in companies[1:]]
    if subject.kind == "exact":
        seen.append(subject.nats(model, x, source.label_prior, chunk=1, position="company"))
        order = subject.generator("company", "order").permutation(PROBES)
        backwards = np.empty(PROBES)
        backwards[order] = subject.nats(model, x[order], source.label_prior, chunk=PROBES, position="company")
        seen.append(backwards)
    scale = np.maximum(np.abs(together), 1.0)
    gap = max(float((np.abs(other - together) / scale).max()) for other in seen)
    if gap <= TOLERANCE:
        return passed(name, "an example gets the same nats whatever else is in the batch", gap, TOLERANCE)
    if subject.kind != "exact":
        return _over_draws(name, probed, companies)
    return failed(
        name,
        f"with other examples in the batch, or alone, an example's nats differ by a share of {gap:.3g}: is a "
        "BatchNorm in training mode?",
        gap,
        TOLERANCE,
    )


def _over_draws(name: str, probed: object, companies: list[np.ndarray]) -> AuditFinding:
    """Means over draws in different company, in standard errors of their difference."""
    assert callable(probed)
    taken = [
        np.stack([probed(company, f"{which}/{draw}") for draw in range(REPLICATES)]).sum(axis=1)  # [REPLICATES]
        for which, company in enumerate(companies)
    ]
    largest = 0.0
    for other in taken[1:]:
        difference = abs(float(taken[0].mean() - other.mean()))
        error = math.sqrt(float(taken[0].var(ddof=1) + other.var(ddof=1)) / REPLICATES)
        largest = max(largest, difference / max(error, 1e-12))
    if largest > STANDARD_ERRORS:
        return failed(
            name,
            f"with other examples in the batch an example's mean nats move by {largest:.1f} standard errors: is a "
            "BatchNorm in training mode?",
            largest,
            STANDARD_ERRORS,
        )
    return passed(
        name,
        f"the random numbers of an example depend on the rest of the batch, its mean nats do not ({largest:.1f} "
        "standard errors)",
        largest,
        STANDARD_ERRORS,
    )

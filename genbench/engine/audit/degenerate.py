"""Sums of probabilities at the real shape, over the few examples that occur in data that are nearly certain."""

from __future__ import annotations

import numpy as np

from genbench.engine.audit.finding import Unfit, failed, passed
from genbench.engine.audit.mass import Mass, mass_of
from genbench.engine.audit.subject import EXAMPLES, Subject
from genbench.engine.audit.synthetic import LARGE, class_prior
from genbench.errors import Diverged
from genbench.model import Model
from genbench.record import AuditFinding

BLOCK = 1024
"""The most examples that the levels of two pixels are summed over. Of large ones two levels of the first pixel do: if
the other one is left out, their probabilities of 1 / levels each, once for each of its levels, sum to 2."""

COUPLE_STEPS = 384
"""Training steps on two images: by then a code tells them apart, and their pixels cost less than half a nat."""


def one_pixel(subject: Subject) -> AuditFinding:
    """Train on data that are constant but for one uniform pixel; sum over its levels, and over those of a constant one.

    The second sum is over the levels of both, or for many levels over some of the first, and is no more than 1 either:
    a pixel that never moved in training still has a probability.

    Raises:
        Unfit: if training on such data diverges, or nothing that is summed has a probability.
    """
    name, data = "slice", subject.data
    prior = class_prior(data)
    generator = subject.generator("slice")
    # Away from the edges: the pixel in the middle of the example, in the first channel.
    pixel = data.dims // (data.shape[0] * 2 if data.is_image else 2)
    if data.is_image:
        pixel += data.shape[2] // 2
    pixel = min(pixel, data.dims - 1)
    still = (pixel + 1) % data.dims
    x = np.full((EXAMPLES, data.dims), data.levels // 2, dtype=np.uint8)
    x[:, pixel] = generator.integers(data.levels, size=EXAMPLES)
    model = _fitted(subject, x, prior, generator, "data that are constant but for a pixel")
    levels = np.arange(data.levels)
    along = np.full((data.levels, data.dims), data.levels // 2, dtype=np.uint8)
    along[:, pixel] = levels
    sums = {f"of its {data.levels} levels": _mass(subject, model, along, prior)}
    if still != pixel:
        most = BLOCK // data.levels if data.dims <= LARGE else 2
        some = np.unique(np.linspace(0, data.levels - 1, max(1, min(data.levels, most))).astype(int))
        block = np.full((len(some), data.levels, data.dims), data.levels // 2, dtype=np.uint8)
        block[:, :, pixel], block[:, :, still] = some[:, None], levels
        sums[f"of {len(some)} of its levels, with all levels of a pixel that is constant,"] = _mass(
            subject, model, block.reshape(-1, data.dims), prior
        )
    found = "on data that are constant but for one uniform pixel, the probabilities " + " and those ".join(
        f"{of} sum to {mass.total:.6g}" for of, mass in sums.items()
    )
    if not any(mass.total > 0 for mass in sums.values()):
        raise Unfit(f"{found}: the model rules such data out")
    worst = max(sums.values(), key=lambda mass: mass.total - mass.limit)
    if worst.total > worst.limit:
        return failed(
            name,
            f"{found}, which is more than 1 (limit {worst.limit:.6g}): a mean over dimensions, a density instead of a "
            "mass, or a term or a pixel left out?",
            worst.total,
            worst.limit,
        )
    return passed(name, found, worst.total, worst.limit)


def two_images(subject: Subject) -> AuditFinding:
    """Train on two examples, a random pattern and its negative, until a code tells them apart; add up the two.

    A latent variable model without its KL term gives each of them a probability near 1, and both near 2. An honest one
    gives them at most 1 together.

    Raises:
        Unfit: if training on such data diverges, or did not get far enough for a lost term to show.
    """
    name, data = "two images", subject.data
    prior = class_prior(data)
    generator = subject.generator("two images")
    pattern = generator.integers(2, size=data.dims) * (data.levels - 1)
    both = np.stack([pattern, data.levels - 1 - pattern]).astype(np.uint8)  # [2, D]
    x = both[generator.integers(2, size=EXAMPLES)]
    model = _fitted(subject, x, prior, generator, "two examples", COUPLE_STEPS)
    mass = _mass(subject, model, both, prior)
    found = f"on data of two equally likely examples, the probabilities of both sum to {mass.total:.6g}"
    if mass.total > mass.limit:
        return failed(
            name,
            f"{found}, which is more than 1 (limit {mass.limit:.6g}): is the KL term of a code lost, or the best draw "
            "taken for the mean?",
            mass.total,
            mass.limit,
        )
    if 2.0 * mass.total <= 1.0:
        raise Unfit(f"{found}; twice as much, as without a KL term, would not be more than 1 either")
    return passed(name, found, mass.total, mass.limit)


def _fitted(
    subject: Subject,
    x: np.ndarray,
    prior: np.ndarray,
    generator: np.random.Generator,
    what: str,
    steps: int | None = None,
) -> Model:
    """A model trained on examples uint8 ``[N, D]`` whose labels say nothing."""
    labels = None if subject.data.classes is None else generator.choice(len(prior), size=len(x), p=prior)
    try:
        return subject.fit(x.reshape(-1, *subject.data.shape), labels, subject.data, steps)
    except Diverged as error:
        raise Unfit(f"training on {what} diverges, so nothing is summed: {error}") from error


def _mass(subject: Subject, model: Model, x: np.ndarray, prior: np.ndarray) -> Mass:
    """Of examples uint8 ``[X, D]``."""
    return mass_of(subject, model, x.reshape(-1, *subject.data.shape), prior)

"""The rungs of the calibration ladder, what metrics may claim of them, and how a claim is judged.

Torch-free: plugins declare claims in :class:`genbench.specs.MetricSpec`, and they are read without an engine. The
sample sets themselves are made by :mod:`genbench.engine.calibration`.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from genbench.errors import SpecError

if TYPE_CHECKING:
    from genbench.specs import Direction, MetricSpec

Relation = Literal[">", "=", "<"]
"""How a metric orders a pair whose left set is the better one: as it is, not at all, or the wrong way round."""

PROGRESS = "progress"
"""File in a job's folder with the share of the ladder that has been climbed: ``0.4170``."""
DRAWS = 20
"""Sample sets a rung, and the number over which the standard errors of a claim are taken."""
THRESHOLD = 3.0
"""Standard errors over 20 draws that part two rungs."""

ANY = "any of them"
"""Stands for all copying metrics where their flags are counted; no metric can have such a name."""

RUNGS: dict[str, str] = {
    "train-copy": "training examples, none twice, with their own labels: the top",
    "blur-1": "training examples, Gaussian blur, standard deviation 0.05 of the image's side",
    "blur-2": "the same, 0.1",
    "blur-3": "the same, 0.2",
    "noise-1": "training examples, Gaussian noise on each pixel, standard deviation 0.05 of the range of values",
    "noise-2": "the same, 0.1",
    "noise-3": "the same, 0.2",
    "shift": "training examples, each moved by an eighth of its side in one of four directions",
    "class-dropped": "training examples of all classes but one, another in each draw",
    "classes-unbalanced": "training examples, the share of the classes rising from 0.5 to 1.5 times the true one",
    "duplicates-10%": "training examples, 10 % of the set repeats of the others",
    "duplicates-50%": "the same, 50 %: each example twice",
    "collapse": "10 training examples, each a tenth of the set",
    "one-per-class": "one training example of each class, as often as its class occurs",
    "class-marginals": "each pixel drawn by itself from its distribution in the class",
    "marginals": "each pixel drawn by itself from its distribution over all training examples",
    "uniform-noise": "each pixel uniform over all levels",
    "labels-10%-wrong": "train-copy, 10 % of the labels replaced by another class",
    "labels-shuffled": "train-copy, the labels shuffled over the set",
    "held-out": "half of the held-out data, against the other half: honest samples",
    "replayed-10%": "held-out, 10 % of it replaced by training examples",
    "replayed-20%": "the same, 20 %",
    "replayed-50%": "the same, 50 %",
    "replayed": "training examples, as many as half of the held-out data, against the other half",
    "near-copies": "replayed, with Gaussian noise, standard deviation 0.03 of the range of values; of a text, replayed "
    "with one symbol of each exchanged for another",
}
"""Every rung by name. From ``held-out`` on, sets have the size of half of the held-out data and are compared with the
other half; so they are never ordered against the rungs before, whose sets have another size."""

HALVES = tuple(RUNGS)[tuple(RUNGS).index("held-out") :]
WHOLE = tuple(RUNGS)[: -len(HALVES)]

CORRUPTIONS: tuple[tuple[str, ...], ...] = (
    ("train-copy", "blur-1", "blur-2", "blur-3"),
    ("train-copy", "noise-1", "noise-2", "noise-3"),
    ("train-copy", "shift"),
    ("train-copy", "class-dropped"),
    ("train-copy", "classes-unbalanced"),
    ("train-copy", "duplicates-10%", "duplicates-50%", "collapse"),
    ("train-copy", "one-per-class"),
    ("train-copy", "class-marginals", "marginals", "uniform-noise"),
    ("train-copy", "labels-10%-wrong", "labels-shuffled"),
    ("held-out", "replayed-10%", "replayed-20%", "replayed-50%", "replayed"),
    ("held-out", "near-copies"),
)
"""Each corruption in rising strength. A claim is about two rungs of one corruption: which of two different
corruptions is the worse is nobody's to say."""

_SIGN = re.compile(r"([<=>])")


@dataclass(frozen=True)
class Claim:
    """That a metric orders two rungs in some way; ``better`` is the better sample set, whatever the metric says."""

    better: str
    relation: Relation
    worse: str

    def __str__(self) -> str:
        return f"{self.better}{self.relation}{self.worse}"


@dataclass(frozen=True)
class Verdict:
    """A pair of rungs as measured.

    Attributes:
        better, worse: the pair.
        found: how the metric orders it.
        gap: the mean over draws at ``better`` less that at ``worse``, positive where the metric is right.
        z: the gap in standard errors of a difference of two means over 20 draws.
    """

    better: str
    worse: str
    found: Relation
    gap: float
    z: float


def claims_of(spec: MetricSpec) -> list[Claim]:
    """What a metric declares, pair by pair.

    ``tells_apart`` holds chains such as ``"train-copy>noise-1>noise-2"``, from the better set to the worse: each
    must be told apart from the next. ``blind_to`` holds pairs ``"train-copy=shift"``, which the metric does not see,
    and ``"train-copy<class-dropped"``, where it scores the worse set better.

    Raises:
        SpecError: for an unknown rung, a pair of different corruptions, a pair claimed twice, or a sign out of place.
    """
    claims: list[Claim] = []
    for field, signs in (("tells_apart", ">"), ("blind_to", "=<")):
        texts = getattr(spec, field)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise SpecError(f"metric {spec.name!r}: {field} must be a tuple of texts, not {texts!r}")
        for text in texts:
            claims += _parse(text, f"metric {spec.name!r}, {field} {text!r}", signs)
    if claims and spec.direction == "none":
        raise SpecError(f"metric {spec.name!r}: has no direction, so it cannot claim to order rungs")
    pairs = [(claim.better, claim.worse) for claim in claims]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise SpecError(f"metric {spec.name!r}: claims {pair[0]!r} and {pair[1]!r} twice")
    return claims


def _parse(text: str, where: str, signs: str) -> list[Claim]:
    parts = _SIGN.split(text.replace(" ", ""))
    names, found = parts[::2], parts[1::2]
    for name in names:
        if name not in RUNGS:
            raise SpecError.unknown(f"rung in {where}:", name, RUNGS)
    if not found or any(sign not in signs for sign in found) or (signs != ">" and len(found) > 1):
        form = "'better>worse', or a chain of them" if signs == ">" else "'better=worse' or 'better<worse'"
        raise SpecError(f"{where}: must be {form}")
    claims = [Claim(names[index], sign, names[index + 1]) for index, sign in enumerate(found)]  # type: ignore[arg-type]
    for claim in claims:
        if not ordered(claim.better, claim.worse):
            raise SpecError(
                f"{where}: {claim.worse!r} is no stronger form of what was done to {claim.better!r}; order is claimed "
                "within a corruption, the better set first"
            )
    return claims


def ordered(better: str, worse: str) -> bool:
    """Whether the second rung is a stronger form of a corruption that holds the first."""
    return any(better in chain and worse in chain and chain.index(better) < chain.index(worse) for chain in CORRUPTIONS)


def steps() -> list[tuple[str, str]]:
    """Every rung with its neighbour in its corruption, and with the corruption's beginning: the pairs worth a look."""
    found: dict[tuple[str, str], None] = {}
    for chain in CORRUPTIONS:
        found |= dict.fromkeys((chain[0], rung) for rung in chain[1:])
        found |= dict.fromkeys(itertools.pairwise(chain))
    return list(found)


def judge(better: str, worse: str, values: Mapping[str, Sequence[float]], direction: Direction) -> Verdict | None:
    """How a metric orders two rungs.

    z = gap / sqrt((s1^2 + s2^2) / 20), with s1 and s2 the standard deviations between draws (divisor draws - 1). The
    20 belongs to the definition, however many draws there are: more of them give a surer z, not a larger one, so
    that what counts as blind does not hang on patience. Beyond 3 the rungs are parted. z / sqrt(20) is the gap in
    standard deviations of the difference between two single sets.

    Args:
        values: by rung, two draws or more each.
        direction: of the metric.

    Returns:
        None where a rung was not measured.
    """
    if better not in values or worse not in values or direction == "none":
        return None
    first, second = values[better], values[worse]
    means = statistics.fmean(first), statistics.fmean(second)
    gap = means[1] - means[0] if direction == "lower" else means[0] - means[1]
    error = math.sqrt((statistics.variance(first) + statistics.variance(second)) / DRAWS)
    certain = math.copysign(math.inf, gap) if gap else 0.0
    z = gap / error if error > 0 else certain
    found: Relation = ">" if z > THRESHOLD else "<" if z < -THRESHOLD else "="
    return Verdict(better, worse, found, gap, z)

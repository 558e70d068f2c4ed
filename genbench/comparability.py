"""What may stand in one column: which records belong to a table, and which of their scores were measured alike.

What the benchmark itself names (digest, budget, seeds, evaluators, data, split, number of samples, examples and draws)
is demanded of each record by itself, so that no number of other records can change it. What it does not name, such as
a metric's version and parameters, has to agree; see :func:`comparable_scores`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genbench.record import Record, Score

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.results import Loaded
    from genbench.specs import MetricGroup

LIMITS = ("images", "flops", "seconds", "memory", "parameters")
"""What of a record's budget has to be the benchmark's; the others do not change what a run may learn."""

Scores = dict[str, Score]


@dataclass(frozen=True)
class LeftOut:
    """A record that is not in the table, and why."""

    run: str
    reason: str


def select(benchmark: Benchmark, loaded: Loaded) -> tuple[list[Record], list[LeftOut]]:
    """The records that belong to the table of ``benchmark``, and the others with the reason."""
    used: list[Record] = []
    left_out = [LeftOut(str(entry.path), f"unreadable: {entry.problem}") for entry in loaded.unreadable]
    for record in loaded.records:
        why = why_foreign(benchmark, record)
        if why:
            left_out.append(LeftOut(record.run, why))
        else:
            used.append(record)
    return used, left_out


def why_foreign(benchmark: Benchmark, record: Record) -> str | None:
    """Why a record does not belong to the table of ``benchmark``, or None.

    The flags ``dev`` and ``custom_budget`` of a record can be edited; its digest is of the fold and the budget too, and
    the budget that it was run under and the split that it was scored against stand in it besides.
    """
    of = record.benchmark
    if record.division != benchmark.division:
        if record.division == "open":
            return "of the open division: samples from outside, of whose making nothing is known"
        return "of the closed division: trained by genbench under the budget"
    if of.dev != benchmark.dev:
        return "of --dev: scored against the validation fold" if of.dev else "not of --dev"
    if of.custom_budget != benchmark.custom_budget:
        return "of a custom budget (--budget)" if of.custom_budget else "of the benchmark's own budget"
    if of.name != benchmark.name:
        return f"of the benchmark {of.name}"
    if of.digest != benchmark.digest:
        return f"of another definition of {of.name}: its digest is {of.digest}, not {benchmark.digest}"
    if record.seed not in benchmark.file.seeds:
        return f"seed {record.seed} is not one of the benchmark's"
    for key in LIMITS:
        allowed = getattr(benchmark.budget, key)
        if key in record.budget and record.budget[key] != allowed:
            return f"of another budget than its digest stands for: {key} {record.budget[key]}, not {allowed}"
    return None


def why_not_demanded(benchmark: Benchmark, name: str, score: Score, group: MetricGroup | None) -> str | None:
    """What of a score is other than the benchmark demands, or None.

    Args:
        name: its key in the record; ``fid@clip`` is taken with the second evaluator.
        group: of a metric of genbench itself; None for a third party's, which may score what number it likes.
    """
    if group is None:
        return None
    if group == "likelihood" and score.value < 0:
        return f"{score.value:g} {score.unit}".rstrip() + " is below 0: discrete data have no probability above 1"
    second = benchmark.second_evaluator
    evaluator = second if second and name.endswith(f"@{second.name}") else benchmark.evaluator
    demanded: dict[str, object] = {
        "evaluator": f"{evaluator.name}@{evaluator.sha256[:16]}",
        "data": benchmark.dataset.sha256[:16],
        "split": "validation" if benchmark.dev else "test",
    }
    if score.kind in ("iwae", "bound"):
        demanded["draws"] = benchmark.file.likelihood.draws
    for key, value in demanded.items():
        if key in score.fingerprint and score.fingerprint[key] != value:
            return f"{key} {score.fingerprint[key]}, where the benchmark has {value}"
    if group == "likelihood" and not benchmark.dev:  # a validation fold may have fewer examples than are asked for
        wanted, things = benchmark.file.likelihood.examples, "examples"
    elif group == "quality":
        wanted, things = benchmark.file.samples.n, "samples"
    else:
        return None
    return None if score.n == wanted else f"{score.n:,} {things}, where the benchmark has {wanted:,}"


def comparable_scores(
    benchmark: Benchmark,
    records: Sequence[Record],
    groups: Mapping[str, MetricGroup],
    is_anchor: Callable[[Record], bool],
) -> tuple[dict[str, Scores], list[str]]:
    """The scores that may stand in one column, by run; and a note for each of the others.

    A score that is not what the benchmark demands is left out. Of the others, those of one name and kind have to
    agree in n and fingerprint. Where they do not, the way in which the anchors were measured counts, as the scale
    that the table is read by: that of the anchor finished last. Without an anchor it is the way of most models, not
    of most records, so that no model outvotes others with its seeds; of equally many the one whose text comes first.

    Args:
        groups: metric to group, for genbench's own metrics.
    """
    notes: list[str] = []
    alike: dict[tuple[str, str, int, str], tuple[str | None, str]] = {}  # most scores of a name are measured alike
    allowed: list[tuple[Record, dict[str, str]]] = []
    for record in records:
        ways: dict[str, str] = {}
        for name, score in record.scores.items():
            key = (name, score.kind, score.n, repr(score.fingerprint))
            if key not in alike or score.value < 0:
                why = why_not_demanded(benchmark, name, score, groups.get(name.partition("@")[0]))
                alike[key] = why, identity(score)
            why, way = alike[key]
            if why is None:
                ways[name] = way
            else:
                notes.append(f"{record.run}: its {name} is left out: {why}")
        allowed.append((record, ways))
    usual = _usual(allowed, is_anchor)
    comparable: dict[str, Scores] = {}
    for record, ways in allowed:
        comparable[record.run] = good = {}
        for name, way in ways.items():
            score = record.scores[name]
            if way == usual[name, score.kind]:
                good[name] = score
            else:
                notes.append(
                    f"{record.run}: its {name} was measured in another way than the others' "
                    f"({_differing(way, usual[name, score.kind])}) and is left out"
                )
    return comparable, notes


def identity(score: Score) -> str:
    """All that a score must share with another one to be compared with it, as text."""
    return json.dumps({"n": score.n, "fingerprint": score.fingerprint}, sort_keys=True, default=str)


def why_different(a: Score, b: Score) -> str | None:
    """In what two scores of one metric were measured differently, or None."""
    return None if identity(a) == identity(b) else _differing(identity(a), identity(b))


def _usual(
    allowed: list[tuple[Record, dict[str, str]]], is_anchor: Callable[[Record], bool]
) -> dict[tuple[str, str], str]:
    """The identity that counts, by name and kind of score."""
    ways: dict[tuple[str, str], list[tuple[Record, str]]] = {}
    for record, own in allowed:
        for name, way in own.items():
            ways.setdefault((name, record.scores[name].kind), []).append((record, way))
    return {key: _way_that_counts(found, is_anchor) for key, found in ways.items()}


def _way_that_counts(found: list[tuple[Record, str]], is_anchor: Callable[[Record], bool]) -> str:
    anchors = [(record.finished, way) for record, way in found if is_anchor(record)]
    if anchors:
        return max(anchors)[1]
    models: Collection[tuple[str, str]] = {(record.model.name.partition("[")[0], way) for record, way in found}
    counted = Counter(way for _, way in models)
    return min(counted, key=lambda way: (-counted[way], way))


def _differing(found: str, usual: str) -> str:
    """The keys in which two identities differ, with both values."""
    mine, others = json.loads(found), json.loads(usual)
    flat_mine, flat_others = {"n": mine["n"], **mine["fingerprint"]}, {"n": others["n"], **others["fingerprint"]}
    keys = [key for key in {**flat_others, **flat_mine} if flat_mine.get(key) != flat_others.get(key)]
    return (
        "; ".join(f"{key} {_said(flat_mine, key)}, not {_said(flat_others, key)}" for key in keys) or "n or fingerprint"
    )


def _said(values: dict[str, object], key: str) -> str:
    return str(values[key]) if key in values else "absent"

"""One record in readable form."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from genbench.record import Audit, Milestone, Record, Score
from genbench.report.console import plain, print_fitted, print_stacked, print_table
from genbench.report.legend import deviation, withheld
from genbench.report.numbers import ARROWS, cost, significant
from genbench.report.printable import printable
from genbench.rows import FLAGGED, MARKS, UNAUDITED
from genbench.statistics import mean_interval, variance_components

UNITS = {"seconds": "s", "memory": "bytes", "peak_memory": "bytes", "device_memory": "bytes", "train_seconds": "s",
         "sample_seconds": "s", "compile_seconds": "s", "cpu_seconds": "s", "grace": "s"}  # fmt: skip

LARGEST = 1e300
"""Whole numbers beyond it are no quantities, and cannot be divided as floats."""


def print_record(record: Record, console: Console, copying: Collection[str] = ()) -> None:
    """Print all that the record holds, most wanted first.

    Args:
        copying: names of the metrics that are tests of copying, of which no value is better than another.
    """
    console.print(plain(printable(record.run), "bold"))
    outcome = f"{record.status}: {record.reason}" if record.reason else record.status
    console.print(plain(outcome, "green" if record.status == "ok" else "red"))
    _attempts(console, record)
    if record.benchmark.dev or record.benchmark.custom_budget:
        console.print(Text("Not for a leaderboard: made with --dev or --budget.", style="dim"))
    if record.spent.get("ended_by") == "seconds":
        console.print(plain("Ended by the clock: outside the promise of bit-identity.", "yellow"))
    for warning in record.warnings:
        console.print(plain(f"{FLAGGED} {printable(warning)}", "yellow"))
    if record.scores:
        _heading(console, "Scores")
        header = ["Score", "Value", "Standard\nerror", "Sampling\ndeviation", "Kind", "n", "Better", "Unit"]
        rows = [_score(name, score, record, name.partition("@")[0] in copying) for name, score in record.scores.items()]
        print_fitted(console, rows, header, ["Unit", "Kind", "Better"])
        for name, score in record.scores.items():
            if score.flag:
                console.print(plain(f"{FLAGGED} {name}: {score.flag}", "yellow"))
    _section(console, "Withheld scores", withheld(record))
    _audit(console, record)
    details = {name: _joined(score.details) for name, score in record.scores.items() if score.details}
    _section(console, "Details of the scores", details)
    if record.milestones:
        _heading(console, "Milestones, on fewer samples")
        print_stacked(console, *_milestones(record.milestones))
    _section(console, "Spent", _spent(record))
    _section(console, "Cost", _flat(record.cost))
    _section(
        console,
        "Model",
        {
            "name": record.model.name,
            "from": f"{record.model.plugin} {record.model.version}",
            "reference": record.model.reference,
            "code sha256": record.model.code_sha256,
        },
    )
    _section(console, "Configuration", _flat(record.model.config))
    _section(console, "Environment", _flat(record.environment))
    fingerprints = {name: _joined(score.fingerprint) for name, score in record.scores.items() if score.fingerprint}
    _section(console, "How the scores were measured", fingerprints)
    _section(console, "Artifacts", record.artifacts)
    when = {
        "benchmark digest": record.benchmark.digest,
        "started": record.started,
        "finished": record.finished,
        "attempts": str(len(record.attempts)),
    }
    _section(console, "Run", when)


def print_seeds(records: Sequence[Record], log_scales: Mapping[str, bool], console: Console) -> None:
    """Print what the seeds of one model say together, training variance apart from sampling variance.

    Args:
        records: of one model on one benchmark, one a seed, in any state.
        log_scales: score to whether its statistics are taken of logarithms; plain where nothing is said.
    """
    good = [record for record in records if record.status == "ok"]
    names = dict.fromkeys(name for record in good for name in record.scores if name not in withheld(record))
    rows = []
    for name in names:
        scores = [record.scores[name] for record in good if name in record.scores]
        log_scale = log_scales.get(name.partition("@")[0], False)
        found = mean_interval([score.value for score in scores], log_scale)
        parts = variance_components([[score.value, *score.repeats] for score in scores], log_scale)
        low, high = ("" if end is None else significant(end, 4) for end in (found.low, found.high))
        interval = f"[{low}, {high}]" if low and len(scores) == len(records) else "-"
        mean = MARKS.get(scores[0].kind, "") + significant(found.mean, 4)
        rows.append([name, mean, interval, _deviation(parts.training, parts.log_scale),
                     _deviation(parts.sampling, parts.log_scale)])  # fmt: skip
    if not rows:
        return
    _heading(console, "Over the model's seeds")
    print_fitted(console, rows, ["Score", "Mean", "95 % interval", "Training\ndeviation", "Sampling\ndeviation"])
    explanation = "that of sampling is taken out of that of training; neither can be had without repeated sample sets."
    console.print(plain(f"{len(good)} of {len(records)} seeds are ok. Of the deviations, {explanation}", "dim"))


def print_spelled(samples: Sequence[tuple[str, str]], console: Console) -> None:
    """Print samples of a text, each with the class asked for or "", in the order in which they were drawn."""
    _heading(console, "Samples, the first that were drawn")
    by_class: dict[str, list[str]] = {}
    for text, of in samples:
        by_class.setdefault(of, []).append(text or "-")
    rows = [[of, "  ".join(texts)] for of, texts in sorted(by_class.items())]
    print_table(console, [row if row[0] else row[1:] for row in rows], None)


def _attempts(console: Console, record: Record) -> None:
    """How each attempt at the run ended, where there was more than one."""
    if len(record.attempts) < 2:
        return
    _heading(console, "Attempts")
    rows = [
        [
            str(number),
            attempt.status,
            attempt.started,
            _seconds_between(attempt.started, attempt.finished),
            "-" if attempt.resumed_at is None else f"{attempt.resumed_at:,}",
            attempt.reason or "-",
        ]
        for number, attempt in enumerate(record.attempts, 1)
    ]
    print_table(console, rows, ["Attempt", "Status", "Started", "Seconds", "Went on\nfrom step", "Reason"])


def _seconds_between(started: str, finished: str) -> str:
    """Whole seconds between two times of a record, which may hold any text."""
    try:
        return f"{(datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds():,.0f}"
    except (ValueError, TypeError):  # no times, or one with and one without a zone
        return "-"


def _milestones(milestones: Sequence[Milestone]) -> tuple[list[list[str]], list[str]]:
    """One row a quantity, one column a milestone, since there are more scores than fit beside each other."""
    names = dict.fromkeys(name for milestone in milestones for name in milestone.scores)
    rows = [
        ["step", *(f"{m.step:,}" for m in milestones)],
        ["images", *(f"{m.images:,}" for m in milestones)],
        ["TFLOP", *(f"{m.flops / 1e12:.3g}" for m in milestones)],
        ["seconds", *(f"{m.seconds:.1f}" for m in milestones)],
    ]
    for name in names:
        found = [m.scores.get(name) for m in milestones]
        rows.append([name, *("-" if of is None else MARKS.get(of.kind, "") + significant(of.value, 4) for of in found)])
    return rows, ["Share", *(f"{m.fraction:g}" for m in milestones)]


def _deviation(value: float | None, log_scale: bool) -> str:
    return "-" if value is None else deviation(value, log_scale)


def _score(name: str, score: Score, record: Record, copying: bool) -> list[str]:
    error = "-" if score.stderr is None else significant(score.stderr, 2)
    sampling = variance_components([[score.value, *score.repeats]]).sampling
    spread = "-" if sampling is None else f"{significant(sampling, 2)} ({1 + len(score.repeats)} sets)"
    unaudited = score.kind != "metric" and record.audit is None
    value = MARKS.get(score.kind, "") + significant(score.value, 5) + FLAGGED * bool(score.flag) + UNAUDITED * unaudited
    if name in withheld(record):
        value = "withheld"
    better = f"{score.direction} {ARROWS[score.direction]}" if score.direction != "none" else "-"
    if copying:
        better = "flag only"
    return [name, value, error, spread, score.kind, f"{score.n:,}", better, score.unit]


def _audit(console: Console, record: Record) -> None:
    """The verdict on the likelihood, the least flattery that it would have seen, and what each test found."""
    audit: Audit | None = record.audit
    if audit is None:
        if any(score.kind != "metric" for score in record.scores.values()):
            _section(console, "Likelihood audit", {"verdict": f"none ({UNAUDITED}): the record has no audit"})
        return
    seen = "unknown" if audit.smallest_flattery is None else f"{significant(audit.smallest_flattery, 2)} bits/dim"
    verdict = audit.verdict + (f": {audit.reason}" if audit.reason else "")
    _section(console, "Likelihood audit", {"verdict": verdict, "smallest flattery it sees": seen})
    rows = [[entry.name, entry.verdict, _nats(entry.measured), _nats(entry.limit), entry.message]
            for entry in audit.findings]  # fmt: skip
    if rows:
        print_table(console, rows, ["Test", "Verdict", "Measured", "Limit", "Finding"])


def _nats(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _joined(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in _flat(values).items())


def _spent(record: Record) -> dict[str, str]:
    """Each thing spent, of how much."""
    limits = _flat(record.budget)
    spent = {key: f"{value} of {limits[key]}" if key in limits else value for key, value in _flat(record.spent).items()}
    return spent or limits


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as ``a.b`` to text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = _value(key, value)
    return flat


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float) or abs(value) > LARGEST:
        return str(value)
    if UNITS.get(key) == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    if key in ("flops", "train_flops"):
        return f"{value / 1e12:.4g} TFLOP"
    text = f"{value:,}" if isinstance(value, int) else (cost(value) if "per_second" in key else f"{value:.5g}")
    return f"{text} {UNITS[key]}" if key in UNITS else text


def _section(console: Console, title: str, values: dict[str, str]) -> None:
    if not values:
        return
    _heading(console, title)
    print_table(console, [[key, value] for key, value in values.items()], None)


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))

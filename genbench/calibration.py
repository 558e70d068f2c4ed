"""What the calibration ladder shows: claims held to measurements, pair by pair. Torch-free."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genbench.rungs import DRAWS, RUNGS, WHOLE, Claim, Verdict, claims_of, judge, steps
from genbench.specs import MetricSpec


@dataclass(frozen=True)
class Held:
    """A claim of a metric and what was found; ``verdict`` is None where a rung could not be made of the data."""

    metric: str
    claim: Claim
    verdict: Verdict | None

    @property
    def verified(self) -> bool | None:
        """None where there was nothing to hold it to."""
        return None if self.verdict is None else self.verdict.found == self.claim.relation


@dataclass(frozen=True)
class Agreement:
    """Whether two evaluators rank the rungs alike.

    Attributes:
        metric, second: keys of the scores, ``fid`` and ``fid@<evaluator>``.
        tau: Kendall's tau-b of the means over all rungs of whole sets.
        rungs: their number.
    """

    metric: str
    second: str
    tau: float
    rungs: int


@dataclass(frozen=True)
class Calibration:
    """The ladder of a benchmark as climbed.

    Attributes:
        benchmark: its name.
        measured: as :func:`genbench.engine.calibration.ladder.climb` returns it.
        specs: of the metrics measured, by name.
    """

    benchmark: str
    measured: Mapping[str, Any]
    specs: Mapping[str, MetricSpec]

    @property
    def values(self) -> dict[str, dict[str, list[float]]]:
        """By score and rung, one a draw. Scores stand in the benchmark's order, those of a second evaluator last."""
        values: dict[str, dict[str, list[float]]] = self.measured["values"]
        return {name: values[name] for name in sorted(values, key=lambda name: "@" in name)}

    @property
    def rungs(self) -> list[str]:
        """Those that the data allow."""
        return [rung for rung in RUNGS if any(rung in rungs for rungs in self.measured["values"].values())]

    def spec(self, score: str) -> MetricSpec:
        """Of the metric behind a score's name."""
        return self.specs[score.partition("@")[0]]

    def held(self) -> list[Held]:
        """Every claim of every metric. A claim is about the benchmark's first evaluator."""
        found = []
        for name, spec in self.specs.items():
            values = self.measured["values"].get(name, {})
            found += [
                Held(name, claim, judge(claim.better, claim.worse, values, spec.direction)) for claim in claims_of(spec)
            ]
        return found

    def failed(self) -> list[Held]:
        """Claims that do not hold."""
        return [held for held in self.held() if held.verified is False]

    def unmeasured(self) -> dict[str, str]:
        """Metrics that gave no values, and why."""
        problems: dict[str, str] = self.measured["problems"]
        return problems

    def verdicts(self, score: str) -> dict[tuple[str, str], Verdict]:
        """How a score orders every pair of rungs that a metric might be asked about."""
        values, direction = self.measured["values"][score], self.spec(score).direction
        judged = {pair: judge(*pair, values, direction) for pair in steps()}
        return {pair: verdict for pair, verdict in judged.items() if verdict is not None}

    def agreements(self) -> list[Agreement]:
        """Of the two evaluators, for each metric that is taken with both."""
        from scipy.stats import kendalltau

        found = []
        for second in self.values:
            metric = second.partition("@")[0]
            if metric == second or metric not in self.values:
                continue
            shared = [rung for rung in WHOLE if rung in self.values[metric] and rung in self.values[second]]
            if len(shared) > 1:
                ranked = ([statistics.fmean(self.values[name][rung]) for rung in shared] for name in (metric, second))
                found.append(Agreement(metric, second, float(kendalltau(*ranked).statistic), len(shared)))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an infinite z, of two rungs that never vary, is None."""
        rungs = {
            name: {
                rung: {"mean": statistics.fmean(values), "sd": statistics.stdev(values), "values": values}
                for rung, values in of_rung.items()
            }
            for name, of_rung in self.values.items()
        }
        return {
            "benchmark": self.benchmark,
            **{key: self.measured[key] for key in ("n", "half", "draws", "alarms")},
            "standard_errors_over": DRAWS,
            "scores": rungs,
            "claims": [
                {
                    "metric": held.metric,
                    "claim": str(held.claim),
                    "verified": held.verified,
                    "z": None if held.verdict is None or math.isinf(held.verdict.z) else held.verdict.z,
                    "found": None if held.verdict is None else held.verdict.found,
                }
                for held in self.held()
            ],
            "agreement": [vars(agreement) for agreement in self.agreements()],
            **{key: self.measured[key] for key in ("flags", "false_alarms", "nulls", "problems")},
        }

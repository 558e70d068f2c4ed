"""Every registered model on every data set at hand: the conformance kit, and the likelihood audit as one of its checks.

    python tests/every_model.py [-b BENCHMARK]... [MODEL]...

prints a row a model and benchmark, the failures in full, and ends with 1 if there are any. Models are as their specs
configure them for the data; each is checked in a process of its own, as ``genbench check`` does. The default test run
asks the kit on ``digits`` in small batches, and audits small models of each family: this script takes hours on large
images, minutes on ``digits``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from commands import inside

from genbench import paths
from genbench.engine.data import materialise
from genbench.errors import GenbenchError
from genbench.matrix import choose
from genbench.plugins import Registry, discover
from genbench.selection import load_benchmark, select_model

AUDIT = "likelihood_passes_its_audit"
SECONDS = 3600
"""For all checks of one model."""


@dataclass(frozen=True)
class Row:
    """What came of one model on one benchmark's data.

    Attributes:
        checks: the counts of verdicts, or why nothing was checked.
        audit: the verdict of the likelihood audit; empty where there is no likelihood.
        failures: name and message of each failed check.
    """

    benchmark: str
    model: str
    checks: str
    audit: str
    seconds: float
    failures: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="by default all that are registered")
    parser.add_argument("-b", dest="benchmarks", action="append", metavar="BENCHMARK", help="may be repeated")
    asked = parser.parse_args()
    registry = discover()
    problems = [f"plugin {plugin.name}: {plugin.problem}" for plugin in registry.broken]
    print("| benchmark | model | checks | likelihood audit | seconds |\n|---|---|---|---|---|", flush=True)
    for benchmark in asked.benchmarks or benchmarks(registry):
        for row in rows(registry, benchmark, asked.models or sorted(registry.models)):
            print(f"| {row.benchmark} | {row.model} | {row.checks} | {row.audit} | {row.seconds:.0f} |", flush=True)
            problems += [f"{row.model} on {row.benchmark}: {failure}" for failure in row.failures]
    print("\n" + ("\n".join(problems) or "no failure"))
    return 1 if problems else 0


def benchmarks(registry: Registry) -> list[str]:
    """One benchmark for each data set that this machine can use: on the CPU, and named as the data set if there is one.

    A data set that is not at hand is told on stderr.
    """
    chosen: dict[str, str] = {}
    for name in sorted(registry.benchmarks):
        benchmark = load_benchmark(registry, name)
        data = benchmark.dataset.name
        if benchmark.budget.device == "cpu" and (data not in chosen or name == data):
            chosen[data] = name
    for data in sorted(set(registry.datasets) - set(chosen)):
        print(f"{data}: no benchmark on the CPU uses it", file=sys.stderr)
    found = []
    for data, name in chosen.items():
        try:
            materialise(registry.datasets[data].spec, paths.data_cache())
        except GenbenchError as error:
            print(f"{data}: not at hand: {error}", file=sys.stderr)
        else:
            found.append(name)
    return found


def rows(registry: Registry, benchmark: str, models: list[str]) -> Iterator[Row]:
    """Check models one after another."""
    loaded = load_benchmark(registry, benchmark)
    for model in models:
        (entry,) = choose(loaded, [select_model(registry, model)])
        if entry.unsupported is not None:
            yield Row(benchmark, model, f"not supported: {entry.unsupported}", "", 0.0, [])
            continue
        began = time.monotonic()
        done = inside("check", model, "-b", benchmark, "--seconds", SECONDS, "--json")
        seconds = time.monotonic() - began
        if done.returncode not in (0, 3):
            yield Row(benchmark, model, f"exit code {done.returncode}", "", seconds, [done.stderr.strip()])
            continue
        results = json.loads(done.stdout)
        counts = Counter(result["verdict"] for result in results)
        checks = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("passed", "failed", "skipped"))
        audits = [result["verdict"] for result in results if result["name"] == AUDIT]
        audit = "not come to" if not audits else "" if audits == ["skipped"] else audits[0]
        failures = [f"{result['name']}: {result['message']}" for result in results if result["verdict"] == "failed"]
        yield Row(benchmark, model, checks, audit, seconds, failures)


if __name__ == "__main__":
    sys.exit(main())

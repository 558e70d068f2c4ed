"""Taking runs through the levels: a bundle's, or those of a results folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.benchmark import Benchmark
from genbench.errors import GenbenchError, RecordError, StoreError
from genbench.plugins import Registry
from genbench.record import Record
from genbench.replay import benchmark_of, file_differences, place_problems, plan_again
from genbench.store import RECORD, Store, read_record
from genbench.submission.bundle import MANIFEST, STATE, Manifest, file_findings, read_manifest, runs_of
from genbench.submission.checks import Known, known_of, speed_findings, too_good, twin_findings, twin_scores
from genbench.submission.consistency import record_findings
from genbench.submission.contents import (
    Sampled,
    curve_findings,
    nats_findings,
    picture_findings,
    read_samples,
    sample_findings,
)
from genbench.submission.verdict import Verdict
from genbench.verification import Finding

if TYPE_CHECKING:
    from genbench.specs import MetricSpec


LARGE = ("samples.npz", "nats.npz", *STATE)
"""Files that published results may lack."""


@dataclass
class Target:
    """Runs that are verified together.

    Attributes:
        whole: the verdict on a bundle as such: its manifest and its completeness; None for runs of a results folder.
        verdicts: of its runs.
        manifest: of a bundle, where it could be read.
    """

    whole: Verdict | None
    verdicts: list[Verdict]
    manifest: Manifest | None = None


@dataclass(frozen=True)
class Group:
    """The runs of one benchmark and division, from any targets.

    Attributes:
        benchmark: with the evaluators' files in place.
        specs, own: its metrics by name, and those of them that are genbench's own.
        known: runs that stand in a leaderboard already.
    """

    benchmark: Benchmark
    specs: Mapping[str, MetricSpec]
    own: set[str]
    known: Known
    verdicts: list[Verdict] = field(default_factory=list)


def open_bundle(folder: Path) -> Target:
    """A bundle with what its manifest says of its files."""
    whole = Verdict(folder.resolve().name, folder, checked=0, is_bundle=True)
    try:
        manifest = read_manifest(folder)
        findings = list(file_findings(folder, manifest))
    except RecordError as error:
        advice = "Make the bundle again with genbench submit."
        whole.fail(0, "manifest", MANIFEST, "what a bundle holds", str(error), advice)
        return Target(whole, [])
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror or error}") from None
    verdicts = [_opened(path, str(path.relative_to(folder))) for path in runs_of(folder, manifest)]
    by_place = {
        f"{path.relative_to(folder)}/": verdict
        for path, verdict in zip(runs_of(folder, manifest), verdicts, strict=True)
    }
    for finding in findings:
        owner = next((verdict for place, verdict in by_place.items() if finding.place.startswith(place)), whole)
        owner.add([finding])
    for verdict in verdicts:
        verdict.add(_of_manifest(verdict, manifest))
    if not verdicts:
        whole.fail(0, "manifest", MANIFEST, "one run or more", "none", "Submit a model's runs.")
    return Target(whole, verdicts, manifest)


def open_runs(store: Store, folders: Sequence[Path], links: Sequence[Path], level: int) -> Target:
    """Runs of a results folder, or of folders of their own; links among them are told and not followed.

    Args:
        level: that is asked for. What is published often lacks the larger files: level 3, which makes them anew, then
            holds them to the hashes in the record, and is not kept from it by their want.
    """
    from genbench.replay import LINK, place_of

    verdicts = []
    for folder in folders:
        verdict = _opened(folder, place_of(store, folder), follow_files=folder not in links)
        if folder.is_symlink():
            verdict.fail(0, "link", "", "a folder", LINK, "Put the folder itself in its place.")
        elif verdict.record is not None:
            verdict.thin = level == 3 and not (folder / "samples.npz").exists()
            verdict.add(_of_artifacts(folder, verdict.record, optional=LARGE if verdict.thin else ()))
        verdicts.append(verdict)
    return Target(None, verdicts)


def _opened(folder: Path, name: str, follow_files: bool = True) -> Verdict:
    """A run with its record, and what is wrong with how it stands there."""
    verdict = Verdict(name, folder, checked=0)
    if folder.is_symlink() or not follow_files:
        return verdict
    try:
        record = read_record(folder / RECORD)
    except RecordError as error:
        verdict.fail(
            0, "record", RECORD, "a record of genbench", f"unreadable: {error}", "Submit it as it was written."
        )
        return verdict
    except FileNotFoundError:
        verdict.fail(0, "missing file", RECORD, "a record", "no file", "Add the run's record.")
        return verdict
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {error.strerror or error}") from None
    verdict.run, verdict.record = record.run, record
    for problem in place_problems(folder, record):
        verdict.fail(0, "place", "", "a folder named after its run", problem, "Put it where the run's record says.")
    return verdict


def _of_manifest(verdict: Verdict, manifest: Manifest) -> Iterator[Finding]:
    """What of a run in a bundle is not as the manifest says, beyond its files' hashes."""
    record = verdict.record
    if record is None:
        return
    promised = f"{manifest.benchmark}, digest {manifest.digest}, {manifest.division} division, as in {MANIFEST}"
    of = record.benchmark
    if (of.name, of.digest, record.division) != (manifest.benchmark, manifest.digest, manifest.division):
        found = f"{of.name}, digest {of.digest}, {record.division} division"
        yield Finding(
            0, "failure", "manifest", RECORD, promised, found, "Submit the runs of one benchmark in a bundle."
        )
    yield from _of_artifacts(verdict.folder, record, optional=STATE)


def _of_artifacts(folder: Path, record: Record, optional: Sequence[str]) -> Iterator[Finding]:
    """Files that are not those of the record; those that may be left out count where they are there."""
    try:
        differing = file_differences(folder, record)
    except OSError as error:
        found = f"cannot be read: {error.strerror or error}"
        yield Finding(0, "failure", "file", "", "the files that its record names", found, "Mend the folder.")
        return
    for entry in differing:
        if entry.found == "nothing" and entry.field in optional:
            continue
        advice = "Submit the run's files as genbench wrote them."
        yield Finding(0, "failure", "artifact", entry.field, f"{entry.recorded} in the record", entry.found, advice)
    for name in optional or ():
        if (folder / name).exists() and name not in record.artifacts:
            yield Finding(0, "failure", "artifact", name, "no such file in the record", "a file", "Remove it.")


def grouped(registry: Registry, targets: Sequence[Target], name_or_path: str | None, known: Store) -> list[Group]:
    """The runs of the targets by benchmark and division; those whose benchmark can't be had fail level 0."""
    from genbench.leaderboard import anchors_of
    from genbench.matrix import metrics_of

    groups: dict[tuple[str, str], Group] = {}
    for verdict in (verdict for target in targets for verdict in target.verdicts):
        record = verdict.record
        if record is None:
            continue
        try:
            benchmark = benchmark_of(registry, record, name_or_path)
        except GenbenchError as error:
            verdict.fail(
                0, "benchmark", "", "a benchmark that is installed", str(error), "Install it, or give it with -b."
            )
            continue
        if benchmark.digest != record.benchmark.digest:
            promised, found = f"digest {benchmark.digest} of {benchmark.name} here", f"digest {record.benchmark.digest}"
            advice = "Install the version of genbench that it was run with, or run it again; or give its file with -b."
            verdict.fail(0, "benchmark", "", promised, found, advice)
            continue
        key = benchmark.digest, benchmark.folder
        if key not in groups:
            own, foreign = metrics_of(registry, benchmark)
            specs = {spec.name: spec for spec in (*own, *(spec for each in foreign for spec in each.metrics))}
            standing = known_of(benchmark, known.load(benchmark.folder), anchors_of(registry))
            groups[key] = Group(benchmark, specs, {spec.name for spec in own}, standing)
        groups[key].verdicts.append(verdict)
    return list(groups.values())


def level_0(registry: Registry, group: Group) -> None:
    """Records and files of runs, held to the benchmark; nothing is computed."""
    digests: dict[str, str] = {}
    for verdict in group.verdicts:
        record = verdict.record
        assert record is not None
        verdict.add(record_findings(group.benchmark, record, group.specs, group.own))
        if record.division == "open" and record.model.name in registry.models:
            promised, found = "a name that no installed model has", record.model.name
            verdict.fail(0, "name", "model.name", promised, found, "Choose another name.")
        if record.division == "closed":
            verdict.add(_code_findings(registry, group.benchmark, record))
        if record.status != "ok" or not verdict.good_up_to(0):
            continue
        sampled = None if verdict.thin else _sampled(verdict, group.benchmark)
        if sampled is not None:
            digests[str(verdict.folder)] = _digest(sampled)
            verdict.add(sample_findings(group.benchmark, record, sampled))
            verdict.add(picture_findings(group.benchmark, verdict.folder, sampled))
            verdict.add(nats_findings(group.benchmark, record, verdict.folder, dict(group.specs)))
        verdict.add(curve_findings(record, verdict.folder, group.own))
        verdict.add(speed_findings(record, group.known))
    twin_findings(group.verdicts, digests, group.known.records)


def _code_findings(registry: Registry, benchmark: Benchmark, record: Record) -> Iterator[Finding]:
    """Whether a run under the name of an installed model says that it is of its code; a stranger's may be of any."""
    if record.model.name.partition("[")[0] not in registry.models:
        return
    try:
        plan_again(registry, benchmark, record)
    except GenbenchError as error:
        promised, found = f"the installed code of {record.model.name}", str(error).removeprefix(f"{record.run}: ")
        advice = "Look at what has been run under this name."
        yield Finding(0, "warning", "installed code", "model", promised, found, advice)


def _sampled(verdict: Verdict, benchmark: Benchmark) -> Sampled | None:
    try:
        return read_samples(verdict.folder, benchmark)
    except GenbenchError as error:
        data = benchmark.dataset.data
        promised = f"uint8 samples of shape {data.shape} and {data.levels} levels"
        verdict.fail(0, "samples", "samples.npz", promised, str(error), "Submit the samples that genbench wrote.")
        return None


def _digest(sampled: Sampled) -> str:
    return hashlib.sha256(sampled.samples.tobytes()).hexdigest()


def completeness(target: Target, group: Group) -> None:
    """Note models of a bundle that lack seeds of the benchmark."""
    if target.whole is None or target.manifest is None:
        return
    models: dict[str, list[Verdict]] = {}
    for verdict in target.verdicts:
        if verdict in group.verdicts and verdict.record is not None:
            models.setdefault(verdict.record.model.name, []).append(verdict)
    for model, verdicts in models.items():
        found = {verdict.record.seed for verdict in verdicts if verdict.record is not None}
        missing = [seed for seed in group.benchmark.file.seeds if seed not in found]
        if not missing:
            continue
        promised = f"the seeds {', '.join(map(str, group.benchmark.file.seeds))}"
        told = f"without {', '.join(map(str, missing))}"
        advice = "Submit all seeds, failed ones too."
        if not target.manifest.incomplete:
            target.whole.fail(0, "seeds missing", model, promised, told, advice)
            continue
        for verdict in (target.whole, *verdicts):  # so that it stands beside each record too
            verdict.warn(0, "seeds missing", model, promised, told, advice)


def compare_with_known(group: Group) -> None:
    """Note scores, as recomputed, that are those of another run, or better than what is known makes likely."""
    own = {name: spec for name, spec in group.specs.items() if name in group.own}
    for verdict, finding in twin_scores(group.verdicts, group.known.records, own):
        verdict.add([finding])
    models: dict[str, list[Verdict]] = {}
    for verdict in group.verdicts:
        if verdict.record is not None and verdict.recomputed and verdict.record.model.name not in group.known.anchors:
            models.setdefault(verdict.record.model.name, []).append(verdict)
    for model, verdicts in models.items():
        records = [verdict.record for verdict in verdicts if verdict.record is not None]
        for _, finding in too_good(model, records, group.known, group.specs):
            verdicts[0].add([finding])

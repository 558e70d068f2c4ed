"""Making a bundle of finished runs: chosen, scrubbed, checked, and named in a manifest that is written last."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genbench import __version__
from genbench.benchmark import Benchmark
from genbench.disk import Disk
from genbench.errors import GenbenchError, RecordError, StoreError
from genbench.reading import is_there, read_file, sha256_of
from genbench.record import UNFINISHED, Record
from genbench.replay import file_differences
from genbench.store import RECORD, RunKey, read_record
from genbench.submission.bundle import MANIFEST, MAX_BYTES, MAX_NOTE, STATE, FileEntry, Manifest
from genbench.submission.scrub import Scrubber, record_problems, scrubbed

REWRITTEN = ("log.txt",)
"""Files of free text that nothing depends on."""
SCANNED = ("curve.csv", "log.txt", "state.json")
"""Texts in which no name or path may stand. ``samples.txt`` is spelled out of the samples and holds what they hold."""
MOST_TOLD = 10


@dataclass(frozen=True)
class Chosen:
    """A run that goes into a bundle, and where it stands."""

    folder: Path
    record: Record


def choose_runs(folders: Sequence[Path], benchmark_named: Sequence[str]) -> list[Chosen]:
    """The runs in these folders, all of one benchmark and division, each of which says how it ended.

    Args:
        benchmark_named: what the person asked for, for messages.

    Raises:
        GenbenchError: saying which run can't be submitted and why.
    """
    chosen = []
    for folder in folders:
        try:
            record = read_record(folder / RECORD)
        except RecordError as error:
            raise GenbenchError(f"{folder}: its record is unreadable: {error}") from None
        except OSError as error:
            raise StoreError(f"{folder}: cannot be read: {error.strerror or error}") from None
        if record.benchmark.dev or record.benchmark.custom_budget:
            raise GenbenchError(f"{record.run}: was made with --dev or --budget, which no leaderboard takes")
        if record.status in UNFINISHED:
            raise GenbenchError(f"{record.run}: is {record.status}, for no reason of the model's; run it again first")
        chosen.append(Chosen(folder, record))
    kinds = {(each.record.benchmark.name, each.record.benchmark.digest, each.record.division) for each in chosen}
    if len(kinds) > 1:
        told = ", ".join(sorted(f"{name} ({division}, digest {digest})" for name, digest, division in kinds))
        raise GenbenchError(f"{' '.join(benchmark_named)}: a bundle holds the runs of one benchmark, not of {told}")
    return chosen


def check_complete(benchmark: Benchmark, chosen: Sequence[Chosen]) -> None:
    """
    Raises:
        GenbenchError: naming each model that lacks seeds of the benchmark.
    """
    seeds: dict[str, set[int]] = {}
    for each in chosen:
        seeds.setdefault(each.record.model.name, set()).add(each.record.seed)
    lacking = {
        model: ", ".join(str(seed) for seed in benchmark.file.seeds if seed not in found)
        for model, found in seeds.items()
        if not set(benchmark.file.seeds) <= found
    }
    if lacking:
        told = "; ".join(f"{model} lacks seed {missing}" for model, missing in lacking.items())
        raise GenbenchError(
            f"{benchmark.folder}: {told}. A table takes all seeds: run the others, or name the whole model as "
            f"{benchmark.folder}/{next(iter(lacking))}; --incomplete submits what there is, and verify tells so"
        )


def pack(
    output: Path,
    benchmark: Benchmark,
    chosen: Sequence[Chosen],
    scrubber: Scrubber,
    note: str = "",
    state: bool = False,
    incomplete: bool = False,
) -> Manifest:
    """Write a bundle. It appears under its name whole or not at all.

    Args:
        output: a folder that does not exist, or is empty.
        state: whether the last state of each run goes along, which level 2 needs.
        incomplete: whether seeds may be missing.

    Raises:
        GenbenchError: if a run's files are not those of its record, or a name or path stands where it can't be taken
            out of.
        StoreError: if the disk refuses.
    """
    if len(note) > MAX_NOTE or scrubber.problems(note):
        problem = ", ".join(scrubber.problems(note)) or f"more than {MAX_NOTE} characters"
        raise GenbenchError(f"--note: holds {problem}, which a bundle must not")
    if is_there(output) and (output.is_symlink() or not output.is_dir() or any(output.iterdir())):
        raise StoreError(f"{output}: is there already; name a new folder")
    disk = Disk()
    draft = output.absolute().with_name(f".{output.name}.{secrets.token_hex(4)}.draft")
    try:
        disk.make_folders(draft)
        files: dict[str, FileEntry] = {}
        for each in chosen:
            files |= _pack_run(disk, draft, benchmark, each, scrubber, state)
        manifest = Manifest(
            genbench=__version__,
            division=benchmark.division,
            benchmark=benchmark.name,
            digest=benchmark.digest,
            incomplete=incomplete,
            note=note,
            files=dict(sorted(files.items())),
        )
        disk.write_whole(draft / MANIFEST, manifest.to_json().encode())
        if output.exists():
            disk.calls.remove_folder(output)
        disk.move(draft, output.absolute())
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        disk.remove_tree(draft)
    return manifest


def _pack_run(
    disk: Disk, draft: Path, benchmark: Benchmark, chosen: Chosen, scrubber: Scrubber, state: bool
) -> dict[str, FileEntry]:
    """Put a run into a bundle; returns its files by their paths in it."""
    record = scrubbed(chosen.record, scrubber)
    place = RunKey(benchmark.folder, record.model.name, record.seed).path
    kept = [name for name in record.artifacts if name in MAX_BYTES and (state or name not in STATE)]
    _check_files(chosen, kept, state)
    disk.make_folders(draft / place)
    artifacts = dict(record.artifacts)
    for name in kept:
        target = draft / place / name
        if name in REWRITTEN:
            text = read_file(chosen.folder / name, MAX_BYTES[name]).decode("utf-8", "replace")
            disk.write_new(target, scrubber.text(text).encode())
            artifacts[name] = sha256_of(target)
        else:
            disk.adopt(chosen.folder / name, target, copy=True)
    record = replace(record, artifacts=artifacts)
    disk.write_new(draft / place / RECORD, record.to_json().encode())
    problems = [f"{place}/{RECORD}: {field}: {what}" for field, what in record_problems(record, scrubber)]
    for name in set(kept) & set(SCANNED):
        text = read_file(draft / place / name, MAX_BYTES[name]).decode("utf-8", "replace")
        problems += [f"{place}/{name}: {what}" for what in scrubber.problems(text)]
    if problems:
        more = f"\nand {len(problems) - MOST_TOLD} more" if len(problems) > MOST_TOLD else ""
        raise GenbenchError(
            "a name or path stands where it cannot be taken out without changing the run:\n"
            + "\n".join(problems[:MOST_TOLD])
            + more
            + "\nRun the model with a configuration and figures that hold none"
        )
    return {f"{place}/{name}": _entry(draft / place / name) for name in (RECORD, *kept)}


def _check_files(chosen: Chosen, kept: Iterable[str], state: bool) -> None:
    """
    Raises:
        GenbenchError: if a file that goes along is missing, or not that of the record.
    """
    record = chosen.record
    wrong = [entry.field for entry in file_differences(chosen.folder, record) if entry.field in set(kept)]
    needed = ["samples.npz"] * (record.status == "ok") + [*STATE] * (state and record.status == "ok")
    wrong += [name for name in needed if name not in record.artifacts]
    if wrong:
        raise GenbenchError(
            f"{record.run}: {', '.join(wrong)} in {chosen.folder} is missing, or not the file that its record names; "
            "submit from the results folder that the run was made in"
        )


def _entry(path: Path) -> FileEntry:
    return FileEntry(sha256_of(path), path.stat().st_size)

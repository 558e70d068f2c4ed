"""What a leaderboard of 100 models costs: reading records, ``genbench table``, ``genbench publish``.

    python perf/leaderboard.py FOLDER [--models 100] [--benchmarks 5] [--seeds 5] [--rounds 5] [--publish] [--repeats N]

FOLDER gets ``results/``, made of the published records of ``digits`` by perturbing their scores (seeded), and the
definitions of the benchmarks, which are that of ``digits`` under other names; what is there of the same size is used
again. Whole processes are timed in turns, so that a busy machine slows all alike, and the ratio of their medians is
printed: of ``genbench table`` of one benchmark to Python starting and pandas reading the same scores from one CSV.
The byte code of all of them is kept, as that of installed packages is. Loading is put beside ``json.loads`` of the
same texts. ``--publish`` makes the site too, and weighs it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from genbench.layout import model_folder
from genbench.plugins import discover
from genbench.record import SCHEMA, brief, parse
from genbench.results import Results
from genbench.selection import load_benchmark

ROOT = Path(__file__).resolve().parent.parent
GENBENCH = shutil.which("genbench", path=str(Path(sys.executable).parent)) or "genbench"
ENDS = ("diverged", "failed", "timeout", "oom_host", "crashed")
READ_CSV = "import sys, pandas; frame = pandas.read_csv(sys.argv[1]); print(frame.groupby('model').mean(True).shape)"
KEPT = ("samples.png", "curve.csv")
"""Artifacts that the synthetic runs have too, for pages of the usual weight."""


def make(folder: Path, models: int, benchmarks: int, seeds: int) -> list[Path]:
    """Definitions and records in ``folder``; the paths of the definitions."""
    sources = _sources()
    paths = []
    for index in range(benchmarks):
        name = f"digits-{chr(ord('a') + index)}"
        path = folder / f"{name}.toml"
        text = (ROOT / "benchmarks" / "digits.toml").read_text()
        text = text.replace('name = "digits"', f'name = "{name}"')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("seeds = [0, 1, 2, 3, 4]", f"seeds = {list(range(seeds))}"))
        digest = load_benchmark(discover(), str(path)).digest
        for place in range(models):
            _make_model(folder / "results", name, digest, sources[place % len(sources)], place, seeds)
        paths.append(path)
    return paths


def _sources() -> list[list[Path]]:
    """The folders of the published runs of each contender and anchor of ``digits`` that ran."""
    folders = sorted((ROOT / "results" / "digits").iterdir())
    runs = [sorted(folder.glob("seed-*")) for folder in folders]
    return [found for found in runs if len(found) == 5 and (found[0] / "samples.png").exists()]


def _make_model(results: Path, benchmark: str, digest: str, source: list[Path], place: int, seeds: int) -> None:
    rng = random.Random(f"{benchmark} {place}")
    level = rng.gauss(0, 0.1)
    for seed in range(seeds):
        record = json.loads((source[seed % 5] / "record.json").read_text())
        name = record["model"]["name"] if place < 24 else f"{record['model']['name']}[width={place}]"
        folder = results / benchmark / model_folder(name) / f"seed-{seed}"
        if (folder / "record.json").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        record["schema"] = SCHEMA
        record["division"] = "closed"
        record["benchmark"] |= {"name": benchmark, "digest": digest}
        record["model"] |= {"name": name}
        record["seed"] = seed
        fails = place % 20 == 19 and (place % 40 == 19 or seed == 1)
        if fails:
            status = rng.choice(ENDS)
            record |= {"status": status, "reason": f"a made-up end, {status}", "scores": {}, "milestones": []}
            record |= {"audit": None, "withheld": {}}
        else:
            for scores in [record["scores"], *(milestone["scores"] for milestone in record["milestones"])]:
                for key, score in scores.items():
                    _perturb(key, score, level + rng.gauss(0, 0.03))
        record["artifacts"] = {}
        for artifact in KEPT:
            if not fails and (source[seed % 5] / artifact).exists():
                shutil.copy(source[seed % 5] / artifact, folder / artifact)
                digest_of = hashlib.sha256((folder / artifact).read_bytes()).hexdigest()
                record["artifacts"][artifact] = f"sha256:{digest_of}"
        made = parse(json.dumps(record))  # and written as genbench writes records today
        made = replace(made, milestones=[brief(milestone, made.scores) for milestone in made.milestones])
        (folder / "record.json").write_text(made.to_json())


def _perturb(key: str, score: dict[str, Any], by: float) -> None:
    """Another value of the same kind: counts stay, shares stay shares."""
    value = score["value"]
    if key == "exact_copies" or value == 0:
        return
    share = key in ("precision", "recall", "coverage", "label_accuracy") and 0 < value < 1
    changed = 1 / (1 + math.exp(-math.log(value / (1 - value)) - by)) if share else value * math.exp(by)
    score["value"] = changed
    score["repeats"] = [repeat * changed / value for repeat in score["repeats"]]


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turns(commands: dict[str, list[str]], rounds: int) -> dict[str, tuple[float, float]]:
    """The medians of wall-clock and processor seconds; a first round fills the caches and is not counted."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for index in range(rounds + 1):
        for name, command in commands.items():
            taken = seconds(command)
            if index:
                times[name].append(taken)
    return {
        name: (statistics.median(w for w, _ in taken), statistics.median(c for _, c in taken))
        for name, taken in times.items()
    }


def write_csv(results: Path, benchmark: str, target: Path) -> None:
    """The scores of a benchmark's runs, one row a run, as plain as a person would keep them."""
    import pandas as pd

    rows = [
        {"model": record.model.name, "seed": record.seed, "status": record.status}
        | {key: score.value for key, score in record.scores.items()}
        for record in Results(results).load(benchmark).records
    ]
    pd.DataFrame(rows).to_csv(target, index=False)


def measure_table(folder: Path, paths: list[Path], rounds: int) -> None:
    """``genbench table`` beside pandas."""
    scores = folder / "scores.csv"
    write_csv(folder / "results", paths[0].stem, scores)
    table = [GENBENCH, "table", "-b", str(paths[0]), "--results", str(folder / "results")]
    commands = {
        "python, pandas.read_csv": [sys.executable, "-c", READ_CSV, str(scores)],
        "genbench table": table,
        "genbench table --format csv": [*table, "--format", "csv"],
    }
    os.environ["COLUMNS"] = "160"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it would have the source of genbench compiled at every start
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    found = in_turns(commands, rounds)
    wall, cpu = found["python, pandas.read_csv"]
    print(f"(a) the table of {paths[0].stem}, medians of {rounds} rounds: wall, processor, ratios")
    for name, (w, c) in found.items():
        print(f"    {name:30} {w:6.2f} s {c:6.2f} s   {w / wall:5.2f} x {c / cpu:5.2f} x")


def measure_load(folder: Path, repeats: int) -> None:
    """Loading all records, ``repeats`` times in turns with ``json.loads`` of their texts."""
    store = Results(folder / "results")
    texts = [path.read_bytes() for path in sorted((folder / "results").glob("*/*/seed-*/record.json"))]

    def parse() -> list[Any]:
        return [json.loads(text) for text in texts]

    times: dict[Callable[[], list[Any]], list[float]] = {parse: [], lambda: store.load().records: []}
    for _ in range(repeats):
        for call, taken in times.items():
            started = time.process_time()
            loaded = call()
            taken.append(time.process_time() - started)
            if len(loaded) != len(texts):
                raise SystemExit("not every record was read")
            del loaded  # giving the memory back is no part of it
    plain, load = (min(taken) for taken in times.values())
    size = sum(map(len, texts)) / len(texts) / 1024
    print(f"(b) {len(texts)} records of {size:.0f} KiB, least of {repeats} rounds, processor seconds")
    print(f"    json.loads {plain:12.2f} s   {1000 * plain / len(texts):6.3f} ms each")
    print(f"    Results.load {load:12.2f} s   {1000 * load / len(texts):6.3f} ms each   {load / plain:5.2f} x")


def measure_publish(folder: Path, paths: list[Path]) -> None:
    """The site of all benchmarks: time and weight."""
    site = folder / "site"
    if site.exists():
        shutil.rmtree(site)
    named = [part for path in paths for part in ("-b", str(path))]
    wall, cpu = seconds([GENBENCH, "publish", str(site), *named, "--results", str(folder / "results")])
    files = [path for path in site.rglob("*") if path.is_file()]
    pages = sorted((path.stat().st_size, path) for path in files if path.suffix == ".html")
    weight = sum(path.stat().st_size for path in files) / 2**20
    (size, largest), (middle, _) = pages[-1], pages[len(pages) // 2]
    print(f"(c) genbench publish of {len(paths)} benchmarks: {wall:.1f} s, {cpu:.1f} s of processor")
    print(f"    {len(files)} files, {weight:.1f} MiB in all; {len(pages)} pages")
    print(f"    largest page {size / 1024:.0f} KiB ({largest.relative_to(site)}), median {middle / 1024:.0f} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--benchmarks", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="of whole processes")
    parser.add_argument("--repeats", type=int, default=3, help="of loading; 0: not at all")
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    paths = make(options.folder, options.models, options.benchmarks, options.seeds)
    if options.rounds:
        measure_table(options.folder, paths, options.rounds)
    if options.repeats:
        measure_load(options.folder, options.repeats)
    if options.publish:
        measure_publish(options.folder, paths)


if __name__ == "__main__":
    main()

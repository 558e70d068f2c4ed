"""What the workflows of this repository run; the same commands work on any machine.

    python scripts/board.py check BASE HEAD     a pull request: HEAD may only add folders to BASE/submissions
    python scripts/board.py build SITE          all submissions, verified again, and the site of the leaderboard

Only genbench's own code and this file are run. What stands in a submission is data.
"""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SKIPPED = {".git"}
LEVEL = "1"
"""The highest level that runs nothing of a submission's."""
SHOWN = 20

Run = Callable[[list[str]], int]


def check(base: Path, head: Path, run: Run) -> int:
    """Verify what a pull request adds; 0 if it adds submissions, and these alone, that reach the level."""
    before, after = set(_paths(base)), set(_paths(head))
    wrong = [f"removes {path}" for path in sorted(before - after)]
    wrong += [f"changes {path}" for path in sorted(before & after) if not _same(base / path, head / path)]
    added = sorted(after - before)
    for path in added:
        parts = Path(path).parts
        if len(parts) < 3 or parts[0] != "submissions" or not NAME.fullmatch(parts[1]):
            wrong.append(f"adds {path}, which is not in submissions/<name>/")
        elif (base / "submissions" / parts[1]).exists():
            wrong.append(f"adds {path} to a submission that is there already")
    if wrong:
        print("A pull request adds new folders to submissions/, and nothing else. This one", file=sys.stderr)
        for line in wrong[:SHOWN]:
            print(f"  {ascii(line)[1:-1]}", file=sys.stderr)
        return 1
    names = sorted({Path(path).parts[1] for path in added})
    if not names:
        print("This pull request adds no submission.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as board:
        # Beside all that is published: another's name or samples fail here, and not when the site is built.
        results = Path(shutil.copytree(base / "results", Path(board, "results"), symlinks=True))
        if code := _accept(base, _submissions(base), results, run):
            print("What was merged before does not verify; mend that first.", file=sys.stderr)
            return code
        return _accept(base, [head / "submissions" / name for name in names], results, run)


def build(root: Path, site: Path, run: Run) -> int:
    """Accept every submission into the results, with recomputed scores, and write the site."""
    results = root / "results"
    if code := _accept(root, _submissions(root), results, run):
        return code
    definitions = [option for path in sorted((root / "benchmarks").glob("*.toml")) for option in ("-b", str(path))]
    installed = [option for name in _installed(root) for option in ("-b", name)] if definitions else []
    return run(["publish", str(site), "--results", str(results), *definitions, *installed])


def _submissions(root: Path) -> list[Path]:
    return sorted(path for path in (root / "submissions").iterdir() if (path / "MANIFEST.json").is_file())


def _accept(root: Path, folders: list[Path], results: Path, run: Run) -> int:
    """Verify bundles one after another, each against the results and the bundles before it, and accept them."""
    for folder in folders:
        if code := run(_verify(root, folder, ["--results", str(results), "--accept", str(results)])):
            return code
    return 0


def _verify(root: Path, folder: Path, options: list[str]) -> list[str]:
    """The command that verifies a bundle; with the repository's own definition of its benchmark where it has one."""
    definition = root / "benchmarks" / f"{_benchmark(folder)}.toml"
    given = ["-b", str(definition)] if definition.is_file() else []
    return ["verify", str(folder), "--level", LEVEL, *options, *given]


def _benchmark(folder: Path) -> str:
    """The name of a bundle's benchmark; empty where its manifest does not say one, for verify to tell."""
    path = folder / "MANIFEST.json"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 4 << 20:
        return ""
    try:
        found = json.loads(path.read_bytes())["benchmark"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) and NAME.fullmatch(found) else ""


def _installed(root: Path) -> list[str]:
    """Names of the benchmarks in the results that the repository has no definition of."""
    folders = {path.name.partition("+")[0] for path in (root / "results").iterdir() if path.is_dir()}
    own = {path.stem for path in (root / "benchmarks").glob("*.toml")}
    return sorted(name for name in folders - own if NAME.fullmatch(name))


def _paths(root: Path) -> Iterator[str]:
    """Every file and link below a folder; links are named and not entered."""
    for path in sorted(root.iterdir()):
        if path.name in SKIPPED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{inner}" for inner in _paths(path))
        else:
            yield path.name


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return filecmp.cmp(one, other, shallow=False)


def genbench(arguments: list[str]) -> int:
    """Run ``genbench ARGUMENTS`` in a process of its own; returns its exit status."""
    print("genbench", *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", "genbench.cli", *arguments], check=False).returncode


def main(arguments: list[str], run: Run = genbench) -> int:
    """The command line of this file."""
    match arguments:
        case ["check", base, head]:
            return check(Path(base), Path(head), run)
        case ["build", site]:
            return build(Path.cwd(), Path(site), run)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

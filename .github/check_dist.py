"""Hold built distributions to what must be in them: ``python .github/check_dist.py dist``; exit status 1 if it is not.

Code is missed at once when it is missing. What is read as data is missed by a user later, so it is looked for here:
every file of the packages in the tree, by its own name.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
BESIDE = ["README.md", "LICENSE", "pyproject.toml"]
"""What the source archive has beside the packages."""


@functools.cache
def packaged() -> dict[str, str]:
    """Each file of the packages in the tree, from its root, and where it is in the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {package.partition(".")[0] for package in settings["packages"]}
    folders = {PurePosixPath(settings["package-dir"].get(package, package)): package for package in packages}
    found = {}
    for file in tracked([str(folder) for folder in folders]):
        folder = next(folder for folder in folders if file.is_relative_to(folder))
        found[str(file)] = str(PurePosixPath(folders[folder]) / file.relative_to(folder))
    return found


def tracked(folders: list[str]) -> list[PurePosixPath]:
    """The files of folders as git knows them, or is about to: those that it ignores are none of a package's."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [PurePosixPath(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def missing(dist: Path) -> list[str]:
    """What the one wheel and the one source archive of a folder lack, and have too much.

    Raises:
        ValueError: if the folder does not hold one of each.
    """
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    files = packaged()
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = set(opened.namelist())
    with tarfile.open(archive) as opened:
        in_archive = {name.partition("/")[2] for name in opened.getnames()}
    expected = set(files.values())
    strangers = {name for name in in_wheel - expected if ".dist-info/" not in name}
    return [
        *(f"{wheel.name} lacks {name}" for name in sorted(expected - in_wheel)),
        *(f"{wheel.name} should not have {name}" for name in sorted(strangers)),
        *(f"{archive.name} lacks {name}" for name in sorted({*files, *BESIDE} - in_archive)),
    ]


if __name__ == "__main__":
    problems = missing(Path(sys.argv[1]))
    print("\n".join(problems) or "complete")
    sys.exit(1 if problems else 0)

"""Installing a plugin project beside genbench, and calling genbench as a person does; for the tests that do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAVE_OUT = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".venv", "results")


@dataclass(frozen=True)
class Installation:
    """A folder with installed plugins, to be put on the path.

    Attributes:
        site: what ``pip install --target`` filled; entry points are found in it.
        home: a folder for caches, so that the person's own are neither used nor changed.
    """

    site: Path
    home: Path

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """A Python command, such as ``-m pytest``, with the plugins on its path."""
        path = os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, *command],
            cwd=cwd or self.home,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "GENBENCH_CACHE": str(self.home / "cache"),
                "NO_COLOR": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def genbench(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "genbench.cli", *arguments, cwd=cwd)


def pip(*arguments: str) -> None:
    """Call pip without the network: nothing is resolved, and builds use what is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--no-deps", "--no-build-isolation"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def install(project: Path, folder: Path) -> Installation:
    """Build and install a copy of ``project``, since setuptools builds inside the source tree."""
    source = folder / "source"
    shutil.copytree(project, source, ignore=LEAVE_OUT)
    pip("install", "--quiet", "--target", str(folder / "site"), str(source))
    return Installation(folder / "site", folder)

"""Installing a plugin project into a virtual environment beside genbench, and calling genbench as a person does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAVE_OUT = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".venv", "results")


@dataclass(frozen=True)
class Installation:
    """A virtual environment with a plugin in it, which also sees the packages of the one that runs the tests.

    Attributes:
        python: its interpreter.
        home: a folder for caches, so that the person's own are neither used nor changed.
    """

    python: Path
    home: Path

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """A Python command, such as ``-m pytest``, in the environment."""
        return subprocess.run(
            [str(self.python), *command],
            cwd=cwd or self.home,
            env={**os.environ, "GENBENCH_CACHE": str(self.home / "cache"), "NO_COLOR": "1", **environment},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def genbench(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "genbench.cli", *arguments, cwd=cwd)


def pip(*arguments: str) -> None:
    """Call this environment's pip without the network: nothing is resolved, and builds use what is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def install(project: Path, folder: Path) -> Installation:
    """Build a wheel of ``project`` and install it into a new virtual environment.

    torch and the rest are not installed again: the new environment reads them where the tests' own are.
    """
    source = folder / "source"
    shutil.copytree(project, source, ignore=LEAVE_OUT)  # setuptools builds inside the source tree
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder / "wheels"), str(source))
    (wheel,) = (folder / "wheels").glob("*.whl")
    environment = folder / "venv"
    venv.create(environment)
    bases = {"base": str(environment), "platbase": str(environment)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", bases))
    shared = sysconfig.get_path("purelib")
    (site_packages / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    python = Path(sysconfig.get_path("scripts", "venv", bases), "python")
    pip("--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    return Installation(python, folder)

"""The command line as its users call it: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ZOO = Path(__file__).parent / "zoo"


def environment(*python_path: Path) -> dict[str, str]:
    """This process's environment, with folders of plugins put on the path."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, python_path)), "NO_COLOR": "1", "COLUMNS": "200"}


def start(*arguments: object, python_path: tuple[Path, ...] = (), cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start ``genbench ARGUMENTS``."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "genbench.cli", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(*python_path),
        cwd=cwd,
    )


def genbench(
    *arguments: object, python_path: tuple[Path, ...] = (), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``genbench ARGUMENTS`` to its end. Whatever the arguments, a traceback is a bug."""
    process = start(*arguments, python_path=python_path, cwd=cwd)
    stdout, stderr = process.communicate(timeout=280)
    assert "Traceback" not in stderr, stderr
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

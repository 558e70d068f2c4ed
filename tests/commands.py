"""The command line as its users call it, in a process of its own; and in this one, where a claim is not about that."""

import atexit
import contextlib
import functools
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genbench.cli import main
from genbench.executors.launcher import Launcher

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


def inside(
    *arguments: object, python_path: tuple[Path, ...] = (), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``genbench ARGUMENTS`` in this process, its workers forked from a server that all such calls share.

    Importing torch into a fork server of its own takes a call 4 s, which is most of what a short command costs.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        unchanged_environment(),
        imported_from(python_path),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "200")
        users = ("launcher", "task", "again", "local")
        for user in (f"genbench.executors.{name}" for name in users):
            patch.setattr(f"{user}.Launcher", lambda threads, scoring=False: shared_launcher(threads, python_path))
        if cwd is not None:
            patch.chdir(cwd)
        code = main([str(argument) for argument in arguments])
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return subprocess.CompletedProcess(["genbench", *arguments], code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def unchanged_environment() -> Iterator[None]:
    """What a command sets for its workers, such as ``--offline``, ends with it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def imported_from(folders: tuple[Path, ...]) -> Iterator[None]:
    """Folders of plugins put on the path, and away again with all that was imported from them."""
    path = list(sys.path)
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file is not None and any(Path(file).is_relative_to(folder) for folder in folders):
                del sys.modules[name]


class SharedLauncher(Launcher):
    """A launcher whose server does not end with the command that uses it, but with this process."""

    def __exit__(self, *_: object) -> None: ...


def shared_launcher(threads: int, python_path: tuple[Path, ...]) -> Launcher:
    """The one of this environment: workers inherit what their fork server was started with."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(("GENBENCH_", "TMPDIR"))}
    # With the zoo on the path whether a command sees it or not: one server then serves most calls.
    return _launcher(threads, environment(*(python_path or (ZOO,)))["PYTHONPATH"], tuple(sorted(settings.items())))


@functools.cache
def _launcher(threads: int, python_path: str, settings: tuple[tuple[str, str], ...]) -> Launcher:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path)
        launcher = SharedLauncher(threads, scoring=True)
    atexit.register(launcher.close)
    return launcher

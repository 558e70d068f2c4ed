"""``genbench new``: a plugin project to start from."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import click

from genbench.cli.options import load_registry
from genbench.errors import GenbenchError, SpecError, StoreError

TEMPLATE = Path(__file__).parent.parent / "template"


@click.command("new")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Name of the model; by default that of the folder.")
def command(directory: Path, name: str | None) -> None:
    """Write a plugin project into DIR, a new or empty folder.

    The project holds a small model with an exact likelihood, its registration and its tests. It installs, is found
    by genbench, and passes `genbench check`.

    \b
    Examples:
      genbench new demo
      genbench new ~/src/my-flow --name flow
    """
    refuse_occupied(directory)
    model = name or directory.resolve().name
    package = package_of(model)
    refuse_taken(model, package)
    write(directory, {"model": model, "package": package, "distribution": package.replace("_", "-")})
    click.echo(f"Wrote the plugin project of the model {model!r} into {directory}. Next:\n")
    for line in next_commands(directory, model):
        click.echo(f"  {line}")


def refuse_occupied(directory: Path) -> None:
    """Raises GenbenchError if ``directory`` holds anything or is no folder."""
    if directory.exists() and not directory.is_dir():
        raise GenbenchError(f"{directory}: is a file; name a new or empty folder")
    try:
        occupied = directory.is_dir() and any(directory.iterdir())
    except OSError as error:
        raise StoreError(f"{directory}: cannot be read: {error.strerror}") from None
    if occupied:
        raise GenbenchError(f"{directory}: is not empty, and nothing is overwritten; name a new or empty folder")


def package_of(model: str) -> str:
    """The Python package of a model's project: ``genbench_my_flow`` for ``my-flow``.

    The prefix keeps a model called ``torch`` or ``test`` from hiding a package that others import.

    Raises:
        SpecError: if no model can be called ``model``; suggests a name that one can.
    """
    from genbench.plugins import NAME

    if not NAME.fullmatch(model):
        nearest = re.sub(r"[^a-z0-9._-]+", "-", model.lower()).strip("-._")[:64]
        hint = f"; try --name {nearest}" if NAME.fullmatch(nearest) else "; choose one with --name"
        raise SpecError(f"a model cannot be called {model!r}: names match {NAME.pattern}{hint}")
    # Runs of separators fold into one, as in the normalised name of a distribution.
    return "genbench_" + re.sub(r"[-._]+", "_", model).strip("_")


def refuse_taken(model: str, package: str) -> None:
    """Raises SpecError if an installed plugin has the model's name, or an importable package the project's."""
    taken = load_registry().models.get(model)
    if taken is not None:
        raise SpecError(
            f"a model called {model!r} is installed, by plugin {taken.plugin.name!r} of {taken.plugin.distribution}; "
            "choose another name with --name"
        )
    if importlib.util.find_spec(package) is not None:
        raise SpecError(f"a package called {package!r} is installed; choose another name with --name")


def write(directory: Path, answers: dict[str, str]) -> None:
    """Render the template into ``directory``.

    Raises:
        StoreError: if the disk refuses.
    """
    import copier

    from genbench import __version__

    try:
        copier.run_copy(
            str(TEMPLATE),
            directory,
            data={**answers, "genbench_version": __version__},
            settings=copier.Settings(),  # not the person's own: an answer stored there would override ours
            defaults=True,
            quiet=True,
        )
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror or error}") from error


def next_commands(directory: Path, model: str) -> list[str]:
    """The three commands that bring the new model into a table, with paths to programs that are not on PATH."""
    # Without the dot pip might take a bare name for a project of the index.
    target = str(directory) if directory.is_absolute() else f"./{directory}"
    return [
        f"{_program('pip')} install -e {shlex.quote(target)}",
        f"{_program('genbench')} check {model}",
        f"{_program('genbench')} run {model} --dev",
    ]


def _program(name: str) -> str:
    """How to call a program of this Python's environment from the shell."""
    here = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    return name if on_path and Path(on_path) == here else shlex.quote(str(here))

"""``genbench new``: a plugin project to start from."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from genbench.cli.options import load_registry
from genbench.errors import GenbenchError, SpecError, StoreError

TEMPLATE = Path(__file__).parent.parent / "template"


@dataclass(frozen=True)
class Kind:
    """What a plugin project brings.

    Attributes:
        title: for people, with its article.
        table: of the registry, which has what is installed.
        brings: what the project holds, after "It holds".
        next: the commands that use it once it is installed, of its name and its folder.
    """

    title: str
    table: str
    brings: str
    next: Callable[[str, str], tuple[str, ...]]


def _on_trial(models: str) -> Callable[[str, str], tuple[str, ...]]:
    return lambda name, folder: (f"run {models} -b {shlex.quote(f'{folder}/{trial_of(name)}.toml')}",)


def trial_of(name: str) -> str:
    """What the small benchmark of a plugin called ``name`` is called: results are kept by it, so no two share one."""
    return f"{name[:58]}-trial"  # a benchmark's name has at most 64 characters


KINDS: dict[str, Kind] = {
    "model": Kind(
        "a model",
        "models",
        "a mixture of pixels with an exact likelihood",
        lambda name, folder: (f"check {name}", f"run {name} --dev"),
    ),
    "dataset": Kind(
        "a data set",
        "datasets",
        "the even ones of scikit-learn's digits, and a small benchmark on them",
        lambda name, folder: (f"data verify {name}", *_on_trial("marginals train-copy")(name, folder)),
    ),
    "metric": Kind(
        "a metric",
        "metrics",
        "a distance between the pixels of samples and of real data, and a small benchmark that names it",
        _on_trial("marginals train-copy"),
    ),
    "evaluator": Kind(
        "an evaluator",
        "evaluators",
        "principal components of digits with their weights, and a small benchmark that names them",
        _on_trial("marginals train-copy"),
    ),
    "benchmark": Kind(
        "a benchmark",
        "benchmarks",
        "a definition on digits, remark by remark",
        lambda name, folder: (f"run --all -b {name} --dry-run", f"run marginals train-copy -b {name}"),
    ),
}


@click.command("new")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--kind", type=click.Choice(list(KINDS)), default="model", show_default=True, help="What the plugin brings."
)
@click.option("--name", metavar="NAME", help="Its name, as genbench will list it; by default that of the folder.")
def command(directory: Path, kind: str, name: str | None) -> None:
    """Write a plugin project into DIR, a new or empty folder.

    The project is small and complete: what it brings works and is there to be replaced. It installs, is found by
    genbench, has tests of its own that pass, and a workflow for GitHub that runs them. The licence is yours to choose.

    \b
    Examples:
      genbench new demo
      genbench new ~/src/my-flow --name flow
      genbench new my-data --kind dataset
    """
    refuse_occupied(directory)
    chosen = name or directory.resolve().name
    package = package_of(chosen, KINDS[kind])
    refuse_taken(chosen, package, KINDS[kind])
    write(directory, kind, chosen, package)
    click.echo(f"Wrote the plugin project of {KINDS[kind].title}, {chosen!r}, into {directory}.")
    click.echo(f"It holds {KINDS[kind].brings}; {directory / 'README.md'} says what to replace. Next:\n")
    for line in next_commands(directory, kind, chosen):
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


def package_of(name: str, kind: Kind) -> str:
    """The Python package of a project: ``genbench_my_flow`` for ``my-flow``.

    The prefix keeps a model called ``torch`` or ``test`` from hiding a package that others import.

    Raises:
        SpecError: if nothing can be called ``name``; suggests a name that would do.
    """
    from genbench.plugins import NAME

    if not NAME.fullmatch(name):
        nearest = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64]
        hint = f"; try --name {nearest}" if NAME.fullmatch(nearest) else "; choose one with --name"
        raise SpecError(f"{kind.title} cannot be called {name!r}: names match {NAME.pattern}{hint}")
    # Runs of separators fold into one, as in the normalised name of a distribution.
    return "genbench_" + re.sub(r"[-._]+", "_", name).strip("_")


def refuse_taken(name: str, package: str, kind: Kind) -> None:
    """Raises SpecError if an installed plugin has the name, or an importable package that of the project."""
    taken = getattr(load_registry(), kind.table).get(name)
    if taken is not None:
        raise SpecError(
            f"{kind.title} called {name!r} is installed, by plugin {taken.plugin.name!r} of "
            f"{taken.plugin.distribution}; choose another name with --name"
        )
    if importlib.util.find_spec(package) is not None:
        raise SpecError(f"a package called {package!r} is installed; choose another name with --name")


def write(directory: Path, kind: str, name: str, package: str) -> None:
    """Render what all projects share and what is of this kind into ``directory``.

    Raises:
        StoreError: if the disk refuses.
    """
    import copier

    from genbench import __version__

    answers = {
        "kind": kind,
        "name": name,
        "trial": trial_of(name),
        "package": package,
        "distribution": package.replace("_", "-"),
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to clean up")  # what could not be written is told below
            for part in ("common", kind):
                copier.run_copy(
                    str(TEMPLATE),
                    directory,
                    data={**answers, "part": part, "genbench_version": __version__},
                    settings=copier.Settings(),  # not the person's own: an answer stored there would override ours
                    defaults=True,
                    quiet=True,
                )
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror or error}") from error


def next_commands(directory: Path, kind: str, name: str) -> list[str]:
    """The commands that bring the new plugin to use, with paths to programs that are not on PATH."""
    # Without the dot pip might take a bare name for a project of the index.
    folder = str(directory) if directory.is_absolute() else f"./{directory}"
    return [
        f"{_program('pip')} install -e {shlex.quote(folder)}",
        *(f"{_program('genbench')} {line}" for line in KINDS[kind].next(name, folder)),
    ]


def _program(name: str) -> str:
    """How to call a program of this Python's environment from the shell."""
    here = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    return name if on_path and Path(on_path) == here else shlex.quote(str(here))

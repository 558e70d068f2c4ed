"""Options that several commands share, so that they are spelt and explained alike, and what they stand for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genbench.cli import warn_of_broken
from genbench.cli.completing import complete_benchmarks
from genbench.report.printable import json_text

if TYPE_CHECKING:
    from genbench.plugins import Registry

Command = TypeVar("Command", bound=Callable[..., Any])


def results_option(command: Command) -> Command:
    """``--results DIR``, passed as ``results: Path``."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("results"),
        envvar="GENBENCH_RESULTS",
        show_default=True,
        show_envvar=True,
        metavar="DIR",
        help="Folder of results.",
    )(command)


def benchmark_option(command: Command) -> Command:
    """``-b, --benchmark NAME``, passed as ``benchmark: str``."""
    return click.option(
        "-b",
        "--benchmark",
        default="digits",
        show_default=True,
        metavar="BENCHMARK",
        shell_complete=complete_benchmarks,
        help="Name of an installed benchmark, or the path of a .toml file.",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``, passed as ``as_json: bool``: JSON alone on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")(command)


def dev_option(command: Command) -> Command:
    """``--dev``, passed as ``dev: bool``."""
    return click.option(
        "--dev",
        is_flag=True,
        help="Score against a validation fold of the training split; for tuning, never in a leaderboard.",
    )(command)


def budget_option(command: Command) -> Command:
    """``--budget KEY=VALUE``, repeatable, passed as ``budget: tuple[str, ...]``; see
    :func:`genbench.selection.parse_budget`."""
    return click.option(
        "--budget",
        multiple=True,
        metavar="KEY=VALUE",
        help="Replace a value of the benchmark's [budget], such as images=2000. May be repeated. Such runs are "
        "kept apart and never enter a leaderboard.",
    )(command)


def division_option(command: Command) -> Command:
    """``--division closed|open``, passed as ``division: Division``."""
    return click.option(
        "--division",
        type=click.Choice(("closed", "open")),
        default="closed",
        show_default=True,
        help="closed: trained by genbench under the budget. open: samples from outside.",
    )(command)


def offline_option(command: Command) -> Command:
    """``--offline``, passed to nobody: it sets the environment variable."""
    return click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_forbid_downloads,
        help="Download nothing; the environment variable GENBENCH_OFFLINE=1 says the same.",
    )(command)


def weights_option(command: Command) -> Command:
    """``--weights PATH``, repeatable, passed as ``weights: tuple[Path, ...]``; and ``--offline``."""
    weights = click.option(
        "--weights",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        help="Weights of the benchmark's evaluator, where they do not ship, such as those of inception-v3-compat. "
        "They are taken only if they have the declared SHA-256. May be repeated.",
    )
    return weights(offline_option(command))


def reference_option(command: Command) -> Command:
    """``--reference FILE``, repeatable, passed as ``reference: tuple[Path, ...]``."""
    return click.option(
        "--reference",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Reference statistics of `genbench reference export`, to be used instead of the cache. Refused unless "
        "they are of the benchmark's data, split and evaluator. May be repeated.",
    )(command)


def _forbid_downloads(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """For this command and the processes that it starts."""
    if not value:
        return
    from genbench.paths import OFFLINE

    before = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    ctx.call_on_close(lambda: os.environ.pop(OFFLINE) if before is None else os.environ.update({OFFLINE: before}))


def load_registry() -> Registry:
    """All installed plugins; those that can't be used are told of on stderr."""
    from genbench.plugins import discover

    registry = discover()
    warn_of_broken(registry)
    return registry


def say(line: str) -> None:
    """A line to the person who waits, on stderr."""
    click.echo(line, err=True)


def print_json(document: object) -> None:
    """``document`` as JSON on stdout; NaN and infinities are refused, since they are not JSON."""
    click.echo(json_text(document))

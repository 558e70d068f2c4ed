"""The command line. Each command is a module of its own, imported only when it is invoked or its help is shown.

A command's module defines ``command``, a :class:`click.Command`. What the command returns, if it is an int, is
the exit status: a key of :data:`STATUSES`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import click
from click.shell_completion import CompletionItem

from genbench.errors import GenbenchError
from genbench.report.printable import printable, printable_lines
from genbench.signals import handled_by

if TYPE_CHECKING:
    from genbench.plugins import Registry

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("genbench.cli.run", "Train models under equal budgets and score them."),
    "table": ("genbench.cli.table", "Show the leaderboard of a benchmark."),
    "compare": ("genbench.cli.compare", "Compare two models, metric by metric."),
    "show": ("genbench.cli.show", "Show all that is known of one run."),
    "sample": ("genbench.cli.sample", "Draw samples from a trained model."),
    "score": ("genbench.cli.score", "Score samples made by anything against a benchmark."),
    "publish": ("genbench.cli.publish", "Write the leaderboards as a static site."),
    "cite": ("genbench.cli.cite", "Cite what a table rests on, as BibTeX."),
    "submit": ("genbench.cli.submit", "Make a bundle of runs that others can verify."),
    "verify": ("genbench.cli.verify", "Verify runs and bundles, level by level."),
    "new": ("genbench.cli.new", "Write a plugin project to start from."),
    "check": ("genbench.cli.check", "Check that a model keeps its contract."),
    "list": ("genbench.cli.list_", "List models, benchmarks, metrics, and what else is installed."),
    "data": ("genbench.cli.data", "List, fetch, verify and add data sets."),
    "reference": ("genbench.cli.reference", "Export reference statistics, or show what is in a file of them."),
    "fidelity": ("genbench.cli.fidelity", "Run torch-fidelity's command line with the installed evaluators."),
    "doctor": ("genbench.cli.doctor", "Show the environment and what is wrong with it."),
    "completion": ("genbench.cli.completion", "Print the script that completes command lines in a shell."),
}
"""Name, module and one line of help of genbench's own commands, in the order of ``genbench --help``."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Train and score": ("run", "table", "compare", "show", "sample", "score"),
    "Publish and verify": ("publish", "cite", "submit", "verify"),
    "Write plugins": ("new", "check"),
    "What is installed": ("list", "data", "reference", "fidelity", "doctor", "completion"),
}
"""Under which title ``genbench --help`` has each of them."""

STATUSES = {
    0: "ok",
    1: "some run is not ok",
    2: "usage: unknown name, option or value",
    3: "a check found a fault",
    4: "the results folder or the disk refused",
    5: "nothing selected, or nothing to show",
    130: "Ctrl-C",
    141: "the reader of the output has gone",
    143: "SIGTERM",
}
"""What each exit status means."""

STATUSES_OF: dict[str, tuple[int, ...]] = {
    "run": (1, 4, 5, 130, 143),
    "table": (5,),
    "compare": (3, 5),
    "show": (4, 5),
    "sample": (4,),
    "publish": (4, 5),
    "submit": (3, 4),
    "verify": (3, 4, 5),
    "check": (3,),
    "data": (3, 5),
    "doctor": (3,),
}
"""Those that a command's help names beside 0 and 2, since it may well end with them."""


def statuses_text(numbers: Iterable[int]) -> str:
    """The end of a help page: what exit statuses mean, a line each."""
    return "\n".join(["\b", "Exit status:", *(f"  {number:<3}  {STATUSES[number]}" for number in numbers)])


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command's module only when it needs more."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_third_party()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
            command.epilog = statuses_text(sorted([0, 2, *STATUSES_OF.get(cmd_name, ())]))
            return command
        return _third_party().get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            from genbench.plugins import discover

            warn_of_broken(discover())  # it may be one of a plugin that does not work
            raise click.UsageError(str(GenbenchError.unknown("command", name, self.list_commands(ctx))), ctx)
        return super().resolve_command(ctx, args) if command is None else (name, command, args[1:])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Click's own imports every command to ask it for its help.
        names = {name: summary for name, (_, summary) in COMMANDS.items()}
        names |= {name: command.get_short_help_str(80) for name, command in _third_party().items()}
        found = [CompletionItem(name, help=about) for name, about in names.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), COMMANDS[name][1]) for name in names])
        added = _third_party()
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in added.items()])


def _third_party() -> dict[str, click.Command]:
    """Commands of the plugins of other distributions: genbench's own add none, so that help need not load them."""
    from importlib.metadata import entry_points

    others = [point for point in entry_points(group="genbench") if not point.dist or point.dist.name != "genbench"]
    if not others:
        return {}
    from genbench.plugins import discover

    return {name: entry.spec for name, entry in sorted(discover(others).commands.items())}


def warn_of_broken(registry: Registry) -> None:
    """One line on stderr for each plugin that is installed and can't be used."""
    for plugin in registry.broken:
        told = f"Warning: plugin {plugin.name} of {plugin.distribution} is not used: {plugin.problem}"
        click.echo(printable(told), err=True)


EPILOG = f"""\b
Examples:
  genbench run --all                    everything on the default benchmark
  genbench run dcgan 'vae[latent=16]'   two models, one with other options
  genbench table --format md            the leaderboard as Markdown
  genbench COMMAND --help               what a command does, with examples

\b
Environment:
  GENBENCH_RESULTS        folder of results, where --results is not given
  GENBENCH_CACHE          where data, statistics and weights are kept
  GENBENCH_DATA           where `genbench data add` registers data sets
  GENBENCH_OFFLINE        1: download nothing
  GENBENCH_PROBE_SECONDS  how long a plugin may take to be loaded
  GENBENCH_TENSORBOARD    folder for curves, with genbench[tensorboard]
  NO_COLOR                no colours

{statuses_text(STATUSES)}
"""


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from genbench import __version__

        click.echo(f"genbench {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """A bench for generative models.

    Trains every model under the same seeds and the same budget, scores all of them the same way (FID, KID, IS,
    precision, recall, bits per dimension) and puts them into tables whose rows may be compared.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; the console script ``genbench``.

    Args:
        args: the arguments, by default those of the process.
    """
    stdout = sys.stdout
    for stream in (stdout, sys.stderr):
        # A terminal that can't show an arrow gets a question mark, not a traceback.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        with handled_by(_terminate, [signal.SIGTERM]):
            status = cli.main(args, prog_name="genbench", standalone_mode=False)
            sys.stdout.flush()
    except click.ClickException as error:
        # It repeats what was typed, which may have come from elsewhere.
        said = printable_lines(error.format_message())
        error.format_message = lambda: said  # type: ignore[method-assign]
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except GenbenchError as error:
        click.echo(printable_lines(f"Error: {error}"), err=True)
        return error.exit_code
    except (BrokenPipeError, SystemExit) as error:
        # The reader has gone (`genbench table | head`). Click then muffles stdout and ends with 1, which here means
        # that a run is not ok.
        if not isinstance(error, BrokenPipeError) and sys.stdout is stdout:
            raise
        _discard(stdout)
        return 141
    except OSError as error:
        if error.filename is None:  # it may be stdout that can't be written to
            _discard(stdout)
        click.echo(printable(f"Error: {error.filename or 'output'}: {error.strerror or error}"), err=True)
        return 4
    except Terminated:
        return 143
    return status if type(status) is int else 0


class Terminated(BaseException):
    """SIGTERM arrived; raised where the program stands, so that what it has begun is put away."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _discard(stdout: TextIO) -> None:
    """Nothing more can be said, also not when the interpreter flushes what is left in the buffer at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())

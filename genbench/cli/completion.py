"""``genbench completion``: the script with which a shell completes genbench's command lines."""

from __future__ import annotations

import click

PLACES = {
    "bash": "~/.bash_completion",
    "zsh": "${fpath[1]}/_genbench",
    "fish": "~/.config/fish/completions/genbench.fish",
}
"""Where each shell looks for such a script by itself; for zsh, the first folder of its path of functions."""

MENDED = {
    # A word that goes on, such as vae[latent= or digits/, gets no space behind it.
    "bash": {"    return 0\n": "    [[ ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace\n\n    return 0\n"},
    # An answer is parted at its first comma alone: lists of seeds have commas in them.
    "fish": {'string split "," $completion': 'string split --max 1 "," $completion'},
}
"""What of click's own scripts is replaced, and by what."""

VARIABLE = "_GENBENCH_COMPLETE"
"""Set by the script when it asks genbench for completions."""


@click.command("completion")
@click.argument("shell", type=click.Choice(list(PLACES)))
def command(shell: str) -> None:
    """Print the script that completes genbench's command lines in SHELL: bash (4.4 or later), zsh or fish.

    Commands and options are completed, and names of models and their options, benchmarks, data sets, evaluators,
    metrics, seeds, and the runs in the results folder. The first line of the script says where to put it.

    \b
    Examples:
      source <(genbench completion bash)           in this shell only
      genbench completion bash >> ~/.bash_completion
      genbench completion zsh > "${fpath[1]}/_genbench"
      genbench completion fish > ~/.config/fish/completions/genbench.fish
    """
    script = _script(shell)
    place = f"# Put this into {PLACES[shell]} and open a new shell."
    # The first line of zsh's has to be its own.
    first, _, rest = script.partition("\n") if script.startswith("#compdef") else ("", "", script)
    click.echo("\n".join([*[first] * bool(first), place, rest.strip()]))


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from genbench.cli import cli

    of_shell = get_completion_class(shell)
    assert of_shell is not None  # click has all three
    completer = of_shell(cli, {}, "genbench", VARIABLE)
    # What `source` asks of bash first is its version, which is not that of the shell that will read the script.
    script = completer.source_template % completer.source_vars()
    for theirs, ours in MENDED.get(shell, {}).items():
        assert theirs in script, f"click's script for {shell} has changed"
        script = script.replace(theirs, ours)
    return script

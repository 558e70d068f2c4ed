"""``genbench fidelity``: torch-fidelity's own command line, with the installed evaluators known by name."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command("fidelity", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Call torch-fidelity's `fidelity` with ARGUMENTS, after registering every installed evaluator with it.

    So `--feature-extractor digits-cnn-v1` works there, with the weights that are declared here. Its own extractors
    and options are what they are without genbench; `genbench fidelity -- --help` shows them. Folders of PNGs hold
    the levels of the data themselves.

    \b
    Examples:
      genbench fidelity --cpu --fid --isc --input1 samples/ --input2 real/ \\
        --feature-extractor digits-cnn-v1
    """
    # A process of its own: this one stays without torch, and torch-fidelity reads sys.argv and exits as it likes.
    return subprocess.run([sys.executable, "-P", "-m", "genbench.engine.fidelity", *arguments], check=False).returncode

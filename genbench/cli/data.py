"""``genbench data``: the data sets, where they are, and folders of images of one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.completing import complete_datasets
from genbench.cli.options import json_option, load_registry, offline_option, print_json, say
from genbench.errors import NothingSelected
from genbench.report.printable import printable, printable_lines

if TYPE_CHECKING:
    from genbench.plugins import Registered, Registry
    from genbench.specs import DatasetSpec

TEST_SHARE = 0.2
"""Of a folder of images that has no test split of its own."""
MAX_SIDE = 4096
SIZE = re.compile(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?")


@click.group("data")
def command() -> None:
    """List data sets, bring them onto this machine, verify them, and add folders of images of your own.

    Runs fetch what they need by themselves. Every data set is identified by hashes and checked before any run.

    \b
    Examples:
      genbench data list
      genbench data fetch mnist cifar10
      genbench data fetch mnist --from ~/Downloads --offline
      genbench data verify
      genbench data add ~/pictures/birds --size 32
    """


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the data sets, and whether they are on this machine."""
    entries = [_entry(registered) for _, registered in sorted(load_registry().datasets.items())]
    if as_json:
        print_json(entries)
        return
    from genbench.report.console import console, print_table

    header = ["Data set", "Shape", "Train", "Test", "State", "Licence"]
    rows = [
        [
            entry["name"],
            "x".join(map(str, entry["data"]["shape"])),
            f"{entry['train']:,}",
            f"{entry['test']:,}",
            _state_text(entry),
            entry["licence"],
        ]
        for entry in entries
    ]
    print_table(console(), rows, header)


@command.command("fetch", short_help="Bring data sets into the cache.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_datasets)
@click.option("--all", "everything", is_flag=True, help="All data sets.")
@click.option(
    "--from",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Look for the files there first, and copy those with the declared SHA-256. May be repeated.",
)
@offline_option
def fetch(names: Sequence[str], everything: bool, folders: Sequence[Path]) -> None:
    """Bring data sets into the cache: find or download their files, check them, and unpack them.

    \b
    Examples:
      genbench data fetch mnist cifar10
      genbench data fetch mnist --from ~/Downloads --offline
    """
    from genbench.data_files import download_notice
    from genbench.executors.launcher import Launcher

    registry = load_registry()
    chosen = _chosen(registry, names, everything)
    with Launcher(threads=1) as launcher:
        for registered in chosen:
            if notice := download_notice(registered.spec):
                say(notice)
            given = [str(folder.absolute()) for folder in folders if registered.spec.files or not everything]
            arguments = {"dataset": asdict(registered.spec), "given": given}
            folder = launcher.call("genbench.engine.data_tasks:fetch", arguments, _sys_path(registered))
            click.echo(printable(f"{registered.spec.name}: {folder}"))


@command.command("verify", short_help="Hold data sets to their declared hashes.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_datasets)
@json_option
def verify(names: Sequence[str], as_json: bool) -> int:
    """Hold data sets to their declared hashes: their files, what is read from them, and the copy in the cache.

    Without names, all that are on this machine. Nothing is downloaded. The exit status is 3 if something is wrong, and
    2 if a data set that was named is missing: its files, the folder it was added from, or a package it is read from.
    """
    from genbench.executors.launcher import Launcher

    chosen = _chosen(load_registry(), names, everything=not names)
    entries = []
    with Launcher(threads=1) as launcher:
        for registered in chosen:
            arguments = {"dataset": asdict(registered.spec)}
            found = launcher.call("genbench.engine.data_tasks:verify", arguments, _sys_path(registered))
            entries.append({"name": registered.spec.name, **found})
    if as_json:
        print_json(entries)
    for entry in entries:
        if entry["state"] == "missing" and not names:
            copy = ", but for a copy in the cache, which is intact" if entry["cached"] else ""
            click.echo(f"{entry['name']}: not on this machine{copy}", err=as_json)
        elif entry["problem"]:
            click.echo(printable_lines(f"{entry['name']}: {entry['state']}: {entry['problem']}"), err=as_json)
        else:
            copy = "with its copy in the cache" if entry["cached"] else "not yet in the cache"
            click.echo(f"{entry['name']}: ok, {copy}, content {entry['content_sha256']}", err=as_json)
    states = {entry["state"] for entry in entries}
    if "wrong" in states:
        return 3
    if "missing" in states and names:
        return 2
    return 0 if "ok" in states else 5


@command.command("add")
@click.argument("path", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", metavar="NAME", help="What benchmarks call it; by default the folder's name.")
@click.option(
    "--size",
    metavar="S",
    help="Bring images to S by S pixels, or to HEIGHTxWIDTH: cropped in the middle, then resized by a bicubic filter. "
    "Without it all must have one size.",
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="The share of each class that a hash of the pixels puts into the test split, where the folder has none; "
    f"{TEST_SHARE:g} by default.",
)
@json_option
def add(path: Path, name: str | None, size: str | None, test_share: float | None, as_json: bool) -> None:
    """Register the PNG and JPEG images in PATH as a data set.

    PATH holds images, or a folder of images a class, or folders `train` and `test` that hold one or the other. The
    images stay where they are and are read again if the cache is lost, so keep them.

    \b
    Examples:
      genbench data add ~/pictures/birds --size 32
      genbench data add faces --name faces-64 --size 64 --test-share 0.1
    """
    from genbench.added import checked, write_registration
    from genbench.executors.launcher import Launcher

    root = path.expanduser().resolve()
    chosen = _name(load_registry(), name or re.sub(r"[^a-z0-9._-]+", "-", root.name.lower()).strip("-._"))
    arguments = {
        "name": chosen, "path": str(root), "size": _size(size), "test_share": test_share, "default_share": TEST_SHARE,
    }  # fmt: skip
    with Launcher(threads=1) as launcher:
        found = launcher.call("genbench.engine.data_tasks:add", arguments)
    registration = checked(found["registration"])
    file = write_registration(registration)
    if as_json:
        print_json({**found, "file": str(file)})
    for line in _added_text(found, file):
        click.echo(printable_lines(line), err=as_json)


def _chosen(registry: Registry, names: Sequence[str], everything: bool) -> list[Registered[DatasetSpec]]:
    if everything and not names:
        return [registered for _, registered in sorted(registry.datasets.items())]
    if not names:
        raise NothingSelected("no data set named; give names, or --all")
    if everything:
        raise click.UsageError("give names or --all, not both")
    return [registry.find("datasets", name) for name in dict.fromkeys(names)]


def _sys_path(registered: Registered[DatasetSpec]) -> list[str]:
    from genbench.matrix import sys_path

    return sys_path(registered.plugin)


def _entry(registered: Registered[DatasetSpec]) -> dict[str, Any]:
    from genbench import paths
    from genbench.data_files import bytes_to_download, cached_folder

    spec = registered.spec
    return {
        **asdict(spec),
        "plugin": registered.plugin.name,
        "cached": cached_folder(spec, paths.data_cache()).is_dir(),
        "bytes_to_download": bytes_to_download(spec),
    }


def _state_text(entry: dict[str, Any]) -> str:
    from genbench.data_files import size_text

    if entry["cached"]:
        return "in the cache"
    missing = entry["bytes_to_download"]
    return f"to download: {size_text(missing)}" if missing else "made when needed"


def _name(registry: Registry, name: str) -> str:
    from genbench.added import DISTRIBUTION
    from genbench.plugins import NAME

    if not NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: names match {NAME.pattern}; give another", param_hint="--name")
    taken = registry.datasets.get(name)
    if taken is not None and taken.plugin.distribution != DISTRIBUTION:
        raise click.BadParameter(
            f"{name!r} is a data set of {taken.plugin.distribution}; give another name", param_hint="--name"
        )
    return name


def _size(text: str | None) -> list[int] | None:
    """Height and width."""
    if text is None:
        return None
    match = SIZE.fullmatch(text)
    sides = [int(match[1]), int(match[2] or match[1])] if match else [0, 0]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise click.BadParameter(f"{text!r}: give S or HEIGHTxWIDTH, 1 to {MAX_SIDE} pixels", param_hint="--size")
    return sides


def _added_text(found: dict[str, Any], file: Path) -> list[str]:
    made = found["registration"]
    channels, height, width = made["shape"]
    split = "split by a hash" if made["test_share"] is not None else "in its own splits"
    form = f"{'grey' if channels == 1 else 'RGB'}, {height}x{width} (height x width)"
    lines = [
        f"{made['name']}: {made['train']} training and {made['test']} test images, {split}; {form}; "
        f"{len(made['classes']) or 'no'} classes",
        f"  content {made['sha256']}",
        f'  registered in {file}; a benchmark uses it with: dataset = "{made["name"]}"',
    ]
    if made["resized"]:
        lines.append(f"  images of other sizes were {made['resized']}")
    if found["left_out"]:
        lines.append(f"  left out, no PNG or JPEG: {len(found['left_out'])}, such as {found['left_out'][0]}")
    if found["in_both"]:
        lines.append(f"  Warning: {found['in_both']} of the test images stand in the training split too")
    return lines

"""What a reader types to get a leaderboard's numbers.

Records may come from elsewhere: what would be an option or an address to pip or to genbench is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from genbench import __version__
from genbench.record import Record
from genbench.report.site.context import Context
from genbench.single_file import UNPACKAGED

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,62}")
"""What pip takes for a name and for a version, and never for an option or an address (PyPA's core metadata)."""


def of_board(context: Context) -> list[str]:
    """Of the whole table."""
    records = [record for row in context.own for record in row.records]
    models = [row.model for row in context.own if _is_model(row.model)]
    name = _benchmark(context)
    if context.is_open:
        return [_install(records), f"genbench table -b {name} --division open"]
    run = " ".join(["genbench run", *map(shlex.quote, models), f"-b {name}"])
    return [_install(records), run, f"genbench table -b {name}"]


def of_model(context: Context, model: str) -> str:
    """Of a model's row, all its seeds; empty where there is none to type."""
    if context.is_open or not _is_model(model):
        return ""
    return f"genbench run {shlex.quote(model)} -b {_benchmark(context)}"


def of_run(context: Context, record: Record) -> list[str]:
    """Of one run: how to make it again, and how to verify one that is there."""
    name = _benchmark(context)
    model = record.model.name
    if context.is_open or not _is_model(model):
        return []
    place = shlex.quote(f"{context.folder}/{model}/seed-{record.seed}")
    return [
        _install([record]),
        f"genbench run {shlex.quote(model)} -b {name} --seeds {record.seed}",
        f"genbench verify {place} --level 3",
    ]


def _install(records: Iterable[Record]) -> str:
    wanted = {"genbench": __version__}
    for record in records:
        name, version = record.model.plugin, record.model.version
        if version != UNPACKAGED and DISTRIBUTION.fullmatch(name) and VERSION.fullmatch(version):
            wanted.setdefault(name, version)
    return "pip install " + " ".join(shlex.quote(f"{name}=={version}") for name, version in wanted.items())


def _is_model(name: str) -> bool:
    return name.isprintable() and not name.startswith("-")


def _benchmark(context: Context) -> str:
    return f"./{context.definition}" if context.definition else context.board.benchmark.name

"""Errors that a person reads: each says what was promised, what was found, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 20
"""Of the known names that an error lists."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Of the known names the one that ``name`` was most likely meant to be; None if none is like it."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)), None)


class GenbenchError(Exception):
    """Base of all errors that the command line prints without a traceback.

    Attributes:
        exit_code: the process's exit status, as listed in the documentation of the command line.
    """

    exit_code = 2

    @classmethod
    def unknown(cls, what: str, name: str, known: Iterable[str]) -> GenbenchError:
        """The error for a name that is not one of the known ones; suggests the nearest."""
        names = sorted(known)
        near = nearest(name, names)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        hint = (
            f"did you mean {near!r}?" if near is not None else f"known: {', '.join(names[:MOST_NAMED]) or 'none'}{more}"
        )
        return cls(f"unknown {what} {name!r}; {hint}")


class SpecError(GenbenchError):
    """A declaration or a request that does not fit its contract."""


class BenchmarkError(GenbenchError):
    """A benchmark definition that cannot be used."""


class DataError(GenbenchError):
    """Data that are missing, or not what their declaration says."""


class MissingData(DataError):
    """Data that are not on this machine: a file, a folder or a package that they are read from."""


class NothingSelected(GenbenchError):
    """A command that was given nothing to do."""

    exit_code = 5


class VerificationFailed(GenbenchError):
    """A check that ran and found a fault."""

    exit_code = 3


class StoreError(GenbenchError):
    """The results folder or the disk refused."""

    exit_code = 4


class InvalidOutput(GenbenchError):
    """A plugin returned something other than it promised; becomes the status ``invalid_output``."""

    exit_code = 1


class Diverged(GenbenchError):
    """A training loss became NaN or infinite; becomes the status ``diverged``."""

    exit_code = 1


class OverBudget(GenbenchError):
    """A model holds more parameters, or spends more, than the benchmark allows; becomes the status ``over_budget``."""

    exit_code = 1


class RecordError(GenbenchError):
    """A record that is not what the schema promises."""


MAX_REASON = 500


def clean(text: str) -> str:
    """Text that any record can hold: no lone surrogates, no endless line, nothing that a terminal would obey."""
    text = text.encode("utf-8", "replace").decode()
    text = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + " ..."

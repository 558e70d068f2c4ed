"""What :func:`genbench.run` and :func:`genbench.check` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from genbench.leaderboard import Leaderboard
    from genbench.record import Record


@dataclass(frozen=True)
class RunReport:
    """What came of :func:`genbench.run`.

    Attributes:
        leaderboard: of the runs that were asked for, and of no others; :func:`genbench.table` shows all of the folder.
        records: of these runs, those that were done before among them; one whose run was not begun is not there.
        ok: whether there is a record of every run, and none of them has failed.
    """

    leaderboard: Leaderboard
    records: tuple[Record, ...]
    ok: bool

    @property
    def failed(self) -> tuple[Record, ...]:
        """The records whose status is not ``ok``, with the reason."""
        return tuple(record for record in self.records if record.status != "ok")

    def frame(self) -> pd.DataFrame:
        """The leaderboard as a data frame, one row a model; see :meth:`genbench.leaderboard.Leaderboard.frame`."""
        return self.leaderboard.frame()

    def __repr__(self) -> str:
        count = len(self.records)
        return f"<RunReport: {count} record{'s' * (count != 1)}, {len(self.failed)} not ok, of {self.leaderboard!r}>"

    def __str__(self) -> str:
        return str(self.leaderboard)

    def _repr_html_(self) -> str:
        from genbench.report.html import leaderboard_html

        return leaderboard_html(self.leaderboard)


@dataclass(frozen=True)
class CheckReport:
    """What the conformance checks found of a model.

    Attributes:
        model, benchmark: what was checked, and on whose data.
        results: of each check, with ``name``, ``group``, ``verdict`` (``passed``, ``failed`` or ``skipped``) and, where
            it failed, ``promise``, ``measured``, ``cause`` and ``read``; a check that passed may have a remark as
            its ``message``.
    """

    model: str
    benchmark: str
    results: tuple[dict[str, Any], ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[dict[str, Any], ...]:
        """The results of the checks that failed."""
        return tuple(result for result in self.results if result["verdict"] == "failed")

    def __repr__(self) -> str:
        return f"<CheckReport of {self.model} on {self.benchmark}: {len(self.failed)} of {len(self.results)} failed>"

    def __str__(self) -> str:
        from genbench.testing import explanation

        lines = [repr(self)[1:-1]]
        for result in self.failed:
            lines += [f"  FAILED {result['name']}", *(f"    {line}" for line in explanation(result))]
        for result in self.results:
            if result["verdict"] == "passed" and result["message"]:
                lines += [f"  remark {result['name']}", f"    {result['message']}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from genbench.report.html import page, simple_table

        rows = [[result["name"], result["group"], result["verdict"], result["message"]] for result in self.results]
        return page(repr(self)[1:-1], simple_table(["Check", "Group", "Verdict", "Finding"], rows))

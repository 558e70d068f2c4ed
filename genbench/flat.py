"""The rows of a leaderboard as flat dicts, for CSV and for data frames."""

from __future__ import annotations

from typing import Any

from genbench.columns import Column
from genbench.leaderboard import Leaderboard
from genbench.rows import Row


def of_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """The rows as flat dicts with the same keys in each, numbers unrounded, None where there is none.

    Of each score ``fid``: its mean ``fid``, ``fid_low`` and ``fid_high``, ``fid_rank``, ``fid_sd_training`` and
    ``fid_sd_sampling`` (of logarithms where ``fid_log_scale``). Of a likelihood also ``_kind``, ``_audit`` (passed, or
    unaudited), ``_smallest_flattery`` and ``_effective_draws``; ``_flag`` and ``_withheld`` where any row has one, and
    ``verified`` where any row is.
    """
    extras = {column.key: _extras(board, column) for column in board.columns}
    flat = []
    for row in board.rows:
        entry: dict[str, Any] = {"model": row.model, "anchor": row.anchor, "ok": row.ok, "seeds": row.seeds}
        if board.has_verified:
            entry["verified"] = row.verified
        for column in board.columns:
            entry |= _cell(column.key, row, extras[column.key])
        flat.append({**entry, **{key: row.costs[key] for key in board.costs}, "problem": row.problem})
    return flat


def _extras(board: Leaderboard, column: Column) -> set[str]:
    """What a column has beside what every one has."""
    cells = [row.scores[column.key] for row in board.rows if column.key in row.scores]
    found = {"likelihood"} if column.group == "likelihood" or any(cell.is_likelihood for cell in cells) else set()
    found |= {"flag"} if any(cell.flags for cell in cells) else set()
    return found | ({"withheld"} if any(column.key in row.withheld for row in board.rows) else set())


def _cell(key: str, row: Row, extras: set[str]) -> dict[str, Any]:
    cell = row.scores.get(key)
    estimate = cell.estimate if cell else None
    flat: dict[str, Any] = {
        key: estimate and estimate.mean,
        f"{key}_low": estimate and estimate.low,
        f"{key}_high": estimate and estimate.high,
        f"{key}_rank": cell and cell.rank,
        f"{key}_sd_training": cell and cell.components.training,
        f"{key}_sd_sampling": cell and cell.components.sampling,
        f"{key}_log_scale": estimate and estimate.log_scale,
    }
    if "likelihood" in extras:
        flat |= {
            f"{key}_kind": cell and cell.kind,
            f"{key}_audit": cell and ("passed" if cell.audited else "unaudited"),
            f"{key}_smallest_flattery": cell and cell.smallest_flattery,
            f"{key}_effective_draws": cell and cell.effective_draws,
        }
    if "flag" in extras:
        flat[f"{key}_flag"] = "; ".join(dict.fromkeys(cell.flags.values())) if cell else None
    if "withheld" in extras:
        flat[f"{key}_withheld"] = "; ".join(entry.reason for entry in row.withheld.get(key, ())) or None
    return flat

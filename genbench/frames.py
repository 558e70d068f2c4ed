"""Results as a data frame: one row a run, for whoever wants to reckon with them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.columns import COSTS
from genbench.errors import GenbenchError
from genbench.report.legend import withheld
from genbench.results import Loaded, Results

if TYPE_CHECKING:
    import pandas as pd

    from genbench.record import Record
    from genbench.specs import Division

FIXED = (
    "benchmark", "digest", "division", "dev", "custom_budget", "model", "config", "seed", "status", "reason",
    "verified", "folder", "plugin", "version", "code_sha256", "likelihood", "conditional", "ended_by", "images",
    "steps", "started", "finished", "warnings", "withheld",
)  # fmt: skip
"""Columns that every frame has before those of scores and costs, whatever the records."""

TEXTS = ("benchmark", "digest", "division", "model", "status", "folder", "plugin", "version", "code_sha256")
"""Columns of text that no run is without."""

COUNT, KIND = "_n", "_kind"
"""Suffixes of the columns beside a score's."""

RESERVED = {*FIXED, *(key for key, _, _ in COSTS)}
"""A third party's score of such a name, or of a name with such a suffix, gets ``score:`` before it."""


def load_results(path: str | Path, benchmark: str | None = None, division: Division | None = "closed") -> pd.DataFrame:
    """The runs in a results folder as a data frame: one row a run, failed ones too.

    Columns are described in ``docs/tables.md``: those of :data:`FIXED`; each score ``fid`` as ``fid`` and, from how
    many samples or examples, ``fid_n``, of a likelihood also its kind (NaN where a run has none); the costs of the
    tables, such as ``train_seconds``. Rows stand by benchmark, model and seed. Scores of runs whose ``digest`` or whose
    likelihoods' kind differs must not be compared. A likelihood that failed its audit is not there, but ``withheld``.

    >>> frame = load_results("results", "digits")                              # doctest: +SKIP
    >>> frame[frame.status == "ok"].groupby("model").fid.agg(["mean", "std"])  # doctest: +SKIP

    Args:
        path: the results folder.
        benchmark: of this benchmark only, in all of its variants (``--dev``, ``--budget``).
        division: of the ``closed`` or the ``open`` division, or None for both.

    Returns:
        The frame. ``frame.attrs["unreadable"]`` has (path, problem) of each record that can't be trusted, of all of
        which a ``UserWarning`` tells too.

    Raises:
        GenbenchError: if the folder is not there, or has nothing of that benchmark; naming the nearest that it has.
    """
    import pandas as pd

    root = Path(path)
    if not root.is_dir():
        raise GenbenchError(f"{root}: there is no such folder of results")
    loaded = _loaded(Results(root), benchmark)
    runs = [run for run in zip(loaded.records, loaded.folders, strict=True) if division in (None, run[0].division)]
    rows = [_row(record, folder, loaded) for record, folder in runs]
    costs = [key for key, _, _ in COSTS]
    scores = sorted({key for row in rows for key in row} - {*FIXED, *costs})
    frame = pd.DataFrame(rows, columns=[*FIXED, *scores, *costs])
    whole = [key for key in scores if key.endswith(COUNT)] + ["images", "steps", "verified"]
    kinds = dict.fromkeys([key for key in scores if key.endswith(KIND)], "object")
    floats = dict.fromkeys([*scores, *costs], "float64")
    frame = frame.astype(floats | kinds | dict.fromkeys(TEXTS, "str") | dict.fromkeys(whole, "Int64"))
    frame.attrs["unreadable"] = [(str(entry.path), entry.problem) for entry in loaded.unreadable]
    if loaded.unreadable:
        first = loaded.unreadable[0]
        warnings.warn(
            f"{len(loaded.unreadable)} unreadable in {root}, such as {first.path}: {first.problem}; "
            "frame.attrs['unreadable'] has all",
            stacklevel=2,
        )
    return frame


def _loaded(store: Results, benchmark: str | None) -> Loaded:
    """All that the folder holds, or all of the folders of one benchmark."""
    if benchmark is None:
        return store.load()
    names = store.benchmarks()
    folders = [name for name in names if name == benchmark or name.startswith(f"{benchmark}+")]
    if not folders:
        raise GenbenchError.unknown(f"benchmark (in {store.root})", benchmark, [n.partition("+")[0] for n in names])
    whole = Loaded([], [])
    for folder in folders:
        part = store.load(folder)
        whole.records.extend(part.records)
        whole.folders.extend(part.folders)
        whole.unreadable.extend(part.unreadable)
        whole.verifications.update(part.verifications)
    return whole


def _row(record: Record, folder: Path, loaded: Loaded) -> dict[str, Any]:
    model, verification = record.model, loaded.verifications.get(record.run)
    row: dict[str, Any] = {
        "benchmark": record.benchmark.name,
        "digest": record.benchmark.digest,
        "division": record.division,
        "dev": record.benchmark.dev,
        "custom_budget": record.benchmark.custom_budget,
        "model": model.name,
        "config": dict(model.config),
        "seed": record.seed,
        "status": record.status,
        "reason": record.reason,
        "verified": None if verification is None else verification.level,
        "folder": folder.as_posix(),
        "plugin": model.plugin,
        "version": model.version,
        "code_sha256": model.code_sha256,
        "likelihood": model.likelihood,
        "conditional": model.conditional,
        "ended_by": record.spent.get("ended_by"),
        "images": _whole(record.spent.get("images")),
        "steps": _whole(record.spent.get("steps")),
        "started": record.started,
        "finished": record.finished,
        "warnings": list(record.warnings),
        "withheld": withheld(record),
    }
    for key, score in record.scores.items():
        if key not in row["withheld"]:
            name = f"score:{key}" if key in RESERVED or key.endswith((COUNT, KIND)) else key
            row |= {name: score.value, name + COUNT: score.n}
            row |= {name + KIND: score.kind} if score.kind != "metric" else {}
    return row | {key: _number(source(record)) for key, _, source in COSTS}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""The figures of a results folder: what is drawn, and what is said of numbers that are not exact."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import factories
import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from genbench.plugins import discover
from genbench.record import Record

SOURCE = Path(__file__).parent.parent / "docs" / "figures.py"


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    mpl.use("agg")
    spec = importlib.util.spec_from_file_location("figures", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "figures", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
    return module


def drawn(figures: ModuleType, records: list[Record], folder: Path, patch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The labels of each panel's lines, by what its axis says."""
    kept: list[Figure] = []
    patch.setattr(figures.plt, "close", kept.append)
    patch.setattr(Figure, "savefig", lambda self, *_, **__: None)  # drawing pixels takes a second
    figures.draw_compute(factories.benchmark(), discover(), records, folder / "a.png")
    (figure,) = kept
    return {ax.get_ylabel().split(" (")[0]: sorted(text.get_text() for text in ax.texts) for ax in figure.axes}


def test_bounds_and_estimates_are_marked_and_what_is_withheld_is_left_out(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        factories.record("flow"),
        *(factories.record(kind, kind=kind) for kind in ("iwae", "bound", "estimate")),
        factories.record("liar", audit=factories.failed_audit()),
    ]
    panels = drawn(figures, records, tmp_path, monkeypatch)
    assert panels["bits/dim"] == ["<= bound", "<= iwae", "flow", "~ estimate"]
    assert panels["FID"] == ["bound", "estimate", "flow", "iwae", "liar"]


def test_a_benchmark_of_words_shows_bits_per_letter(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = {"bits_per_letter": factories.score(3.0, kind="exact")}
    panels = drawn(figures, [factories.record("ngram", more=letters)], tmp_path, monkeypatch)
    assert list(panels) == ["FID", "bits/letter"]


@pytest.mark.parametrize(("left", "axis"), [("fid", "FID"), ("kid", "kid")], ids=["no likelihood", "neither"])
def test_a_benchmark_without_one_of_them_or_both_has_one_panel(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str, axis: str
) -> None:
    record = factories.record("gan", scores={left: factories.score(0.0 if left == "kid" else 2.0)})
    assert list(drawn(figures, [record], tmp_path, monkeypatch)) == [axis]

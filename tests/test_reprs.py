"""What the objects of the Python API show in a notebook: tables, records, samples and checks, and nothing that somebody
else wrote as markup."""

from __future__ import annotations

import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from PIL import Image

import genbench
import genbench.plugins
from genbench.reports import CheckReport
from genbench.samples import Samples
from genbench.scored import ScoredSamples
from genbench.specs import DataSpec

EVIL = "<script>alert('x')</script> & \x1b[31m"
IMAGES = replace(factories.DATASET, data=DataSpec((1, 2, 2), 5), alphabet=(), class_names=())
TEXTS = replace(factories.DATASET, data=DataSpec((3,), 2), alphabet=("a", "b"), class_names=())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark, and results of it to be read only."""
    return factories.two_models(tmp_path_factory.mktemp("reprs"))


@pytest.fixture
def results(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those results, with the synthetic plugin in place of whatever is installed."""
    registry = factories.registry(made / "tiny.toml")
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    return made / "results"


class Seen(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_leaderboard_in_a_notebook_has_its_arrows_its_sections_and_its_notes(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "copy")
    results = tmp_path / "copy"
    shutil.rmtree(results / "tiny/toy/seed-4")
    page = Seen(genbench.table("tiny", results=results)._repr_html_())
    assert "FID [toys, tiny-cnn-v1] ↓" in page.text
    assert "Incomplete" in page.text
    assert "[1." in page.text  # an interval of FID, on a log scale
    assert "Mean over 5 seeds" in page.text
    assert {"table", "thead", "tbody", "details"} <= page.tags


def test_nothing_that_records_or_plugins_say_becomes_markup(results: Path) -> None:
    evil = factories.record("toy", 0, warnings=[EVIL], reason=EVIL, status="failed")
    scored = ScoredSamples(EVIL, "tiny", "d", 1, 1, {}, {}, {})
    board = replace(genbench.table("tiny", results=results), notes=(EVIL,))
    checked = CheckReport(EVIL, "tiny", ({"name": "n", "group": "g", "verdict": "failed", "message": EVIL},))
    samples = Samples(EVIL, replace(TEXTS, alphabet=("<b>", EVIL)), np.zeros((2, 3), np.uint8))
    for page in (evil, scored, board, checked, samples):
        seen = Seen(page._repr_html_())
        assert "<script>alert('x')</script> &" in seen.text
        assert seen.tags <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "br", "small", "ul", "li",
                             "details", "summary", "i"}  # fmt: skip
        assert "\x1b" not in seen.text


def test_a_withheld_score_of_a_record_is_not_shown() -> None:
    withheld = replace(factories.record("toy", 0, bits=1.2345), audit=factories.failed_audit("too good"))
    page = Seen(withheld._repr_html_())
    assert "1.2345" not in page.text
    assert "too good" in page.text


def test_a_record_is_one_line_as_repr_and_what_show_prints_as_text() -> None:
    record = factories.record(seed=3)
    assert repr(record) == f"<Record of {record.run}: ok, {len(record.scores)} scores>"
    assert str(record).splitlines()[:2] == [record.run, "ok"]


def test_samples_show_themselves_as_a_picture_that_holds_them(tmp_path: Path) -> None:
    array = np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2) % 5
    samples = Samples("tiny/toy/seed-0", IMAGES, array)
    content = samples._repr_png_()
    assert content is not None
    (tmp_path / "grid.png").write_bytes(content)
    from genbench.engine.grid import read_grid

    assert np.array_equal(read_grid(tmp_path / "grid.png", 4, IMAGES.data), array)
    assert samples._repr_html_() is None
    assert (len(samples), repr(samples)) == (4, "<Samples of tiny/toy/seed-0: uint8 4x1x2x2>")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > 2 * 2
    with pytest.raises(ValueError, match="no texts"):
        _ = samples.texts


def test_samples_of_a_text_show_themselves_as_texts_with_the_class_asked_for() -> None:
    samples = Samples("tiny/toy/seed-0", TEXTS, np.array([[0, 1, 0], [1, 1, 1]], np.uint8), np.array([0, 7]))
    assert samples.texts == ["aba", "bbb"]
    assert samples._repr_png_() is None
    page = Seen(samples._repr_html_() or "")
    assert "aba" in page.text
    assert "7" in page.text

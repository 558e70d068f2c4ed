"""The published page on screens of several widths, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import factories
import pytest
from browser import CHROMIUM, Browser

from genbench.leaderboard import build
from genbench.report import site
from genbench.store import Loaded

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

MORE = [f"metric_{index}" for index in range(16)]
"""Enough columns for a table that is wider than any screen here."""


def write(path: Path) -> Path:
    metrics = [*factories.METRICS, *(replace(factories.METRICS[3], name=name, title=name) for name in MORE)]
    of = factories.benchmark(metrics=[metric.name for metric in metrics])
    scores = {name: factories.score(0.5, "higher") for name in MORE}
    found = [factories.record(model, seed, of, more=scores) for model in ("class-marginals", "vae[latent_dimensions=4]")
             for seed in range(5)]  # fmt: skip
    path.write_text(site.render(build(of, metrics, Loaded(found, [])), []), encoding="utf-8")
    return path


def test_the_leaderboard_takes_the_width_of_the_screen_and_leaves_room_for_scores(tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open(write(tmp_path / "index.html"))
        widths = {}
        for screen in (1600, 390):
            browser.call("Emulation.setDeviceMetricsOverride", page._session, width=screen, height=900,
                         deviceScaleFactor=1, mobile=False)  # fmt: skip
            widths[screen] = page.evaluate("""[
                document.querySelector(".scroll").clientWidth,
                ...Array.from(document.querySelectorAll(".board tbody tr:last-child > *"), cell => cell.offsetWidth),
            ]""")
            pinned = page.evaluate("""Array.from(document.querySelectorAll(".board tbody tr:last-child > *"),
                cell => getComputedStyle(cell).position).filter(position => position == "sticky").length""")
            assert pinned == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= screen
        assert widths[1600][0] > 1500
        room, model, _, *scores = widths[390]
        assert model + scores[0] + scores[1] <= room
        assert model < room / 3
    finally:
        browser.close()

"""The published site in a real browser: no script of a record, a plugin or a definition runs; ours does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factories
import pytest
import sites
from browser import CHROMIUM, Browser, Page

from genbench.benchmark import Benchmark
from genbench.leaderboard import build
from genbench.report import site
from genbench.report.site.context import page_folder
from genbench.report.site.templates import shown
from genbench.store import Loaded, Store

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

RUN = "document.documentElement.dataset.canary=1"
PAYLOADS = [
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    f"' onclick='{RUN}'",
    f"<svg onload={RUN}><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"javascript:{RUN}",
    f"<a href='javascript:{RUN}' autofocus>x</a>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}>",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    f"{{{{ constructor.constructor('{RUN}')() }}}} {{% raw %}} ${{{RUN}}}",
    f"<base href='https://example.invalid/'><script src='x.js'></script><body onload={RUN}>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<details open ontoggle={RUN}>",
    f"\x00<\x00script>{RUN}</script>\u202e\u2066",
]
EVERY = " ".join(PAYLOADS)
SEEDS = [0]
GOOD, FAILED = page_folder(PAYLOADS[6]), page_folder(PAYLOADS[1])
HOSTILE_PAGES = ["index.html", "tiny/index.html", f"tiny/{GOOD}/index.html", f"tiny/{GOOD}/seed-0.html",
                 f"tiny/{FAILED}/index.html", f"tiny/{FAILED}/seed-0.html"]  # fmt: skip
"""One of every kind."""
MODELS = """Array.from(document.querySelectorAll("#leaderboard tbody tr[data-model]"))
    .filter(row => !row.hidden && !row.parentElement.hidden).map(row => row.dataset.model)"""


def hostile_benchmark() -> Benchmark:
    of = factories.benchmark(title=f"Tiny {EVERY}", description=EVERY, seeds=SEEDS)
    dataset = replace(of.dataset, summary=EVERY, licence=EVERY, citation=EVERY, url=f"javascript:{RUN}")
    return replace(of, dataset=dataset, evaluator=replace(of.evaluator, summary=EVERY))


def publish_hostile(folder: Path) -> Path:
    of = hostile_benchmark()
    store = Store(folder / "results")
    curve = f"images,{PAYLOADS[6]}\n1,1\n2,2\n".encode()
    for index, payload in enumerate(PAYLOADS):
        for seed in SEEDS:
            record = factories.record(payload, seed, of, fid=float(index + 1), plugin=payload)
            if index % 4 == 1:
                record = factories.record(payload, seed, of, status="failed", reason=EVERY, plugin=payload)
            scores = {name: replace(score, flag=EVERY, unit=payload) for name, score in record.scores.items()}
            record = replace(
                record,
                scores=scores,
                warnings=[EVERY],
                spent={**record.spent, "ended_by": "seconds"},
                environment={payload: EVERY},
                withheld={"recall": EVERY} if record.status == "ok" else {},
                attempts=[replace(record.attempts[0], reason=EVERY, started=EVERY)],
                model=replace(
                    record.model, version=payload, reference=EVERY, config={payload: EVERY}, likelihood=payload
                ),
            )
            files = {"samples.png": factories.png(), "curve.csv": curve} if record.status == "ok" else {}
            sites.commit(store, record, files)
    metrics = [replace(spec, summary=EVERY, reference=EVERY, title=f"{spec.title} {PAYLOADS[3]}")
               for spec in factories.METRICS]  # fmt: skip
    loaded = store.load("tiny")
    assert len(loaded.records) == len(SEEDS) * len(PAYLOADS), loaded.unreadable
    board = build(of, metrics, loaded, anchors=PAYLOADS[:1])
    site.write([site.Entry(board)], store, folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def folder(site_folder: Path) -> Path:
    return site_folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=HOSTILE_PAGES)
def opened(request: pytest.FixtureRequest, browser: Browser, hostile: Path) -> tuple[str, Page]:
    """A hostile page, and its name."""
    return request.param, browser.open(hostile / request.param)


def canary(page: Page) -> bool:
    """Whether a script of a payload has run. What needs a hand is done: everything is pointed at and clicked."""
    page.evaluate("""document.querySelectorAll("*").forEach(element => {
        for (const kind of ["mouseover", "focus", "toggle", "click"])
            if (!element.closest("a")) element.dispatchEvent(new Event(kind, {bubbles: true}));
    })""")
    return bool(page.evaluate("document.documentElement.dataset.canary !== undefined"))


# ---- hostile records


def test_no_script_of_a_record_or_plugin_runs_on_any_kind_of_page(opened: tuple[str, Page], hostile: Path) -> None:
    name, page = opened
    assert not canary(page)
    assert page.complaints() == []
    made = ["math", "iframe", "base", "animate", "object", "embed", "form", "b"]
    counts = page.evaluate(f"{made}.map(tag => document.querySelectorAll(tag).length)")
    assert dict(zip(made, counts, strict=True)) == dict.fromkeys(made, 0)
    assert page.evaluate("document.scripts.length") == (name.count("/") < 2)
    assert page.evaluate("document.querySelectorAll('svg:not(.chart):not(.interval-bar)').length") == 0
    names = page.evaluate("""Array.from(document.querySelectorAll("*")).flatMap(e => e.getAttributeNames())""")
    assert not [name for name in names if name.startswith("on") or name == "style"]
    links = page.evaluate("""Array.from(document.querySelectorAll("a, img, link"))
        .map(e => typeof e.href === "object" ? e.getAttribute("href") : e.href || e.src)""")
    assert len(links) > 4
    assert all(link.startswith(hostile.as_uri()) or link.split("/")[-1] == "index.html" for link in links)
    assert not [link for link in links if "script:" in link]


def test_the_hostile_text_is_read_as_text(opened: tuple[str, Page]) -> None:
    text = opened[1].evaluate("document.body.textContent")
    for payload in PAYLOADS[:-1]:
        assert payload in text
    assert not {"\x00", "\u202e", "\u2066"} & set(text)


def test_pictures_of_samples_are_shown(browser: Browser, hostile: Path) -> None:
    page = browser.open(hostile / "tiny/index.html")
    widths = page.evaluate("""Promise.all(Array.from(document.images, image => {
        image.loading = "eager";
        return image.decode().then(() => image.naturalWidth);
    }))""")
    assert widths == [2] * sum(index % 4 != 1 for index in range(len(PAYLOADS)))


def test_a_script_or_style_that_got_into_a_page_would_be_refused_by_its_policy(browser: Browser, hostile: Path) -> None:
    for name in (HOSTILE_PAGES[0], HOSTILE_PAGES[3]):  # with a script of its own, and without
        broken = (hostile / name).with_name("broken.html")
        source = (hostile / name).read_text(encoding="utf-8")
        added = f'<main id="main">{PAYLOADS[0]}{PAYLOADS[3]}<div style="color:red"></div>'
        broken.write_text(source.replace('<main id="main">', added), encoding="utf-8")
        page = browser.open(broken)
        assert not canary(page)
        complaints = page.complaints()
        assert any("script-src" in text for text in complaints)
        assert any("style-src" in text for text in complaints)
        broken.unlink()


@pytest.mark.parametrize("payload", [PAYLOADS[0], PAYLOADS[3], PAYLOADS[6]])
def test_without_policy_and_escaping_the_canary_sings(browser: Browser, tmp_path: Path, payload: str) -> None:
    (tmp_path / "open.html").write_text(f"<!doctype html><html><body>{payload}</body></html>")
    page = browser.open(tmp_path / "open.html")
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert canary(page)


def test_the_pages_own_sort_works_on_hostile_names(browser: Browser, hostile: Path) -> None:
    page = browser.open(hostile / "tiny/index.html")
    before = page.evaluate(MODELS)
    assert len(before) == len(PAYLOADS)
    click = """document.querySelectorAll("#leaderboard thead tr:last-child th")[2].querySelector(".sort").click()"""
    page.evaluate(click)
    falling = page.evaluate(MODELS)
    page.evaluate(click)
    rising = page.evaluate(MODELS)
    good = sum(index % 4 != 1 for index in range(len(PAYLOADS))) - 1  # the first is the anchor
    assert falling[:good] == rising[:good][::-1]
    assert rising[0] == shown(PAYLOADS[2])
    assert set(rising) == set(before)


# ---- a reader


def test_a_reader_goes_from_the_first_page_to_a_run_and_back_without_a_word_from_the_browser(
    browser: Browser, folder: Path
) -> None:
    page = browser.open(folder / "index.html")
    for selector, title in ((".card a", "Tiny pictures"), ("#leaderboard tbody a", "toy"),
                            ('a[href="seed-1.html"]', "toy, seed 1"), (".crumbs li:nth-child(3) a", "toy"),
                            (".crumbs li:nth-child(2) a", "Tiny pictures"), (".chart a", "toy"),
                            (".crumbs a", "Generative models")):  # fmt: skip
        page.click(selector)
        assert page.evaluate("document.querySelector('h1').textContent").startswith(title)
    assert page.complaints() == []
    asked = page.requests()
    assert len(asked) > 8
    assert [address for address in asked if not address.startswith(folder.as_uri())] == []


def test_a_table_sorts_by_a_click_and_says_so_and_keeps_its_parts(browser: Browser, folder: Path) -> None:
    page = browser.open(folder / "tiny/index.html")
    assert page.evaluate(MODELS) == ["toy", "index.html", "half[width=8]", "train-copy", "<b>x</b>"]
    assert page.evaluate("document.querySelectorAll('#leaderboard th[aria-sort=ascending]').length") == 1
    page.evaluate("""{const button = document.querySelector("#leaderboard th[aria-sort] .sort");
        button.focus(); button.click()}""")
    assert page.evaluate("document.activeElement.className") == "sort"
    assert page.evaluate(MODELS)[:4] == ["index.html", "toy", "half[width=8]", "train-copy"]
    assert page.evaluate("document.querySelectorAll('#leaderboard th[aria-sort=descending]').length") == 1


def set_value(page: Page, selector: str, value: str) -> None:
    page.evaluate(f"""{{const input = document.querySelector('{selector}');
        if (input.type === "checkbox") input.checked = !input.checked; else input.value = "{value}";
        input.dispatchEvent(new Event("input", {{bubbles: true}}))}}""")


def test_filters_hide_models_in_the_table_and_dim_them_in_charts_and_samples(browser: Browser, folder: Path) -> None:
    page = browser.open(folder / "tiny/index.html")
    dimmed = "Array.from(document.querySelectorAll('.dimmed'), e => e.dataset.model)"
    assert page.evaluate(dimmed) == []
    set_value(page, "[data-filter=leaderboard]", "TOY")
    assert page.evaluate(MODELS) == ["toy"]
    assert {"index.html", "train-copy"} <= set(page.evaluate(dimmed)) - {"toy"}
    assert page.evaluate("document.querySelector('[data-count]').textContent") == "1 of 5 models"
    set_value(page, "[data-filter=leaderboard]", "")
    set_value(page, "[data-anchors]", "")
    assert page.evaluate(MODELS) == ["toy", "index.html", "half[width=8]", "<b>x</b>"]
    set_value(page, "[data-kind=none][type=checkbox]", "")
    assert page.evaluate(MODELS) == ["toy", "half[width=8]"]
    set_value(page, "select[data-verified]", "1")
    assert page.evaluate(MODELS) == ["toy"]


def test_columns_are_shown_and_hidden_by_group_without_a_script(browser: Browser, folder: Path) -> None:
    page = browser.open(folder / "tiny/index.html", scripts=False)
    width = """Array.from(document.querySelectorAll("#leaderboard .g-cost")).filter(e => e.offsetWidth > 0).length"""
    assert page.evaluate(width) > 5
    page.evaluate("document.querySelector('.show-cost').click()")
    assert page.evaluate(width) == 0


def test_without_a_script_the_table_is_readable_and_shows_no_controls_that_do_nothing(
    browser: Browser, folder: Path
) -> None:
    page = browser.open(folder / "tiny/index.html", scripts=False)
    assert len(page.evaluate(MODELS)) == 5
    assert page.evaluate("""Array.from(document.querySelectorAll("#leaderboard .sort")).length""") == 0
    assert page.evaluate("document.querySelector('[data-filter]').offsetWidth") == 0
    assert "2.20" in page.evaluate("document.querySelector('#leaderboard tbody tr').innerText")


def test_a_column_is_explained_by_a_click_on_its_question_mark(browser: Browser, folder: Path) -> None:
    page = browser.open(folder / "tiny/index.html", scripts=False)
    about = "document.querySelector('#about-metric-fid').matches(':popover-open')"
    assert not page.evaluate(about)
    page.evaluate("document.querySelector('[popovertarget=about-metric-fid]').click()")
    assert page.evaluate(about)
    assert "Memorising" in page.evaluate("document.querySelector('#about-metric-fid').innerText")


MORE = [f"metric_{index}" for index in range(16)]
"""Enough columns for a table that is wider than any screen here."""


def test_the_leaderboard_takes_the_width_of_the_screen_and_leaves_room_for_scores(
    browser: Browser, tmp_path: Path
) -> None:
    metrics = [*factories.METRICS, *(replace(factories.METRICS[3], name=name, title=name) for name in MORE)]
    of = factories.benchmark(metrics=[metric.name for metric in metrics])
    store = Store(tmp_path / "results")
    scores = {name: factories.score(0.5, "higher") for name in MORE}
    found = [factories.record(model, seed, of, more=scores) for model in ("class-marginals", "vae[latent_dimensions=4]")
             for seed in range(5)]  # fmt: skip
    for record in found:
        sites.commit(store, record, {})
    site.write([site.Entry(build(of, metrics, Loaded(found, [])))], store, tmp_path / "site")
    page = browser.open(tmp_path / "site/tiny/index.html")
    widths = {}
    for screen in (1600, 390):
        page.resize(screen)
        widths[screen] = page.evaluate("""[
            document.querySelector(".board").clientWidth,
            ...Array.from(document.querySelectorAll(".board tbody tr:last-child > *"), cell => cell.offsetWidth),
        ]""")
        pinned = page.evaluate("""Array.from(document.querySelectorAll(".board tbody tr:last-child > *"),
            cell => getComputedStyle(cell).position).filter(position => position == "sticky").length""")
        assert pinned == 1
    assert widths[1600][0] > 1500
    room, model, _, *shown_scores = widths[390]
    assert model + shown_scores[0] + shown_scores[1] <= room
    assert model < room / 3


@pytest.mark.parametrize("name", ["index.html", "tiny/index.html", "tiny/toy/index.html", "tiny/toy/seed-1.html"])
def test_no_kind_of_page_is_wider_than_a_narrow_screen(browser: Browser, folder: Path, name: str) -> None:
    page = browser.open(folder / name)
    page.resize(390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

"""The published page in a real browser: no script of a record, a plugin or a definition runs; ours does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factories
import pytest
from browser import CHROMIUM, Browser, Page

from genbench.benchmark import Benchmark
from genbench.leaderboard import build
from genbench.report import site
from genbench.store import Store

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
SORTED = """Array.from(document.querySelectorAll("table.board tbody tr")).map(row => row.cells[0].dataset.value)"""


def hostile_benchmark() -> Benchmark:
    of = factories.benchmark(title=f"Tiny {EVERY}", description=EVERY)
    dataset = replace(of.dataset, summary=EVERY, licence=EVERY, citation=EVERY, url=f"javascript:{RUN}")
    return replace(of, dataset=dataset, evaluator=replace(of.evaluator, summary=EVERY))


def publish(folder: Path) -> Path:
    of = hostile_benchmark()
    store = Store(folder / "results")
    for index, payload in enumerate(PAYLOADS):
        for seed in range(5):
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
                model=replace(
                    record.model, version=payload, reference=EVERY, config={payload: EVERY}, likelihood=payload
                ),
            )
            factories.commit(store, record, samples=factories.png() if record.status == "ok" else None)
    metrics = [replace(spec, summary=EVERY, reference=EVERY, title=f"{spec.title} {PAYLOADS[3]}")
               for spec in factories.METRICS]  # fmt: skip
    loaded = store.load("tiny")
    assert len(loaded.records) == 5 * len(PAYLOADS), loaded.unreadable
    board = build(of, metrics, loaded, anchors=PAYLOADS[:1])
    site.write(board, store, folder / "site")
    return folder / "site" / "index.html"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def canary(page: Page) -> bool:
    """Whether a script of a payload has run. What needs a hand is done: everything is pointed at and clicked."""
    page.evaluate("""document.querySelectorAll("*").forEach(element => {
        for (const kind of ["mouseover", "focus", "toggle", "click"])
            if (element.tagName !== "A") element.dispatchEvent(new Event(kind, {bubbles: true}));
    })""")
    return bool(page.evaluate("document.documentElement.dataset.canary !== undefined"))


def test_no_script_of_a_record_or_plugin_runs_on_the_page(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    assert not canary(page)
    assert page.complaints() == []


def test_the_hostile_text_makes_no_element_and_no_attribute(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    made = ["script", "svg", "math", "iframe", "base", "details", "animate", "object", "embed", "form"]
    counts = page.evaluate(f"{made}.map(tag => document.querySelectorAll(tag).length)")
    assert dict(zip(made, counts, strict=True)) == {**dict.fromkeys(made, 0), "script": 1}
    names = page.evaluate("""Array.from(document.querySelectorAll("*")).flatMap(e => e.getAttributeNames())""")
    assert not [name for name in names if name.startswith("on") or name == "style"]
    links = page.evaluate("""Array.from(document.querySelectorAll("a, img")).map(e => e.href || e.src)""")
    assert links
    assert all(link.startswith(page_file.parent.as_uri()) for link in links)


def test_the_hostile_text_is_read_as_text(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    text = page.evaluate("document.body.textContent")
    for payload in PAYLOADS[:-1]:
        assert payload in text
    assert not {"\x00", "\u202e", "\u2066"} & set(text)


def test_pictures_of_samples_are_shown(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    widths = page.evaluate("""Promise.all(Array.from(document.images, image => {
        image.loading = "eager";
        return image.decode().then(() => image.naturalWidth);
    }))""")
    assert widths == [2] * sum(index % 4 != 1 for index in range(len(PAYLOADS)))


def test_the_pages_own_sort_works_under_its_policy(browser: Browser, page_file: Path) -> None:
    page = browser.open(page_file)
    before = page.evaluate(SORTED)
    assert len(before) == len(PAYLOADS)
    click = """document.querySelectorAll("table.board thead tr:last-child th")[2].querySelector("button").click()"""
    page.evaluate(click)
    rising = page.evaluate(SORTED)
    page.evaluate(click)
    falling = page.evaluate(SORTED)
    good = sum(index % 4 != 1 for index in range(len(PAYLOADS)))
    assert falling[:good] == rising[:good][::-1]
    assert rising[0] == site._shown(PAYLOADS[0])
    assert set(rising) == set(before)


def test_a_script_that_got_into_the_page_would_be_refused_by_its_policy(browser: Browser, page_file: Path) -> None:
    broken = page_file.with_name("broken.html")
    source = page_file.read_text()
    broken.write_text(source.replace("<main>", f"<main>{PAYLOADS[0]}{PAYLOADS[3]}<div style='color:red'></div>"))
    page = browser.open(broken)
    assert not canary(page)
    complaints = page.complaints()
    assert any("script-src" in text for text in complaints)
    assert any("style-src" in text for text in complaints)


@pytest.mark.parametrize("payload", [PAYLOADS[0], PAYLOADS[3], PAYLOADS[6]])
def test_without_policy_and_escaping_the_canary_sings(browser: Browser, tmp_path: Path, payload: str) -> None:
    (tmp_path / "open.html").write_text(f"<!doctype html><html><body>{payload}</body></html>")
    page = browser.open(tmp_path / "open.html")
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert canary(page)

"""The published site, read page by page as text: what it holds, what it links, and what it replaces."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import factories
import html5lib
import pytest
import sites
from installing import ROOT

import genbench.plugins
from genbench import cli
from genbench.leaderboard import build
from genbench.plugins import Registry, discover
from genbench.report import site
from genbench.report.nearest import Nearest
from genbench.report.site.blindness import BLIND, COPYING
from genbench.report.site.context import context_of, page_folder
from genbench.report.site.index import leaders
from genbench.report.site.templates import environment
from genbench.report.site.training import MAX_POINTS, training_figures
from genbench.store import Loaded, Store


class Page(HTMLParser):
    """What a page holds: elements with their attributes, and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *keys: str) -> list[str]:
        return [str(attrs[key]) for _, attrs in self.tags for key in keys if key in attrs]


@pytest.fixture(scope="module")
def store(site_store: Store) -> Store:
    return site_store


@pytest.fixture(scope="module")
def folder(site_folder: Path) -> Path:
    return site_folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Page]:
    return {path.relative_to(folder).as_posix(): Page(path) for path in sorted(folder.rglob("*.html"))}


def test_there_is_a_page_for_all_benchmarks_and_for_each_benchmark_model_and_run(pages: dict[str, Page]) -> None:
    assert {name for name in pages if name.count("/") < 2} == {"index.html", "second/index.html", "tiny/index.html"}
    assert {name.split("/")[1] for name in pages if name.startswith("tiny/") and name.count("/") == 2} == {
        "toy", "train-copy", "half+width=8", page_folder("<b>x</b>"), "index.html~"}  # fmt: skip
    assert {name for name in pages if name.startswith("tiny/half+width=8/")} == {
        "tiny/half+width=8/index.html", *(f"tiny/half+width=8/seed-{seed}.html" for seed in range(5))}  # fmt: skip


def test_every_address_on_every_page_leads_to_a_file_of_the_site_or_a_place_on_a_page(
    pages: dict[str, Page], folder: Path
) -> None:
    count = 0
    for page in pages.values():
        for address in page.values("href", "src", "popovertarget"):
            address = address if "popovertarget" not in address else f"#{address}"
            assert not re.match(r"[a-z]+:|/", address), address
            path, place = urldefrag(address if not address.startswith("about-") else f"#{address}")
            target = (page.path.parent / unquote(path)).resolve() if path else page.path
            assert target.is_file(), (page.path, address)
            assert folder in target.parents
            if place:
                assert place in pages[target.relative_to(folder).as_posix()].values("id"), (page.path, address)
            count += 1
    assert count > 500


def test_no_id_stands_twice_on_a_page_and_every_label_is_there(pages: dict[str, Page]) -> None:
    for page in pages.values():
        ids = Counter(page.values("id"))
        assert [name for name, times in ids.items() if times > 1] == []
        for label in page.values("aria-labelledby"):
            assert set(label.split()) <= set(ids), page.path


@pytest.mark.parametrize("name", ["index.html", "tiny/index.html", "tiny/toy/index.html", "tiny/toy/seed-1.html"])
def test_every_kind_of_page_is_valid_to_a_strict_parser_of_html(pages: dict[str, Page], name: str) -> None:
    html5lib.HTMLParser(strict=True).parse(pages[name].source)


def test_every_page_has_a_policy_that_lets_nothing_run_but_the_script_that_it_names(pages: dict[str, Page]) -> None:
    for page in pages.values():
        (policy,) = [attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
        assert policy is not None
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        held = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in held]
        assert rules["script-src"] == (f"'sha256-{digests[0]}'" if held else "'none'")
        assert len(held) <= 1
        assert (rules["default-src"], rules["style-src"], rules["img-src"]) == ("'none'", "'self'", "'self'")
        assert "unsafe" not in policy
        assert not [tag for tag, attrs in page.tags if "style" in attrs or tag == "style"]
        assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]


def test_text_of_records_is_escaped_on_every_page(pages: dict[str, Page]) -> None:
    folder = page_folder("<b>x</b>")
    for name in ("index.html", "tiny/index.html", f"tiny/{folder}/index.html", f"tiny/{folder}/seed-0.html"):
        assert "<b>x</b>" in pages[name].text
    for page in pages.values():
        assert [tag for tag, _ in page.tags if tag == "b"] == []
        assert "\x1b" not in page.source
    assert sites.HOSTILE.replace("\x1b", "�") in pages[f"tiny/{folder}/seed-0.html"].text


def test_the_publishers_paths_stand_nowhere(pages: dict[str, Page], store: Store, folder: Path) -> None:
    for path in folder.rglob("*"):
        assert path.is_dir() or str(store.root.parent).encode() not in path.read_bytes(), path


def test_contenders_stand_first_then_anchors_then_models_without_a_good_run(pages: dict[str, Page]) -> None:
    source = pages["tiny/index.html"].source
    table = source[source.index('<table id="leaderboard"') : source.index("</table>")]
    parts = [re.findall(r'<tr data-model="([^"]*)"', body) for body in table.split("<tbody")[1:]]
    assert parts == [["toy", "index.html", "half[width=8]"], ["train-copy"], ["&lt;b&gt;x&lt;/b&gt;"]]
    assert "alert(1)" in table
    assert table.count('class="badge verified"') == 1
    assert ">L1<" in table  # the least of its seeds'


def test_a_metric_is_explained_with_n_evaluator_reference_real_data_and_what_it_does_not_see(
    pages: dict[str, Page],
) -> None:
    source = pages["tiny/index.html"].source
    fid = source[source.index('<article id="metric-fid"') :].partition("</article>")[0]
    for told in ("600 samples, features of tiny-cnn-v1", "Frechet distance", "train-copy, have 0.50", "Lower is better",
                 "Memorising (train-copy is its best row)"):  # fmt: skip
        assert told in fid
    assert "The held-out data themselves have 9.25." in source
    assert '<button type="button" class="about" popovertarget="about-metric-fid"' in source


def test_what_metrics_do_not_see_is_told_in_the_words_of_their_documentation() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    unlinked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "")
    plain = " ".join(unlinked.split()).replace(" (calibration)", "")
    for told in (*BLIND.values(), COPYING):
        assert f"Blind to: {told}" in plain
    own = [name for name, entry in discover().metrics.items() if entry.plugin.distribution == "genbench"]
    assert sorted(BLIND) == sorted(own)


def test_a_models_page_has_paper_configuration_every_seeds_scores_curves_samples_and_audit(
    pages: dict[str, Page],
) -> None:
    page = pages["tiny/toy/index.html"]
    for told in ("arXiv:2001.00001", "batch_size", "2.10", "seed 4", "loss", "known point", "FID at the milestones"):
        assert (told in page.text) == (told not in ("known point", "FID at the milestones")), told
    assert page.source.count("<img") == 5
    assert "within the limit" in page.text
    assert "slow" in page.text
    assert "../../second/toy/index.html" in page.values("href")


def test_a_runs_page_has_scores_budget_attempts_hashes_verification_and_commands(pages: dict[str, Page]) -> None:
    page = pages["tiny/toy/seed-1.html"]
    for told in ("tiny-cnn-v1@eeeeeeeeeeeeeeee", "992", "1,000", "the machine went away", "A CPU",
                 "Level 2 of 3, resampled",
                 "near copies", "genbench run toy -b tiny --seeds 1", "genbench verify tiny/toy/seed-1 --level 3",
                 hashlib.sha256(factories.png(shade=1)).hexdigest(), "c" * 64):  # fmt: skip
        assert told in page.text, told
    assert {"seed-0.html", "seed-2.html", "seed-1.json", "seed-1.png"} <= set(page.values("href"))


def test_a_failed_runs_page_has_its_reason_and_no_scores(pages: dict[str, Page]) -> None:
    page = pages["tiny/half+width=8/seed-3.html"]
    assert "diverged" in page.text
    assert "loss is NaN" in page.text
    assert "Measured with" not in page.text


def test_the_record_and_the_tables_lie_beside_the_pages_as_they_are(folder: Path, store: Store) -> None:
    for seed in range(5):
        published = (folder / f"tiny/toy/seed-{seed}.json").read_bytes()
        assert published == (store.root / f"tiny/toy/seed-{seed}/record.json").read_bytes()
        assert (folder / f"tiny/toy/seed-{seed}.png").read_bytes() == factories.png(shade=seed)
    for ending in ("csv", "md", "json", "tex"):
        assert "toy" in (folder / f"tiny/leaderboard.{ending}").read_text(encoding="utf-8")


def test_the_first_page_has_leaders_and_a_matrix_of_models_and_benchmarks(pages: dict[str, Page]) -> None:
    page = pages["index.html"]
    assert page.values("href").count("tiny/toy/index.html") == 3  # best FID, best bits/dim, the matrix
    assert page.source.count('aria-label="no run"') == 4
    assert "failed" in page.text


def test_contenders_that_none_beats_lead_together_and_the_rest_are_counted() -> None:
    found = [factories.record(f"m{index}", seed, fid=2.0 + 0.3 * seed + 0.01 * index)
             for index in range(6) for seed in range(5)]  # fmt: skip
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []))
    first = leaders(context_of(board, "", None, {}), board.columns[0])
    assert [entry["name"] for entry in first] == ["m0", "m1", "m2", "m3", "and 2 more"]


def test_a_column_that_no_row_has_anything_in_is_not_on_the_page() -> None:
    found = [factories.record("toy", seed, bits=None) for seed in range(5)]
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []))
    shown = [column.key for column in context_of(board, "", None, {}).board.columns]
    assert "bits_per_dim" in [column.key for column in board.columns]
    assert "bits_per_dim" not in shown
    assert "fid" in shown


def test_an_open_division_is_a_page_of_its_own_that_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    of = replace(factories.benchmark(), division="open")
    for seed in range(5):
        made = factories.record("theirs", seed, of, bits=None)
        made = replace(made, division="open", milestones=[], cost={}, spent={}, budget={})
        sites.commit(store, made, {}, folder=of.folder)
        anchor = factories.record("train-copy", seed, fid=0.5, bits=None)
        sites.commit(store, anchor, {"samples.png": factories.png()})
    board = build(of, factories.METRICS, store.load(of.folder), anchors=sites.ANCHORS, scale=store.load("tiny"))
    assert site.write([site.Entry(sites.board_of(store)), site.Entry(board)], store, tmp_path / "site") == []
    page = Page(tmp_path / "site/tiny+open/index.html")
    assert "made outside genbench" in page.text
    assert "genbench run" not in page.text
    assert {"theirs/index.html", "../tiny/train-copy/index.html"} <= set(page.values("href"))
    assert page.values("src") == ["../tiny/train-copy/seed-0.png"]
    assert not (tmp_path / "site/tiny+open/train-copy").exists()
    assert "open division" in Page(tmp_path / "site/index.html").text


def test_a_picture_that_is_not_the_records_is_not_shown(store: Store, tmp_path: Path) -> None:
    mine = Store(tmp_path / "results")
    shutil.copytree(store.root / "tiny", mine.root / "tiny")
    (mine.root / "tiny/toy/seed-0/samples.png").unlink()
    (mine.root / "tiny/toy/seed-0/samples.png").write_bytes(factories.png(shade=9))
    (mine.root / "tiny/toy/seed-1/samples.png").unlink()
    (mine.root / "tiny/toy/seed-1/samples.png").symlink_to("/etc/hostname")
    (mine.root / "tiny/toy/seed-2/curve.csv").unlink()
    (mine.root / "tiny/toy/seed-2/curve.csv").write_text("images,loss\n1,2\n")
    problems = sites.publish(mine, tmp_path / "site", factories.benchmark())
    assert len(problems) == 3
    assert [problem for problem in problems if "hash" in problem] == [problems[0], problems[2]]
    assert "curve.csv is not drawn" in problems[2]
    assert Page(tmp_path / "site/tiny/toy/index.html").source.count("<img") == 3


def test_training_figures_are_finite_and_no_more_than_a_screen_shows(tmp_path: Path) -> None:
    lines = [
        "step,images,seconds,loss,odd,score:fid",
        *(f"{k},{64 * k},0.1,{1 / (k + 1)},nan,2.0" for k in range(1000)),
    ]
    content = "\n".join(lines).encode()
    (tmp_path / "curve.csv").write_bytes(content)
    record = replace(factories.record(), artifacts={"curve.csv": f"sha256:{hashlib.sha256(content).hexdigest()}"})
    figures = training_figures(tmp_path, record)
    assert list(figures) == ["loss"]
    assert len(figures["loss"]) <= MAX_POINTS
    assert figures["loss"][-1] == (64.0 * 999, 1 / 1000)


def test_what_is_near_is_told_as_a_distance_and_as_how_many_samples_are_training_examples() -> None:
    macros = environment().get_template("macros.html").module
    found = Nearest("r", None, ((0.0, 2.0), (1.0, 2.0), (1.0, 1.0)), "letters", 1.0, 9)
    assert str(macros.median(found)).strip() == "1 letter, 1 of 3 are training examples"  # type: ignore[attr-defined]
    assert str(macros.distance(0.5, "letters")).strip() == "0.5 letters"  # type: ignore[attr-defined]


# ---- what a reader types


def test_what_to_type_to_reproduce_is_quoted_for_a_shell(pages: dict[str, Page]) -> None:
    text = pages["tiny/index.html"].text
    (command,) = re.findall(r"genbench run (.*) -b tiny\n", text)
    assert set(command.split()) == {"toy", "index.html", "'half[width=8]'", "train-copy", "'<b>x</b>'"}
    assert "pip install genbench==" in text
    assert "toys==1.0" in text


# ---- the command


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    found = factories.registry(path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda given=None: found)
    return found


def test_the_command_publishes_every_benchmark_that_is_installed_and_tells_of_others(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    opened = replace(factories.benchmark(), division="open")
    sites.commit(store, factories.record("toy"), {})
    sites.commit(store, replace(factories.record("theirs", of=opened), division="open"), {}, folder="tiny+open")
    sites.commit(store, factories.record("toy", of=replace(factories.benchmark(), dev=True)), {}, folder="tiny+dev")
    sites.commit(store, factories.record("toy", of=factories.benchmark(**sites.SECOND)), {})
    assert cli.main(["publish", str(tmp_path / "site"), "--results", str(store.root)]) == 0
    told = capsys.readouterr()
    assert told.out.endswith("index.html: 1 model on tiny, 1 model on tiny+open\n")
    assert "second: not published: no such benchmark is installed" in told.err
    assert "tiny+dev: not published: runs of --dev and --budget never are" in told.err
    assert not (tmp_path / "site/second").exists()


def test_a_benchmark_that_is_not_installed_is_published_by_its_file_which_lies_beside_the_page(
    registry: Registry, tmp_path: Path
) -> None:
    store = Store(tmp_path / "results")
    sites.commit(store, factories.record("toy"), {})
    sites.commit(store, factories.record("toy", of=factories.benchmark(**sites.SECOND)), {})
    (tmp_path / "second.toml").write_text(factories.toml({**factories.DEFINITION, **sites.SECOND}))
    command = ["publish", str(tmp_path / "site"), "--results", str(store.root), "-b", "tiny", "-b"]
    assert cli.main([*command, str(tmp_path / "second.toml")]) == 0
    page = Page(tmp_path / "site/second/index.html")
    assert "genbench run toy -b ./second.toml" in page.text
    assert "second.toml" in page.values("href")
    assert (tmp_path / "site/second/second.toml").read_text() == (tmp_path / "second.toml").read_text()

"""``genbench cite``: references read from prose, works merged and completed, BibTeX that its consumers read again."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pybtex.database
import pytest
import yaml
from commands import inside
from installing import ROOT

from genbench import __version__
from genbench.bibliography import AUTHORS, TITLE, Bibliography, Use, bibliography, bibtex, known_works
from genbench.bibtex import escape, fields_of, folded, key_of
from genbench.citations import OTHERS, Work, completed, parse_reference, surname
from genbench.columns import columns_of
from genbench.plugins import discover
from genbench.store import Store

TINY = factories.benchmark()


def cited(models: dict[str, str], **changes: Any) -> Bibliography:
    """The bibliography of the synthetic benchmark with these models' references."""
    metrics = [replace(metric, **changes) for metric in factories.METRICS]
    return bibliography(TINY, columns_of(TINY, metrics, {}, ()), models)


def read_again(text: str) -> pybtex.database.BibliographyData:
    return pybtex.database.parse_string(text, "bibtex")


@pytest.mark.parametrize(
    ("text", "work"),
    [
        (
            "Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114",
            Work(("Kingma", "Welling"), "Auto-Encoding Variational Bayes", year=2014, arxiv="1312.6114"),
        ),
        ("Miyato, Koyama 2018, arXiv:1802.05637", Work(("Miyato", "Koyama"), year=2018, arxiv="1802.05637")),
        ("Goodfellow et al. 2014", Work(("Goodfellow", OTHERS), year=2014)),
        (
            "Maron, Automatic indexing: an experimental inquiry, 1961, doi:10.1145/321075.321084",
            Work(("Maron",), "Automatic indexing: an experimental inquiry", year=1961, doi="10.1145/321075.321084"),
        ),
        (
            "Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP, ICLR 2017, arXiv:1605.08803",
            Work(("Dinh", "Sohl-Dickstein", "Bengio"), "Density estimation using Real NVP", "ICLR", 2017, "1605.08803"),
        ),
        (
            "Y. LeCun and P. Haffner, Gradient-based learning, Proceedings of the IEEE 86(11), 1998, doi:10.1109/5.726",
            Work(
                ("Y. LeCun", "P. Haffner"),
                "Gradient-based learning",
                "Proceedings of the IEEE 86(11)",
                1998,
                doi="10.1109/5.726",
            ),
        ),
        (
            "the prior of Tomczak and Welling, VAE with a VampPrior, 2018",
            Work(("Tomczak", "Welling"), "VAE with a VampPrior", year=2018, role="the prior"),
        ),
        (
            'J. van der Berg, "Tables, Figures, and Lies", Journal of Doubt 3, 2020, section 4, https://example.org/a_b.',
            Work(
                ("J. van der Berg",),
                "Tables, Figures, and Lies",
                "Journal of Doubt 3",
                2020,
                url="https://example.org/a_b",
                role="section 4",
            ),
        ),
        (
            "Kool, van Hoof and Welling, Attention, learn to solve routing problems!, ICLR 2019",
            Work(("Kool", "van Hoof", "Welling"), "Attention, learn to solve routing problems!", "ICLR", 2019),
        ),
        ("Person, 2020", Work(("Person",), year=2020)),
        ("a paper that somebody wrote", Work(text="a paper that somebody wrote")),
        (
            "Kingma and Welling, a preprint without a number",
            Work(text="Kingma and Welling, a preprint without a number"),
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_reference_is_read(text: str, work: Work) -> None:
    assert parse_reference(text) == [work]


def test_several_works_stand_between_semicolons() -> None:
    text = "Ho et al., DDPM, 2020, arXiv:2006.11239; the sampler of Song et al., DDIM, 2021, doi:10.1/(a;b)c"
    first, second = parse_reference(text)
    assert (first.arxiv, second.role, second.authors) == ("2006.11239", "the sampler", ("Song", OTHERS))


def first_party() -> list[tuple[str, str]]:
    """Whatever genbench's own plugins cite: where it stands, and the text."""
    registry = discover()
    found = []
    for kind, field in (("models", "reference"), ("metrics", "reference"), ("datasets", "citation")):
        for name, registered in getattr(registry, kind).items():
            if registered.plugin.distribution == "genbench":
                found.append((f"{kind} {name}", getattr(registered.spec, field)))
    return found


def test_every_reference_of_genbench_s_own_plugins_is_read_and_has_names_title_and_year() -> None:
    texts = first_party()
    assert len(texts) > 40
    bare = [where for where, text in texts if not text]
    assert bare == ["models train-copy", "models noise"]
    for where, text in texts:
        found = cited({where: text}).entries
        works = [each.work for each in found if any(use.kind == "model" for use in each.uses)]
        assert len(works) == len(parse_reference(text)), where
        for work in works:
            assert not work.text, where
            assert work.title, where
            assert work.year, where
            assert OTHERS not in work.authors, where


def test_what_genbench_knows_of_a_work_has_the_first_author_of_each_mention() -> None:
    mentions = [work for _, text in first_party() for work in parse_reference(text)]
    known = known_works()
    for work in mentions:
        if work.identity in known:
            assert folded(surname(known[work.identity].authors[0])) == folded(surname(work.authors[0])), work
    used = {work.identity for work in mentions}
    published = {"arxiv:1512.00567", "arxiv:1409.1556", "arxiv:2103.00020", "arxiv:2304.07193"}  # evaluators'
    assert set(known) <= used | published


def test_a_number_of_another_author_s_paper_completes_nothing() -> None:
    (entry,) = [each for each in cited({"x": "Somebody 2020, arXiv:1312.6114"}).entries if each.uses[0].name == "x"]
    assert entry.work.authors == ("Somebody",)
    assert entry.work.title == ""


def test_a_work_that_several_use_stands_once_with_all_of_them_above_it() -> None:
    found = cited(
        {
            "vae": "Kingma et al. 2014, arXiv:1312.6114v10",
            "hvae": "the bound of Kingma and Welling 2014, arXiv:1312.6114",
        },
        reference="Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114",
    )
    (entry,) = [each for each in found.entries if each.work.arxiv]
    assert entry.key == "kingma2014autoencoding"
    metrics = ", ".join(metric.name for metric in factories.METRICS)
    assert entry.comment == f"metrics: {metrics}; models: vae, hvae (the bound)"
    assert entry.work.authors == ("Kingma, Diederik P.", "Welling, Max")


def test_the_fuller_of_two_mentions_counts_field_by_field() -> None:
    short, full = Work(("Ho", OTHERS), year=2020), Work(("Ho", "Jain", "Abbeel"), "DDPM", "NeurIPS 33", 2021)
    assert completed(short, full) == replace(full, year=2020)
    assert completed(full, short) == full


def test_keys_are_made_of_surname_year_and_title_and_no_two_are_equal() -> None:
    assert key_of(parse_reference("van den Oord et al., On the Ölçü of Things, 2016")[0]) == "vandenoord2016olcu"
    models = {f"m{i}": f"Li, Deep Learning {title}, 2020" for i, title in enumerate(["A", "B", "C"])}
    keys = [each.key for each in cited(models).entries if each.uses[0].kind == "model"]
    assert keys == ["li2020deepa", "li2020deepb", "li2020deepc"]


def test_a_reference_that_is_not_of_the_form_is_a_note_with_a_key_of_its_own() -> None:
    found = cited({"odd": "see our web page & ask"})
    (entry,) = found.unread
    kind, fields = fields_of(entry.work)
    assert (kind, fields) == ("misc", {"note": r"see our web page \& ask"})
    assert entry.key.startswith("reference")
    assert cited({"another": "see our web page & ask"}).unread[0].key == entry.key


def test_what_names_no_work_is_listed() -> None:
    assert Use("model", "noise") in cited({"noise": ""}).without
    assert Use("evaluator", "tiny-cnn-v1") in cited({}).without


@pytest.mark.parametrize(
    ("venue", "kind", "fields"),
    [
        (
            "Proceedings of the IEEE 86(11)",
            "article",
            {"journal": "Proceedings of the IEEE", "volume": "86", "number": "11"},
        ),
        ("Journal of the ACM", "article", {"journal": "Journal of the ACM"}),
        ("NeurIPS 28", "inproceedings", {"booktitle": "NeurIPS 28"}),
        ("technical report, University of Toronto", "techreport", {"institution": "University of Toronto"}),
        ("UCI Machine Learning Repository", "misc", {"howpublished": "UCI Machine Learning Repository"}),
    ],
)
def test_the_venue_decides_on_the_type_of_the_entry(venue: str, kind: str, fields: dict[str, str]) -> None:
    found = fields_of(Work(("A. Person",), "On Things", venue, 2020))
    plain = {"author": "A. Person", "title": "{On Things}", "year": "2020"}
    assert found == (kind, {**plain, **fields})


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("Kynkäänniemi", r'Kynk{\"{a}}{\"{a}}nniemi'),
        ("Bińkowski, Mikołaj", r"Bi{\'{n}}kowski, Miko{\l}aj"),
        ("Mądry, Çelik, Dvořák", r"M{\k{a}}dry, {\c{C}}elik, Dvo{\v{r}}{\'{a}}k"),
        ("García", r"Garc{\'{\i}}a"),
        ("100 % of A & B: x_1 #2 ~ {a} $b$ \\c ^", r"100 \% of A \& B: x\_1 \#2 {\textasciitilde} {\textbraceleft}a"
         r"{\textbraceright} \$b\$ {\textbackslash}c {\textasciicircum}"),
        ("GANs \N{EN DASH} “a” study…", r"GANs -- ``a'' study{\ldots}"),
        ("深層学習", "深層学習"),
        ("one\nline\x1b[31m", "one line?[31m"),
    ],
    ids=["umlauts", "acute", "marks below", "dotless", "signs", "quotes", "other scripts", "control"],
)  # fmt: skip
def test_text_is_written_for_latex(text: str, latex: str) -> None:
    assert escape(text) == latex


HOSTILE = {
    "evil@misc{x,": "A. B}ad and @inc{y, Title } @misc{z, note={1}} 100% _ \\write18{rm}, 2020, "
    "https://example.org/}{%_#&~\\@misc{q}",
    "bad": "@string{x = 1} \x00 }}}} {{{",
    "fields": "Person, 2020, doi:10.1234/a}b{c,d",
}


def test_hostile_records_can_add_no_entry_and_break_none() -> None:
    found = cited(HOSTILE)
    again = read_again(bibtex(found, TINY))
    assert set(again.entries) == {"genbench", *(each.key for each in found.entries)}
    assert all(
        value.count("{") == value.count("}") for each in again.entries.values() for value in each.fields.values()
    )


def test_a_bibtex_reader_gets_back_what_was_written() -> None:
    models = {
        "vae": "Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114",
        "hvae": "Sonderby et al., Ladder Variational Autoencoders, 2016, arXiv:1602.02282",
    }
    again = read_again(bibtex(cited(models), TINY)).entries
    vae = again["kingma2014autoencoding"]
    assert [str(person) for person in vae.persons["author"]] == ["Kingma, Diederik P.", "Welling, Max"]
    assert dict(vae.fields) == {
        "title": "{Auto-Encoding Variational Bayes}",
        "year": "2014",
        "eprint": "1312.6114",
        "archivePrefix": "arXiv",
        "url": "https://arxiv.org/abs/1312.6114",
    }
    last = again["sonderby2016ladder"].persons["author"][0].rich_last_names
    assert [str(name) for name in last] == ["Sønderby"]


def test_the_citation_file_says_of_genbench_what_cite_says() -> None:
    """``CITATION.cff`` is valid by the schema of its format, 1.2.0, as far as it has keys."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    known = {"type", "version", "license", "abstract", "keywords", "cff-version", "message", "title", "authors"}
    assert set(citation) <= known
    assert (citation["cff-version"], citation["type"], citation["license"]) == ("1.2.0", "software", "Apache-2.0")
    assert citation["title"] == TITLE
    assert str(citation["version"]) == __version__
    assert citation["authors"] == [{"name": name} for name in AUTHORS]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models' records of the real benchmark ``digits-smoke``, one of which cites in another form."""
    from genbench.selection import load_benchmark

    of = load_benchmark(discover(), "digits-smoke")
    store = Store(tmp_path_factory.mktemp("cite") / "results")
    for model, reference in (("dcgan", "Radford, Metz, Chintala 2016, arXiv:1511.06434"), ("odd", "ask @ us")):
        record = factories.record(model, of=of)
        factories.commit(store, replace(record, budget={}, model=replace(record.model, reference=reference)))
    return store.root


def test_the_command_writes_a_file_and_tells_what_it_could_not_read(results: Path, tmp_path: Path) -> None:
    done = inside("cite", "-b", "digits-smoke", "--results", results, "-o", tmp_path / "x.bib")
    assert (done.returncode, done.stdout) == (0, "")
    assert "model: odd: not of the form AUTHORS, TITLE, YEAR" in done.stderr
    keys = set(read_again((tmp_path / "x.bib").read_text()).entries)
    assert {"genbench", "alpaydin1998optical", "heusel2017gans", "radford2016unsupervised"} <= keys
    assert "% genbench; evaluators: digits-cnn-v1, digits-random-v1" in (tmp_path / "x.bib").read_text()


def test_models_without_results_are_cited_by_name(results: Path) -> None:
    done = inside(
        "cite", "-b", "digits-smoke", "--results", results, "--models", "vae[latent=4,beta=2],dcgan", "--json"
    )
    found = json.loads(done.stdout)
    uses = {use["name"]: each["key"] for each in found["entries"] for use in each["uses"] if use["kind"] == "model"}
    assert uses == {"vae[beta=2,latent=4]": "tomczak2018vae", "dcgan": "radford2016unsupervised"}
    assert read_again(found["bibtex"]).entries.keys() == {"genbench", *(each["key"] for each in found["entries"])}


def test_without_results_the_benchmark_is_cited_and_an_unknown_model_is_told(tmp_path: Path) -> None:
    done = inside("cite", "-b", "digits-smoke", "--results", tmp_path)
    assert done.returncode == 0
    assert "no model is cited" in done.stderr
    assert "heusel2017gans" in done.stdout
    done = inside("cite", "-b", "digits-smoke", "--results", tmp_path, "--models", "dcgna")
    assert done.returncode == 2
    assert "did you mean 'dcgan'?" in done.stderr


@pytest.mark.skipif(not (shutil.which("pdflatex") and shutil.which("bibtex")), reason="needs pdflatex and bibtex")
def test_bibtex_and_latex_typeset_all_that_genbench_can_cite(tmp_path: Path) -> None:
    text = bibtex(cited({**dict(first_party()), **HOSTILE}), TINY)
    (tmp_path / "refs.bib").write_text(text)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\begin{document}\nocite{*}"
        r"\bibliographystyle{plain}\bibliography{refs}\end{document}"
    )
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "-no-shell-escape", "paper.tex"]
    for command in (latex, ["bibtex", "paper"], latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    assert (tmp_path / "paper.bbl").read_text().count(r"\bibitem") == text.count("\n@")

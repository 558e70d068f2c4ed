"""Parsers and escapes under random input: a value of the declared type or a GenbenchError, and nothing else.

``GENBENCH_FUZZ=5000 pytest -n 0 tests/test_fuzz.py`` takes so many examples of each instead of a few.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
import torch
from corpus import arrays, pictures, tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from genbench.benchmark import Benchmark, BenchmarkFile, read_file
from genbench.engine.checkpoint import load_state, save_state
from genbench.engine.samples import load_samples
from genbench.errors import GenbenchError
from genbench.png import Png, PngError, essential
from genbench.record import Record, parse
from genbench.reference_file import KEY, Arrays, Reference, Source, read_reference, write_reference
from genbench.report.printable import json_text, printable, printable_lines
from genbench.report.site.templates import shown
from genbench.report.text import FORMULA, LATEX, escape_csv, escape_latex, escape_markdown
from genbench.selection import SelectedModel, load_benchmark, model_string, parse_budget, parse_model, select_model
from genbench.specs import DataSpec
from genbench.store import FOLDER, model_folder

fuzz = settings(
    max_examples=int(os.environ.get("GENBENCH_FUZZ", "120")),
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DATA = DataSpec((1, 8, 8), 17, classes=10)
ACTIVE = "\\`*_{}[]<>#|~$&!=+-@:;,.'\"()%^/?1 \t\n\r\x00\x1b\x9b\u202e\u2066\u2028\ud800\uff1d\uff0b\uff0d\uff20"
REGISTRY = factories.registry()
SAMPLES_OF_TEXT = [
    "https://x.invalid/", "www.x.invalid", "1. x", "1) x", "- x", "+ x", "---", "===", "# x", "> x", "    x",
    "\\input{x}", "=1+1", "\t=1", "\uff1d1", "[x](javascript:1)", "![x](y)", "<b>", "&amp;", "${x}", "{{ x }}", "|",
    "```", "*", "[1]",
]  # fmt: skip
TEXT = st.text(st.sampled_from(ACTIVE) | st.characters(), max_size=60) | st.sampled_from(SAMPLES_OF_TEXT)


@st.composite
def mutations(draw: st.DrawFn, good: bytes) -> bytes:
    """The good bytes with some of them changed, cut out, doubled, or put in."""
    raw = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, min(len(raw) - 1, 600)))) if draw(st.booleans()) else draw(
            st.integers(0, max(0, len(raw) - 1))
        )  # fmt: skip
        what = draw(st.sampled_from(["flip", "cut", "double", "insert", "number"]))
        end = min(len(raw), place + draw(st.integers(1, 40)))
        if what == "flip" and raw:
            raw[place] ^= draw(st.integers(1, 255))
        elif what == "cut":
            del raw[place:end]
        elif what == "double":
            raw[place:place] = raw[place:end]
        elif what == "insert":
            raw[place:place] = draw(st.binary(max_size=20))
        else:
            raw[place:end] = draw(st.sampled_from([b"9" * 30, b"-1", b"1e999", b"\xff" * 8, b"NaN", b"null", b"[[[["]))
    return bytes(raw)


def answered(reader: Callable[[], Any], kind: type) -> Any:
    """What the reader gives, which is of its type, or None where it refuses on lines that a terminal may have."""
    refusal = ""
    try:
        found = reader()
    except GenbenchError as error:
        refusal = str(error)
    if refusal:
        assert all(line.isprintable() for line in refusal.split("\n")), refusal
        return None
    assert isinstance(found, kind)
    return found


GOOD_TOML = factories.toml(factories.DEFINITION).encode()
TOML_LINES = st.lists(
    st.one_of(
        st.sampled_from(GOOD_TOML.decode().splitlines()),
        st.sampled_from(["x = 1979-05-27", "[[budget]]", "[a.b.c]", 'title = "\\u0000"', "images = 0xffff", "n = -0.0",
                         "seeds = [1, 1]", "x = {a = {b = 1}}", "a.b = 1", "flops = inf", '"" = 1']),
        st.text(max_size=30),
    ),
    max_size=40,
)  # fmt: skip


@given(st.one_of(mutations(GOOD_TOML), TOML_LINES.map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))))
@fuzz
def test_any_toml_is_a_definition_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tiny.toml").write_bytes(content)
    found = answered(lambda: read_file(tmp_path / "tiny.toml"), BenchmarkFile)
    if found is not None:
        assert tomllib.loads(content.decode())["name"] == found.name
    answered(lambda: load_benchmark(REGISTRY, str(tmp_path / "tiny.toml")), Benchmark)


@given(mutations(factories.record().to_json().encode()))
@fuzz
def test_any_record_is_a_record_or_refused(content: bytes) -> None:
    found = answered(lambda: parse(content), Record)
    if found is not None:
        assert parse(found.to_json()) == found


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_any_array_is_samples_or_refused(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8), np.uint8)
    good = arrays.npy(noise) if suffix == "npy" else arrays.npz(("samples.npy", arrays.npy(noise)))
    path = tmp_path / f"a.{suffix}"

    @given(mutations(good))
    @fuzz
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = answered(lambda: load_samples(path, DATA), np.ndarray)
        if found is not None:
            assert (found.dtype, found.shape[1:], found.max(initial=0) < 17) == (np.uint8, (1, 8, 8), True)

    check()


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["|u1", "<f8", "|O", "()"])


@given(
    st.dictionaries(
        st.sampled_from(["descr", "fortran_order", "shape", "x"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=4)
            | st.sampled_from(["|u1", "<f8", "|O", "()"]),
            lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
            max_leaves=6,
        ),
    )
)
@fuzz
def test_any_header_of_an_array_is_read_or_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    text = repr({"descr": "|u1", "fortran_order": False, "shape": (3, 1, 8, 8)} | header)
    (tmp_path / "a.npy").write_bytes(arrays.header(text.encode("ascii", "replace").decode(), bytes(192)))
    answered(lambda: load_samples(tmp_path / "a.npy", DATA), np.ndarray)


@given(mutations(pictures.GOOD))
@fuzz
def test_any_png_is_a_picture_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.png").write_bytes(content)
    found = answered(lambda: load_samples(tmp_path, DATA), np.ndarray)
    try:
        picture = essential(content, 64)
    except PngError:
        assert found is None
    else:
        assert isinstance(picture, Png)
        assert essential(picture.content, 64) == picture


@pytest.mark.parametrize("part", ["state.json", "state.safetensors"])
def test_any_state_is_a_state_or_refused(part: str, tmp_path: Path) -> None:
    save_state({"net": {"w": torch.ones(3), "b": torch.zeros(0)}, "step": 3, "best": float("inf")}, tmp_path / "state")
    good = (tmp_path / part).read_bytes()

    @given(mutations(good))
    @fuzz
    def check(content: bytes) -> None:
        (tmp_path / part).write_bytes(content)
        answered(lambda: load_state(tmp_path / "state"), dict)

    check()


def test_any_reference_is_a_reference_or_refused(tmp_path: Path) -> None:
    ones, wide = np.ones((6, 2), np.float32), np.ones(6, np.float32)
    made = Arrays(
        ones, ones[:, :0], np.zeros(0, np.int64), np.ones(2), np.eye(2), np.ones((2, 2)), wide, wide, np.ones(())
    )
    path = tmp_path / "given.safetensors"
    write_reference(path, Reference(Source("d", "test", "e", "s", "l"), made))
    good = path.read_bytes()
    assert KEY.encode() in good
    assert isinstance(read_reference(path), Reference)

    @given(mutations(good))
    @fuzz
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = answered(lambda: read_reference(path), Reference)
        assert found is None or content == good or found.digest

    check()


KEYS = st.sampled_from(["dtype", "shape", "data_offsets", "w", "$tensor"])
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@given(TREES)
@fuzz
def test_any_header_of_tensors_is_read_or_refused(tmp_path: Path, header: Any) -> None:
    tree = json.dumps(header)
    tensors.state(tree.encode(), tensors.tensors({"w": header} if header else tree.encode()))(tmp_path)
    answered(lambda: load_state(tmp_path / "state"), dict)


NAMES = st.text(st.sampled_from("ab[]=,. \n\t/\\-+_1e") | st.characters(), max_size=40)


@given(NAMES | st.builds("toy[{}={}]".format, st.sampled_from(["width", "lr", "ema", "loss", "x"]), NAMES))
@fuzz
def test_any_selection_is_a_model_or_refused(text: str) -> None:
    parsed = answered(lambda: parse_model(text), tuple)
    if parsed is not None:
        assert parse_model(model_string(*parsed))[0] == parsed[0]
    found = answered(lambda: select_model(REGISTRY, text), SelectedModel)
    if found is not None:
        assert select_model(REGISTRY, found.name) == found


BUDGET_KEYS = st.sampled_from(["images", "flops", "seconds", "device", "threads", "x"])
BUDGET_VALUES = st.floats().map(str) | st.integers().map(str) | NAMES


@given(st.lists(st.builds("{}={}".format, BUDGET_KEYS, BUDGET_VALUES) | NAMES, max_size=3))
@fuzz
def test_any_budget_is_one_or_refused(items: list[str]) -> None:
    found = answered(lambda: parse_budget(items), dict)
    if found:
        changed = answered(lambda: factories.benchmark().with_budget(found), Benchmark)
        if changed is not None:
            budget = changed.budget
            assert 0 < budget.images <= 2**53
            assert 0 < budget.seconds <= 1e9
            json.dumps(vars(budget), allow_nan=False)


@given(NAMES | st.text(max_size=300))
@fuzz
def test_any_name_has_a_folder_of_its_own_inside_the_results(name: str) -> None:
    folder = model_folder(name)
    assert FOLDER.fullmatch(folder)
    assert ".." not in folder
    assert Path(folder).name == folder


@given(TEXT)
@fuzz
def test_printed_text_has_no_character_that_a_terminal_obeys(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert all(line.isprintable() for line in printable_lines(text).split("\n"))
    assert str(shown(text)).isprintable()
    document = {"x": text}
    told = json_text(document)
    assert all(line.isprintable() for line in told.split("\n"))
    assert json.loads(told) == document


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(TEXT)
@fuzz
def test_markdown_shows_any_text_as_text(text: str) -> None:
    escaped, shown = escape_markdown(text), printable(text)
    document = f"| Model |\n|---|\n| {escaped} |\n\n- {escaped}\n\nafter\n"
    inline = []
    for token in MARKDOWN.parse(document):
        assert token.type.split("_")[0] in {"table", "thead", "tbody", "tr", "th", "td", "bullet", "list", "paragraph",
                                            "inline"}, token.type  # fmt: skip
        if token.type == "inline":
            assert all(child.type == "text" for child in token.children or []), token.children
            inline.append("".join(child.content for child in token.children or []))
    assert inline == ["Model", *([shown] * 2 if shown else [""]), "after"]
    assert not re.search(r"(?i)\b(https?|ftp|mailto|xmpp):|\bwww\.", escaped)


@given(TEXT)
@fuzz
def test_latex_shows_any_text_as_text(text: str) -> None:
    escaped, shown = escape_latex(text), printable(text)
    back = {replacement: character for character, replacement in LATEX.items()}
    words = sorted(map(re.escape, back), key=len, reverse=True)
    parts = re.findall(f"{'|'.join(words)}|.", escaped.removeprefix("{}"), re.DOTALL)
    assert "".join(back.get(part, part) for part in parts) == shown
    assert not [part for part in parts if len(part) == 1 and part in LATEX]
    assert not escaped.startswith(("[", "*"))


@given(TEXT)
@fuzz
def test_csv_has_any_text_as_text(text: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow([escape_csv(text), 1.5])
    line = stream.getvalue()
    assert line.count("\n") == 1
    ((cell, number),) = csv.reader(io.StringIO(line))
    assert number == "1.5"
    assert cell == cell.strip()
    assert not cell.startswith((*FORMULA, "\t", "\r"))
    assert cell.removeprefix("'") == printable(text).removeprefix("'")
    assert line.startswith('"')  # a spreadsheet that parts cells at another character finds no formula behind it


class Texts(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXT)
@fuzz
def test_html_shows_any_text_as_text(text: str) -> None:
    import jinja2

    page = jinja2.Environment(autoescape=True, finalize=shown).from_string('<p title="{{ x }}">{{ x }}</p>')
    read = Texts(page.render(x=text))
    assert read.tags == [("p", [("title", shown(text))])]
    assert read.text == shown(text)

"""Words: the data, what is measured of them, how they are shown; and the baseline that counts letters."""

import itertools
import math
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import factories
import numpy as np
import pytest
import torch
from feature_sets import gaussian
from safetensors.torch import load_file

from genbench import Batch, DatasetSpec, DataSpec
from genbench.cli import main
from genbench.engine.data import check
from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import _points
from genbench.engine.scoring.material import Material
from genbench.engine.scoring.reference import Source, reference_from
from genbench.engine.spelling import write_spelled
from genbench.errors import DataError
from genbench.leaderboard import build
from genbench.plugins import discover
from genbench.record import Record
from genbench.report import site
from genbench.store import RunKey, Store
from genbench_autoregressive.config import NGramConfig
from genbench_autoregressive.ngram import NGram
from genbench_benchmarks import words, words_scoring
from genbench_benchmarks.evaluators import draw_words_random
from genbench_benchmarks.evaluators.words_cnn import WordsCNN
from genbench_benchmarks.words_form import ALPHABET, FIRST_LETTER, LANGUAGES

SMALL = DataSpec((4,), levels=3, classes=2)
FORMS = {
    "a word": ((5, 9, 2, 1, 0, 0), 3),
    "a word that fills its place": ((5, 9, 2, 7, 3, 1), 5),
    "no letter": ((1, 0, 0, 0, 0, 0), 0),
    "nothing": ((0, 0, 0, 0, 0, 0), 0),
    "no end": ((5, 9, 2, 7, 3, 4), 0),
    "padding without an end": ((5, 9, 0, 0, 0, 0), 0),
    "a letter behind the end": ((5, 9, 1, 0, 4, 0), 0),
    "a second end": ((5, 9, 1, 1, 0, 0), 0),
    "padding before the end": ((5, 0, 1, 0, 0, 0), 0),
}


@pytest.fixture(scope="module")
def spec() -> DatasetSpec:
    return discover().datasets["words"].spec


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return words.load()  # type: ignore[return-value]


def test_the_words_are_those_of_their_declared_hash(spec: DatasetSpec, splits: dict) -> None:
    check(spec, splits)


def test_each_word_is_of_the_form_occurs_once_and_is_spelled_in_nfc(splits: dict) -> None:
    x = np.concatenate([splits["train"][0], splits["test"][0]])
    assert words_scoring.letters_of(x).min() >= 2
    assert len({word.tobytes() for word in x}) == len(x) == 50_000
    spelled = "".join(ALPHABET[level] for level in x.flatten())
    assert unicodedata.normalize("NFC", spelled) == spelled == spelled.lower()


def test_a_word_of_many_languages_is_that_of_the_one_in_which_it_is_most_frequent(splits: dict) -> None:
    x, labels = (np.concatenate([splits[split][part] for split in ("train", "test")]) for part in (0, 1))
    of = {word.tobytes(): LANGUAGES[label] for word, label in zip(x, labels, strict=True)}
    assert [of[words.encode(word).tobytes()] for word in ("the", "und", "niño", "ile")] == ["en", "de", "es", "tr"]


def test_without_wordfreq_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    with pytest.raises(DataError, match=r"wordfreq is not installed; .*pip install 'genbench\[text\]'"):
        words.load()


@pytest.mark.parametrize("form", FORMS)
def test_only_letters_one_end_and_padding_make_a_word(form: str) -> None:
    x, letters = FORMS[form]
    assert words_scoring.letters_of(np.array([x], np.uint8)).tolist() == [letters]


def material(
    samples: np.ndarray, labels: np.ndarray | None = None, seen: np.ndarray | None = None, **changes: object
) -> Material:
    """Of samples that an evaluator takes for the classes ``seen``; the training word is 5 5, the held-out one 6 6 6."""
    train, held_out = (np.array([word], np.uint8) for word in ((5, 5, 1, 0, 0, 0), (6, 6, 6, 1, 0, 0)))
    x = gaussian(30, 4, 1)
    reference = reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, np.eye(30, 2), np.zeros(30, int))
    logits = np.eye(2, dtype=np.float32)[np.zeros(len(samples), int) if seen is None else seen]
    features = np.zeros((len(samples), 4), np.float32)
    return Material(
        samples, labels, features, logits, reference, classes=2, training=lambda: (train, held_out), **changes
    )  # type: ignore[arg-type]


def test_new_words_are_valid_not_in_the_training_data_of_the_language_asked_for_and_counted_once() -> None:
    new, found, known, other, invalid = (
        (7, 1, 0, 0, 0, 0),
        (6, 6, 6, 1, 0, 0),
        (5, 5, 1, 0, 0, 0),
        (8, 1, 0, 0, 0, 0),
        (7,) * 6,
    )
    samples = np.array([new, new, found, known, other, invalid], np.uint8)
    labels, seen = np.zeros(6, np.int64), np.array([0, 0, 0, 0, 1, 0])
    measured = words_scoring.new_words(material(samples, labels, seen))
    assert measured is not None
    assert measured.value == pytest.approx(2 / 6)
    assert measured.details == pytest.approx({"new": 4 / 6, "recognised": 3 / 4, "held_out": 1 / 6})


def test_new_words_do_not_apply_to_a_model_that_is_asked_for_no_language() -> None:
    assert words_scoring.new_words(material(np.full((3, 6), 7, np.uint8))) is None


def test_invalid_and_distinct_words_are_shares_of_all_samples() -> None:
    samples = np.array([FORMS["a word"][0], FORMS["a word"][0], FORMS["no end"][0], FORMS["nothing"][0]], np.uint8)
    of = material(samples)
    assert (words_scoring.invalid_words(of).value, words_scoring.distinct_words(of).value) == (0.5, 0.25)


def test_bits_a_letter_of_a_uniform_choice_of_letters_and_end_do_not_hang_on_the_padding() -> None:
    held_out = np.array([[2, 1, 0, 0, 0, 0], [2, 3, 4, 1, 0, 0], [4, 4, 4, 4, 4, 1]], np.uint8)
    nats = -math.log(8) * np.array([4.0, 6.0])  # of the last two, end symbols included
    scored = LogProbs(nats, "iwae", 8, 6, np.array([2.0, 6.0]), np.array([1, 2]))
    of = material(held_out, log_probs=scored)
    measured = words_scoring.bits_per_letter(replace(of, training=lambda: (held_out, held_out)))
    assert measured is not None
    assert measured.value == pytest.approx(3.0, rel=1e-12)
    assert measured.stderr == pytest.approx(0.0, abs=1e-12)
    assert (measured.kind, measured.n, measured.details["effective_draws"]) == ("iwae", 2, 4.0)


def test_bits_a_letter_do_not_apply_to_a_model_without_a_likelihood() -> None:
    assert words_scoring.bits_per_letter(material(np.full((3, 6), 7, np.uint8))) is None


def test_as_points_words_are_as_far_apart_as_they_have_symbols_that_differ() -> None:
    x = np.array([[2, 60, 1, 0], [61, 60, 2, 1]], np.uint8)
    first, second = _points(x, DataSpec((4,), levels=62))
    assert ((first - second) ** 2).sum() / 2 == 3


def test_the_shipped_random_weights_are_those_of_their_recipe() -> None:
    threads = torch.get_num_threads()
    drawn = draw_words_random.draw().state_dict()
    torch.set_num_threads(threads)
    shipped = load_file(discover().evaluators["words-random-v1"].spec.weights)
    for name, tensor in drawn.items():
        torch.testing.assert_close(shipped[name], tensor, atol=1e-5, rtol=1e-4)


def test_an_extractor_of_words_refuses_levels_beyond_its_alphabet() -> None:
    extractor = WordsCNN("words-cnn-v1", ["features"])
    with pytest.raises(ValueError, match=r"takes values 0 \.\. 61, and the largest is 62"):
        extractor(torch.full((2, 16), 62, dtype=torch.uint8))


def counted() -> NGram:
    """A trigram of sequences whose third symbol repeats the first."""
    model = NGram(NGramConfig(order=3), SMALL, torch.device("cpu"))
    x = torch.randint(0, 3, (30, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x[:, 2] = x[:, 0]
    model.train_step(Batch(x, torch.arange(30) % 2), 0.0)
    return model


def everything() -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(3), repeat=4)), dtype=torch.uint8)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("model", [counted(), NGram(NGramConfig(), SMALL, torch.device("cpu"))], ids=["", "untrained"])
def test_the_probabilities_of_all_sequences_sum_to_one_under_an_ngram(model: NGram, label: int) -> None:
    total = model.log_prob(everything(), torch.full((81,), label)).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-12)


def test_an_ngram_draws_each_sequence_as_often_as_it_says() -> None:
    n, model = 20_000, counted()
    torch.manual_seed(1)
    drawn = model.sample(n, torch.ones(n, dtype=torch.int64)).long() @ torch.tensor([27, 9, 3, 1])
    probability = model.log_prob(everything(), torch.ones(81, dtype=torch.int64)).exp()
    error = (torch.bincount(drawn, minlength=81) / n - probability) / (probability * (1 - probability) / n).sqrt()
    assert error.abs().max() < 4.5


def test_an_ngram_is_interpolated_kneser_ney_as_the_equation_has_it() -> None:
    model = counted()
    x, labels = model.examples()
    begun = [(3, 3, *row) for row, label in zip(x.tolist(), labels.tolist(), strict=True) if label == 0]
    grams = [row[i : i + 3] for row in begun for i in range(4)]
    every = [
        (*(3, 3, *row)[i : i + 3], label)
        for row, label in zip(x.tolist(), labels.tolist(), strict=True)
        for i in range(4)
    ]

    def discount(tables: list) -> float:
        once, twice = (sum(tables.count(gram) == times for gram in set(tables)) for times in (1, 2))
        return (once + 0.5) / (once + 2 * twice + 1)

    def probability(context: tuple, symbol: int, seen: list, everyone: list) -> float:
        lower = 1 / 3
        if context:
            shorter, of_all = ([gram[1:] for gram in set(table)] for table in (seen, everyone))
            lower = probability(context[1:], symbol, shorter, of_all)
        followed = [gram[-1] for gram in seen if gram[:-1] == context]
        if not followed:
            return lower
        d = discount(everyone)
        return (max(followed.count(symbol) - d, 0) + d * len(set(followed)) * lower) / len(followed)

    sequence = (3, 3, 0, 2, 1, 1)
    expected = sum(math.log(probability(sequence[i : i + 2], sequence[i + 2], grams, every)) for i in range(4))
    found = model.log_prob(torch.tensor([sequence[2:]], dtype=torch.uint8), torch.tensor([0]))
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_what_follows_an_end_is_shown_and_what_a_terminal_would_obey_is_not(tmp_path: Path) -> None:
    samples = np.array([[2, 3, 1, 0], [2, 1, 3, 0], [0, 0, 0, 0], [4, 2, 5, 1]], np.uint8)
    write_spelled(samples, None, ("", "", "a", "ß", "\x1b", "\n"), (), tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text().split("\n") == ["aß", "a·ß", "", "\N{REPLACEMENT CHARACTER}a ", ""]


def test_a_class_stands_behind_a_tab_by_its_name(tmp_path: Path) -> None:
    write_spelled(np.array([[FIRST_LETTER, 1]], np.uint8), np.array([1]), ALPHABET, LANGUAGES, tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text() == "a\ten\n"


def commit(store: Store, of: Record, spelled: bytes) -> Path:
    with store.claim(RunKey(of.benchmark.name, of.model.name, of.seed), "identity") as claim:
        assert claim is not None
        (claim.folder / "samples.txt").write_bytes(spelled)
        of = replace(of, artifacts=claim.artifacts(["samples.txt"]))
        return store.commit(claim, of, list(of.artifacts))


def test_the_page_and_the_terminal_show_the_words_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "results")
    folder = commit(store, factories.record("speller"), "straße\tde\n<b>\ten\n".encode())
    board = build(factories.benchmark(), factories.METRICS, store.load("tiny"))
    assert site.write([site.Entry(board)], store, tmp_path / "site") == []
    page = (tmp_path / "site/tiny/index.html").read_text(encoding="utf-8")
    assert "straße&nbsp;<small>de</small>" in page
    assert "&lt;b&gt;" in page
    assert main(["show", str(folder)]) == 0
    assert "straße" in capsys.readouterr().out


def test_words_that_are_not_those_of_the_record_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    folder = commit(store, factories.record("speller"), b"word\ten\n")
    (folder / "samples.txt").write_text("other\ten\n")
    board = build(factories.benchmark(), factories.METRICS, store.load("tiny"))
    (problem,) = site.write([site.Entry(board)], store, tmp_path / "site")
    assert "its samples.txt is not shown: its hash is not the one in the record" in problem
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "other" not in shown.out
    assert "samples.txt is not shown" in shown.err

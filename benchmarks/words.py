"""The data set ``words``: the most frequent words of ten languages, as wordfreq has them, letters as levels."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
from numpy.typing import NDArray

from genbench.engine.data import Examples, stratified_choice
from genbench.errors import MissingData
from genbench_benchmarks.words_form import END, FIRST_LETTER, LANGUAGES, LENGTH, LETTERS, LONGEST, SHORTEST

A_LANGUAGE = 5_000
TEST = 5_000


def load() -> dict[str, Examples]:
    """5,000 words each of ten languages, 45,000 for training and 5,000 for testing, as many of each language.

    The source is wordfreq 3.1.1 (Speer 2022, doi:10.5281/zenodo.7199437), a frozen package, and of it the lists of
    words that occur once in a million words or more. A word is taken if it consists of 2 to 15 letters of
    :data:`~genbench_benchmarks.words_form.LETTERS`, as NFC and in lower case. One that is in the lists of several
    languages belongs to that in which it is most frequent; one that is most frequent in two is left out. So no word
    occurs twice, and what tells the languages apart is not blurred by borrowed names. Of each language the most
    frequent are taken; wordfreq states frequencies in steps of 2.3 %, and among equals a hash decides.

    A hash of the word decides too which are for testing, language by language.

    Returns:
        Uint8 ``[N, 16]``: letters, the end symbol 1, then padding 0; labels int64 ``[N]``, places in ``LANGUAGES``.

    Raises:
        MissingData: if wordfreq is not installed.
    """
    words = [(word, label) for label, of in enumerate(most_frequent()) for word in of]
    x = np.stack([encode(word) for word, _ in words])
    labels = np.array([label for _, label in words], np.int64)
    test = stratified_choice(x, labels, TEST, "words test")
    return {"train": (x[~test], labels[~test]), "test": (x[test], labels[test])}


def most_frequent() -> list[list[str]]:
    """The words of each language, the most frequent first."""
    owned: list[list[tuple[int, bytes, str]]] = [[] for _ in LANGUAGES]
    for word, rarity in _rarities().items():
        owner = min(rarity, key=rarity.__getitem__)
        if list(rarity.values()).count(rarity[owner]) == 1:
            owned[owner].append((rarity[owner], hashlib.sha256(word.encode()).digest(), word))
    return [[word for _, _, word in sorted(words)[:A_LANGUAGE]] for words in owned]


def encode(word: str) -> NDArray[np.uint8]:
    """Uint8 ``[16]`` of a word of at most 15 letters.

    Raises:
        ValueError: for a longer word, or a letter that is not in the alphabet.
    """
    if len(word) > LONGEST:
        raise ValueError(f"{word!r} has {len(word)} letters; {LONGEST} and an end symbol fit in")
    levels = np.zeros(LENGTH, np.uint8)
    levels[: len(word)] = [FIRST_LETTER + LETTERS.index(letter) for letter in word]
    levels[len(word)] = END
    return levels


def _rarities() -> dict[str, dict[int, int]]:
    """Word to language to how rare it is there: -100 log10 of its frequency, in whole numbers."""
    try:
        from wordfreq import get_frequency_list
    except ModuleNotFoundError as error:
        raise MissingData(
            f"the data set 'words' is made from the package wordfreq, and {error.name} is not installed; install it "
            "with: pip install 'genbench[text]'"
        ) from None
    rarities: dict[str, dict[int, int]] = {}
    for label, language in enumerate(LANGUAGES):
        for rarity, words in enumerate(get_frequency_list(language, "small")):
            for word in filter(_is_of_letters, words):
                rarities.setdefault(word, {})[label] = rarity
    return rarities


def _is_of_letters(word: str) -> bool:
    if not SHORTEST <= len(word) <= LONGEST or unicodedata.normalize("NFC", word) != word:
        return False
    return all(letter in LETTERS for letter in word)

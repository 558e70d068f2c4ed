"""The metrics of words, as they are computed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.material import Material, Measured
from genbench.errors import DataError
from genbench_benchmarks.words_form import END, FIRST_LETTER, PADDING


def letters_of(x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of letters of each word, int64 ``[N]``; 0 for what is no word.

    A word is one letter or more, then one end symbol, then nothing but padding.

    Args:
        x: uint8 ``[N, L]``.
    """
    letters = np.cumprod(x >= FIRST_LETTER, axis=1).sum(1)  # before the first symbol that is none
    place = np.arange(x.shape[1])
    form = np.where(place == letters[:, None], END, PADDING)
    valid = (letters > 0) & (letters < x.shape[1]) & ((place < letters[:, None]) | (x == form)).all(1)
    return np.where(valid, letters, 0)


def invalid_words(material: Material) -> Measured:
    """The share of samples that are no words."""
    invalid = letters_of(material.samples) == 0
    return Measured(float(invalid.mean()), material.n, fingerprint=_of_samples(material, "invalid_words/1"))


def distinct_words(material: Material) -> Measured:
    """The number of different words among the samples, over the number of samples."""
    words = {word.tobytes() for word in material.samples[letters_of(material.samples) > 0]}
    return Measured(len(words) / material.n, material.n, fingerprint=_of_samples(material, "distinct_words/1"))


def new_words(material: Material) -> Measured | None:
    """How many words a model finds of the language asked for, each counted once, over the number of samples.

    Counted are samples that are words, are not in the training data, and are taken by the evaluator for the class
    asked for. Those that happen to be held-out words count: no better word can be found, and the details tell their
    share. ``recognised`` is the share of all new words, repeats left in, that the evaluator takes for the class asked
    for; ``real`` in the fingerprint that of held-out words.
    """
    if material.labels is None:
        return None
    training, held_out = map(_set_of, _examples(material))
    found = material.logits.argmax(1) == material.labels
    valid = letters_of(material.samples) > 0
    new = np.array([word.tobytes() not in training for word in material.samples]) & valid
    counted = {word.tobytes() for word in material.samples[new & found]}
    arrays = material.reference.arrays
    real = round(float((arrays.logits.argmax(1) == arrays.labels).mean()), 4)
    details = {
        "new": float(new.mean()),
        "recognised": float(found[new].mean()) if new.any() else 0.0,
        "held_out": len(counted & held_out) / material.n,
    }
    fingerprint = material.fingerprint("new_words/1", real=real)
    return Measured(len(counted) / material.n, material.n, fingerprint=fingerprint, details=details)


def bits_per_letter(material: Material) -> Measured | None:
    """-sum log2 P(x) / sum (letters + 1) over held-out words; None without a likelihood.

    The end symbol is counted as a letter, since it has to be predicted, and padding is not: it follows of itself, so
    that it must not dilute the number. The standard error is that of a ratio of means (Cochran 1977, equation 2.46).
    """
    scored = material.log_probs
    if scored is None:
        return None
    if scored.examples is None:
        raise DataError("bits/letter needs to know which held-out words the likelihood is of, and nobody says")
    letters = letters_of(_examples(material)[1][scored.examples])
    if not letters.all():
        raise DataError("bits/letter is of words: letters, an end symbol, then only padding; the held-out data are not")
    bits, symbols = np.asarray(scored.nats, np.float64) / -math.log(2), (letters + 1).astype(np.float64)
    n, ratio = len(bits), float(bits.sum() / symbols.sum())
    stderr = float((bits - ratio * symbols).std(ddof=1) / math.sqrt(n) / symbols.mean()) if n > 1 else None
    fingerprint = {
        **_of_samples(material, "bits_per_letter/1"),
        "n": n,
        "estimator": scored.kind,
        "draws": scored.draws,
    }
    details = {"bits_per_word": float(bits.mean())}
    if scored.effective_draws is not None:
        effective = scored.effective_draws
        details |= {"effective_draws": float(effective.mean()), "least_effective_draws": float(effective.min())}
    return Measured(ratio, n, scored.kind, stderr, fingerprint, details)


def _examples(material: Material) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Training and held-out words, uint8 ``[T, L]`` and ``[M, L]``."""
    if material.training is None:
        raise DataError("words are only known or new where the training data are at hand")
    return material.training()


def _set_of(x: NDArray[np.uint8]) -> set[bytes]:
    return {word.tobytes() for word in x}


def _of_samples(material: Material, metric: str) -> dict[str, object]:
    """The fingerprint of a score that no evaluator had a part in."""
    source = material.reference.source
    return {"metric": metric, "data": source.data_sha256[:16], "split": source.split, "n": material.n}

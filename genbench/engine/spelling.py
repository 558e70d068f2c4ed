"""Samples of texts, as a person can read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genbench.errors import clean

HIDDEN = "\N{MIDDLE DOT}"
"""Stands for a level that is shown as nothing, before one that is: what follows an end, for instance."""


def spelled(samples: np.ndarray, alphabet: Sequence[str]) -> list[str]:
    """Each of uint8 ``[n, L]`` as text, on one line and without characters that a terminal would obey.

    Levels that are shown as nothing are left out at the end of a text, where they belong.
    """
    shown = [_one_line(text) or HIDDEN for text in alphabet]
    hidden = np.array([not text for text in alphabet])
    lengths = samples.shape[1] - np.argmin(hidden[samples[:, ::-1]], axis=1)
    lengths[hidden[samples].all(axis=1)] = 0
    return [
        "".join(shown[level] for level in sample[:length])
        for sample, length in zip(samples.tolist(), lengths.tolist(), strict=True)
    ]


def write_spelled(
    samples: np.ndarray,
    labels: np.ndarray | None,
    alphabet: Sequence[str],
    class_names: Sequence[str],
    path: Path,
) -> None:
    """Write one sample a line in UTF-8: its text and, of a conditional model, a tab and the class asked for.

    Args:
        samples: uint8 ``[n, L]``.
        labels: int64 ``[n]``, or None.
        alphabet, class_names: as in :class:`genbench.specs.DatasetSpec`; classes without names go by number.

    Raises:
        ValueError: for data without an alphabet.
    """
    if not alphabet:
        raise ValueError("a .txt needs data with an alphabet")
    lines = spelled(samples, alphabet)
    if labels is not None:
        names = [_one_line(class_names[label]) if class_names else str(label) for label in labels.tolist()]
        lines = [f"{line}\t{name}" for line, name in zip(lines, names, strict=True)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _one_line(text: str) -> str:
    return clean(text).replace("\n", " ").replace("\t", " ")

"""The digits benchmark's data: scikit-learn's 8x8 handwritten digits with a split of its own."""

from __future__ import annotations

import numpy as np

from genbench.engine.data import Examples, stratified_choice

TEST = 600


def load() -> dict[str, Examples]:
    """The 1,797 images of scikit-learn's ``load_digits``, 17 levels, as 1,197 for training and 600 for testing.

    These are the test part of the UCI "Optical Recognition of Handwritten Digits" data (Alpaydin and Kaynak, 1998,
    doi:10.24432/C50P49): counts of set pixels in 4x4 blocks. scikit-learn has no split of them. Here a hash of each
    image decides, class by class, so the split does not hang on any generator or order; no image occurs twice.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = bunch.images.astype(np.uint8)[:, None]  # [N, 8, 8] floats 0..16 -> [N, 1, 8, 8]
    labels = bunch.target.astype(np.int64)
    test = stratified_choice(x, labels, TEST, "digits test")
    return {"train": (x[~test], labels[~test]), "test": (x[test], labels[test])}

"""What each of genbench's own metrics does not see, in the words of docs/metrics.md."""

from __future__ import annotations

BLIND: dict[str, str] = {
    "fid": (
        "memorising (train-copy is its best row), and everything beyond two moments of the features. 10 % of "
        "duplicates are at the limit of what it sees on digits, and a blur costs more than noise of the same "
        "strength."
    ),
    "fd_inf": "what FID is blind to.",
    "kid": "memorising, and what the features do not show.",
    "is": (
        "the held-out data altogether, memorising, and variety within a class. One perfect image of each class has "
        "the highest possible score."
    ),
    "precision": (
        "missing variety. On digits, dropping a whole class or repeating ten images leaves it unchanged, and mild "
        "blur raises it."
    ),
    "recall": "quality, and to how often each region is visited.",
    "density": "missing variety.",
    "coverage": "how often a region is visited beyond once, and samples outside of all balls.",
    "class_histogram": "everything but the classes' shares, such as quality and variety within a class.",
    "modes_found": "how often each mode is visited beyond once, and quality.",
    "modes_kl": "quality and variety within a mode.",
    "bits_per_dim": (
        "what the samples look like. A mixture of 1 % of a good model and 99 % of noise loses at most log(100) "
        "nats an image, a fraction of a bit/dim, and nearly all of its samples are noise."
    ),
    "label_accuracy": "variety within a class. One good image of each class has the highest value.",
    "intra_kid": "the shares of the classes, and what KID is blind to.",
    "nn_ratio": (
        "copies that are a small share of the samples, and copies in another space than its own. It flags "
        "everybody where held-out data are farther from the training data than new data need be: the triples of "
        "stacked-digits that are held out are made of other digits than those trained on, and there even noise is "
        "flagged."
    ),
    "authenticity": "how near the copies are; a model whose samples are all far from the data has many authentic ones.",
    "c_t": "copies where the cell as a whole lies farther from the training data than held-out data do.",
    "exact_copies": "a copy with a single other pixel.",
    "invalid_words": "what the letters are.",
    "distinct_words": "whether the words are any; copies of the training data.",
    "bits_per_letter": "what the samples look like.",
    "new_words": (
        "whether a new word could be one, where the evaluator takes it for the language all the same: letters "
        "drawn each for its place from all words of a language score above the training data, which score 0. Read "
        "it beside FID."
    ),
}

COPYING = (
    "copies that were shifted, mirrored or rotated. None of the spaces takes a digit moved by one pixel for "
    "near the same digit where it was."
)
"""What every test of copying does not see."""

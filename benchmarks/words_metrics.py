"""The metrics of words, as they are declared: what they say, how, and what they do not see."""

from __future__ import annotations

from genbench import MetricSpec

FUNCTIONS = "genbench_benchmarks.words_scoring"

WORDS = (
    MetricSpec(
        name="invalid_words",
        title="Invalid",
        function=f"{FUNCTIONS}:invalid_words",
        direction="lower",
        needs_sequences=True,
        tells_apart=("train-copy>class-marginals", "train-copy>marginals>uniform-noise"),
        blind_to=(
            "train-copy=collapse",
            "train-copy=class-dropped",
            "train-copy=classes-unbalanced",
            "train-copy=one-per-class",
            "train-copy=labels-shuffled",
            "held-out=replayed",
        ),
        reference="Brown et al. 2019, arXiv:1811.09621",
        summary="share of samples that are not letters, one end symbol, then only padding; counted, never repaired",
    ),
    MetricSpec(
        name="distinct_words",
        title="Distinct",
        function=f"{FUNCTIONS}:distinct_words",
        direction="higher",
        needs_sequences=True,
        tells_apart=(
            "train-copy>duplicates-10%>duplicates-50%>collapse",
            "train-copy>one-per-class",
            "train-copy>marginals>uniform-noise",
        ),
        blind_to=(
            "train-copy=class-dropped",
            "train-copy=classes-unbalanced",
            "train-copy=labels-shuffled",
            "held-out=replayed",
        ),
        reference="Brown et al. 2019, arXiv:1811.09621",
        summary="number of different valid words among the samples, over the number of samples",
    ),
    MetricSpec(
        name="bits_per_letter",
        title="bits/letter",
        function=f"{FUNCTIONS}:bits_per_letter",
        direction="lower",
        group="likelihood",
        unit="bits/letter",
        needs_sequences=True,
        reference="Graves 2013, arXiv:1308.0850",
        summary="negative log2-likelihood of held-out words over their letters and ends; exact, or an upper bound",
    ),
    MetricSpec(
        name="new_words",
        title="New words",
        function=f"{FUNCTIONS}:new_words",
        direction="higher",
        group="control",
        needs_logits=True,
        needs_classes=True,
        needs_sequences=True,
        tells_apart=("held-out>replayed-10%>replayed-20%>replayed-50%>replayed",),
        blind_to=(
            "train-copy=collapse",
            "train-copy=labels-shuffled",
            "train-copy<class-marginals",
        ),
        reference="Brown et al. 2019, arXiv:1811.09621",
        summary="different words of a conditional model that are valid, not in the training data, and taken by the "
        "evaluator for the language asked for, over the number of samples",
    ),
)

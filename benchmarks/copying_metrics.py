"""The tests of copying, as they are declared: what they say, how, and what they do not see."""

from __future__ import annotations

from genbench import MetricSpec
from genbench_benchmarks.metrics import FUNCTIONS

COPYING = (
    MetricSpec(
        name="nn_ratio",
        title="NN ratio",
        function=f"{FUNCTIONS}:nn_ratio",
        direction="higher",
        group="copying",
        least_samples=20,
        least_training=20,
        least_held_out=40,
        both_evaluators=True,
        tells_apart=(
            "held-out>replayed-20%>replayed-50%>replayed",
            "held-out>near-copies",
        ),
        reference="Stein et al. 2023, arXiv:2306.04675",
        summary="distance of samples to training data over that to held-out data; about 1 if honest, less for copies",
    ),
    MetricSpec(
        name="authenticity",
        title="Authenticity",
        function=f"{FUNCTIONS}:authenticity",
        direction="higher",
        group="copying",
        least_samples=20,
        least_training=20,
        least_held_out=40,
        both_evaluators=True,
        tells_apart=(
            "held-out>replayed-20%>replayed-50%>replayed",
            "held-out>near-copies",
        ),
        reference="Alaa et al. 2022, arXiv:2102.08921",
        summary="AuthPct of the samples less that of held-out data, in percentage points; below 0 for copies",
    ),
    MetricSpec(
        name="c_t",
        title="C_T",
        function=f"{FUNCTIONS}:c_t",
        direction="higher",
        group="copying",
        least_samples=20,
        least_training=20,
        least_held_out=40,
        both_evaluators=True,
        tells_apart=(
            "held-out>replayed-10%",
            "held-out>replayed-20%>replayed-50%>replayed",
            "held-out>near-copies",
        ),
        reference="Meehan et al. 2020, arXiv:2004.05675",
        summary="z-score of distances to training data against those of held-out data; far below 0 for copies",
    ),
    MetricSpec(
        name="exact_copies",
        title="Exact copies",
        function=f"{FUNCTIONS}:exact_copies",
        direction="none",
        group="copying",
        reference="Meehan et al. 2020, arXiv:2004.05675",
        summary="share of samples that equal a training image in every pixel",
    ),
)

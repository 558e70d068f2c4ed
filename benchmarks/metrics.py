"""The metrics of genbench itself, as they are declared: what they say, how, and what they do not see."""

from __future__ import annotations

from genbench import MetricSpec

FUNCTIONS = "genbench.engine.scoring.metrics"

QUALITY = (
    MetricSpec(
        name="fid",
        title="FID",
        function=f"{FUNCTIONS}:fid",
        direction="lower",
        log_scale=True,
        both_evaluators=True,
        reference="Heusel et al. 2017, arXiv:1706.08500",
        summary="Frechet distance between Gaussians fitted to the features of samples and of held-out data",
    ),
    MetricSpec(
        name="fd_inf",
        title="FD inf",
        function=f"{FUNCTIONS}:fd_inf",
        direction="lower",
        reference="Chong and Forsyth 2020, arXiv:1911.07023",
        summary="the same extrapolated to infinitely many samples; may fall below 0",
    ),
    MetricSpec(
        name="kid",
        title="KID",
        function=f"{FUNCTIONS}:kid",
        direction="lower",
        reference="Binkowski et al. 2018, arXiv:1801.01401",
        summary="unbiased squared maximum mean discrepancy of the features, cubic kernel; may fall below 0",
    ),
    MetricSpec(
        name="is",
        title="IS",
        function=f"{FUNCTIONS}:inception_score_of",
        direction="higher",
        reference="Salimans et al. 2016, arXiv:1606.03498",
        summary="Inception Score: samples of sure class, all classes alike often; blind to the held-out data",
    ),
    MetricSpec(
        name="precision",
        title="Precision",
        function=f"{FUNCTIONS}:precision",
        direction="higher",
        reference="Kynkaanniemi et al. 2019, arXiv:1904.06991",
        summary="share of samples within the manifold of the held-out data (k = 3): fidelity",
    ),
    MetricSpec(
        name="recall",
        title="Recall",
        function=f"{FUNCTIONS}:recall",
        direction="higher",
        reference="Kynkaanniemi et al. 2019, arXiv:1904.06991",
        summary="share of held-out data within the manifold of the samples (k = 3): diversity",
    ),
    MetricSpec(
        name="density",
        title="Density",
        function=f"{FUNCTIONS}:density",
        direction="higher",
        reference="Naeem et al. 2020, arXiv:2002.09797",
        summary="how many balls around held-out data (k = 5) a sample lies in, over k: fidelity; may exceed 1",
    ),
    MetricSpec(
        name="coverage",
        title="Coverage",
        function=f"{FUNCTIONS}:coverage",
        direction="higher",
        reference="Naeem et al. 2020, arXiv:2002.09797",
        summary="share of held-out data with a sample in their ball (k = 5): diversity",
    ),
    MetricSpec(
        name="class_histogram",
        title="Classes",
        function=f"{FUNCTIONS}:class_histogram_distance",
        direction="lower",
        reference="Santurkar et al. 2018, arXiv:1711.00970",
        summary="total variation between the classes seen in the samples and in the held-out data: collapse, bias",
    ),
    MetricSpec(
        name="modes_found",
        title="Modes",
        function=f"{FUNCTIONS}:modes_found",
        direction="higher",
        reference="Metz et al. 2017, arXiv:1611.02163",
        summary="number of the data's known modes that have a sample",
    ),
    MetricSpec(
        name="modes_kl",
        title="Modes KL",
        function=f"{FUNCTIONS}:modes_kl",
        direction="lower",
        unit="nats",
        reference="Metz et al. 2017, arXiv:1611.02163",
        summary="KL divergence of the samples' modes from the data's, in nats",
    ),
)

LIKELIHOOD = (
    MetricSpec(
        name="bits_per_dim",
        title="bits/dim",
        function=f"{FUNCTIONS}:bits_per_dim",
        direction="lower",
        group="likelihood",
        unit="bits/dim",
        reference="Theis et al. 2016, arXiv:1511.01844",
        summary="mean negative log2-likelihood of held-out examples a dimension; exact, or an upper bound",
    ),
)

CONTROL = (
    MetricSpec(
        name="label_accuracy",
        title="Label acc",
        function=f"{FUNCTIONS}:label_accuracy",
        direction="higher",
        group="control",
        reference="Shmelkov et al. 2018, arXiv:1807.09499",
        summary="share of a conditional model's samples that the evaluator takes for the class asked for",
    ),
    MetricSpec(
        name="intra_kid",
        title="Intra KID",
        function=f"{FUNCTIONS}:intra_kid",
        direction="lower",
        group="control",
        reference="Miyato and Koyama 2018, arXiv:1802.05637",
        summary="mean over classes of the KID of a conditional model's samples; may fall below 0",
    ),
)

COPYING = (
    MetricSpec(
        name="nn_ratio",
        title="NN ratio",
        function=f"{FUNCTIONS}:nn_ratio",
        direction="higher",
        group="copying",
        both_evaluators=True,
        reference="Stein et al. 2023, arXiv:2306.04675",
        summary="distance of samples to training data over that to held-out data; 1 for honest samples, below it for copies",
    ),
    MetricSpec(
        name="authenticity",
        title="Authenticity",
        function=f"{FUNCTIONS}:authenticity",
        direction="higher",
        group="copying",
        both_evaluators=True,
        reference="Alaa et al. 2022, arXiv:2102.08921",
        summary="AuthPct of the samples less that of held-out data, in percentage points; below 0 for copies",
    ),
    MetricSpec(
        name="c_t",
        title="C_T",
        function=f"{FUNCTIONS}:c_t",
        direction="higher",
        group="copying",
        both_evaluators=True,
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

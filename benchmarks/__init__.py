"""genbench's own data sets, evaluators, metrics and benchmark definitions, registered as any plugin's are."""

from __future__ import annotations

from pathlib import Path

from genbench import DatasetSpec, DataSpec, EvaluatorSpec, MetricSpec, hookimpl

HERE = Path(__file__).parent
METRICS = "genbench.engine.scoring.metrics"


@hookimpl
def register_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="digits",
            data=DataSpec(shape=(1, 8, 8), levels=17, classes=10),
            loader="genbench_benchmarks.digits:load",
            sha256="c93c7aaaf9034f9482ad71a1ac7cfe3d3b74ab723345951167dfc15028e11c7a",
            train=1197,
            test=600,
            summary="scikit-learn's 8x8 handwritten digits, 17 grey levels, 10 classes; nothing to download",
            licence="CC BY 4.0",
            citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
            "Repository, 1998, doi:10.24432/C50P49",
            url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        )
    ]


@hookimpl
def register_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="digits-cnn-v1",
            factory="genbench_benchmarks.evaluators.digits_cnn:DigitsCNN",
            weights=str(HERE / "evaluators" / "digits-cnn-v1.safetensors"),
            sha256="2c28c546dc2817e823efa6918d2ebf9b83cfc146fd2020097d2d5ce228ff07ee",
            features="features",
            logits="logits",
            dims=32,
            shape=(1, 8, 8),
            levels=17,
            batch_size=100,
            summary="convolutional classifier of 8x8 digits, test accuracy 0.995, 32 features, calibrated head",
        )
    ]


@hookimpl
def register_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            name="fid",
            title="FID",
            function=f"{METRICS}:fid",
            direction="lower",
            log_scale=True,
            both_evaluators=True,
            reference="Heusel et al. 2017, arXiv:1706.08500",
            summary="Frechet distance between Gaussians fitted to the features of samples and of held-out data",
        ),
        MetricSpec(
            name="kid",
            title="KID",
            function=f"{METRICS}:kid",
            direction="lower",
            reference="Binkowski et al. 2018, arXiv:1801.01401",
            summary="unbiased squared maximum mean discrepancy of the features, cubic kernel; may fall below 0",
        ),
        MetricSpec(
            name="is",
            title="IS",
            function=f"{METRICS}:inception_score_of",
            direction="higher",
            reference="Salimans et al. 2016, arXiv:1606.03498",
            summary="Inception Score: samples of sure class, all classes alike often; blind to the held-out data",
        ),
        MetricSpec(
            name="precision",
            title="Precision",
            function=f"{METRICS}:precision",
            direction="higher",
            reference="Kynkaanniemi et al. 2019, arXiv:1904.06991",
            summary="share of samples within the manifold of the held-out data (k = 3): fidelity",
        ),
        MetricSpec(
            name="recall",
            title="Recall",
            function=f"{METRICS}:recall",
            direction="higher",
            reference="Kynkaanniemi et al. 2019, arXiv:1904.06991",
            summary="share of held-out data within the manifold of the samples (k = 3): diversity",
        ),
        MetricSpec(
            name="bits_per_dim",
            title="bits/dim",
            group="likelihood",
            function=f"{METRICS}:bits_per_dim",
            direction="lower",
            unit="bits/dim",
            reference="Theis et al. 2016, arXiv:1511.01844",
            summary="mean negative log2-likelihood of held-out examples a dimension; exact, or an upper bound",
        ),
    ]


@hookimpl
def register_benchmarks() -> list[Path]:
    return sorted(HERE.glob("*.toml"))

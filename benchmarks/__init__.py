"""genbench's own data sets, evaluators, metrics and benchmark definitions, registered as any plugin's are."""

from __future__ import annotations

from pathlib import Path

from genbench import DatasetSpec, DataSpec, EvaluatorSpec, MetricSpec, hookimpl
from genbench_benchmarks.copying_metrics import COPYING
from genbench_benchmarks.evaluators.published import published_evaluators
from genbench_benchmarks.metrics import CONTROL, LIKELIHOOD, QUALITY

HERE = Path(__file__).parent


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
        ),
        EvaluatorSpec(
            name="digits-random-v1",
            factory="genbench_benchmarks.evaluators.digits_random:DigitsRandom",
            weights=str(HERE / "evaluators" / "digits-random-v1.safetensors"),
            sha256="cc6235650b20a80f23affa60ed183cf40a74cabe2c02ff03fcf364b92a8019ee",
            features="features",
            logits=None,
            dims=32,
            shape=(1, 8, 8),
            levels=17,
            batch_size=100,
            summary="random convolutions on 8x8 digits, never trained, 32 features; a second opinion, and for copies",
        ),
        *published_evaluators(),
    ]


@hookimpl
def register_metrics() -> list[MetricSpec]:
    return [*QUALITY, *LIKELIHOOD, *CONTROL, *COPYING]


@hookimpl
def register_benchmarks() -> list[Path]:
    return sorted(HERE.glob("*.toml"))

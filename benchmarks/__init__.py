"""genbench's own data sets, evaluators, metrics and benchmark definitions, registered as any plugin's are."""

from __future__ import annotations

from pathlib import Path

from genbench import DatasetSpec, DataSpec, EvaluatorSpec, MetricSpec, hookimpl
from genbench.specs import files_sha256
from genbench_benchmarks.copying_metrics import COPYING
from genbench_benchmarks.evaluators.images import IMAGES
from genbench_benchmarks.evaluators.published import published_evaluators
from genbench_benchmarks.metrics import CONTROL, LIKELIHOOD, QUALITY
from genbench_benchmarks.published_images import MNIST_FILES, PUBLISHED_IMAGES
from genbench_benchmarks.words_form import ALPHABET, LANGUAGES, LENGTH
from genbench_benchmarks.words_metrics import WORDS

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
        ),
        DatasetSpec(
            name="stacked-digits",
            data=DataSpec(shape=(3, 8, 8), levels=17),
            loader="genbench_benchmarks.stacked:load_digits",
            sha256="d50c3477cca1411ad62792bb25ae48a2d7c3bb7776be5aed62528cb521a0b3d6",
            train=20000,
            test=5000,
            summary="three 8x8 digits as the channels of an image: 1,000 modes, equally many of each, without labels",
            licence="CC BY 4.0",
            citation="L. Metz, B. Poole, D. Pfau and J. Sohl-Dickstein, Unrolled Generative Adversarial Networks, "
            "arXiv 1611.02163, 2017, for the construction; E. Alpaydin and C. Kaynak, doi:10.24432/C50P49, for the "
            "digits",
            url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        ),
        *PUBLISHED_IMAGES,
        DatasetSpec(
            name="stacked-mnist",
            data=DataSpec(shape=(3, 28, 28), levels=256),
            loader="genbench_benchmarks.stacked:load_mnist",
            sha256=files_sha256("stacked-mnist", MNIST_FILES),
            train=60000,
            test=10000,
            summary="three digits of MNIST as the channels of an image: 1,000 modes, equally many of each",
            licence="CC BY-SA 3.0",
            citation="L. Metz, B. Poole, D. Pfau and J. Sohl-Dickstein, Unrolled Generative Adversarial Networks, "
            "arXiv 1611.02163, 2017; Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, doi:10.1109/5.726791",
            url="http://yann.lecun.com/exdb/mnist/",
            files=MNIST_FILES,
            identified_by="files",
            same_files=("mnist",),
        ),
        DatasetSpec(
            name="words",
            data=DataSpec(shape=(LENGTH,), levels=len(ALPHABET), classes=len(LANGUAGES)),
            loader="genbench_benchmarks.words:load",
            sha256="63a26bec134882d52938dd55e8cea936d6bd99659ac3f7754ea810465a96785d",
            train=45000,
            test=5000,
            alphabet=ALPHABET,
            class_names=LANGUAGES,
            summary="the 5,000 most frequent words each of 10 languages, letters as levels, an end symbol and padding",
            licence="CC BY-SA 4.0",
            citation="R. Speer, rspeer/wordfreq: v3.0, 2022, doi:10.5281/zenodo.7199437",
            url="https://pypi.org/project/wordfreq/3.1.1/",
        ),
    ]


@hookimpl
def register_evaluators() -> list[EvaluatorSpec]:
    return [
        *IMAGES,
        EvaluatorSpec(
            name="words-cnn-v1",
            factory="genbench_benchmarks.evaluators.words_cnn:WordsCNN",
            weights=str(HERE / "evaluators" / "words-cnn-v1.safetensors"),
            sha256="03ec428ee6dfb0a0f0768e7e16c8ac7e2b91e34adc334dfff67ba62f47b6efc6",
            features="features",
            logits="logits",
            dims=64,
            shape=(LENGTH,),
            levels=len(ALPHABET),
            batch_size=500,
            summary="convolutional classifier of words by language, test accuracy 0.770, 64 features, calibrated head",
        ),
        EvaluatorSpec(
            name="words-random-v1",
            factory="genbench_benchmarks.evaluators.words_random:WordsRandom",
            weights=str(HERE / "evaluators" / "words-random-v1.safetensors"),
            sha256="d90675625dbeaad1c80b58e72573d458b5ee4e135115441cce8597193cacab55",
            features="features",
            logits=None,
            dims=64,
            shape=(LENGTH,),
            levels=len(ALPHABET),
            batch_size=500,
            summary="random convolutions on letters, never trained, 64 features; a second opinion, and for copies",
        ),
        *published_evaluators(),
    ]


@hookimpl
def register_metrics() -> list[MetricSpec]:
    return [*QUALITY, *LIKELIHOOD, *CONTROL, *COPYING, *WORDS]


@hookimpl
def register_benchmarks() -> list[Path]:
    return sorted(HERE.glob("*.toml"))

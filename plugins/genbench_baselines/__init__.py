"""The anchors of every table: what a score means is read between copying the training data and pure noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from genbench import ModelSpec, hookimpl
from genbench_baselines.config import MarginalsConfig, NoiseConfig, TrainCopyConfig
from genbench_blocks.support import labelled

baseline = partial(ModelSpec, code=("genbench_blocks",))


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        baseline(
            name="marginals",
            factory="genbench_baselines.marginals:Marginals",
            config=MarginalsConfig,
            summary="Independent categorical pixels, by counting",
            reference="Krichevsky and Trofimov, The performance of universal encoding, 1981, "
            "doi:10.1109/TIT.1981.1056331",
            likelihood="exact",
            max_epochs=1,
        ),
        baseline(
            name="class-marginals",
            factory="genbench_baselines.class_marginals:ClassMarginals",
            config=MarginalsConfig,
            summary="Naive Bayes: categorical pixels, independent given the class",
            reference="Maron, Automatic indexing: an experimental inquiry, 1961, doi:10.1145/321075.321084",
            likelihood="exact",
            conditional=True,
            max_epochs=1,
            supports=labelled(),
        ),
        baseline(
            name="train-copy",
            factory="genbench_baselines.train_copy:TrainCopy",
            config=TrainCopyConfig,
            summary="Hands out training examples: the floor of real data",
            max_epochs=1,
        ),
        baseline(
            name="noise",
            factory="genbench_baselines.noise:Noise",
            config=NoiseConfig,
            summary="Uniform over all values, with nothing learnt",
            likelihood="exact",
            max_epochs=0,
        ),
    ]

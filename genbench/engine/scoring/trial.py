"""A trial of an evaluator on a few images, so that what can't be scored is not trained either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from genbench.engine import splits
from genbench.engine.blame import message_of, place_of
from genbench.engine.contract import prepare_torch
from genbench.engine.data import first_images
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import source_of
from genbench.errors import DataError, clean
from genbench.specs import EvaluatorSpec

REAL = 2
"""Images of the data set that are looked at."""


def try_evaluator(
    evaluator: dict[str, Any], data_sha256: str, data_folder: str, dev: bool, threads: int, cache: str | None
) -> None:
    """Show a few images to an evaluator in the way in which scoring shows it all of them.

    Args:
        evaluator: an :class:`~genbench.specs.EvaluatorSpec` as a dict, its files in place.
        data_sha256, data_folder: the materialised data.
        dev: whether the splits are those of ``--dev``, of which the test split is no part.
        threads: of the benchmark.
        cache: folder of reference statistics. An evaluator with statistics of these data there has shown what it can
            do, and is not tried; None to try it all the same.

    Raises:
        DataError: if it can't be loaded, raises, or gives something other than declared; with what it was shown.
    """
    spec: EvaluatorSpec = TypeAdapter(EvaluatorSpec).validate_python(evaluator)
    source = source_of(spec, data_sha256, splits.held_out_name(dev))
    if cache is not None and any(Path(cache).glob(f"{source.key}-*.safetensors")):
        return
    prepare_torch(threads, "cpu")  # what has no deterministic implementation is refused here too
    loaded = load_evaluator(spec)
    real = first_images(Path(data_folder), "train" if dev else "test", REAL)
    for shown, images in _images(spec, real).items():
        try:
            extract(loaded, images, batch_size=len(images))
        except DataError as error:
            raise DataError(f"{error} (shown {shown})") from error
        except (Exception, SystemExit) as error:
            place = place_of(error)
            raised = clean(message_of(error)) + (f" at {clean(place)}" if place else "")
            promised = f"float32 features [{len(images)}, {spec.dims}] of {shown}"
            raise DataError(f"evaluator {spec.name!r}: must give {promised}, and raises {raised}") from error


def _images(spec: EvaluatorSpec, real: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Images of the data, and such as models make that have learnt nothing; uint8 ``[n, *shape]`` by what they are."""
    noise = np.random.default_rng(0).integers(0, spec.levels, (1, *spec.shape), np.uint8)
    blank = np.stack([np.full(spec.shape, level, np.uint8) for level in (0, spec.levels - 1)])
    return {"images of the data set": real, "uniform noise": noise, "blank images": blank}

"""genbench's scoring against ``torch_fidelity.calculate_metrics``: FID, KID, IS, precision and recall, whole call.

Both get the same samples and the same extractor, and find the reference cached: torch-fidelity in its own cache,
genbench in its own. Both run in this process, in turns, on the same number of threads. The number of samples and
of real images is the same, so that torch-fidelity's one subset of all is genbench's full U-statistic.

    python perf/scoring.py [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from genbench.engine.contract import resolve
from genbench.engine.scoring import score
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import reference_for
from genbench.engine.torchvision_compat import mend
from genbench.plugins import discover
from genbench.specs import EvaluatorSpec

mend()
import torch_fidelity  # noqa: E402
from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402

NAMES = {
    "fid": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "is": "inception_score_mean",
    "precision": "precision",
    "recall": "recall",
}
SHAPE, LEVELS, CLASSES = (1, 8, 8), 17, 10


class Projection(FeatureExtractorBase):  # type: ignore[misc]
    """Random Fourier features, as many as asked for, of full rank: they cost little, so that the metrics show."""

    def __init__(self, name: str, features_list: list[str], weights: str = "", **options: Any) -> None:
        super().__init__(name, features_list)
        self.layers = load_file(weights or options["feature_extractor_weights_path"])

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = (x.flatten(1).float() / (LEVELS - 1) @ self.layers["frequencies"]).cos()
        layers = {"features": features, "logits": features @ self.layers["head"]}
        return tuple(layers[name] for name in self.features_list)


class Images(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Images as torch-fidelity takes them."""

    def __init__(self, x: np.ndarray) -> None:
        self._x = torch.from_numpy(x)

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._x[index]


def projection(dims: int, folder: Path) -> EvaluatorSpec:
    """A :class:`Projection` with ``dims`` features, its weights written into ``folder``."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"frequencies": (64, dims), "head": (dims, CLASSES)}
    weights = {name: torch.randn(shape, generator=generator) * (2 / shape[0]) ** 0.5 for name, shape in shapes.items()}
    path = folder / f"projection-{dims}.safetensors"
    save_file(weights, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    factory = f"{Projection.__module__}:Projection"
    name = f"projection-{dims}"
    return EvaluatorSpec(name, factory, str(path), sha256, "features", "logits", dims, SHAPE, LEVELS)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def compare(spec: EvaluatorSpec, samples: np.ndarray, real: np.ndarray, cache: Path, repeats: int) -> None:
    """Print both sides' times (median of the repeats), their ratio, and the largest difference of a score."""
    if spec.name not in torch_fidelity.registry.FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(spec.name, resolve(spec.factory))
    metrics = [entry.spec for name, entry in discover().metrics.items() if name in NAMES]
    n = len(samples)

    def ours() -> dict[str, float]:
        reference = reference_for(spec, f"{n}".zfill(64), "test", lambda: (real, None), cache / "genbench")
        return {name: entry.value for name, entry in score(samples, None, spec, metrics, reference).items()}

    def theirs(save_cpu_ram: bool) -> dict[str, float]:
        found = torch_fidelity.calculate_metrics(
            input1=Images(samples),
            input2=Images(real),
            input2_cache_name=f"real-{n}",
            feature_extractor=spec.name,
            feature_extractor_weights_path=spec.weights,
            cache=True,
            cache_root=str(cache / "torch-fidelity"),
            batch_size=spec.batch_size,
            save_cpu_ram=save_cpu_ram,  # also: load in this process, rather than start four
            cuda=False,
            verbose=False,
            fid=True,
            kid=True,
            isc=True,
            prc=True,
            isc_splits=1,
            kid_subsets=1,
            kid_subset_size=n,
        )
        return {name: found[theirs] for name, theirs in NAMES.items()}

    sides: dict[str, Callable[[], dict[str, float]]] = {
        "genbench": ours,
        "torch-fidelity": lambda: theirs(True),
        "torch-fidelity, its defaults": lambda: theirs(False),
    }
    results = {name: side() for name, side in sides.items()}  # fills the caches, loads what is lazy
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            times[name].append(timed(side)[0])
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"{spec.name}: d = {spec.dims}, {n} samples against {len(real)} real images")
    for name, median in medians.items():
        spread = f"{min(times[name]):.3f} to {max(times[name]):.3f} s"
        print(f"  {name:30} {median:8.3f} s ({spread}), ratio to genbench {median / medians['genbench']:.2f}")
    mine, other = results["genbench"], results["torch-fidelity"]
    worst = max(NAMES, key=lambda name: abs(mine[name] - other[name]) / max(abs(other[name]), 1e-12))
    print(f"  largest relative difference: {worst} {mine[worst]:.8g} against {other[worst]:.8g}")
    # torch-fidelity sums KID's kernel in float32, so near 0 its own rounding shows; in float64 it does not.
    exact = (torch.from_numpy(extract(load_evaluator(spec), x)[0]).double() for x in (samples, real))
    kid = kid_features_to_metric(*exact, kid_subsets=1, kid_subset_size=n, verbose=False)[NAMES["kid"]]
    print(f"  its KID of the same features in float64: {kid:.8g}, ours {mine['kid']:.8g}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    registry = discover()
    train = resolve(registry.datasets["digits"].spec.loader)()["train"][0]
    generator = np.random.default_rng(0)
    noise = generator.integers(-2, 3, (4000, *SHAPE))
    images = np.clip(train[generator.integers(0, len(train), 4000)] + noise, 0, LEVELS - 1).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        small = registry.evaluators["digits-cnn-v1"].spec
        large = projection(2048, Path(folder))
        for spec, n in ((small, 600), (small, 2000), (large, 600), (large, 2000)):
            compare(spec, images[:n], images[2000 : 2000 + n], Path(folder), options.repeats)


if __name__ == "__main__":
    main()

"""Scoring against ``torch_fidelity.calculate_metrics``: FID, KID, IS, precision and recall of n samples against n real.

    python perf/scoring.py [--n 10000] [--dims 64 2048] [--threads 1] [--repeats 3]
    python perf/scoring.py --memory 10000 50000 [--n 50000]

Both sides see the same images with the same extractor, find the reference cached, and take torch-fidelity's defaults:
KID over 100 subsets of 1,000, IS in 10 parts. They run in this process in turns, on the same number of threads.
The extraction of features is timed apart on both sides: the ratio that counts is that of the metrics alone.

With ``--memory`` a process of its own scores n samples at d = 2048 against each of these numbers of real images, the
reference made in the same process, and the greatest resident size it ever had is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from genbench.engine.contract import resolve
from genbench.engine.scoring import Material, score
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import Reference, reference_for
from genbench.engine.torchvision_compat import mend
from genbench.plugins import discover
from genbench.specs import EvaluatorSpec

mend()
import torch_fidelity  # noqa: E402
import torch_fidelity.metrics  # noqa: E402
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
MEMORY_DIMS = 2048
GIB = 1 << 30


class Projection(FeatureExtractorBase):  # type: ignore[misc]
    """Random Fourier features, as many as asked for, of full rank: they cost little."""

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
    return EvaluatorSpec(f"projection-{dims}", factory, str(path), sha256, "features", "logits", dims, SHAPE, LEVELS)


def digits(n: int, seed: int) -> np.ndarray:
    """Digits of the training split under slight noise: uint8 ``[n, 1, 8, 8]``, all but surely all different."""
    train = resolve(discover().datasets["digits"].spec.loader)()["train"][0]
    generator = np.random.default_rng(seed)
    noise = generator.integers(-2, 3, (n, *SHAPE))
    return np.clip(train[generator.integers(0, len(train), n)] + noise, 0, LEVELS - 1).astype(np.uint8)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def genbench_scores(
    spec: EvaluatorSpec, samples: np.ndarray, reference: Reference
) -> tuple[dict[str, float], float, float]:
    """The scores, and the seconds that extraction and metrics take."""
    metrics = [entry.spec for name, entry in discover().metrics.items() if name in NAMES]
    extracting, seen = timed(lambda: extract(load_evaluator(spec), samples))
    scoring, found = timed(lambda: score(Material(samples, None, *seen, reference), metrics))
    return {name: entry.value for name, entry in found.items()}, extracting, scoring


def fidelity_scores(
    spec: EvaluatorSpec, samples: np.ndarray, real: np.ndarray, cache: Path, **options: Any
) -> tuple[dict[str, float], float, float]:
    """The same of torch-fidelity, whose extraction is timed where it calls it."""
    extracting = 0.0
    extract_once = torch_fidelity.metrics.extract_featuresdict_from_input_id_cached

    def clocked(*args: Any, **kwargs: Any) -> Any:
        nonlocal extracting
        seconds, features = timed(lambda: extract_once(*args, **kwargs))
        extracting += seconds
        return features

    torch_fidelity.metrics.extract_featuresdict_from_input_id_cached = clocked
    try:
        whole, found = timed(
            lambda: torch_fidelity.calculate_metrics(
                input1=Images(samples),
                input2=Images(real),
                input2_cache_name=f"real-{len(real)}",
                feature_extractor=spec.name,
                feature_extractor_weights_path=spec.weights,
                cache=True,
                cache_root=str(cache),
                batch_size=spec.batch_size,
                cuda=False,
                verbose=False,
                fid=True,
                kid=True,
                isc=True,
                prc=True,
                **options,
            )
        )
    finally:
        torch_fidelity.metrics.extract_featuresdict_from_input_id_cached = extract_once
    return {name: found[theirs] for name, theirs in NAMES.items()}, extracting, whole - extracting


def compare(spec: EvaluatorSpec, samples: np.ndarray, real: np.ndarray, cache: Path, repeats: int) -> None:
    """Print the times of both sides (medians of the repeats), their ratios, and how their scores differ."""
    torch_fidelity.register_feature_extractor(spec.name, resolve(spec.factory))
    reference = reference_for(spec, f"{len(real)}".zfill(64), "test", lambda: (real, None), cache / "genbench")
    fidelity = cache / "torch-fidelity"
    sides = {
        "genbench": lambda: genbench_scores(spec, samples, reference),
        "torch-fidelity": lambda: fidelity_scores(spec, samples, real, fidelity),
        # Saves memory by computing distances twice, and loads in this process rather than start four.
        "  its save_cpu_ram": lambda: fidelity_scores(spec, samples, real, fidelity, save_cpu_ram=True),
    }
    results = {name: side()[0] for name, side in sides.items()}  # fills the caches, loads what is lazy
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            times[name].append(side()[1:])
    print(f"d = {spec.dims}, {len(samples)} samples against {len(real)} real images; seconds, medians of {repeats}")
    print(
        f"  {'':20} {'metrics':>8} {'ratio':>6}   least - greatest {'extraction':>12} {'whole call':>11} {'ratio':>6}"
    )
    for name, found in times.items():
        metrics = statistics.median(scoring for _, scoring in found)
        extraction = statistics.median(extracting for extracting, _ in found)
        whole = statistics.median(map(sum, found))
        each = [theirs[1] / ours[1] for theirs, ours in zip(found, times["genbench"], strict=True)]
        whole_each = [sum(theirs) / sum(ours) for theirs, ours in zip(found, times["genbench"], strict=True)]
        print(
            f"  {name:20} {metrics:8.2f} {statistics.median(each):6.2f}   {min(each):5.2f} - {max(each):<8.2f} "
            f"{extraction:12.2f} {whole:11.2f} {statistics.median(whole_each):6.2f}"
        )
    for name, value in results["genbench"].items():
        other = results["torch-fidelity"][name]
        print(f"  {name:12} {value:.8g} and {other:.8g}, relative difference {abs(value / other - 1):.1e}", flush=True)
    # torch-fidelity sums KID's kernel in float32, so near 0 its own rounding shows; in float64 it does not.
    exact = (torch.from_numpy(extract(load_evaluator(spec), x)[0]).double() for x in (samples, real))
    kid = kid_features_to_metric(*exact, verbose=False)[NAMES["kid"]]
    print(f"  its KID of the same features in float64: {kid:.8g}", flush=True)


def print_memory(n: int, real: int) -> None:
    """Score in this process and print its greatest resident size."""
    with tempfile.TemporaryDirectory() as folder:
        spec = projection(MEMORY_DIMS, Path(folder))
        seconds, reference = timed(
            lambda: reference_for(spec, "0" * 64, "test", lambda: (digits(real, 1), None), Path(folder))
        )
        made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
        _, extracting, scoring = genbench_scores(spec, digits(n, 0), reference)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    print(
        f"d = {MEMORY_DIMS}, {n} samples against {real} real images: at most {most:.2f} GiB ({made:.2f} GiB when the "
        f"reference was made); reference {seconds:.0f} s, extraction {extracting:.0f} s, metrics {scoring:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int)
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 2048])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="+", metavar="REAL")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        n = options.n or 50_000
        for real in options.memory:
            if options.in_this_process:
                print_memory(n, real)
            else:
                command = [sys.executable, __file__, "--n", str(n), "--memory", str(real), "--in-this-process"]
                subprocess.run([*command, "--threads", str(options.threads)], check=True)
        return
    n = options.n or 10_000
    with tempfile.TemporaryDirectory() as folder:
        for dims in options.dims:
            compare(projection(dims, Path(folder)), digits(n, 0), digits(n, 1), Path(folder), options.repeats)


if __name__ == "__main__":
    main()

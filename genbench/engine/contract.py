"""Building a model from a job, and holding it to its contract."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, cast

import torch

from genbench.engine import rng
from genbench.engine.tampering import Watch
from genbench.errors import GenbenchError, InvalidOutput, SpecError
from genbench.job import Job
from genbench.model import Model
from genbench.specs import DataSpec


def resolve(target: str, role: str = "") -> Any:
    """What an import string ``"package.module:Name"`` names.

    Args:
        role: what it is for, to be told with an error: ``factory``.

    Raises:
        SpecError: if there is no such module, or it has no such name. Errors of the import itself are the plugin's own.
    """
    module_name, _, name = target.partition(":")
    told = f"{role} {target!r}".lstrip()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # of a module that the plugin's own imports
        raise SpecError(f"{told} cannot be found: no module named {error.name!r}") from None
    if not hasattr(module, name):
        raise SpecError(f"{told} cannot be found: the module {module_name} has no {name!r}")
    return getattr(module, name)


def require_device(device: str) -> None:
    """Refuse a benchmark that this machine has no device for.

    Raises:
        GenbenchError: if ``device`` is ``cuda`` and torch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise GenbenchError(
            "the benchmark's budget needs a CUDA device, and torch finds none here; run it on a machine with one, "
            "or with --budget device=cpu"
        )


def prepare_torch(threads: int, device: str) -> None:
    """Deterministic algorithms, no autotuning, no TF32, the benchmark's number of threads, and its device ready.

    Raises:
        GenbenchError: if the device is not there.
    """
    require_device(device)
    if device == "cuda":
        # Otherwise the model's first use would initialise it, after the stream `init` was seeded.
        torch.cuda.init()
    torch.set_num_threads(threads)
    # The same as use_deterministic_algorithms(True), which also imports the compiler: 2 s and 800 modules a process.
    torch.set_deterministic_debug_mode("error")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def build(job: Job, watch: Watch | None = None) -> Model:
    """The model of a job, built under the stream ``init``.

    Args:
        watch: over what its code changes of global state, its import included.
    """
    watch = watch or Watch()
    # At the end: a random.py beside a checked file must not stand in for the standard library's.
    sys.path += [folder for folder in job.sys_path if folder not in sys.path]
    with watch.over("importing the model"):
        config = resolve(job.config_type, "config")(**job.model.config)
        factory = resolve(job.factory, "factory")
    rng.seed_globals(job.seed, "init")
    with watch.over("building the model"):
        return cast(Model, factory(config, job.data, torch.device(job.budget.device)))


RESERVED_LOGS = frozenset({"step", "images", "flops", "seconds", "n"})
"""Columns of ``curve.csv`` that the core fills."""

SCORE_COLUMN = "score:"
"""Prefix of the columns that hold scores."""


def check_logs(logs: object) -> Mapping[str, torch.Tensor]:
    """What ``train_step`` returned, if it is what it promised.

    Raises:
        InvalidOutput: naming the offending entry.
    """
    if not isinstance(logs, Mapping):
        raise InvalidOutput(f"train_step: must return a dict of 0-d tensors, not {type(logs).__name__}")
    for name, value in logs.items():
        if not isinstance(name, str):
            raise InvalidOutput(f"train_step: names are strings, not {name!r}")
        if name in RESERVED_LOGS or name.startswith(SCORE_COLUMN):
            raise InvalidOutput(f"train_step: {name!r} is a column of curve.csv that genbench fills; log another name")
        if not isinstance(value, torch.Tensor) or value.dim() != 0:
            found = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
            raise InvalidOutput(f"train_step: {name!r} must be a 0-d tensor, not {found}")
        if value.is_complex():
            raise InvalidOutput(f"train_step: {name!r} must be a real number, not {value.dtype}")
    return logs


def check_samples(samples: object, n: int, data: DataSpec) -> torch.Tensor:
    """What ``sample`` returned, if it is what it promised: uint8 ``[n, *shape]`` in ``0 .. levels - 1``.

    Raises:
        InvalidOutput: saying what was promised and found, with the first offending index. Nothing is coerced.
    """
    if not isinstance(samples, torch.Tensor):
        raise InvalidOutput(f"sample: must return a tensor, not {type(samples).__name__}")
    if samples.is_meta:
        raise InvalidOutput("sample: must return a tensor with values, not one on the device meta")
    if samples.dtype is not torch.uint8:
        raise InvalidOutput(f"sample: must return uint8 in 0 .. {data.levels - 1}, not {samples.dtype}")
    if tuple(samples.shape) != (n, *data.shape):
        raise InvalidOutput(f"sample({n}): must return shape {(n, *data.shape)}, not {tuple(samples.shape)}")
    if int(samples.max()) >= data.levels:
        index = (samples >= data.levels).nonzero()[0].tolist()
        raise InvalidOutput(
            f"sample: values must lie in 0 .. {data.levels - 1}; at index {index} stands {int(samples[tuple(index)])}"
        )
    return samples.cpu().contiguous()


def check_log_prob(values: object, n: int, certain: bool) -> torch.Tensor:
    """What ``log_prob`` returned, if it is what it promised: finite float ``[n]``, as float64 on the CPU.

    Args:
        certain: whether each value claims to be at most log P(x) and so at most 0 (kind ``exact``).

    Raises:
        InvalidOutput: saying what was promised and found, with the first offending index.
    """
    if not isinstance(values, torch.Tensor):
        raise InvalidOutput(f"log_prob: must return a tensor, not {type(values).__name__}")
    if not values.dtype.is_floating_point:
        raise InvalidOutput(f"log_prob: must return floats (nats), not {values.dtype}")
    if tuple(values.shape) != (n,):
        raise InvalidOutput(f"log_prob: must return shape {(n,)}, one number an example, not {tuple(values.shape)}")
    values = values.detach().to("cpu", torch.float64)
    wrong = ~torch.isfinite(values)
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0])
        raise InvalidOutput(
            f"log_prob: example {index} of the batch got {float(values[index])}; a likelihood that is "
            "scored gives every test example a probability above 0"
        )
    # Rounding in float32 may leave a certain event a hair above probability 1.
    if certain and bool((values > 1e-3).any()):
        index = int((values > 1e-3).nonzero()[0])
        raise InvalidOutput(
            f"log_prob: example {index} of the batch got {float(values[index]):.4g} nats, a probability "
            "above 1; a density on [0, 1]^D becomes a mass by subtracting D log(levels)"
        )
    return values

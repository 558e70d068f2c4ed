"""Models with one fault each, and one without. Found as a plugin where this folder is on PYTHONPATH.

Faults of whole plugins, which never come to register a model, are in the folder ``imports``.
"""

from dataclasses import dataclass

from genbench import DataSpec, MetricSpec, ModelSpec, hookimpl

FAULTS = {
    "good": "ok",
    # In one of the model's methods
    "raises": "failed",
    "raises-in-init": "failed",
    "raises-in-sample": "failed",
    "raises-in-log-prob": "failed",
    "raises-in-state-dict": "failed",
    "raises-in-load-state-dict": "failed",
    "raises-in-prepare": "failed",
    "raises-surrogates": "failed",
    # Of its process
    "exits": "failed",
    "vanishes": "failed",
    "segfaults": "crashed",
    "aborts": "crashed",
    "kills-itself": "lost",
    "kills-its-group": "lost",
    "hangs": "timeout",
    "hangs-with-the-gil": "timeout",
    "hangs-without-sigterm": "timeout",
    "hoards": "oom_host",
    "leaves-children": "ok",
    "leaves-a-daemon": "ok",
    "closes-descriptors": "ok",
    # Of what it prints and writes
    "floods": "ok",
    "paints": "ok",
    "litters": "ok",
    "deletes-its-folder": "ok",
    "deletes-all-around": "failed",
    # Of what it changes
    "reseeds": "ok",
    "default-dtype": "ok",
    "threads": "ok",
    "not-deterministic": "ok",
    # Of what it gives
    "diverges": "diverged",
    "nan-state": "diverged",
    "bad-logs": "invalid_output",
    "bad-state": "invalid_output",
    "floats": "invalid_output",
    "nan-floats": "invalid_output",
    "wide": "invalid_output",
    "flat": "invalid_output",
    "too-few": "invalid_output",
    "too-bright": "invalid_output",
    "strided": "ok",
    "log-prob-shape": "invalid_output",
    "log-prob-nan": "invalid_output",
    "flatters": "ok",
    # Of what it declares
    "too-large": "over_budget",
    "unfit": "unsupported",
    "supports-raises": "failed",
    "supports-lies": "failed",
    "defaults-raise": "failed",
    "defaults-unknown": "failed",
}
"""Each model and the status that its runs must end with."""

METRICS = (
    "brightness",
    "process",
    "raising",
    "not_finite",
    "not_json",
    "hanging",
    "vanishing",
    "overriding",
    "boundless",
    "unprintable",
    "shapeless",
    "tampering",
)

LIKELIHOODS = ("raises-in-log-prob", "log-prob-shape", "log-prob-nan", "flatters")
"""Models with a log_prob."""
CLASSES = {"flatters": "Flatterer", "raises-in-prepare": "Unprepared"}
"""Those that are not of the class Zoo, or, with a log_prob, Likely."""


@dataclass(frozen=True)
class Config:
    batch_size: int = 8
    fault: str = "good"


def _unfit(data: DataSpec) -> str | None:
    return f"wants 1000 levels, and the data have {data.levels}"


def _raise(data: DataSpec) -> str | None:
    raise ValueError("a deliberate fault in a declaration")


def _lie(data: DataSpec) -> bool:
    return True


SUPPORTS = {"unfit": _unfit, "supports-raises": _raise, "supports-lies": _lie}
DEFAULTS = {"defaults-raise": _raise, "defaults-unknown": lambda data: {"no_such_option": 1}}


@hookimpl
def register_models() -> list[ModelSpec]:
    return [_spec(fault) for fault in FAULTS]


def _spec(fault: str) -> ModelSpec:
    name = CLASSES.get(fault, "Likely" if fault in LIKELIHOODS else "Zoo")
    more = {"supports": SUPPORTS[fault]} if fault in SUPPORTS else {}
    return ModelSpec(
        name=f"zoo-{fault}",
        factory=f"genbench_zoo_model:{name}",
        config=Config,
        summary=f"its fault: {fault}",
        likelihood="exact" if fault in LIKELIHOODS else None,
        defaults=DEFAULTS.get(fault, lambda data: {"fault": fault}),
        code=("genbench_zoo_model", "genbench_zoo_faults"),
        **more,
    )


@hookimpl
def register_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            name=f"zoo_{name}",
            title=name.capitalize(),
            function=f"genbench_zoo_metrics:{name}",
            direction="none",
            summary=f"a third party's metric: {name}",
        )
        for name in METRICS
    ]

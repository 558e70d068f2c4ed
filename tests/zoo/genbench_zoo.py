"""Models with one fault each, and one without. Found as a plugin where this folder is on PYTHONPATH."""

from dataclasses import dataclass

from genbench import DataSpec, MetricSpec, ModelSpec, hookimpl

FAULTS = {
    "good": "ok",
    "raises": "failed",
    "exits": "failed",
    "vanishes": "failed",
    "segfaults": "crashed",
    "diverges": "diverged",
    "hangs": "timeout",
    "hoards": "oom_host",
    "floats": "invalid_output",
    "too-bright": "invalid_output",
    "too-few": "invalid_output",
    "bad-state": "invalid_output",
    "too-large": "over_budget",
    "unfit": "unsupported",
    "flatters": "ok",
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


@dataclass(frozen=True)
class Config:
    batch_size: int = 8
    fault: str = "good"


def _unfit(data: DataSpec) -> str | None:
    return f"wants 1000 levels, and the data have {data.levels}"


@hookimpl
def register_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name=f"zoo-{fault}",
            factory=f"genbench_zoo_model:{'Flatterer' if fault == 'flatters' else 'Zoo'}",
            config=Config,
            summary=f"its fault: {fault}",
            defaults=lambda data, fault=fault: {"fault": fault},
            code=("genbench_zoo_model",),
            **({"supports": _unfit} if fault == "unfit" else {}),
            **({"likelihood": "exact"} if fault == "flatters" else {}),
        )
        for fault in FAULTS
    ]


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

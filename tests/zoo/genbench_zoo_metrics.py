"""A third party's metrics: a good one, and some with a fault each."""

import json
import os
import time
from pathlib import Path

import numpy as np

from genbench.engine.scoring.material import Material, Measured


def brightness(material: Material) -> Measured:
    return Measured(
        float(material.samples.mean()), len(material.samples), fingerprint=material.fingerprint("brightness/1")
    )


def process(material: Material) -> Measured:
    """The number of the process that it runs in."""
    return Measured(os.getpid(), len(material.samples))


def raising(material: Material) -> Measured:
    raise RuntimeError("a deliberate fault in a metric")


def not_finite(material: Material) -> Measured:
    return Measured(float("nan"), len(material.samples))


def not_json(material: Material) -> Measured:
    return Measured(1.0, len(material.samples), details={"features": np.zeros(3)})


def hanging(material: Material) -> Measured:
    time.sleep(600)
    raise AssertionError


def vanishing(material: Material) -> Measured:
    os._exit(7)


def overriding(material: Material) -> Measured:
    """Puts a score under another metric's name, and ends as if all were well."""
    forged = {"value": 0.0, "n": 1, "direction": "lower"}
    document = {"scores": {"fid": forged, "zoo_overriding": forged}, "failed": {}, "done": ["fid", "zoo_overriding"]}
    Path("measured.json").write_text(json.dumps(document))
    Path("samples.npz").write_bytes(b"")
    os._exit(0)


def boundless(material: Material) -> Measured:
    return Measured(1.0, len(material.samples), details={"numbers": list(range(100_000))})


def unprintable(material: Material) -> Measured:
    raise RuntimeError("\ud800" + "x" * 100_000)


def shapeless(material: Material) -> Measured:
    return Measured(1.0, len(material.samples), kind=5)  # type: ignore[arg-type]


def tampering(material: Material) -> Measured:
    """Changes what it was handed; the core's scores are already out of reach."""
    material.features[:] = 0
    material.reference.arrays.features[:] = 0
    return Measured(0.0, len(material.samples))

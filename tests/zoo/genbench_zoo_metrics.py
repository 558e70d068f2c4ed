"""A third party's metrics: a good one, and some with a fault each."""

import os
import time

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


def tampering(material: Material) -> Measured:
    """Changes what it was handed; the core's scores are already out of reach."""
    material.features[:] = 0
    material.reference.arrays.features[:] = 0
    return Measured(0.0, len(material.samples))

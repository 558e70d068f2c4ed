"""Training FLOPs, as torch dispatched them: counted by the core, never declared.

``formulas`` and ``factorisations`` say what an operation costs, ``heavy`` which operations without a formula could
hide work, ``counter`` counts everything in a context, and ``meter`` charges a whole run from a sample of its steps.
"""

from __future__ import annotations

from genbench.engine.flops.counter import FlopCounter
from genbench.engine.flops.meter import FlopMeter

__all__ = ["FlopCounter", "FlopMeter"]

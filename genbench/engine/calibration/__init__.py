"""The calibration ladder: what each metric makes of real data to which something known was done."""

from genbench.engine.calibration.ladder import climb

__all__ = ["climb"]

"""Axes of charts: what may be drawn on them, where it stands, and the ticks that people read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

from genbench.specs import Direction

LARGEST = 1e100
"""What is larger, or on a log scale smaller than its inverse, is not drawn: no score or cost is."""
SAME = 1e-9
"""Relative difference below which values are drawn as one."""
STEPS = (1, 2, 5)
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
WANTED = 6
"""Labelled ticks, about."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        label: quantity and unit.
        log: whether equal distances are equal ratios.
        better: which way is better.
    """

    label: str
    log: bool = False
    better: Direction = "none"


@dataclass(frozen=True)
class Tick:
    """A mark on an axis; of a minor one the text is empty."""

    value: float
    text: str

    @property
    def major(self) -> bool:
        return bool(self.text)


def drawable(value: float | None, log: bool) -> TypeGuard[float]:
    """Whether a value has a place on some axis: finite, of a size that is a quantity's, and above 0 on a log scale."""
    if value is None or not math.isfinite(value) or abs(value) > LARGEST:
        return False
    return not log or value >= 1 / LARGEST


@dataclass(frozen=True)
class Scale:
    """From values to places.

    Attributes:
        low, high: values at the ends, :func:`drawable`, the first less than the second.
        log: whether equal distances are equal ratios.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], log: bool = False, room: float = 0.04) -> Scale:
        """A scale that holds all drawable ones of the values, with room at both ends, in parts of their extent.

        Without any it is 0 to 1, or 1 to 10; around a single value it is as wide as that is large.
        """
        drawn = [value for value in values if drawable(value, log)]
        if not drawn:
            return cls(1.0, 10.0, True) if log else cls(0.0, 1.0)
        low, high = (math.log10(end) if log else end for end in (min(drawn), max(drawn)))
        extent = high - low
        pad = room * extent
        if extent <= max(SAME * max(abs(low), abs(high)), 1 / LARGEST):
            pad = 0.5 if log or abs(high) <= 1 / LARGEST else 0.5 * abs(high)
        low, high = low - pad, high + pad
        if log:
            return cls(10**low, 10**high, True)
        if min(drawn) >= 0 > low:
            low = 0.0  # no room below zero for what is never negative
        return cls(low, high)

    def reaches(self, value: float) -> bool:
        """Whether a drawable value is within the scale, or beyond it by no more than its length."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return low - (high - low) <= value <= high + (high - low)

    def place(self, value: float) -> float:
        """Where a drawable value stands: 0 at the low end, 1 at the high one; what lies outside stands at the end."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def ticks(scale: Scale) -> list[Tick]:
    """Ticks within a scale, rising: at steps of 1, 2 or 5; on a log scale at decades, with 2 to 9 of each between them.

    On a log scale that holds fewer than three decades 1, 2 and 5 of each are labelled, and where these are fewer than
    three, linear steps.
    """
    if not scale.log:
        return _linear(scale.low, scale.high)
    decades = math.log10(scale.high) - math.log10(scale.low)
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    every = max(1, math.ceil(decades / WANTED))
    major = _within(scale, (1,), [power for power in powers if power % every == 0])
    if len(major) < 3:
        major = _within(scale, STEPS, powers)
    if len(major) < 3:
        return _linear(scale.low, scale.high)
    between = _within(scale, range(1, 10) if every == 1 else (1,), powers)
    found = [Tick(value, tick_text(value)) for value in major]
    found += [Tick(value, "") for value in between if value not in major]
    return sorted(found, key=lambda tick: tick.value)


def _within(scale: Scale, digits: Iterable[int], powers: Iterable[int]) -> list[float]:
    """Digits times powers of ten, those within a scale."""
    digits = tuple(digits)
    values = (float(f"{digit}e{power}") for power in powers for digit in digits)
    return [value for value in values if scale.low <= value <= scale.high]


def tick_text(value: float, step: float | None = None) -> str:
    """A number as people write it at an axis: ``0.1``, ``1``, ``10``, ``1k``, ``1M``; else with an exponent.

    Args:
        step: to the next tick, which decides how many decimals are needed.
    """
    size = max(abs(value), step or 0.0)
    if value == 0:
        return "0"
    if size >= 1e15 or size < 1e-3:
        return f"{value:.{_digits(value, step)}e}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    for unit, letter in UNITS:
        if size >= unit:
            return f"{_plain(value / unit, step and step / unit)}{letter}"
    return _plain(value, step)


def _linear(low: float, high: float) -> list[Tick]:
    step = _step((high - low) / WANTED)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [Tick(value, tick_text(value, step)) for k in range(first, last + 1) if low <= (value := k * step) <= high]


def _step(least: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is no less."""
    power = math.floor(math.log10(least))
    for digit in (*STEPS, 10):
        step = float(f"{digit}e{power}")
        if step >= least * (1 - SAME):
            return step
    return float(f"2e{power + 1}")


def _plain(value: float, step: float | None) -> str:
    if step is None:
        return f"{value:.6g}"
    return f"{value:.{max(0, -math.floor(math.log10(step) + SAME))}f}"


def _digits(value: float, step: float | None) -> int:
    """Digits after the first that tell a value from the next tick."""
    if step is None:
        return 0
    return min(15, max(0, math.floor(math.log10(abs(value)) + SAME) - math.floor(math.log10(step) + SAME)))

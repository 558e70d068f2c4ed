"""Ranges of a configuration's values; light, since hook modules import it."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = dict[str, tuple[bool, str]]
"""Field -> whether its value is in its range, and the range in words, to follow "must be"."""


class Ranged:
    """Base of configurations that refuse a value outside its range as soon as they are made.

    Subclasses are frozen dataclasses and say their ranges in :meth:`ranges`, each beside those of its own base.

    Raises:
        ValueError: naming the first field that is out of its range, what it must be, and what it is.
    """

    def __post_init__(self) -> None:
        for name, (right, wanted) in self.ranges().items():
            if not right:
                raise ValueError(f"{name} must be {wanted}, not {getattr(self, name)!r}")

    def ranges(self) -> Ranges:
        return {}

    def counts(self, *names: str) -> Ranges:
        """Of fields that count something: 1 or more."""
        return {name: (getattr(self, name) >= 1, "1 or more") for name in names}

    def above_zero(self, *names: str) -> Ranges:
        return {name: (getattr(self, name) > 0, "above 0") for name in names}

    def zero_or_more(self, *names: str) -> Ranges:
        return {name: (getattr(self, name) >= 0, "0 or more") for name in names}

    def shares(self, *names: str) -> Ranges:
        """Of fields that are a part of a whole, of which there may be none or all: in [0, 1]."""
        return {name: (0 <= getattr(self, name) <= 1, "in [0, 1]") for name in names}

    def below_one(self, *names: str) -> Ranges:
        """Of rates, of which 1 would leave nothing: in [0, 1)."""
        return {name: (0 <= getattr(self, name) < 1, "in [0, 1)") for name in names}

"""Student's distribution, held to SciPy's and, where that loses digits, to its closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from genbench.student import quantile, tail, tails


# Nearer to 0, SciPy takes 1 - t^2 and keeps none of t's digits.
@given(st.just(0.0) | st.floats(1e-4, 1e9), st.floats(1, 1e4))
def test_the_tail_is_scipys_for_one_value_and_for_many(t: float, degrees: float) -> None:
    reference = pytest.approx(2 * scipy.stats.t.sf(t, degrees), rel=1e-9, abs=1e-290)
    assert tail(t, degrees) == reference
    assert tails(np.array([t, 0.0, math.inf]), np.full(3, degrees)).tolist() == [reference, 1.0, 0.0]


@given(st.floats(0, 1e-4))
def test_near_zero_the_tail_is_that_of_the_closed_forms(t: float) -> None:
    cauchy, two = 1 - 2 * math.atan(t) / math.pi, 1 - t / math.sqrt(2 + t * t)
    assert (tail(t, 1), tail(t, 2)) == (pytest.approx(cauchy, abs=1e-14), pytest.approx(two, abs=1e-14))
    assert tails(np.full(2, t), np.array([1.0, 2.0])).tolist() == pytest.approx([cauchy, two], abs=1e-14)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.9999])
def test_the_quantile_is_scipys_at_every_level_and_number_of_degrees(level: float) -> None:
    for degrees in (1, 1.5, 2, 4, 7.3, 30, 1e4):
        assert quantile(degrees, level) == pytest.approx(scipy.stats.t.ppf((1 + level) / 2, degrees), rel=1e-9)

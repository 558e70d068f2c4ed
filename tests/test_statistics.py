"""Statistics over seeds: held to SciPy, to closed forms and to simulation."""

from __future__ import annotations

import importlib.util
import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from installing import ROOT

from genbench.ranking import ranks
from genbench.statistics import (
    Components,
    holm,
    improvement,
    kendall_tau,
    mean_interval,
    student_t,
    two_sided,
    variance_components,
    welch,
)

SOURCE = importlib.util.spec_from_file_location("simulated_coverage", ROOT / "perf" / "coverage.py")
assert SOURCE is not None
assert SOURCE.loader is not None
simulation = importlib.util.module_from_spec(SOURCE)  # by path: a package of the name coverage is in wide use
SOURCE.loader.exec_module(simulation)

finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
positive = st.floats(1e-3, 1e6)


@given(st.lists(finite, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-3), st.floats(0.5, 0.999))
def test_the_interval_is_scipys_student_t_interval(values: list[float], level: float) -> None:
    estimate = mean_interval(values, level=level)
    low, high = scipy.stats.t.interval(level, len(values) - 1, np.mean(values), scipy.stats.sem(values))
    scale = max(map(abs, values))
    assert estimate.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
    assert (estimate.low, estimate.high) == (
        pytest.approx(low, abs=1e-7 * scale),
        pytest.approx(high, abs=1e-7 * scale),
    )


@given(st.lists(positive, min_size=2, max_size=8))
def test_on_a_log_scale_it_is_the_interval_of_the_logarithms_transformed_back(values: list[float]) -> None:
    estimate, of_logs = mean_interval(values, log_scale=True), mean_interval([math.log(value) for value in values])
    assert estimate.mean == pytest.approx(scipy.stats.gmean(values))
    assert of_logs.low is not None
    assert of_logs.high is not None
    assert estimate.low == pytest.approx(math.exp(of_logs.low))
    assert estimate.high == pytest.approx(math.exp(of_logs.high))


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 99])
def test_the_quantile_is_scipys(degrees: int) -> None:
    assert student_t(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_of_five_seeds_covers_the_mean_95_times_in_100() -> None:
    draws = np.random.default_rng(0).normal(3.0, 0.7, size=(2000, 5))
    covered = sum(e.low <= 3.0 <= e.high for e in map(mean_interval, draws.tolist()) if e.low and e.high)
    assert abs(covered / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_one_value_has_no_interval() -> None:
    estimate = mean_interval([3.0], log_scale=True)
    assert (estimate.mean, estimate.low, estimate.high, estimate.half_width) == (3.0, None, None, None)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert mean_interval([2.0] * 5).half_width == 0


def test_scores_of_zero_or_less_are_taken_as_they_are() -> None:
    assert mean_interval([0.0, 1.0], log_scale=True) == mean_interval([0.0, 1.0])
    assert not mean_interval([-1.0, 1.0], log_scale=True).log_scale


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_values_without_a_mean_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        mean_interval(values)


spread = st.lists(finite, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-2 * max(map(abs, values)))


@given(spread, spread)
def test_welchs_test_is_scipys(a: list[float], b: list[float]) -> None:
    found, reference = welch(a, b), scipy.stats.ttest_ind(a, b, equal_var=False)
    interval = reference.confidence_interval(0.95)
    scale = max(map(abs, a + b))
    assert found.p == pytest.approx(reference.pvalue, rel=1e-6, abs=1e-12)
    assert found.value == pytest.approx(np.mean(a) - np.mean(b), abs=1e-9 * scale)
    assert (found.low, found.high) == (
        pytest.approx(interval.low, abs=1e-7 * scale),
        pytest.approx(interval.high, abs=1e-7 * scale),
    )


def test_on_a_log_scale_welchs_test_is_of_the_logarithms_and_the_difference_a_ratio() -> None:
    a, b = [1.2, 1.5, 1.1, 1.9], [2.1, 2.8, 2.0]
    found, of_logs = welch(a, b, log_scale=True), welch(np.log(a).tolist(), np.log(b).tolist())
    assert of_logs.low is not None
    assert of_logs.high is not None
    assert found.p == of_logs.p
    assert found.value == pytest.approx(scipy.stats.gmean(a) / scipy.stats.gmean(b))
    assert (found.low, found.high) == (pytest.approx(math.exp(of_logs.low)), pytest.approx(math.exp(of_logs.high)))


def test_the_ratio_of_two_scores_does_not_hang_on_their_unit() -> None:
    a, b = [1.2, 1.5, 1.1, 1.9], [2.1, 2.8, 2.0, 2.2]
    assert welch([1e-6 * x for x in a], [1e-6 * x for x in b], log_scale=True).p == pytest.approx(
        welch(a, b, log_scale=True).p
    )


@pytest.mark.parametrize(("other", "p"), [(2.0, 1.0), (2.0 + 1e-14, 1.0), (2.001, 0.0)])
@pytest.mark.parametrize("log_scale", [False, True])
def test_means_of_two_rows_that_never_vary_are_known(other: float, p: float, log_scale: bool) -> None:
    found = welch([2.0] * 5, [other] * 5, log_scale)
    assert found.p == p
    assert found.low == found.value == found.high


def test_rows_that_vary_by_rounding_alone_are_not_told_apart() -> None:
    values = [0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 0.3]
    assert welch(values, [0.3] * 5).p == 1.0


def test_a_row_that_never_varies_adds_neither_error_nor_degrees_of_freedom() -> None:
    varying = [1.0, 1.2, 0.9, 1.4, 1.1]
    of_one = scipy.stats.ttest_1samp(varying, 1.0)
    found = welch(varying, [1.0] * 5)
    assert found.p == pytest.approx(of_one.pvalue)
    assert found.low == pytest.approx(of_one.confidence_interval(0.95).low - 1.0)
    assert found.p == pytest.approx(two_sided(float(of_one.statistic), 4))


def test_variances_so_small_that_their_squares_vanish_are_still_tested() -> None:
    a, b = [1e-120, 3e-120, 2e-120], [2e-120, 5e-120, 9e-120]
    assert welch(a, b).p == pytest.approx(welch([1.0, 3.0, 2.0], [2.0, 5.0, 9.0]).p)


@pytest.mark.parametrize(("a", "b"), [([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0]), ([1.0], [2.0])])
def test_one_seed_on_either_side_gives_a_difference_and_no_test(a: list[float], b: list[float]) -> None:
    found = welch(a, b)
    assert found.value == pytest.approx(np.mean(a) - np.mean(b))
    assert (found.low, found.high, found.p) == (None, None, None)


def test_a_value_without_a_logarithm_puts_both_sides_on_the_plain_scale() -> None:
    a, b = [0.0, 1.0, 2.0], [3.0, 4.0, 7.0]
    assert welch(a, b, log_scale=True) == welch(a, b)
    assert welch(b, a, log_scale=True) == welch(b, a)


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], []), ([1.0, math.nan], [1.0, 2.0]), ([1.0], [math.inf])])
def test_welchs_test_refuses_what_has_no_mean(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        welch(a, b)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # the worked example of R's p.adjust("holm")
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
        ([0.01, 0.01, 0.01], [0.03, 0.03, 0.03]),
    ],
)
def test_holms_correction_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_never_below_the_value_nor_above_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, len(p_values) * p) + 1e-15
    for i, j in itertools.combinations(range(len(p_values)), 2):
        if p_values[i] < p_values[j]:
            assert adjusted[i] <= adjusted[j]


GOOD, LIKE_IT, BAD = [1.0, 1.1, 0.9, 1.05, 0.95], [1.02, 1.12, 0.9, 1.08, 0.94], [9.0, 9.1, 8.9, 9.2, 9.05]


def test_a_rank_is_one_more_than_the_number_of_better_rows() -> None:
    assert ranks([BAD, GOOD, LIKE_IT], "lower") == [3, 1, 1]
    assert ranks([BAD, GOOD, LIKE_IT], "higher") == [1, 2, 2]
    assert ranks([BAD, GOOD, LIKE_IT], "lower", log_scale=True) == [3, 1, 1]


def test_the_family_is_all_pairs_of_the_column() -> None:
    a, b = [1.0, 1.2, 1.1, 1.3, 0.9], [1.2, 1.4, 1.3, 1.5, 1.1]
    p = welch(a, b).p
    assert p is not None
    assert 0.05 / 3 < p < 0.1
    pair = ranks([a, b], "lower", alpha=1.1 * p)
    assert pair == [1, 2]
    assert ranks([a, b, [1.15, 1.35, 1.2, 1.4, 1.0]], "lower", alpha=1.1 * p) == [1, 1, 1]


def test_deterministic_rows_are_ranked_by_their_values() -> None:
    assert ranks([[2.0] * 5, [1.0] * 5, [2.0] * 5], "lower") == [2, 1, 2]


@given(
    st.lists(st.lists(st.floats(-1e300, 1e300) | st.floats(0.5, 2), min_size=2, max_size=5), min_size=2, max_size=6),
    st.booleans(),
)
def test_ranks_are_those_of_welchs_test_of_each_pair_and_holms_correction(
    groups: list[list[float]], log_scale: bool
) -> None:
    pairs = list(itertools.combinations(range(len(groups)), 2))
    tests = [welch(groups[i], groups[j], log_scale) for i, j in pairs]
    adjusted = holm([test.p for test in tests if test.p is not None])
    if any(0.99 * 0.05 < p < 1.01 * 0.05 for p in adjusted):
        return  # rounding may put it on either side
    found = [1] * len(groups)
    for (i, j), test, p in zip(pairs, tests, adjusted, strict=True):
        if p <= 0.05:
            found[j if test.value < float(test.log_scale) else i] += 1
    assert ranks(groups, "lower", log_scale) == found


@pytest.mark.parametrize(("groups", "direction"), [([[1.0, 2.0], [1.0]], "lower"), ([[1.0, 2.0]] * 2, "none")])
def test_what_cannot_be_ranked_is_refused(groups: list[list[float]], direction: str) -> None:
    with pytest.raises(ValueError, match="direction and two values"):
        ranks(groups, direction)  # type: ignore[arg-type]


@given(st.lists(finite, min_size=1, max_size=7), st.lists(finite, min_size=1, max_size=7))
def test_the_probability_of_improvement_is_the_mann_whitney_statistic(a: list[float], b: list[float]) -> None:
    u = scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert improvement(a, b, "higher").value == pytest.approx(u)
    assert improvement(a, b, "lower").value == pytest.approx(1 - u)


def test_the_probability_of_improvement_counts_ties_half() -> None:
    assert improvement([1.0, 2.0], [1.0, 2.0], "higher").value == 0.5


@given(st.integers(1, 8), st.integers(1, 8))
def test_pairs_that_all_agree_still_leave_an_interval_with_a_width(n_a: int, n_b: int) -> None:
    found = improvement([1.0] * n_a, [2.0] * n_b, "lower")
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0 < found.low < 1
    turned = improvement([1.0] * n_a, [2.0] * n_b, "higher")
    assert (turned.low, turned.high) == (0.0, pytest.approx(1 - found.low))


def test_the_interval_of_the_probability_solves_newcombes_equation() -> None:
    a, b = [1.0, 2.0, 3.0, 7.0, 9.0], [2.5, 4.0, 5.0, 8.0]
    found = improvement(a, b, "lower")
    assert found.low < found.value < found.high
    for theta in (found.low, found.high):
        bracket = 1 + 3.5 * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) / 20 * bracket
        assert (theta - found.value) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)


def test_components_are_those_of_the_analysis_of_variance_by_hand() -> None:
    # Means 2, 4, 6; within (1 + 1) / 1 each: MSW = 2. Between: 2 (4 + 0 + 4) / 2 = 8. (8 - 2) / 2 = 3.
    found = variance_components([[1.0, 3.0], [3.0, 5.0], [5.0, 7.0]])
    assert found == Components(pytest.approx(math.sqrt(3)), pytest.approx(math.sqrt(2)), 3, 6)


@pytest.mark.parametrize("sizes", [[4] * 4000, [1, 2, 5, 3] * 1000])
@pytest.mark.parametrize("training", [0.0, 0.12])
def test_training_and_sampling_variance_are_told_apart_in_balanced_and_unbalanced_data(
    sizes: list[int], training: float
) -> None:
    rng = np.random.default_rng(0)
    groups = [
        np.exp(1.0 + state + rng.normal(0, 0.04, size)).tolist()
        for state, size in zip(rng.normal(0, training, len(sizes)), sizes, strict=True)
    ]
    found = variance_components(groups, log_scale=True)
    assert found.sampling == pytest.approx(0.04, rel=0.05)
    assert found.training == pytest.approx(training, rel=0.05, abs=0.008)
    assert found.log_scale


def test_training_variance_is_clipped_at_0_where_sampling_explains_all() -> None:
    assert variance_components([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]]).training == 0.0


def test_without_repeats_the_components_cannot_be_told_apart() -> None:
    assert variance_components([[1.0], [2.0], [3.0]]) == Components(None, None, 3, 3)


def test_one_trained_state_says_nothing_of_training() -> None:
    found = variance_components([[1.0, 3.0]])
    assert (found.training, found.sampling) == (None, pytest.approx(math.sqrt(2)))


def test_the_variation_of_a_lognormal_score_is_that_of_its_distribution() -> None:
    assert Components.relative(0.3) == pytest.approx(scipy.stats.lognorm(0.3).std() / scipy.stats.lognorm(0.3).mean())


few = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12)


@given(few)
def test_the_agreement_of_two_orders_is_scipys_tau_b(pairs: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    found, reference = kendall_tau(a, b), scipy.stats.kendalltau(a, b).statistic
    assert (math.isnan(reference) and found is None) or found == pytest.approx(reference)


def test_orders_of_different_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="both values of each row"):
        kendall_tau([1.0], [1.0, 2.0])


@pytest.mark.parametrize("n", simulation.SEEDS)
def test_the_simulations_intervals_and_tests_are_those_of_the_tables(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(1, 0.3, (50, n)), rng.normal(1.2, 0.6, (50, n))
    low, high = simulation.mean_intervals(a)
    p, difference_low, difference_high = simulation.welch_tests(a, b)
    for index in range(50):
        one, pair = mean_interval(a[index].tolist()), welch(a[index].tolist(), b[index].tolist())
        assert (low[index], high[index]) == (pytest.approx(one.low), pytest.approx(one.high))
        assert p[index] == pytest.approx(pair.p)
        assert (difference_low[index], difference_high[index]) == (pytest.approx(pair.low), pytest.approx(pair.high))


@given(st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=1, max_size=5))
def test_the_simulation_rejects_what_holm_rejects(tables: list[list[float]]) -> None:
    rejected = simulation.holm_rejects(np.array(tables))
    assert rejected.tolist() == [min(holm(p_values)) <= 0.05 for p_values in tables]


@pytest.mark.parametrize("n", simulation.SEEDS)
def test_intervals_cover_95_of_100_normal_means_and_differences(n: int) -> None:
    draw = simulation.normal(np.random.default_rng(n))
    assert abs(simulation.coverage(draw, n, 8000, 1.0, logs=False) - 0.95) <= 0.02
    assert abs(simulation.difference_coverage(draw, n, 8000, 1.0, logs=False) - 0.95) <= 0.02


@pytest.mark.parametrize("n", simulation.SEEDS)
def test_intervals_of_lognormal_scores_cover_on_the_log_scale(n: int) -> None:
    draw = simulation.lognormal(np.random.default_rng(n))
    assert abs(simulation.coverage(draw, n, 8000, 0.0, logs=True) - 0.95) <= 0.02


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("make", [simulation.normal, simulation.lognormal])
def test_tables_of_eight_equal_rows_are_separated_falsely_in_at_most_6_of_100(make: object, n: int) -> None:
    draw = make(np.random.default_rng(n))  # type: ignore[operator]
    with_holm, without = simulation.false_separations(draw, n, 3000, logs=make is simulation.lognormal)
    assert with_holm <= 0.06
    assert without > 0.3  # what the correction is for


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_of_the_probability_of_improvement_covers_at_5_seeds(shift: float) -> None:
    assert simulation.improvement_coverage(np.random.default_rng(1), 5, shift, 800) > 0.92


@pytest.mark.parametrize(
    "values",
    [
        [1e200 * (1 + 0.01 * seed) for seed in range(5)],
        [0.01, 0.02, 1e200, 0.01, 0.02],
        [1e-300, 2.0],
        [1.7e308] * 5,
        [1.7e308, -1.7e308],
        [5e-324, 1.7e308],
        [1e-200 * (1 + 0.01 * seed) for seed in range(5)],
    ],
)
@pytest.mark.parametrize("log_scale", [False, True])
def test_no_finite_value_is_too_large_or_small_for_any_statistic(values: list[float], log_scale: bool) -> None:
    found = mean_interval(values, log_scale)
    assert min(values) <= found.mean <= max(values)
    assert (found.low is None) == (found.high is None)
    assert found.low is None or (math.isfinite(found.low) and math.isfinite(found.high or math.nan))
    test = welch(values, [1.0, 2.0, 3.0], log_scale)
    assert test.p is not None
    assert 0 <= test.p <= 1
    parts = variance_components([[value, value] for value in values], log_scale)
    assert parts.sampling == 0
    assert parts.training is None or math.isfinite(parts.training)
    assert sorted(ranks([values, [1.0, 2.0, 3.0]], "lower", log_scale))[0] == 1


def test_statistics_scale_with_their_values_beyond_the_root_of_the_largest_float() -> None:
    values = [1.0, 1.5, 2.5]
    plain, large = mean_interval(values), mean_interval([value * 2.0**700 for value in values])
    assert plain.low is not None
    assert (large.mean, large.low) == (plain.mean * 2.0**700, plain.low * 2.0**700)
    small = welch([value * 2.0**-700 for value in values], [4 * 2.0**-700, 5 * 2.0**-700])
    assert small.p == welch(values, [4.0, 5.0]).p

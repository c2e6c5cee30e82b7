"""Tests of differences: answers worked out by hand, and how often noise alone is called a difference."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare.significance import (
    ALPHA,
    by_spread,
    from_errors,
    paired_means,
    paired_ratios,
)

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40)


def test_paired_t_as_worked_out_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1/√3, t = 2√3 with 2 degrees: p = 1 − t/√(t² + 2) = 0.0742."""
    found = paired_means([0.5, 0.5, 0.5], [1.5, 2.5, 3.5], unit="documents")
    assert found.p == pytest.approx(1 - sqrt(12 / 14))
    assert found.least == pytest.approx(9.92484 / sqrt(3), rel=1e-5)  # t of 0.995 and 2 degrees, from a table
    assert (found.beyond, found.method) == (False, "paired t over 3 documents")


def test_a_ratio_weighs_its_samples() -> None:
    """Tokens 10, 10, 5 and differences 3, 1, 1: R = 5/25 = 0.2, residuals 1, −1, 0: variance 3/2 · 2 / 625."""
    found = paired_ratios([0, 0, 0], [3, 1, 1], [10, 10, 5], unit="windows")
    t = 0.2 / sqrt(3 / 625)
    assert found.p == pytest.approx(1 - t / sqrt(t * t + 2))


def test_mcnemar_as_worked_out_by_hand() -> None:
    """Nine gained and one lost: p = 2 · (1 + 10) / 2¹⁰; ten gained: 2 / 2¹⁰."""
    nine = paired_means([0] * 9 + [1] + [1] * 10, [1] * 9 + [0] + [1] * 10, unit="documents")
    assert nine.p == pytest.approx(22 / 1024)
    assert (nine.beyond, nine.least) == (False, 10 / 20)
    assert nine.method == "McNemar exact over 20 documents, 10 changed"
    ten = paired_means([0] * 10, [1] * 10, unit="documents")
    assert (ten.beyond, ten.p) == (True, pytest.approx(2 / 1024))


def test_seven_documents_can_show_nothing() -> None:
    assert paired_means([0] * 7, [1] * 7, unit="documents").least is None
    assert paired_means([0] * 8, [0] * 8, unit="documents").least == 1.0


def test_z_of_two_standard_errors() -> None:
    found = from_errors(0.1, 0.03, 0.04)
    assert found.p == pytest.approx(0.0455003, rel=1e-5)  # two standard deviations
    assert found.least == pytest.approx(2.575829 * 0.05, rel=1e-6)
    assert from_errors(0.1, 0.0, 0.0).beyond is None


def test_spreads_are_no_test() -> None:
    assert [by_spread((1, 2), other, "they").beyond for other in ((2, 3), (2.1, 3), (0, 0.9), (0, 5))] == [
        False,
        True,
        True,
        False,
    ]
    apart = by_spread((1, 2), (3, 4), "they")
    assert (apart.p, apart.tested, apart.method) == (None, False, "no test: they lie apart")


@pytest.mark.parametrize(("first", "second"), [([], []), ([0.3], [0.4]), ([0.25] * 3, [0.75] * 3)])
def test_what_cannot_be_tested_is_not_decided(first: list[float], second: list[float]) -> None:
    assert paired_means(first, second, unit="documents").beyond is None


@given(SCORES)
def test_swapping_keeps_p_and_itself_is_no_difference(scores: list[tuple[float, float]]) -> None:
    a, b = [x for x, _ in scores], [y for _, y in scores]
    there, back = paired_means(a, b, unit="documents"), paired_means(b, a, unit="documents")
    assert (there.p, there.beyond, there.least) == (back.p, back.beyond, back.least)
    assert (same := paired_means(a, a, unit="documents")).beyond is False and same.p == 1


REPEATS = 1000


def test_noise_is_seldom_called_a_difference() -> None:
    """Of windows of unequal size, of skewed scores and of 0 and 1: at p < 0.01, at most 1.5 % of 1,000 each."""
    rng = np.random.default_rng(14)
    alarms = np.zeros(3)
    tokens = rng.integers(100, 1025, 60)
    for _ in range(REPEATS):
        hard = rng.normal(3, 1, 60)
        a, b = (tokens * (hard + rng.normal(0, 0.1, 60)) for _ in range(2))
        alarms[0] += bool(paired_ratios(a, b, tokens, unit="windows").beyond)
        alarms[1] += bool(paired_means(rng.gamma(1, size=50), rng.gamma(1, size=50), unit="documents").beyond)
        right = rng.random((2, 100)) < 0.3
        alarms[2] += bool(paired_means(right[0], right[1], unit="documents").beyond)
    rates = alarms / REPEATS
    assert (rates <= 1.5 * ALPHA).all(), rates
    assert rates[0] > 0.2 * ALPHA  # it does decide


def test_a_difference_that_pairing_alone_can_show() -> None:
    """A tenth of the spread over windows, all of it in the pairs."""
    rng = np.random.default_rng(15)
    hard = rng.normal(3, 1, 60)
    a, b = hard + rng.normal(0, 0.1, 60), hard + 0.1 + rng.normal(0, 0.1, 60)
    assert paired_means(a, b, unit="windows").beyond
    assert not from_errors(0.1, a.std() / sqrt(60), b.std() / sqrt(60)).beyond


def test_a_difference_as_large_as_the_least_is_one() -> None:
    rng = np.random.default_rng(16)
    noise = rng.normal(0, 1, 30)
    least = paired_means(np.zeros(30), noise - noise.mean(), unit="documents").least
    assert least is not None
    for factor, beyond in ((1.001, True), (0.999, False)):
        shifted = noise - noise.mean() + factor * least
        assert paired_means(np.zeros(30), shifted, unit="documents").beyond is beyond

"""What is said of samples, against NumPy and by properties."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt.bench.statistics import ratio_of_medians, share_within, summarise

SAMPLES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_a_summary_is_numpys_percentiles_and_the_mean_step_between_runs(samples):
    summary = summarise(samples)
    expected = [np.percentile(samples, share) for share in (0, 50, 95, 99, 100)]
    assert [summary.min, summary.p50, summary.p95, summary.p99, summary.max] == pytest.approx(expected)
    steps = [abs(after - before) for before, after in pairwise(samples)]
    assert summary.jitter == pytest.approx(sum(steps) / len(steps) if steps else 0.0)


def test_order_changes_jitter_and_nothing_else():
    drifting, jumping = summarise([1, 2, 3, 4, 5]), summarise([1, 5, 2, 4, 3])
    assert (drifting.jitter, jumping.jitter) == (1.0, 2.5)
    assert (drifting.min, drifting.p50, drifting.p95, drifting.max) == (
        jumping.min,
        jumping.p50,
        jumping.p95,
        jumping.max,
    )


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_the_ratio_of_samples_to_themselves_is_one_and_its_interval_holds_it(samples):
    ratio = ratio_of_medians(samples, samples)
    assert ratio.value == 1.0
    assert ratio.lower <= 1.0 <= ratio.upper


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.floats(0.1, 10))
def test_a_ratio_scales_with_the_samples(samples, factor):
    scaled = ratio_of_medians([factor * sample for sample in samples], samples)
    plain = ratio_of_medians(samples, samples)
    assert scaled.value == pytest.approx(factor)
    assert (scaled.lower, scaled.upper) == pytest.approx((factor * plain.lower, factor * plain.upper))


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        here, there = 120 * generator.lognormal(0, 0.1, 40), 100 * generator.lognormal(0, 0.1, 40)
        ratio = ratio_of_medians(here, there)
        held += ratio.lower <= 1.2 <= ratio.upper
    assert 88 <= held <= 100


def test_the_interval_narrows_with_more_samples():
    generator = np.random.default_rng(2)
    widths = []
    for count in (10, 100, 1000):
        ratio = ratio_of_medians(generator.lognormal(0, 0.1, count), generator.lognormal(0, 0.1, count))
        widths.append(ratio.upper - ratio.lower)
    assert widths == sorted(widths, reverse=True)


def test_the_share_within_a_deadline_counts_runs_that_took_just_as_long():
    assert share_within([10, 20, 30, 40], 30) == 0.75
    assert share_within([10, 20], 5) == 0.0


def test_a_median_of_nothing_in_a_resample_is_no_warning():
    ratio = ratio_of_medians([5.0, 6.0], [0.0, 5.0])
    assert ratio.value == pytest.approx(2.2)
    assert ratio.upper == np.inf


@pytest.mark.parametrize("call", [summarise, lambda s: ratio_of_medians(s, [1.0]), lambda s: share_within(s, 1.0)])
def test_no_samples_are_refused(call):
    with pytest.raises(ValueError, match="there are no samples"):
        call([])


def test_a_ratio_to_nothing_is_refused():
    with pytest.raises(ValueError, match="median is 0 ms"):
        ratio_of_medians([1.0], [0.0])

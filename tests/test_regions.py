from __future__ import annotations

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt.backends.regions import drop_small_regions
from brats_trt.geometry import Box

VALUES = (0, 1, 2, 4)


def counts_of(labels):
    return tuple(int((labels == value).sum()) for value in VALUES)


def tumour_box(labels):
    inside = np.argwhere(labels > 0)
    if not len(inside):
        return Box((0, 0, 0), (0, 0, 0))
    return Box(tuple(map(int, inside.min(axis=0))), tuple(int(n) + 1 for n in inside.max(axis=0)))


def dropped(labels, min_region):
    kept = labels.copy(order="K")
    counts = drop_small_regions(kept, counts_of(labels), tumour_box(labels), min_region=min_region, label_values=VALUES)
    return kept, counts


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    density=st.floats(0.0, 0.9),
    fraction=st.sampled_from([0.01, 0.1, 0.3]),
    order=st.sampled_from("CF"),
)
def test_regions_equal_the_oracle(seed, density, fraction, order):
    random = np.random.default_rng(seed)
    labels = np.asarray(random.choice(VALUES, (9, 8, 7)), np.uint8, order=order)
    labels[random.random(labels.shape) > density] = 0
    kept, counts = dropped(labels, fraction)
    assert np.array_equal(kept, oracle.drop_small_regions(labels, fraction))
    assert counts == counts_of(kept)


def test_regions_that_touch_at_a_corner_are_one():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2:6, 2:6, 2:6] = 2
    labels[6, 6, 6] = 1
    kept, _ = dropped(labels, 0.1)
    assert kept[6, 6, 6] == 1


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1), (3, 3, 3), (9, 1, 5), (1, 1, 7)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_as_many_regions_as_a_window_can_hold_are_told_apart(shape, order):
    labels = np.zeros((10, 10, 10), np.uint8, order=order)
    labels[tuple(slice(2, 2 + n, 2) for n in shape)] = 4
    labels[tuple(slice(2, 2 + n, 4) for n in shape)] = 1
    kept, counts = dropped(labels, 0.1)
    assert np.array_equal(kept, oracle.drop_small_regions(labels, 0.1))
    assert counts == counts_of(kept)


def test_a_small_region_apart_goes_and_a_fraction_of_zero_keeps_it():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2:6, 2:6, 2:6] = 2
    labels[8, 8, 8] = 4
    assert dropped(labels, 0.1)[0][8, 8, 8] == 0
    assert dropped(labels, 0.0)[0][8, 8, 8] == 4


@pytest.mark.parametrize("order", ["C", "F"])
def test_labels_without_a_tumour_are_left_alone(order):
    labels = np.zeros((5, 5, 5), np.uint8, order=order)
    kept, counts = dropped(labels, 0.1)
    assert not kept.any()
    assert counts == (125, 0, 0, 0)

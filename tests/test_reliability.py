"""Reliability: tables that count every case and voxel once, and pictures of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt.confidence import STRUCTURES
from brats_trt.evaluation.reliability import VoxelReliability, crop_classes, reliability
from brats_trt.evaluation.reliability_diagram import Wording, draw_reliability, shown_axis
from brats_trt.geometry import Box, without_last_plane

SHARES = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=50), st.integers(1, 9))
def test_every_case_is_in_one_bin_and_the_means_are_kept(cases, bins):
    expected, dice = np.array(cases).T
    table = reliability(expected, dice, bins=bins)
    assert table.n == len(cases)
    assert 1 <= len(table.bins) <= bins
    assert sum(row.n * row.expected for row in table.bins) == pytest.approx(expected.sum())
    assert sum(row.n * row.observed for row in table.bins) == pytest.approx(dice.sum())
    assert [row.expected for row in table.bins] == sorted(row.expected for row in table.bins)
    assert abs(expected.mean() - dice.mean()) - 1e-9 <= table.calibration_error <= np.abs(expected - dice).mean() + 1e-9


def test_what_came_as_expected_has_no_error_and_a_shift_is_the_error():
    expected = np.linspace(0.2, 0.8, 40)
    assert reliability(expected, expected).calibration_error == pytest.approx(0)
    assert reliability(expected, expected - 0.1).calibration_error == pytest.approx(0.1)
    assert [row.n for row in reliability(expected, expected).bins] == [8] * 5


@pytest.mark.parametrize(
    ("expected", "dice", "message"), [([], [], "one case"), ([1], [1, 1], "as many"), ([1], [np.nan], "finite")]
)
def test_cases_that_cannot_be_compared_are_refused(expected, dice, message):
    with pytest.raises(ValueError, match=message):
        reliability(expected, dice)


def drawn(seed=0, sharpness=1.0):
    """Probabilities, and classes that are drawn from them made sharper."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([2, 0.5, 0.5, 0.5], (32, 32, 32)).transpose(3, 0, 1, 2)
    q = p**sharpness / (p**sharpness).sum(axis=0)
    classes = (rng.random(p.shape[1:]) > np.cumsum(q, axis=0)).sum(axis=0).clip(0, 3)
    return p.astype(np.float32), classes.astype(np.uint8)


def test_voxels_drawn_from_their_probabilities_are_reliable_and_others_are_not():
    honest, unsure = VoxelReliability(), VoxelReliability()
    for seed in range(2):
        honest.add(*drawn(seed))
        unsure.add(*drawn(seed, sharpness=3))
    for name, table in honest.tables().items():
        assert table.n == 2 * 32**3
        assert table.calibration_error < 0.01
        assert unsure.tables()[name].calibration_error > 0.03
        for row in table.bins:
            assert row.spread == pytest.approx(np.sqrt(row.observed * (1 - row.observed)))
    assert set(honest.tables()) == set(STRUCTURES)


def test_voxels_are_counted_alike_whatever_the_cases_order():
    tables = []
    for seeds in ((0, 1), (1, 0)):
        counted = VoxelReliability()
        for seed in seeds:
            counted.add(*drawn(seed))
        tables.append(counted.tables())
    for name, table in tables[0].items():
        assert table.calibration_error == pytest.approx(tables[1][name].calibration_error)
    with pytest.raises(ValueError, match="not one grid"):
        counted.add(np.zeros((4, 2, 2, 2), np.float32), np.zeros((2, 2, 3), np.uint8))


def test_classes_on_a_crop_of_the_same_voxels_are_the_crop():
    classes = np.random.default_rng(0).integers(0, 4, (12, 13, 14)).astype(np.uint8)
    box = without_last_plane(Box((2, 3, 4), (10, 11, 13)))
    same = crop_classes(classes, box, box.shape)
    region = tuple(slice(low, high) for low, high in zip(box.lower, box.upper, strict=True))
    np.testing.assert_array_equal(same, classes[region])
    doubled = crop_classes(classes, box, tuple(2 * n - 1 for n in box.shape))
    np.testing.assert_array_equal(doubled[::2, ::2, ::2], same)


@pytest.mark.parametrize("least", [0.0, 0.31, 0.88, 0.995, 1.0])
def test_an_axis_ends_at_one_and_holds_what_is_shown(least):
    axis = shown_axis(reliability([least, 1.0], [least, 1.0], bins=2))
    assert 0 <= axis.lower <= least
    assert axis.upper == axis.ticks[-1] == pytest.approx(1)
    assert 4 <= len(axis.ticks) <= 8
    assert len({axis.tick_label(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_a_diagram_has_a_panel_a_structure_and_says_what_it_is_of(words):
    table = reliability(np.linspace(0.5, 1, 20), np.linspace(0.4, 1, 20))
    wording = Wording("Held-out phantoms", "20 cases")
    picture = draw_reliability(dict.fromkeys(STRUCTURES, table), wording)
    assert "Held-out phantoms" in words
    assert {"Whole tumour", "Tumour core", "Enhancing"} <= set(words)
    assert any("calibration error 0.0" in word and "20 cases" in word for word in words)
    assert any("not a medical device" in word for word in words)
    assert draw_reliability({"enhancing": reliability([0.5], [0.5])}, wording).size == picture.size
    for tables in ({}, {"oedema": table}):
        with pytest.raises(ValueError, match="expected one or more"):
            draw_reliability(tables, wording)

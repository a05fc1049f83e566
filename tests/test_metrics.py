from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import SimpleITK
from blobs import classes

from brats_trt.metrics import STRUCTURES, Overlap, dice, overlaps, to_classes
from brats_trt.spec import LABEL_VALUES

BRATS = (0, 1, 2, 4)


def test_dice_of_a_map_with_itself_is_one():
    labels = np.array([[0, 1, 2, 4]])
    assert set(dice(labels, labels, label_values=BRATS).values()) == {1.0}


def test_dice_counts_structures_by_their_classes():
    prediction = np.array([1, 1, 2, 4, 0, 0])
    reference = np.array([1, 4, 2, 4, 4, 0])
    scores = dice(prediction, reference, label_values=BRATS)
    assert scores == pytest.approx(
        {"whole tumour": 8 / 9, "tumour core": 6 / 7, "enhancing": 2 / 4, "necrotic": 2 / 3, "oedema": 1.0}
    )


def test_dice_of_two_empty_structures_is_one_and_of_one_empty_is_zero():
    empty, full = np.zeros(3, int), np.full(3, 2)
    assert dice(empty, empty, label_values=BRATS)["oedema"] == 1.0
    assert dice(empty, full, label_values=BRATS)["oedema"] == 0.0


def test_dice_refuses_two_grids():
    with pytest.raises(ValueError, match="one grid"):
        dice(np.zeros(3, int), np.zeros(4, int), label_values=BRATS)


def test_a_value_outside_the_scheme_is_named():
    with pytest.raises(ValueError, match="2 voxels have the values 3, 7; expected 0, 1, 2, 4"):
        dice(np.array([0, 3, 7, 1]), np.zeros(4, int), label_values=BRATS)
    with pytest.raises(ValueError, match=r"values -5, -4, -3, -2, -1, \.\.\."):
        to_classes(np.arange(-5, 10), BRATS)
    with pytest.raises(ValueError, match="nan"):
        to_classes(np.array([np.nan, 1.0]), BRATS)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i2", np.float32, np.float64])
@pytest.mark.parametrize("scheme", LABEL_VALUES)
def test_every_scheme_and_type_gives_the_same_classes(scheme, dtype):
    expected = classes(0)
    stored = np.asfortranarray(np.asarray(LABEL_VALUES[scheme])[expected].astype(dtype))
    assert np.array_equal(to_classes(stored, LABEL_VALUES[scheme]), expected)


def test_labels_that_were_scaled_to_16_bits_come_back():
    step = 4 / 65535
    stored = np.rint(np.array([0, 1, 2, 4]) / step).astype(np.uint16)
    assert to_classes(stored * step + 1e-5, BRATS).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"values 1\.01"):
        to_classes(np.array([1.01]), BRATS)


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_simpleitk(seed):
    prediction, reference = classes(seed), classes(seed + 50)
    for structure, overlap in overlaps(prediction, reference).items():
        masks = [np.isin(labels, STRUCTURES[structure]).astype(np.uint8) for labels in (prediction, reference)]
        measures = SimpleITK.LabelOverlapMeasuresImageFilter()
        measures.Execute(*[SimpleITK.GetImageFromArray(mask) for mask in masks])  # the reference is the target
        assert overlap.dice == pytest.approx(measures.GetDiceCoefficient(1), rel=1e-12)
        assert overlap.sensitivity == pytest.approx(1 - measures.GetFalseNegativeError(1), rel=1e-12)
        assert overlap.shared == (masks[0] & masks[1]).sum()
        assert overlap.voxels == prediction.size


def test_sensitivity_and_specificity_are_shares_of_the_reference_and_of_the_rest():
    overlap = Overlap(predicted=30, expected=40, shared=20, voxels=140)
    assert (overlap.sensitivity, overlap.specificity) == (0.5, 0.9)
    assert (overlap.dice, Overlap(40, 30, 20, 140).dice) == (40 / 70, 40 / 70)


def test_ratios_without_a_denominator_are_nan():
    assert np.isnan([Overlap(0, 0, 0, 8).dice, Overlap(3, 0, 0, 8).sensitivity, Overlap(8, 8, 8, 8).specificity]).all()


def test_growing_a_prediction_costs_specificity_and_gains_sensitivity():
    reference = classes(1)
    steps = [
        np.where(np.indices(reference.shape)[0] < limit, reference, 0).astype(np.uint8) for limit in range(4, 28, 4)
    ]
    steps.append(np.full_like(reference, 3))
    found = [overlaps(step, reference)["whole tumour"] for step in steps]
    for less, more in pairwise(found):
        assert less.sensitivity <= more.sensitivity
        assert less.specificity >= more.specificity
    assert (found[-1].sensitivity, found[-1].specificity) == (1.0, 0.0)


def test_memory_order_does_not_matter():
    prediction, reference = classes(2), classes(3)
    assert overlaps(np.asfortranarray(prediction), reference) == overlaps(prediction, np.asfortranarray(reference))

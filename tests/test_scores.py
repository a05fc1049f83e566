"""Scores of one case, what they are where a structure is empty, and the statistics over cases."""

from __future__ import annotations

import statistics
from math import isnan, nan

import numpy as np
import pytest
from blobs import SHAPE, affine, classes
from scipy import stats

from brats_trt.evaluation.scores import EMPTY_CONVENTIONS, METRICS, score
from brats_trt.evaluation.summary import statistics as statistics_of
from brats_trt.evaluation.summary import summarise
from brats_trt.evaluation.surfaces import grid_diagonal_mm, hausdorff95
from brats_trt.metrics import STRUCTURES

GRID = affine((0.8, 1.5, 3.0), shear=0.3)
VOXEL_ML = 0.8 * 1.5 * 3.0 / 1000


def without(labels, *removed):
    return np.where(np.isin(labels, removed), 0, labels).astype(np.uint8)


def test_a_reference_against_itself_is_perfect():
    labels = classes(0)
    for scores in score(labels, labels, GRID).values():
        assert (scores.dice, scores.hd95_mm, scores.sensitivity, scores.specificity) == (1.0, 0.0, 1.0, 1.0)
        assert (scores.volume_error_ml, scores.relative_volume_error) == (0.0, 0.0)


def test_every_structure_is_measured_on_its_own_mask():
    prediction, reference = classes(1), classes(2)
    for structure, scores in score(prediction, reference, GRID).items():
        masks = [np.isin(labels, STRUCTURES[structure]) for labels in (prediction, reference)]
        assert scores.hd95_mm == pytest.approx(hausdorff95(*masks, GRID), rel=1e-12)
        found, expected = (mask.sum() * VOXEL_ML for mask in masks)
        assert (scores.predicted_ml, scores.reference_ml) == pytest.approx((found, expected))
        assert scores.volume_error_ml == pytest.approx(found - expected)
        assert scores.relative_volume_error == pytest.approx((found - expected) / expected)


def test_volume_errors_are_signed():
    reference = classes(3)
    scores = score(without(reference, 3), reference, GRID)
    assert scores["whole tumour"].volume_error_ml < 0
    assert scores["enhancing"].relative_volume_error == -1.0
    assert score(reference, without(reference, 3), GRID)["whole tumour"].volume_error_ml > 0


@pytest.mark.parametrize(
    ("empty", "dice", "hd95_mm", "sensitivity"), [("brats", 1, 0, 1), ("exclude", nan, nan, nan), ("omz", 0, nan, nan)]
)
def test_a_structure_that_both_lack_scores_as_the_convention_says(empty, dice, hd95_mm, sensitivity):
    prediction, reference = without(classes(1), 3), without(classes(2), 3)
    found = score(prediction, reference, GRID, empty=empty)["enhancing"]
    assert (found.dice, found.hd95_mm, found.sensitivity) == pytest.approx((dice, hd95_mm, sensitivity), nan_ok=True)
    assert found.specificity == 1.0
    assert found.volume_error_ml == 0.0
    assert isnan(found.relative_volume_error)


@pytest.mark.parametrize("missing", ["prediction", "reference"])
@pytest.mark.parametrize("empty", EMPTY_CONVENTIONS)
def test_a_structure_that_one_lacks_scores_as_the_convention_says(empty, missing):
    prediction, reference = classes(1), classes(2)
    if missing == "prediction":
        prediction = without(prediction, 3)
    else:
        reference = without(reference, 3)
    found = score(prediction, reference, GRID, empty=empty)["enhancing"]
    diagonal = grid_diagonal_mm(GRID, SHAPE)
    assert found.dice == 0.0
    assert found.hd95_mm == pytest.approx(diagonal if empty == "brats" else nan, nan_ok=True)
    sensitivity = 0.0 if missing == "prediction" or empty == "brats" else nan
    assert found.sensitivity == pytest.approx(sensitivity, nan_ok=True)
    assert isnan(found.relative_volume_error) == (missing == "reference")


def test_the_penalty_is_the_whole_grids_diagonal_in_millimetres():
    prediction, reference = np.zeros((2, 240, 240, 155), np.uint8)
    reference[100, 100, 100] = 3
    assert score(prediction, reference, np.eye(4))["enhancing"].hd95_mm == pytest.approx(373.1287, abs=1e-4)


@pytest.mark.parametrize("empty", EMPTY_CONVENTIONS)
def test_structures_that_are_there_score_the_same_by_every_convention(empty):
    prediction, reference = classes(1), classes(2)
    assert score(prediction, reference, GRID, empty=empty) == score(prediction, reference, GRID)


def test_the_combination_of_directions_is_passed_on():
    prediction, reference = classes(1), classes(2)
    masks = prediction > 0, reference > 0
    for combination in ("max", "pooled"):
        found = score(prediction, reference, GRID, hd95=combination)["whole tumour"].hd95_mm
        assert found == pytest.approx(hausdorff95(*masks, GRID, combination=combination), rel=1e-12)


def test_two_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        score(classes(0), classes(0)[:-1], GRID)


def test_statistics_are_those_of_the_standard_library_and_leave_out_what_does_not_count():
    values = [0.1, 0.7, nan, 0.4, 0.35]
    counted = [value for value in values if not isnan(value)]
    found = statistics_of(values)
    assert found.n == 4
    assert found.mean == pytest.approx(statistics.fmean(counted))
    assert found.median == pytest.approx(statistics.median(counted))
    assert found.standard_deviation == pytest.approx(statistics.stdev(counted))
    assert found.standard_deviation == pytest.approx(stats.tstd(counted))


def test_statistics_of_nothing_are_nan_and_of_one_have_no_deviation():
    assert statistics_of([]).n == statistics_of([nan]).n == 0
    assert isnan(statistics_of([nan]).mean)
    assert (statistics_of([0.5]).mean, statistics_of([0.5]).median) == (0.5, 0.5)
    assert isnan(statistics_of([0.5]).standard_deviation)


def test_the_summary_has_every_score_of_every_structure():
    cases = [score(classes(seed), classes(seed + 50), GRID) for seed in range(3)]
    summary = summarise(cases)
    assert set(summary) == set(STRUCTURES)
    for structure, by_metric in summary.items():
        assert set(by_metric) == set(METRICS)
        assert by_metric["dice"].mean == pytest.approx(np.mean([case[structure].dice for case in cases]))

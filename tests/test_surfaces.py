"""HD95 against SimpleITK, whose surfaces and distances share no code with ours."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from blobs import SHAPE, affine, blob, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from brats_trt.evaluation.surfaces import (
    COMBINATIONS,
    grid_diagonal_mm,
    hausdorff95,
    surface_distances,
    surface_voxels,
)

SPACINGS = [(1.0, 1.0, 1.0), (0.8, 1.5, 3.0), (6.0, 0.45, 0.45)]
# SimpleITK computes distances in float32, from squares: some are 5e-7 mm where they should be 0.
SIMPLEITK_RELATIVE, SIMPLEITK_MM = 1e-6, 5e-6


def sitk_image(mask, spacing):
    image = SimpleITK.GetImageFromArray(mask.transpose(2, 1, 0).astype(np.uint8))
    image.SetSpacing(spacing)
    return image


def sitk_contour(mask, spacing=(1.0, 1.0, 1.0)):
    """The voxels of a mask with a face neighbour outside."""
    return SimpleITK.LabelContour(sitk_image(mask, spacing), fullyConnected=False)


def sitk_distances(first, second, spacing):
    """Directed distances between contours."""
    contours = [sitk_contour(mask, spacing) for mask in (first, second)]
    options = {"squaredDistance": False, "useImageSpacing": True}
    maps = [SimpleITK.Abs(SimpleITK.SignedMaurerDistanceMap(contour, **options)) for contour in contours]
    there, back = (SimpleITK.GetArrayFromImage(contour) > 0 for contour in contours)
    return SimpleITK.GetArrayFromImage(maps[1])[there], SimpleITK.GetArrayFromImage(maps[0])[back]


def sitk_hausdorff95(first, second, spacing, combination):
    there, back = sitk_distances(first, second, spacing)
    if combination == "pooled":
        return np.percentile(np.concatenate([there, back]), 95)
    return max(np.percentile(there, 95), np.percentile(back, 95))


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_hd95_is_that_of_simpleitk(seed, spacing, combination):
    first, second = blob(seed), blob(seed + 100)
    expected = sitk_hausdorff95(first, second, spacing, combination)
    found = hausdorff95(first, second, affine(spacing), combination=combination)
    assert found == pytest.approx(expected, rel=SIMPLEITK_RELATIVE)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_surface_distance_is_that_of_simpleitk(spacing):
    first, second = blob(1), blob(2)
    pairs = zip(surface_distances(first, second, affine(spacing)), sitk_distances(first, second, spacing), strict=True)
    for found, expected in pairs:
        assert np.sort(found) == pytest.approx(np.sort(expected), rel=SIMPLEITK_RELATIVE, abs=SIMPLEITK_MM)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_the_greatest_distance_is_simpleitks_hausdorff_distance(seed, spacing):
    first, second = blob(seed), blob(seed + 100)
    filter_ = SimpleITK.HausdorffDistanceImageFilter()
    filter_.Execute(sitk_image(first, spacing), sitk_image(second, spacing))
    greatest = max(distances.max() for distances in surface_distances(first, second, affine(spacing)))
    assert greatest == pytest.approx(filter_.GetHausdorffDistance(), rel=SIMPLEITK_RELATIVE)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_an_oblique_grid_has_the_distances_of_the_straight_one(spacing):
    first, second = blob(5), blob(6)
    expected = sitk_hausdorff95(first, second, spacing, "max")
    turned = affine(spacing, turn=rotation())
    assert np.abs(turned[:3, :3]).min() > 0.01, "no axis is straight"
    assert hausdorff95(first, second, turned) == pytest.approx(expected, rel=SIMPLEITK_RELATIVE)


@pytest.mark.parametrize("turn", [None, rotation(3)])
def test_a_sheared_grid_is_measured_in_millimetres(turn):
    sheared = affine((0.9, 1.2, 2.5), shear=0.7, turn=turn)
    first, second = blob(7), blob(8)
    points = []
    for mask in (first, second):
        indices = np.argwhere(SimpleITK.GetArrayFromImage(sitk_contour(mask)).transpose(2, 1, 0))
        points.append(indices @ sheared[:3, :3].T + sheared[:3, 3])
    every = cdist(*points)
    expected = max(np.percentile(every.min(axis=1), 95), np.percentile(every.min(axis=0), 95))
    assert hausdorff95(first, second, sheared) == pytest.approx(expected, rel=1e-12)
    straight = hausdorff95(first, second, affine((0.9, 1.2, 2.5)))
    assert abs(straight - expected) > 0.1, "the shear matters here"


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_hd95_is_symmetric_and_zero_of_a_mask_with_itself(combination):
    first, second, grid = blob(9), blob(10), affine((0.8, 1.5, 3.0), shear=0.3)
    assert hausdorff95(first, first, grid, combination=combination) == 0.0
    there, back = (hausdorff95(*pair, grid, combination=combination) for pair in ((first, second), (second, first)))
    assert there == back > 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.floats(0.1, 10.0))
def test_hd95_scales_with_the_grid(seed, scale):
    first, second, grid = blob(seed), blob(seed + 1), affine((0.8, 1.5, 3.0), shear=0.3)
    scaled = grid.copy()
    scaled[:3, :3] *= scale
    assert hausdorff95(first, second, scaled) == pytest.approx(scale * hausdorff95(first, second, grid), rel=1e-12)


def test_a_moved_voxel_is_as_far_as_it_moved():
    first, second = np.zeros((2, *SHAPE), bool)
    first[3, 4, 5], second[6, 8, 5] = True, True
    assert hausdorff95(first, second, np.eye(4)) == 5.0
    assert hausdorff95(first, second, affine((2.0, 3.0, 1.0))) == pytest.approx(np.hypot(6, 12))


def test_the_surface_is_what_has_a_face_outside_and_the_grids_edge_is_outside():
    solid = np.zeros((7, 7, 7), bool)
    solid[1:6, 1:6, 1:6] = True
    assert len(surface_voxels(solid)) == 5**3 - 3**3
    solid[1, 1, 1] = False  # an edge of the hole touches (2, 2, 2) by a corner alone
    assert len(surface_voxels(solid)) == 5**3 - 3**3 - 1
    full = np.ones((4, 5, 6), bool)
    assert len(surface_voxels(full)) == 4 * 5 * 6 - 2 * 3 * 4


def test_empty_masks_and_two_grids_have_no_distance():
    mask, empty = blob(0), np.zeros(SHAPE, bool)
    for pair in ((mask, empty), (empty, mask), (empty, empty)):
        with pytest.raises(ValueError, match="empty"):
            hausdorff95(*pair, np.eye(4))
    with pytest.raises(ValueError, match="one grid"):
        hausdorff95(mask, mask[:-1], np.eye(4))


def test_the_diagonal_of_brats_grid_is_the_penalty_that_brats_gives():
    assert grid_diagonal_mm(np.eye(4), (240, 240, 155)) == pytest.approx(373.12866, abs=1e-5)
    assert grid_diagonal_mm(affine((2.0, 1.0, 1.0), turn=rotation()), (4, 3, 2)) == pytest.approx(np.sqrt(64 + 9 + 4))
    # Of a sheared grid's four diagonals the longest: (4, 2) and (0, 2) in the plane, and 1 above.
    assert grid_diagonal_mm(affine(shear=1.0), (2, 2, 1)) == pytest.approx(np.sqrt(16 + 4 + 1))

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brats_trt import CaseError
from brats_trt.geometry import (
    GRID_TOLERANCE_MM,
    Box,
    check_affine,
    crop_affine,
    grid_distance_mm,
    voxel_volume_ml,
    without_last_plane,
)

SHAPE = (240, 240, 155)


def affines():
    """Of all 48 orientations, and oblique ones."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = np.array(signs) * (0.9, 1.1, 1.5)
            yield nibabel.affines.from_matvec(matrix, (-91.3, 126.2, -72.7))
    random = np.random.default_rng(0)
    for _ in range(4):
        rotation, _ = np.linalg.qr(random.standard_normal((3, 3)))
        yield nibabel.affines.from_matvec(rotation * (0.8, 1.0, 2.2), random.standard_normal(3) * 90)


def test_the_lost_plane_is_the_last_of_each_axis():
    assert without_last_plane(Box((1, 2, 3), (10, 20, 30))) == Box((1, 2, 3), (9, 19, 29))


def test_slices_select_the_boxs_shape():
    box = Box((1, 2, 3), (4, 6, 9))
    assert np.zeros((10, 10, 10))[box.slices].shape == box.shape == (3, 4, 6)


@pytest.mark.parametrize("affine", list(affines()))
def test_voxel_volume_is_the_product_of_the_spacings_in_every_orientation(affine):
    spacings = nibabel.affines.voxel_sizes(affine)
    assert voxel_volume_ml(affine) == pytest.approx(np.prod(spacings) / 1000)


@pytest.mark.parametrize("affine", list(affines()))
def test_the_corners_of_a_crop_lie_where_the_boxs_corners_lie(affine):
    box, size = Box((10, 20, 30), (150, 171, 131)), (128, 64, 33)
    placed = crop_affine(affine, box, size)
    for corner in itertools.product((0, 1), repeat=3):
        sample = [side * (n - 1) for side, n in zip(corner, size, strict=True)]
        voxel = [low + side * (up - low - 1) for side, low, up in zip(corner, box.lower, box.upper, strict=True)]
        expected = nibabel.affines.apply_affine(affine, voxel)
        np.testing.assert_allclose(nibabel.affines.apply_affine(placed, sample), expected, atol=1e-9)


@pytest.mark.parametrize("affine", list(affines()))
def test_rounding_to_float32_stays_within_the_tolerance(affine):
    rounded = affine.astype(np.float32).astype(np.float64)
    assert grid_distance_mm(affine, rounded, SHAPE) < GRID_TOLERANCE_MM / 10


@pytest.mark.parametrize("affine", list(affines()))
def test_a_round_trip_through_the_quaternion_form_stays_within_the_tolerance(affine):
    header = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_qform(affine, code=1)
    assert grid_distance_mm(affine, header.get_qform(), SHAPE) < GRID_TOLERANCE_MM


@given(st.floats(0.002, 5), st.integers(0, 2))
def test_a_real_shift_is_outside_the_tolerance(shift, axis):
    moved = np.eye(4)
    moved[axis, 3] = shift
    assert grid_distance_mm(np.eye(4), moved, SHAPE) > GRID_TOLERANCE_MM


def test_a_flip_about_the_middle_is_found_though_the_corners_coincide_as_a_set():
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = SHAPE[0] - 1
    assert grid_distance_mm(np.eye(4), flipped, SHAPE) == pytest.approx(SHAPE[0] - 1)


@pytest.mark.parametrize("millimetres", [1e-5, 1.0, 1e3])
@pytest.mark.parametrize("affine", list(affines()))
def test_an_affine_of_any_voxel_size_is_taken(affine, millimetres):
    scaled = nibabel.affines.from_matvec(affine[:3, :3] * millimetres, affine[:3, 3])
    assert check_affine("x", scaled) is scaled


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e3, 1e200, 1e-200])
def test_an_affine_that_flattens_space_is_refused_at_any_voxel_size(scale):
    flat = nibabel.affines.from_matvec(np.arange(1.0, 10).reshape(3, 3) * scale)
    with pytest.raises(CaseError, match=r"x: the affine .* does not map voxels"):
        check_affine("x", flat)


@pytest.mark.parametrize("affine", [np.full((4, 4), np.inf), np.full((4, 4), np.nan), np.eye(3), np.array(np.nan)])
def test_an_affine_that_is_not_finite_or_not_4_by_4_is_refused(affine):
    with pytest.raises(CaseError, match="does not map voxels"):
        check_affine("x", affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_affine_without_a_step_along_an_axis_is_refused(axis):
    affine = np.eye(4)
    affine[axis, axis] = 0
    with pytest.raises(CaseError, match="does not map voxels"):
        check_affine("x", affine)


def test_a_distance_that_has_no_float64_is_infinite():
    far = nibabel.affines.from_matvec(np.eye(3), (1e300, 0, 0))
    assert grid_distance_mm(np.eye(4), far, SHAPE) == np.inf


def test_an_affine_whose_volume_has_no_float64_is_refused():
    with pytest.raises(CaseError, match="does not map voxels"):
        check_affine("x", np.diag([1e200, 1e200, 1e200, 1.0]))

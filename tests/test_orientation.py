"""The letters at the sides of a picture, from the affine: against nibabel, and by markers at known millimetres."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from segmented import ORIENTATIONS, RAS, head, orientation_name, segmented, stored_as

from brats_trt import CaseError
from brats_trt.geometry import Box
from brats_trt.pictures.orientation import PLANES, display_grid, take_slice
from brats_trt.pictures.overview import draw_cell
from brats_trt.pictures.scene import CELL, arrange

AXIAL, CORONAL, SAGITTAL = PLANES
# Where a letter's side lies in the world (RAS+ millimetres), and in a picture (right and down).
WORLD = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
OPPOSITE = dict(zip("LPIRAS", "RASLPI", strict=True))
SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
every_orientation = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=orientation_name)


def rotation(angles):
    """A rotation by degrees about x, y and z."""
    return np.block([[nib.eulerangles.euler2mat(*np.deg2rad(angles)[::-1]), np.zeros((3, 1))], [np.eye(4)[3:]]])


def test_there_are_48_orientations():
    assert len({orientation_name(orientation) for orientation in ORIENTATIONS}) == 48


@every_orientation
def test_volumes_are_turned_as_nibabel_turns_them(orientation):
    values, affine = stored_as(head()[0], RAS, orientation)
    grid = display_grid(values.shape, affine)
    transform = ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "I")))
    assert np.array_equal(grid.turn(values), nib.orientations.apply_orientation(values, transform))
    assert grid.sizes == pytest.approx((1, 1.5, 2))
    assert grid.oblique_degrees == pytest.approx(0, abs=1e-3)
    assert grid.skew_degrees == pytest.approx(0, abs=1e-3)


@every_orientation
def test_the_letters_are_those_of_radiological_convention(orientation):
    values, affine = stored_as(head()[0], RAS, orientation)
    grid = display_grid(values.shape, affine)
    assert grid.letters(AXIAL) == ("R", "L", "A", "P")
    assert grid.letters(CORONAL) == ("R", "L", "S", "I")
    assert grid.letters(SAGITTAL) == ("A", "P", "S", "I")


def marked_at(millimetres, affine, shape):
    """A dim block of a head with one bright voxel where a point of the world is."""
    values = np.full(shape, 100, dtype=np.int16)
    place = np.rint(np.linalg.solve(affine, [*millimetres, 1.0])[:3]).astype(int)
    assert (place >= 0).all()
    assert (place < shape).all(), "the marker is in the volume"
    values[tuple(place)] = 30_000
    return values


def assert_marker_lies_at_the_side_of(letter, shape, affine):
    """Through the whole way of drawing: a point 12 mm from the middle towards a side, and the pixels of a tile."""
    middle = affine[:3] @ [*(np.array(shape) - 1) / 2, 1.0]
    values = marked_at(middle + 12 * np.array(WORLD[letter]), affine, shape)
    place = np.unravel_index(values.argmax(), shape)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[place] = 4  # so that the planes go through the marker
    scene = arrange(segmented(values, labels, affine), None)
    for plane in PLANES:
        if letter not in scene.letters(plane):
            continue
        right, down = SIDES[scene.letters(plane).index(letter)]
        cell = np.asarray(draw_cell(scene, plane, scene.columns[0]).convert("L")).astype(float)
        cell[:36], cell[-36:], cell[:, :36], cell[:, -36:] = 0, 0, 0, 0  # no letters
        row, column = np.unravel_index(cell.argmax(), cell.shape)
        towards = right * (column - CELL / 2) + down * (row - scene.cell_height(plane) / 2)
        assert towards > 6 * scene.pixels_per_mm, f"{letter} in the {plane.name.lower()} plane"


@every_orientation
@pytest.mark.parametrize("letter", WORLD)
def test_a_marker_lies_at_the_side_that_bears_its_letter(orientation, letter):
    values, affine = stored_as(np.zeros((30, 22, 16)), RAS, orientation)
    assert_marker_lies_at_the_side_of(letter, values.shape, affine)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-25, 25)] * 3), st.sampled_from(sorted(WORLD)))
def test_a_marker_lies_at_the_side_that_bears_its_letter_on_oblique_grids(orientation, angles, letter):
    values, affine = stored_as(np.zeros((46, 32, 24)), RAS, orientation)
    assert_marker_lies_at_the_side_of(letter, values.shape, rotation(angles) @ affine)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.floats(-25, 25)] * 3))
def test_letters_of_oblique_grids_are_those_of_nibabel(orientation, angles):
    values, affine = stored_as(head()[0], RAS, orientation)
    oblique = rotation(angles) @ affine
    grid = display_grid(values.shape, oblique)
    # The far end of each stored axis, by nibabel, is what the picture calls it.
    for stored, code in enumerate(nib.aff2axcodes(oblique)):
        axis = grid.order.index(stored)
        assert code == (OPPOSITE[grid.codes[axis]] if grid.flipped[axis] else grid.codes[axis])
    assert grid.codes == ("L", "P", "I")


@settings(deadline=None, max_examples=200)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(0.2, 6)] * 3))
def test_every_grid_has_three_different_axes_however_it_is_turned(angles, sizes):
    affine = rotation(angles) @ np.diag([*sizes, 1.0])
    grid = display_grid((4, 5, 6), affine)
    assert sorted(grid.order) == [0, 1, 2]
    assert grid.codes == ("L", "P", "I")
    shown = np.array(
        [affine[:3, stored] * (-1 if back else 1) for stored, back in zip(grid.order, grid.flipped, strict=True)]
    )
    cosines = -np.diagonal(shown) / np.linalg.norm(shown, axis=1)
    assert (cosines > 0).all(), "each display axis leads towards its letter"
    assert np.degrees(np.arccos(cosines.min())) == pytest.approx(grid.oblique_degrees, abs=1e-4)


def test_an_oblique_grid_states_its_angle():
    grid = display_grid((20, 24, 16), rotation((20, 0, 0)) @ RAS)
    assert grid.letters(CORONAL) == ("R", "L", "S", "I")
    assert grid.oblique_degrees == pytest.approx(20, abs=0.01)
    assert grid.skew_degrees == pytest.approx(0, abs=1e-4)


def test_a_sheared_grid_states_how_far_it_is_from_right_angles():
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.deg2rad(10))
    assert display_grid((4, 4, 4), affine).skew_degrees == pytest.approx(10)


@every_orientation
def test_a_slice_is_named_by_its_place_in_the_stored_array(orientation):
    values, affine = stored_as(head()[0], RAS, orientation)
    grid = display_grid(values.shape, affine)
    display = grid.turn(values)
    for plane, index in ((AXIAL, 5), (CORONAL, 9), (SAGITTAL, 12)):
        axis, _, place = grid.stored_position(plane, index).partition(" = ")
        stored = np.take(values, int(place), axis="xyz".index(axis))
        assert np.array_equal(np.sort(stored, axis=None), np.sort(take_slice(display, plane, index), axis=None))


@every_orientation
def test_a_box_is_turned_with_its_volume(orientation):
    values, affine = stored_as(head()[0], RAS, orientation)
    grid = display_grid(values.shape, affine)
    box = Box((2, 3, 1), (9, 5, 12))
    inside = np.zeros(values.shape, dtype=bool)
    inside[box.slices] = True
    turned = np.zeros_like(grid.turn(inside))
    turned[grid.turn_box(box).slices] = True
    assert np.array_equal(turned, grid.turn(inside))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.diag([1, 1, np.nan, 1]), np.eye(3)])
def test_an_affine_that_says_no_directions_is_refused(affine):
    with pytest.raises(CaseError, match="affine"):
        display_grid((4, 4, 4), affine)


def test_voxels_of_a_thousandth_of_a_millimetre_have_directions_too():
    assert display_grid((4, 4, 4), np.diag([1e-3, 1e-3, 1e-3, 1])).sizes == pytest.approx((1e-3, 1e-3, 1e-3))

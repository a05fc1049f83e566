"""The overview picture: orientation, colours, scale, and cases that have nothing to show."""

from __future__ import annotations

from itertools import combinations, permutations, product

import colour_vision
import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import inv_ornt_aff
from PIL import Image

from brats_trt.demo.palette import ENHANCING, NECROTIC, OEDEMA, label_styles
from brats_trt.demo.picture import draw_overview, save_picture
from brats_trt.demo.planes import PLANES, brain_window, choose_slices, display_grid, take_slice
from brats_trt.demo.tiles import draw_classes, draw_grey, grey_window
from brats_trt.errors import CaseError

AXIAL, CORONAL, SAGITTAL = PLANES
ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)), dtype=float)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
RAS = np.array([[1.0, 0, 0, -12], [0, 1.5, 0, -20], [0, 0, 2, 7], [0, 0, 0, 1]])


def head(shape=(20, 24, 16)):
    """A lopsided head in RAS: brighter to the right, to the front and upwards, with a tumour off its centre."""
    x, y, z = np.indices(shape)
    brain = ((x - 9.5) / 8) ** 2 + ((y - 11.5) / 10) ** 2 + ((z - 7.5) / 6) ** 2 < 1
    values = np.where(brain, 100 + 20 * x + 7 * y + 3 * z, 0).astype(np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[11:16, 12:18, 5:10] = 2
    labels[12:15, 13:17, 6:9] = 4
    labels[13, 14:16, 7] = 1
    return values, labels * brain.astype(np.uint8)


def stored_as(values, affine, orientation):
    """The same head in another orientation: the array and its affine."""
    turned = nib.orientations.apply_orientation(values, orientation)
    return turned, affine @ inv_ornt_aff(orientation, values.shape)


def overview(values, labels, affine, **options):
    return draw_overview({"t1": values, "flair": values // 2}, labels, affine, title="Case", **options)


def test_there_are_48_orientations():
    assert len(ORIENTATIONS) == 48


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: "".join(nib.orientations.ornt2axcodes(o)))
def test_letters_and_planes_are_right_in_every_orientation(orientation):
    values, _ = head()
    turned, affine = stored_as(values, RAS, orientation)
    grid = display_grid(turned.shape, affine)
    assert grid.letters(AXIAL) == ("R", "L", "A", "P")
    assert grid.letters(CORONAL) == ("R", "L", "S", "I")
    assert grid.letters(SAGITTAL) == ("A", "P", "S", "I")
    # The picture's left must really be the head's right: its values grow to the right, the front and upwards.
    display = grid.turn(turned)
    expected = values[::-1, ::-1, ::-1]
    assert np.array_equal(display, expected)
    assert np.array_equal(take_slice(display, AXIAL, 8), expected[:, :, 8].T)
    assert grid.sizes == pytest.approx((1, 1.5, 2))


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: "".join(nib.orientations.ornt2axcodes(o)))
def test_a_slice_is_named_by_its_place_in_the_stored_array(orientation):
    values, _ = head()
    turned, affine = stored_as(values, RAS, orientation)
    grid = display_grid(turned.shape, affine)
    display = grid.turn(turned)
    for plane, index in ((AXIAL, 5), (CORONAL, 9), (SAGITTAL, 12)):
        axis, _, place = grid.stored_position(plane, index).partition(" = ")
        stored = np.take(turned, int(place), axis="xyz".index(axis))
        assert np.array_equal(np.sort(stored, axis=None), np.sort(take_slice(display, plane, index), axis=None))


@pytest.mark.parametrize("orientation", ORIENTATIONS[1::11], ids=lambda o: "".join(nib.orientations.ornt2axcodes(o)))
def test_the_tiles_are_the_same_for_every_stored_orientation(orientation):
    values, labels = head()
    tiles = []
    for form in (ORIENTATIONS[0], orientation):
        (volume, affine), (marks, _) = stored_as(values, RAS, form), stored_as(labels, RAS, form)
        picture = np.array(overview(volume, marks, affine))
        picture[:, :400][np.all(picture[:, :400] == picture[0, 0], axis=-1)] = 0
        tiles.append(picture[:, 392:])  # right of the first column, where the rows' names stand
    assert np.array_equal(*tiles)


def test_an_oblique_scan_is_named_by_its_nearest_axes():
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = display_grid((20, 24, 16), turn @ RAS)
    assert grid.letters(CORONAL) == ("R", "L", "S", "I")
    assert grid.oblique_degrees == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.diag([1, 1, np.nan, 1]), np.eye(3)])
def test_an_affine_that_says_no_directions_is_refused(affine):
    with pytest.raises(CaseError, match="affine"):
        display_grid((4, 4, 4), affine)


def test_the_slices_cross_the_solid_tumour():
    values, labels = head()
    display = display_grid(labels.shape, RAS).turn(labels)
    x, y, z = choose_slices(display, display_grid(values.shape, RAS).turn(values) > 0, oedema=2)
    assert 4 in display[x]
    assert 4 in display[:, y]
    assert 4 in display[:, :, z]
    assert 1 in display[x]


def test_oedema_alone_is_shown_too():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[2, 3, 4] = 2
    assert choose_slices(labels, labels == 0, oedema=2) == (2, 3, 4)


def test_without_a_tumour_the_slices_cross_the_middle_of_the_brain():
    brain = np.zeros((20, 20, 20), dtype=bool)
    brain[3:10, 5:16, 10:19] = True
    assert choose_slices(np.zeros(brain.shape, dtype=np.uint8), brain, oedema=2) == (6, 10, 14)


def test_the_window_holds_the_brain_and_its_margin():
    brain = np.zeros((40, 40, 40), dtype=bool)
    brain[15:20, 3:30, 38] = True
    window = brain_window(brain, (1.0, 3.0, 6.0))
    assert window == (slice(12, 23), slice(2, 31), slice(37, 40))
    assert brain_window(np.zeros((4, 5, 6), dtype=bool), (1.0, 1.0, 1.0)) == (slice(0, 4), slice(0, 5), slice(0, 6))


def test_grey_spans_the_percentiles_of_the_brain():
    volume = np.zeros((20, 20, 20))
    volume[5:15, 5:15, 5:15] = np.linspace(100, 200, 1000).reshape(10, 10, 10)
    low, high = grey_window(volume)
    assert 60 < low < 102
    assert 198 < high < 220
    drawn = np.asarray(draw_grey(np.array([[0.0, low], [(low + high) / 2, high]]), (low, high), (2, 2)))
    assert drawn[..., 0].tolist() in ([[0, 0], [127, 255]], [[0, 0], [128, 255]])


@pytest.mark.parametrize("values", [np.zeros((3, 3, 3)), np.full((3, 3, 3), 7), np.full((3, 3, 3), np.nan)])
def test_a_volume_without_contrast_still_has_a_window(values):
    low, high = grey_window(values)
    assert high > low


def test_classes_are_tinted_inside_and_outlined_in_their_own_colour():
    labels = np.zeros((30, 30), dtype=np.uint8)
    labels[5:25, 5:25] = 2
    labels[10:20, 10:20] = 4
    labels[13:17, 13:17] = 1
    base = Image.new("RGB", (300, 300), (90, 90, 90))
    drawn = np.asarray(draw_classes(base, labels, label_styles("brats"))).astype(int)
    for row, colour in ((75, OEDEMA), (115, ENHANCING), (150, NECROTIC)):
        tint = drawn[row, 150] - 90
        wanted = np.array(colour) - 90
        assert np.dot(tint, wanted) > 0.98 * np.linalg.norm(tint) * np.linalg.norm(wanted)
        assert (drawn == np.array(colour)).all(axis=-1).any()
    assert (drawn[20, 20] == 90).all()


def test_the_overview_shows_the_classes_where_the_tumour_is():
    values, labels = head()
    picture = np.asarray(overview(values, labels, RAS)).astype(int)
    blank = np.asarray(overview(values, labels * 0, RAS)).astype(int)
    coloured = np.ptp(picture[140:-140], axis=-1) > 30
    assert not (np.ptp(blank[140:-140], axis=-1) > 30).any()
    assert coloured.any()
    # Only the column of the segmentation, the third, carries colour; the tumour lies to the head's right: its left.
    columns = np.flatnonzero(coloured.any(axis=0))
    assert 40 + 2 * 360 <= columns[0] < columns[-1] < 40 + 3 * 360
    assert np.flatnonzero(coloured[:300].any(axis=0)).mean() < 40 + 2 * 360 + 176


@pytest.mark.parametrize("scheme", ["brats", "brats2023", "msd"])
def test_every_scheme_gives_the_same_picture(scheme):
    values, labels = head()
    necrotic, enhancing, oedema = (style.value for style in label_styles(scheme))
    mapped = np.choose(labels, [0, necrotic, oedema, 0, enhancing]).astype(np.uint8)
    expected = np.asarray(overview(values, labels, RAS))
    assert np.array_equal(np.asarray(overview(values, mapped, RAS, scheme=scheme)), expected)


def test_a_reference_gets_a_column_of_its_own():
    values, labels = head()
    assert overview(values, labels, RAS, reference=labels).width == overview(values, labels, RAS).width + 360


def test_a_case_without_a_tumour_says_so():
    values, labels = head()
    empty = np.asarray(overview(values, labels * 0, RAS)).astype(int)
    legend = empty[-134:-64]
    assert (legend == np.array([240, 228, 66])).all(axis=-1).any()
    assert not (legend == np.array(OEDEMA)).all(axis=-1).any()


def test_anisotropic_voxels_keep_the_head_in_proportion():
    heights = []
    for sizes, shape in (((1, 1, 1), (60, 60, 40)), ((1, 1, 5), (60, 60, 8)), ((2, 0.5, 1), (30, 120, 40))):
        values = np.full(shape, 100, dtype=np.int16)
        labels = np.zeros(shape, dtype=np.uint8)
        heights.append(overview(values, labels, np.diag([*sizes, 1.0])).height)
    assert heights[0] == heights[1] == heights[2]


def test_volumes_of_any_kind_are_drawn_and_left_as_they_were():
    values, labels = head()
    floats = np.asfortranarray(values.astype(np.float64))
    floats[0, 0, 0] = np.nan
    for array in (floats, labels):
        array.setflags(write=False)
    picture = draw_overview({"t1ce": floats}, labels, RAS, title="Case")
    assert picture.mode == "RGB"
    with np.errstate(all="raise"):
        draw_overview({"t1ce": np.zeros_like(values)}, labels, RAS, title="Empty")


def test_arrays_of_different_grids_are_refused():
    values, labels = head()
    with pytest.raises(CaseError, match="expected \\(20, 24, 16\\)"):
        draw_overview({"t1": values[:-1]}, labels, RAS, title="Case")
    with pytest.raises(CaseError, match="at least one of"):
        draw_overview({"pd": values}, labels, RAS, title="Case")


def test_a_picture_is_saved_whole_or_not_at_all(tmp_path):
    values, labels = head()
    picture = overview(values, labels, RAS)
    path = save_picture(picture, tmp_path / "case.png")
    with Image.open(path) as again:
        assert np.array_equal(np.asarray(again), np.asarray(picture))
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.png"]
    with pytest.raises(AttributeError):
        save_picture(None, tmp_path / "none.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.png"]


@pytest.mark.parametrize("dichromacy", [None, *colour_vision.DICHROMACIES])
def test_the_classes_can_be_told_apart_with_any_colour_vision(dichromacy):
    for first, second in combinations((NECROTIC, ENHANCING, OEDEMA), 2):
        assert colour_vision.distance(first, second, dichromacy) > 30


def test_the_classes_differ_in_lightness_too():
    lightness = sorted(colour_vision.seen(colour)[0] for colour in (NECROTIC, ENHANCING, OEDEMA))
    assert min(np.diff(lightness)) > 12

"""What the tiles of a picture show: the planes through the tumour, grey values, the classes and their colours."""

from __future__ import annotations

from itertools import combinations

import colour_vision
import numpy as np
import pytest
from PIL import Image
from segmented import ORIENTATIONS, RAS, coloured, head, orientation_name, pixels, segmented, stored_as

from brats_trt.geometry import Box
from brats_trt.pictures import draw_preview, overview
from brats_trt.pictures.orientation import PLANES
from brats_trt.pictures.palette import ENHANCING, NECROTIC, OEDEMA, label_styles
from brats_trt.pictures.planes import choose_slices, head_window
from brats_trt.pictures.scene import CELL, arrange
from brats_trt.pictures.tiles import FILLED, OUTLINED, draw_classes, draw_grey, grey_window, sampled

AXIAL, CORONAL, SAGITTAL = PLANES
CLASSES = (NECROTIC, ENHANCING, OEDEMA)


def test_the_slices_cross_the_solid_tumour():
    scene = arrange(segmented(*head()), None)
    labels = scene.columns[-1].labels
    x, y, z = scene.slices
    assert 4 in labels[x]
    assert 4 in labels[:, y]
    assert 4 in labels[:, :, z]
    assert 1 in labels[x]


def test_oedema_alone_is_shown_too():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[2, 3, 4] = 2
    assert choose_slices(labels, Box((0, 0, 0), (10, 10, 10)), oedema=2) == (2, 3, 4)


def test_the_solid_part_decides_where_there_is_one():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[2:9, 2:9, 2:5] = 2
    labels[7, 8, 4] = 1
    assert choose_slices(labels, Box((0, 0, 0), (10, 10, 10)), oedema=2) == (7, 8, 4)


def test_without_a_tumour_the_slices_cross_the_middle_of_the_head():
    empty = np.zeros((20, 20, 20), dtype=np.uint8)
    assert choose_slices(empty, Box((3, 5, 10), (10, 16, 19)), oedema=2) == (6, 10, 14)


def test_the_window_holds_the_head_and_its_margin():
    window = head_window(Box((15, 3, 38), (20, 30, 39)), (40, 40, 40), (1.0, 3.0, 6.0))
    assert window == Box((12, 2, 37), (23, 31, 40))
    assert head_window(Box((0, 0, 0), (4, 5, 6)), (4, 5, 6), (1.0, 1.0, 1.0)) == Box((0, 0, 0), (4, 5, 6))


def test_a_tumour_that_only_the_reference_has_is_looked_at_where_it_is():
    values, labels = head()
    missed = arrange(segmented(values, labels * 0), labels)
    assert missed.slices == arrange(segmented(values, labels), None).slices
    assert not missed.middle
    assert not missed.found


@pytest.mark.parametrize("orientation", ORIENTATIONS[1::11], ids=orientation_name)
def test_the_tiles_are_the_same_for_every_stored_orientation(orientation):
    drawn = []
    for form in (ORIENTATIONS[0], orientation):
        (volume, affine), (marks, _) = (stored_as(array, RAS, form) for array in head())
        picture = pixels(draw_preview(segmented(volume, marks, affine), caption=""))
        drawn.append(picture[:, 400:])  # right of the first column, where the rows' names stand
    assert np.array_equal(*drawn)


def test_grey_spans_the_percentiles_of_the_head():
    volume = np.zeros((20, 20, 20))
    volume[5:15, 5:15, 5:15] = np.linspace(100, 200, 1000).reshape(10, 10, 10)
    low, high = grey_window(volume)
    assert 60 < low < 102
    assert 198 < high < 220
    drawn = np.asarray(draw_grey(np.array([[0.0, low], [(low + high) / 2, high]]), (low, high), (2, 2)))
    assert drawn[..., 0].tolist() in ([[0, 0], [127, 255]], [[0, 0], [128, 255]])


@pytest.mark.parametrize("values", [np.zeros((3, 3, 3)), np.full((3, 3, 3), 7.0), np.full((3, 3, 3), np.nan)])
def test_a_volume_without_contrast_still_has_a_window(values):
    low, high = grey_window(values)
    assert high > low


def test_large_volumes_are_sampled_and_small_ones_are_not():
    assert sampled(np.broadcast_to(np.int16(1), (240, 240, 155))).size < 400_000
    small = np.arange(60).reshape(3, 4, 5)
    assert np.array_equal(sampled(small), small)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "u2", ">i4", "f2", ">f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_volumes_of_every_dtype_and_order_give_the_same_picture(dtype, order):
    values, labels = head()
    small = (values // 3).astype(np.int16)
    stored = np.array(small.astype(dtype), order=order)
    stored.setflags(write=False)
    expected, found = (arrange(segmented(array, labels), None) for array in (small, stored))
    assert found.slices == expected.slices
    for plane in PLANES:
        cells = [pixels(overview.draw_cell(scene, plane, scene.columns[0])) for scene in (expected, found)]
        assert np.array_equal(*cells)


def test_slope_and_intercept_are_applied():
    values, labels = head()
    stored = (values + 50).astype(np.int16)
    given = segmented(stored, labels, slope=0.5, intercept=-25.0)
    assert np.array_equal(pixels(draw_preview(given)), pixels(draw_preview(segmented(values * 0.5, labels))))


def test_what_is_not_finite_is_drawn_black():
    drawn = pixels(draw_grey(np.array([[np.nan, np.inf], [-np.inf, 50.0]]), (0.0, 50.0), (2, 2)))
    assert drawn[..., 0].tolist() == [[0, 0], [0, 255]]
    values, labels = head()
    broken = values.astype(np.float64)
    broken[9] = np.nan
    broken[13] = np.inf
    assert arrange(segmented(broken, labels), None).columns[0].underlay.window[1] < 1000


def layered():
    labels = np.zeros((30, 30), dtype=np.uint8)
    labels[5:25, 5:25] = 2
    labels[10:20, 10:20] = 4
    labels[13:17, 13:17] = 1
    return labels


def test_classes_are_tinted_inside_and_outlined_in_their_own_colour():
    base = Image.new("RGB", (300, 300), (90, 90, 90))
    drawn = pixels(draw_classes(base, layered(), label_styles("brats")))
    for row, colour in ((75, OEDEMA), (115, ENHANCING), (150, NECROTIC)):
        tint = drawn[row, 150] - 90
        wanted = np.array(colour) - 90
        assert np.dot(tint, wanted) > 0.98 * np.linalg.norm(tint) * np.linalg.norm(wanted)
        assert (drawn == np.array(colour)).all(axis=-1).any()
    assert (drawn[20, 20] == 90).all()


@pytest.mark.parametrize("place", [(0, 0), (7, 3), (7, 19), (4, 11), (0, 12)])
def test_a_labelled_voxel_is_coloured_where_it_lies(place):
    labels = np.zeros((8, 20), dtype=np.uint8)
    labels[place] = 4
    drawn = pixels(draw_classes(Image.new("RGB", (317, 250)), labels, label_styles("brats")))
    rows, columns = np.nonzero(drawn.any(axis=-1))
    assert [rows.min(), rows.max() + 1] == pytest.approx([place[0] * 250 / 8, (place[0] + 1) * 250 / 8], abs=1)
    assert [columns.min(), columns.max() + 1] == pytest.approx([place[1] * 317 / 20, (place[1] + 1) * 317 / 20], abs=1)


def test_grey_values_around_the_classes_stay_as_they_are():
    noise = np.random.default_rng(0).integers(0, 255, (250, 317, 3)).astype(np.uint8)
    labels = np.zeros((8, 20), dtype=np.uint8)
    labels[3:5, 6:9] = 2
    changed = (pixels(draw_classes(Image.fromarray(noise), labels, label_styles("brats"))) != noise).any(axis=-1)
    assert changed[110, 120]
    assert not changed[:93].any()
    assert not changed[157:].any()


def test_outlines_leave_the_inside_as_it_is():
    base = Image.new("RGB", (300, 300), (90, 90, 90))
    drawn = pixels(draw_classes(base, layered(), label_styles("brats"), OUTLINED))
    for row in (20, 75, 115, 150):
        assert (drawn[row, 150] == 90).all()
    down = drawn[:, 150]
    changes = [tuple(colour) for colour in down[(down != 90).any(axis=1)]]
    assert len(changes) <= 6 * (OUTLINED.outline + 1), "one line a boundary"
    pure = [colour for colour in changes if colour in CLASSES]
    order = [colour for position, colour in enumerate(pure) if position == 0 or pure[position - 1] != colour]
    assert order == [OEDEMA, ENHANCING, NECROTIC, ENHANCING, OEDEMA], "in the inner class's colour"
    assert OUTLINED.outline > FILLED.outline


def test_the_classes_are_drawn_where_the_tumour_is():
    values, labels = head()
    result = segmented(values, labels)
    found = coloured(draw_preview(result))
    assert not coloured(draw_preview(segmented(values, labels * 0))).any()
    # Only the columns of the segmentation, the fifth and sixth, carry colour; the tumour lies to the head's right.
    across = np.flatnonzero(found.any(axis=0))
    assert 40 + 4 * 360 <= across[0] < across[-1] < 40 + 6 * 360
    axial = found[: arrange(result, None).cell_height(AXIAL)]
    for column in (4, 5):
        cell = axial[:, 40 + column * 360 : 40 + column * 360 + CELL]
        assert 0 < np.flatnonzero(cell.any(axis=0)).mean() < CELL / 2, "on the left, which bears the R"


def test_the_last_column_has_outlines_and_no_fill():
    values, labels = head((40, 48, 32))
    labels[:] = 0
    labels[8:30, 8:30, 8:24] = 2
    scene = arrange(segmented(values + 1, labels), None)
    filled, outlined = (overview.draw_cell(scene, AXIAL, column) for column in scene.columns[4:])
    tinted, lined = (np.ptp(pixels(cell), axis=-1) > 0 for cell in (filled, outlined))
    assert 0 < lined.sum() < tinted.sum() / 4


@pytest.mark.parametrize("scheme", ["brats", "brats2023", "msd"])
def test_every_scheme_gives_the_same_picture(scheme):
    values, labels = head()
    necrotic, enhancing, oedema = (style.value for style in label_styles(scheme))
    mapped = np.choose(labels, [0, necrotic, oedema, 0, enhancing]).astype(np.uint8)
    expected = pixels(draw_preview(segmented(values, labels)))
    assert np.array_equal(pixels(draw_preview(segmented(values, mapped, scheme=scheme))), expected)


def test_a_reference_takes_the_last_column():
    values, labels = head()
    result = segmented(values, labels)
    with_reference = arrange(result, np.where(labels == 2, 4, labels).astype(np.uint8))
    assert [column.title for column in with_reference.columns][-2:] == ["Segmentation on T1ce", "Reference on T1ce"]
    assert 2 not in with_reference.columns[-1].labels
    assert [column.title for column in arrange(result, None).columns][-2:] == [
        "Segmentation on T1ce",
        "Outlines on FLAIR",
    ]


def test_each_column_shows_the_modality_that_it_names():
    values, labels = head()
    volumes = {name: values + 1000 * n for n, name in enumerate(("t1", "t2", "t1ce", "flair"))}
    scene = arrange(segmented(values, labels, volumes=volumes), None)
    for column in scene.columns:
        name = column.title.split()[-1].lower()
        assert column.underlay.data.min() == volumes[name].min()


@pytest.mark.parametrize("dichromacy", [None, *colour_vision.DICHROMACIES])
def test_the_classes_can_be_told_apart_with_any_colour_vision(dichromacy):
    for first, second in combinations(CLASSES, 2):
        assert colour_vision.distance(first, second, dichromacy) > 30


def test_the_classes_differ_in_lightness_too():
    lightness = sorted(colour_vision.seen(colour)[0] for colour in CLASSES)
    assert min(np.diff(lightness)) > 12

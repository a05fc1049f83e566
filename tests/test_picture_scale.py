"""Lengths on a picture: the scale bar, and voxels and volumes of any proportion."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from segmented import ORIENTATIONS, orientation_name, pixels, segmented, stored_as

from brats_trt.pictures import draw_preview, overview
from brats_trt.pictures.lettering import LETTER_SPACE
from brats_trt.pictures.orientation import PLANES
from brats_trt.pictures.palette import TEXT
from brats_trt.pictures.scale_bar import draw_scale, scale_name
from brats_trt.pictures.scene import CELL, GREATEST_HEIGHT, arrange


def bar_of(cell):
    """First and last column of a scale bar, and its middle ticks, from its pixels."""
    lit = (pixels(cell) == np.array(TEXT)).all(axis=-1)
    row = lit.shape[0] - 9
    line = np.flatnonzero(lit[row, : CELL // 2 - 20])
    assert np.array_equal(line, np.arange(line[0], line[-1] + 1)), "one line without gaps"
    return line[0], line[-1]


@pytest.mark.parametrize("pixels_per_mm", [0.012, 0.3, 1.3, 2.0, 6.4, 7.1, 40.0, 3000.0])
def test_the_bar_is_as_long_as_it_says(pixels_per_mm, words):
    cell = Image.new("RGB", (CELL, 200))
    draw_scale(cell, pixels_per_mm)
    first, last = bar_of(cell)
    number, unit = words[-1].split()
    millimetres = float(number) * {"mm": 1, "cm": 10}[unit]
    assert last - first - 1 == pytest.approx(millimetres * pixels_per_mm, abs=1)
    assert 0.13 * CELL < last - first < 0.37 * CELL


@pytest.mark.parametrize(
    ("leading", "exponent", "name"),
    [(5, 1, "5 cm"), (1, 2, "10 cm"), (1, 1, "1 cm"), (5, 0, "5 mm"), (2, -1, "0.2 mm"), (2, 3, "200 cm")],
)
def test_the_bar_is_named_in_centimetres_or_below_one_in_millimetres(leading, exponent, name):
    assert scale_name(leading, exponent) == name


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7], ids=orientation_name)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 1, 5), (0.5, 3, 1.2)])
def test_a_known_distance_measures_the_same_by_the_bar_along_every_axis(orientation, sizes, words):
    """Two points 60 mm apart, in voxels of any proportion: their pixels against those of the bar."""
    shape = [round(96 / size) for size in sizes]
    for axis in range(3):
        values, ends = np.full(shape, 100, dtype=np.int16), [n // 2 for n in shape]
        for side in (-30, 30):
            place = list(ends)
            place[axis] += round(side / sizes[axis])
            values[tuple(place)] = 30_000
        labels = np.zeros(shape, dtype=np.uint8)
        labels[tuple(ends)] = 4
        affine = np.diag([*sizes, 1.0])
        (volume, turned), (marks, _) = (stored_as(array, affine, orientation) for array in (values, labels))
        scene = arrange(segmented(volume, marks, turned), None)
        for plane in PLANES:
            if plane.axis == axis:
                continue
            cell = overview.draw_cell(scene, plane, scene.columns[0])
            bright = pixels(cell)[..., 0].astype(float)
            bright[:LETTER_SPACE], bright[-LETTER_SPACE:] = 0, 0
            bright[:, :LETTER_SPACE], bright[:, -LETTER_SPACE:] = 0, 0
            along = np.flatnonzero((bright > 0.6 * bright.max()).any(axis=0 if plane.across == axis else 1))
            distance = along[along > along.mean()].mean() - along[along < along.mean()].mean()
            draw_scale(cell, scene.pixels_per_mm)
            first, last = bar_of(cell)
            number, unit = words[-1].split()
            per_mm = (last - first - 1) / (float(number) * {"mm": 1, "cm": 10}[unit])
            assert distance / per_mm == pytest.approx(2 * 30, rel=0.06)


def test_anisotropic_voxels_keep_the_head_in_proportion():
    sizes = []
    for spacing, shape in (((1, 1, 1), (60, 60, 40)), ((1, 1, 5), (60, 60, 8)), ((2, 0.5, 1), (30, 120, 40))):
        labels = np.zeros(shape, dtype=np.uint8)
        scene = arrange(segmented(np.full(shape, 100, np.int16), labels, np.diag([*spacing, 1.0])), None)
        sizes.append([scene.size(plane) for plane in PLANES])
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 2), (4, 300, 4), (4, 4, 400), (300, 4, 4), (60, 70, 2)])
def test_a_volume_of_any_proportion_is_drawn_on_one_page(shape):
    labels = np.zeros(shape, dtype=np.uint8)
    labels.flat[labels.size // 2] = 4
    picture = draw_preview(segmented(np.full(shape, 100, np.int16), labels, np.eye(4)))
    assert picture.width == 2232
    assert picture.height < 3 * GREATEST_HEIGHT + 500

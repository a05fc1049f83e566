"""The picture of a segmented case: its letters, its words and its file."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from cases import OBLIQUE
from PIL import Image, ImageDraw
from segmented import RAS, coloured, head, header_of, pixels, segmented

from brats_trt import CaseError, Segmenter
from brats_trt.case import Volume
from brats_trt.device_array import DeviceArray
from brats_trt.notice import NOTICE
from brats_trt.pictures import draw_preview, save_preview
from brats_trt.pictures.lettering import LETTER_SPACE, draw_letters, fitted, font, one_line
from brats_trt.pictures.palette import BACKGROUND, OEDEMA, WARNING, label_styles
from brats_trt.pictures.scale_bar import draw_scale


@pytest.mark.parametrize("side", range(4))
def test_each_letter_stands_at_its_own_side(side):
    blank, cell = Image.new("RGB", (200, 160)), Image.new("RGB", (200, 160))
    letters = tuple("R" if position == side else "" for position in range(4))
    draw_letters(cell, letters)
    rows, columns = np.nonzero((pixels(cell) != pixels(blank)).any(axis=-1))
    middle = (np.mean([rows.min(), rows.max()]), np.mean([columns.min(), columns.max()]))
    expected = ((80, 15), (80, 185), (15, 100), (145, 100))[side]
    assert middle == pytest.approx(expected, abs=9)
    assert np.ptp(rows) >= 15, "large enough to be read"


def test_the_letters_cover_no_tissue():
    cell = Image.new("RGB", (200, 160))
    draw_letters(cell, ("R?", "L?", "A?", "P?"))
    assert not pixels(cell)[LETTER_SPACE:-LETTER_SPACE, LETTER_SPACE:-LETTER_SPACE].any()
    draw_scale(cell, 1.0)
    assert not pixels(cell)[LETTER_SPACE:-LETTER_SPACE, LETTER_SPACE:].any(axis=-1)[:, : 200 - 2 * LETTER_SPACE].any()


def test_the_picture_says_what_it_is(words):
    draw_preview(segmented(*head(), name="BraTS_007"))
    written = "\n".join(words)
    for line in ("BraTS_007", "Radiological convention: the patient's right is on the left.", NOTICE, "T1ce", "FLAIR"):
        assert line in words
    for word in ("Necrotic core  ", "Enhancing tumour  ", "Oedema  ", " ml", "20 x 24 x 16 voxels of 1 x 1.5 x 2 mm"):
        assert word in written
    assert "model 0123456789ab" in written
    assert "Oblique" not in written
    assert "?" not in written
    assert "No tumour" not in written


def test_the_legend_has_the_volumes_of_the_result(words):
    result = segmented(*head())
    draw_preview(result)
    for style in label_styles("brats"):
        assert f"{style.name}  {result.volumes_ml[style.structure]:.1f} ml" in words
    assert result.volumes_ml["oedema"] > 0.1


def test_a_case_without_a_tumour_says_so(words):
    values, labels = head()
    picture = draw_preview(segmented(values, labels * 0))
    assert "No tumour found: the planes are the middle ones of the head" in words
    assert (pixels(picture) == WARNING).all(axis=-1).any()
    assert not (pixels(picture) == OEDEMA).all(axis=-1).any()


def test_an_oblique_grid_says_by_how_much(words):
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    draw_preview(segmented(*head(), turn @ RAS))
    assert any(line.startswith("Oblique by 20°: ") and "nearest axes" in line for line in words)


def test_a_sheared_grid_says_by_how_much(words):
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.deg2rad(10))
    draw_preview(segmented(*head(), affine))
    assert any(line.startswith("Sheared: ") and "10°" in line for line in words)


@pytest.mark.parametrize(
    ("header", "caveat"),
    [
        (None, "no orientation and no voxel size: sides with a ? and the scale are assumed"),
        (header_of(np.eye(4), code=0), "no orientation: sides with a ? are assumed"),
    ],
)
def test_sides_that_the_input_does_not_state_bear_a_question_mark(words, header, caveat):
    draw_preview(segmented(*head(), np.eye(4), header=header))
    assert any(caveat in line for line in words)
    assert {"R?", "L?", "A?", "P?", "S?", "I?"} <= set(words)
    assert not {"R", "L", "A", "P", "S", "I"} & set(words)


def test_an_affine_without_a_header_is_a_statement(words):
    draw_preview(segmented(*head(), RAS, header=None))
    assert {"R", "L", "A", "P", "S", "I"} <= set(words)


def test_warnings_of_the_run_stand_on_the_picture(words):
    draw_preview(segmented(*head(), warnings=("t2: saturated", "t1: copied", "t1: odd")))
    assert "Warning (and 2 more): t2: saturated" in words


@pytest.mark.parametrize("name", ["x" * 400, "two\nlines", "lone \udcff surrogate", "", "W" * 61])
def test_any_name_fits_its_line(name, words):
    picture = draw_preview(segmented(*head(), name=name, warnings=(name,)))
    margin = pixels(picture)[:120, -40:]
    assert (margin == np.array(BACKGROUND)).all(), "nothing runs over the margin"
    assert not any("\n" in line for line in words)


def test_text_is_cut_where_it_does_not_fit():
    draw = ImageDraw.Draw(Image.new("RGB", (10, 10)))
    whole = "a line of text that goes on for long"
    assert fitted(draw, whole, 20, 10_000) == whole
    cut = fitted(draw, whole, 20, 150)
    assert whole.startswith(cut.removesuffix("..."))
    assert cut.endswith("...")
    assert draw.textlength(cut, font=font(20)) <= 150
    assert one_line(" a\n\tb ") == "a b"


def test_a_preview_is_saved_whole_with_the_notice_as_text(tmp_path):
    result = segmented(*head())
    save_preview(result, tmp_path / "case.png")
    with Image.open(tmp_path / "case.png") as again:
        assert np.array_equal(pixels(again), pixels(draw_preview(result)))
        assert again.text["Disclaimer"] == NOTICE
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.png"]


def test_a_preview_that_exists_is_kept_unless_overwrite(tmp_path):
    (tmp_path / "case.png").write_bytes(b"precious")
    with pytest.raises(CaseError, match="exists already and is kept; pass overwrite"):
        save_preview(segmented(*head()), tmp_path / "case.png")
    assert (tmp_path / "case.png").read_bytes() == b"precious"
    save_preview(segmented(*head()), str(tmp_path / "case.png"), overwrite=True)
    assert (tmp_path / "case.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "message"),
    [("case.jpg", "ends in .png"), ("nowhere/case.png", "cannot be written"), ("a.png", "is a folder")],
)
def test_a_bad_path_is_refused(tmp_path, name, message):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(CaseError, match=message):
        save_preview(segmented(*head()), tmp_path / name, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_result_without_its_volumes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep_volumes=True"):
        save_preview(replace(segmented(*head()), case=None), tmp_path / "case.png")
    assert not list(tmp_path.iterdir())


def test_volumes_on_a_gpu_are_refused_and_not_copied():
    values, labels = head()
    result = segmented(values, labels)
    there = DeviceArray(4096, values.shape, values.strides, values.dtype, None, None)
    volumes = {**result.case.volumes, "flair": Volume(there, 1.0, 0.0, "the array of flair")}
    with pytest.raises(CaseError, match="the array of flair lies on a GPU"):
        draw_preview(replace(result, case=replace(result.case, volumes=volumes)))


def test_arrays_of_different_grids_are_refused():
    values, labels = head()
    with pytest.raises(CaseError, match=r"expected \(20, 24, 16\)"):
        draw_preview(segmented(values, labels, volumes={"t2": values[:-1]}))
    with pytest.raises(CaseError, match=r"expected \(20, 24, 16\)"):
        draw_preview(segmented(values, labels), reference=labels[:-1])


def test_a_run_of_the_segmenter_can_be_drawn(tmp_path):
    from heads import volumes
    from models import tiny_model

    given = {name: nib.Nifti1Image(array, OBLIQUE) for name, array in volumes().items()}
    result = Segmenter(tiny_model(tmp_path / "tiny.onnx"), precision="fp32", keep_volumes=True).run(given)
    save_preview(result, tmp_path / "case.png")
    with Image.open(tmp_path / "case.png") as picture:
        assert coloured(picture).any()

"""DICOM series to volumes: the affine and the voxels, against what was written and against GDCM through SimpleITK."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from raw_exams.dicom import USUAL, Room, changed, recompress, write_enhanced, write_series

from brats_trt import CaseError
from brats_trt.exam import read_exam

SHAPE = (11, 13, 12)
OBLIQUE = np.array([[0.9, 0.3, -0.2], [-0.25, 0.93, 0.1], [0.22, -0.05, 0.97]])


def orthonormal(matrix):
    u, _, v = np.linalg.svd(matrix)
    return u @ v


def affine_of(directions, spacing, origin=(-31.5, 17.25, 4.0)):
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = origin
    return affine


def orientations():
    for axes, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        directions = np.zeros((3, 3))
        directions[axes, range(3)] = signs
        yield directions


def volume_of(dtype=np.int16, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 255 if dtype == np.uint8 else 4000, shape).astype(dtype)


def loaded(folder):
    exam = read_exam(folder)
    assert len(exam.series) == 1, [entry.recognition for entry in exam.series]
    return exam.load(exam.series[0])


def same_image(volume, affine, data, expected_affine, atol=1e-5):
    """Whether two grids put the same values at the same places; their third axes may run opposite ways."""
    if np.linalg.det(affine[:3, :3]) * np.linalg.det(expected_affine[:3, :3]) < 0:
        flip = np.diag([1.0, 1.0, -1.0, 1.0])
        flip[2, 3] = data.shape[2] - 1
        data, expected_affine = data[:, :, ::-1], expected_affine @ flip
    np.testing.assert_allclose(affine, expected_affine, rtol=0, atol=atol)
    np.testing.assert_array_equal(volume.data * volume.slope + volume.intercept, data)


@pytest.mark.parametrize("directions", list(orientations()), ids=lambda d: "".join(str(int(v)) for v in d[d != 0]))
def test_every_orientation_comes_back(tmp_path, directions):
    data, affine = volume_of(), affine_of(directions, (0.9, 1.1, 3.0))
    write_series(Room(tmp_path), data, affine, **USUAL["t2"])
    same_image(*loaded(tmp_path), data, affine)


@pytest.mark.parametrize("write", [write_series, write_enhanced])
def test_an_oblique_series_lies_where_simpleitk_puts_it(tmp_path, write):
    import SimpleITK

    data, affine = volume_of(), affine_of(orthonormal(OBLIQUE), (0.9, 1.1, 3.0))
    write(Room(tmp_path), data, affine, **USUAL["flair"])
    volume, found = loaded(tmp_path)
    same_image(volume, found, data, affine)
    if write is write_enhanced:
        return
    reader = SimpleITK.ImageSeriesReader()
    folders = [folder for folder in tmp_path.iterdir() if folder.is_dir()]
    flat = tmp_path / "flat"
    flat.mkdir()
    for folder in folders:
        for path in folder.iterdir():
            path.rename(flat / path.name)
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(flat)))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    theirs = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    same_image(volume, found, theirs, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_values_keep_their_type_slope_and_intercept(tmp_path, dtype):
    data = volume_of(dtype)
    write_series(Room(tmp_path), data, affine_of(np.eye(3), (1, 1, 2)), scales=[(2.0, -7.0)] * SHAPE[2], **USUAL["t2"])
    volume, _ = loaded(tmp_path)
    assert (volume.slope, volume.intercept, volume.data.dtype) == (2.0, -7.0, dtype)


def test_slices_with_slopes_of_their_own_become_real_values(tmp_path):
    data, affine = volume_of(), affine_of(np.eye(3), (1, 1, 2))
    scales = [(0.5 + k / 8, -float(k)) for k in range(SHAPE[2])]
    write_series(Room(tmp_path), data, affine, scales=scales, **USUAL["t2"])
    volume, found = loaded(tmp_path)
    slopes, intercepts = np.array(scales).T
    same_image(volume, found, data * slopes + intercepts, affine)


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
def test_compressed_series_are_decoded_exactly(tmp_path, syntax):
    data, affine = volume_of(), affine_of(np.eye(3), (1, 1, 2))
    for path in write_series(Room(tmp_path), data, affine, **USUAL["t2"]):
        recompress(path, syntax)
    same_image(*loaded(tmp_path), data, affine)


def test_a_stack_that_leans_against_its_normal_keeps_its_affine(tmp_path):
    data, affine = volume_of(), affine_of(np.eye(3), (1, 1, 2))
    affine[0, 2] = 0.4
    write_series(Room(tmp_path), data, affine, **USUAL["t2"])
    same_image(*loaded(tmp_path), data, affine)


def test_a_file_that_is_there_twice_is_one_slice_and_another_image_in_its_place_is_refused(tmp_path):
    room, data, affine = Room(tmp_path), volume_of(), affine_of(np.eye(3), (1, 1, 2))
    series = "1.2.3.4"
    paths = write_series(room, data, affine, SeriesInstanceUID=series, **USUAL["t2"])
    (tmp_path / "copy").write_bytes(paths[4].read_bytes())
    same_image(*loaded(tmp_path), data, affine)
    write_series(room, data + 1, affine, SeriesInstanceUID=series, **USUAL["t2"])
    with pytest.raises(CaseError, match="two different images of one slice in series 1: take one"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("lost", "reason"),
    [((5,), r"1 of 16 slices missing \(after number 5 "), ((3, 4, 8), r"3 of 16 slices missing \(after number 3, 6 ")],
)
def test_missing_slices_are_named(tmp_path, lost, reason):
    data = volume_of(shape=(*SHAPE[:2], 16))
    paths = write_series(Room(tmp_path), data, affine_of(np.eye(3), (1, 1, 2)), **USUAL["t2"])
    for k in lost:
        paths[k].unlink()
    exam = read_exam(tmp_path)
    with pytest.raises(CaseError, match=f"series 1 makes no volume: no volume: {reason}"):
        exam.load(exam.series[0])


def test_uneven_slices_are_named(tmp_path):
    paths = write_series(Room(tmp_path), volume_of(), affine_of(np.eye(3), (1, 1, 2)), **USUAL["t2"])
    changed(paths[5], ImagePositionPatient=[31.5, -17.25, 4.0 + 10.3])
    exam = read_exam(tmp_path)
    assert exam.series[0].recognition.reason == "no volume: slices 0.3 mm from an even spacing along a line"


def test_echoes_are_volumes_of_their_own(tmp_path):
    room, data, affine = Room(tmp_path), volume_of(), affine_of(np.eye(3), (1, 1, 2))
    for echo in (30, 98):
        write_series(room, data + echo, affine, **USUAL["t2"] | {"SeriesInstanceUID": "1.2.3", "EchoTime": echo})
    exam = read_exam(tmp_path)
    assert {entry.acquisition.echo_ms for entry in exam.series} == {30, 98}
    for entry in exam.series:
        volume, _ = exam.load(entry)
        np.testing.assert_array_equal(volume.data, data + int(entry.acquisition.echo_ms))

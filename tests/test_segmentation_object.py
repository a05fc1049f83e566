"""Labels as DICOM segmentation objects: read back by highdicom and by dcmqi, in every orientation."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from raw_exams.dicom import USUAL, Room, write_enhanced, write_series
from test_exam_geometry import OBLIQUE, affine_of, orientations, orthonormal, volume_of

from brats_trt import Box, CaseError, RawOptions, Segmentation
from brats_trt.exam import read_exam
from brats_trt.raw.grid import Grid
from brats_trt.raw.preparation import Account

SHAPE = (24, 20, 12)


def labelled(folder, affine, write=write_series, *, seed=0, values=(0, 1, 2, 4), dtype=np.int16):
    """A series, and labels on it that are alike in no two places."""
    write(Room(folder), volume_of(dtype, shape=SHAPE), affine, **USUAL["t2"])
    entry = read_exam(folder).series[0]
    labels = np.random.default_rng(seed).choice(np.array(values, np.uint8), entry.stack.shape, p=(0.7, 0.1, 0.1, 0.1))
    grid = Grid(entry.stack.affine, entry.stack.shape)
    account = Account(RawOptions(), grid, {}, stripped=True, mask=None, notes=(), stack=entry.stack)
    counts = tuple(int((labels == value).sum()) for value in values)
    return Segmentation(
        name="case",
        labels=labels,
        label_scheme="brats",
        affine=entry.stack.affine,
        header=None,
        box=Box((0, 0, 0), SHAPE),
        softmax=None,
        class_counts=counts,
        timings_ms={},
        warnings=(),
        model_sha256="0" * 64,
        raw=account,
    )


def read_back(path, result):
    """Each segment's name and its voxels on the result's grid."""
    segmentation = highdicom.seg.segread(path)
    found = {}
    for number in segmentation.segment_numbers:
        volume = segmentation.get_volume(segment_numbers=[number], combine_segments=False)
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
        voxels = np.argwhere(volume.array[..., 0] > 0)
        places = np.linalg.inv(result.affine) @ (lps @ np.column_stack([voxels, np.ones(len(voxels))]).T)
        mask = np.zeros(result.labels.shape, bool)
        index = np.round(places[:3]).astype(int)
        assert np.abs(places[:3] - index).max() < 1e-3
        mask[tuple(index)] = True
        found[segmentation.get_segment_description(number).segment_label] = mask
    return found


@pytest.mark.parametrize("directions", list(orientations()), ids=lambda d: "".join(str(int(v)) for v in d[d != 0]))
def test_every_orientation_is_read_back_voxel_by_voxel(tmp_path, directions):
    result = labelled(tmp_path / "exam", affine_of(directions, (0.9, 1.1, 3.0)))
    result.save_dicom(tmp_path / "x.dcm")
    found = read_back(tmp_path / "x.dcm", result)
    for label, value in {"Necrotic core": 1, "Oedema": 2, "Enhancing tumour": 4}.items():
        np.testing.assert_array_equal(found[label], result.labels == value)


@pytest.mark.parametrize("write", [write_series, write_enhanced])
def test_oblique_classic_and_enhanced_series_are_read_back(tmp_path, write):
    result = labelled(tmp_path / "exam", affine_of(orthonormal(OBLIQUE), (0.9, 1.1, 3.0)), write)
    result.save_dicom(tmp_path / "x.dcm")
    for label, mask in read_back(tmp_path / "x.dcm", result).items():
        np.testing.assert_array_equal(
            mask, result.labels == {"Necrotic core": 1, "Oedema": 2, "Enhancing tumour": 4}[label]
        )


def test_it_says_what_it_is_and_whose(tmp_path):
    result = labelled(tmp_path / "exam", affine_of(np.eye(3), (1, 1, 2)))
    result.save_dicom(tmp_path / "x.dcm")
    made = pydicom.dcmread(tmp_path / "x.dcm")
    source = pydicom.dcmread(next(path for path in (tmp_path / "exam").rglob("*") if path.is_file()))
    assert made.SegmentationType == "BINARY"
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert made.get(name) == source.get(name)
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert "research use only" in made.SeriesDescription
    segments = made.SegmentSequence
    codes = [item.SegmentedPropertyTypeCodeSequence[0] for item in segments]
    assert [(code.CodeValue, code.CodingSchemeDesignator) for code in codes] == [
        ("6574001", "SCT"),
        ("79654002", "SCT"),
        ("108369006", "SCT"),
    ]
    for item in segments:
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = item.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "brats_trt"
        assert "model_sha256=" in algorithm.AlgorithmParameters


def test_classes_that_were_not_found_have_no_segment(tmp_path):
    result = labelled(tmp_path / "exam", affine_of(np.eye(3), (1, 1, 2)))
    result.labels[result.labels == 1] = 0
    result.save_dicom(tmp_path / "x.dcm")
    assert [item.SegmentLabel for item in pydicom.dcmread(tmp_path / "x.dcm").SegmentSequence] == [
        "Oedema",
        "Enhancing tumour",
    ]
    result.labels[...] = 0
    with pytest.raises(CaseError, match="no tumour was found"):
        result.save_dicom(tmp_path / "y.dcm")
    assert not (tmp_path / "y.dcm").exists()


def test_dcmqi_opens_it(tmp_path):
    tool = shutil.which("segimage2itkimage")
    if tool is None:
        pytest.skip("there is no dcmqi for this machine")
    result = labelled(tmp_path / "exam", affine_of(orthonormal(OBLIQUE), (0.9, 1.1, 3.0)))
    result.save_dicom(tmp_path / "x.dcm")
    command = [tool, "--inputDICOM", tmp_path / "x.dcm", "--outputDirectory", tmp_path, "-t", "nii", "-p", "seg"]
    subprocess.run(command, check=True, capture_output=True)
    for number, value in ((1, 1), (2, 2), (3, 4)):
        image = nibabel.load(next(tmp_path.glob(f"seg-{number}.nii*")))
        voxels = np.argwhere(np.asanyarray(image.dataobj) > 0)
        places = np.linalg.inv(result.affine) @ image.affine @ np.column_stack([voxels, np.ones(len(voxels))]).T
        mask = np.zeros(result.labels.shape, bool)
        mask[tuple(np.round(places[:3]).astype(int))] = True
        np.testing.assert_array_equal(mask, result.labels == value)


def test_what_cannot_be_written_is_refused(tmp_path):
    result = labelled(tmp_path / "exam", affine_of(np.eye(3), (1, 1, 2)))
    with pytest.raises(CaseError, match=r"ends in \.dcm"):
        result.save_dicom(tmp_path / "x.nii")
    with pytest.raises(CaseError, match="lie on no DICOM series"):
        replace(result, raw=replace(result.raw, stack=None)).save_dicom(tmp_path / "x.dcm")
    with pytest.raises(CaseError, match="lie on no DICOM series"):
        replace(result, raw=None).save_dicom(tmp_path / "x.dcm")
    result.save_dicom(tmp_path / "x.dcm")
    with pytest.raises(CaseError, match="exists already"):
        result.save_dicom(tmp_path / "x.dcm")
    shutil.rmtree(tmp_path / "exam")
    with pytest.raises(CaseError, match="no longer as it was read"):
        result.save_dicom(tmp_path / "y.dcm")

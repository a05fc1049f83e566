"""Raw exams from files to files: `Segmenter.run(exam, raw=True)` and `brats-trt segment --raw`."""

from __future__ import annotations

import gzip
import json

import nibabel
import numpy as np
import pydicom
import pytest
from raw_exams.dicom import USUAL, Room, changed, write_series
from raw_exams.scanning import AXIAL, CLINICAL, labels_on, raw_exam
from test_raw import Skull, with_skull

from brats_trt import CaseError, CaseWarning, RawOptions, Segmenter, cli
from brats_trt.demo import make_phantom
from brats_trt.exam import read_exam
from brats_trt.metrics import dice
from brats_trt.records.verification import verify
from brats_trt.spec import LABEL_VALUES

BRATS = LABEL_VALUES["brats"]


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(0)


@pytest.fixture(scope="module")
def exam(phantom):
    return raw_exam(phantom)


@pytest.fixture(scope="module")
def folder(exam, tmp_path_factory):
    """The exam as DICOM, its names shuffled."""
    room = Room(tmp_path_factory.mktemp("dicom") / "Exam_7", patient="Secret^Jane", identifier="SECRET-4711")
    for number, (modality, raw) in enumerate(exam.series.items(), start=1):
        write_series(room, raw.volume.data, raw.affine, number=number, **USUAL[modality])
    return room.folder


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(keep_volumes=True)


def command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["brats-trt", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


def test_dicom_is_segmented_on_the_grid_of_its_t1ce(segmenter, folder, phantom, exam, tmp_path):
    with pytest.warns(CaseWarning, match="stripped already"):
        result = segmenter.run(folder, raw=True)
    t1ce = exam.series["t1ce"]
    expected = labels_on(phantom, t1ce)
    if np.linalg.det(result.affine[:3, :3]) * np.linalg.det(t1ce.affine[:3, :3]) < 0:
        expected = expected[:, :, ::-1]  # slices are sorted along the normal
    assert result.labels.shape == expected.shape
    assert dice(result.labels, expected, label_values=BRATS)["whole tumour"] > 0.88
    reference_ml = (phantom.labels > 0).sum() / 1000
    assert result.volumes_ml["whole_tumour"] == pytest.approx(reference_ml, rel=0.15)
    assert result.case.volumes["flair"].data.shape == result.labels.shape
    assert result.brain_mask is None
    with pytest.raises(ValueError, match="no brain mask"):
        result.save_brain_mask(tmp_path / "x.nii.gz")
    record = result.record
    assert [entry.kind for entry in record.inputs] == ["series"] * 4
    assert len({entry.sha256 for entry in record.inputs}) == 4
    assert record.raw.stripped
    assert record.raw.working_grid.voxel_size_mm == pytest.approx((1, 1, 1))
    result.save(tmp_path / "labels.nii.gz")
    checked = verify(tmp_path / "labels.nii.gz")
    assert checked.holds
    assert checked.record == record


def test_a_result_is_verified_against_its_exam(segmenter, folder, tmp_path):
    with pytest.warns(CaseWarning):
        segmenter.run(folder, raw=True).save(tmp_path / "labels.nii.gz")
    exam = tmp_path / "exam"
    exam.mkdir()
    for number, path in enumerate(path for path in sorted(folder.rglob("*")) if path.is_file()):
        (exam / f"{number}").write_bytes(path.read_bytes())
    assert verify(tmp_path / "labels.nii.gz", [exam]).holds, "names make no difference"
    found = read_exam(exam).chosen()["flair"].stack.slices[3][0].path
    changed(found, ImageComments="another file")
    checks = {check.subject: check.status for check in verify(tmp_path / "labels.nii.gz", [exam]).checks}
    assert checks == {
        "labels": "ok",
        "grid": "ok",
        "t1": "ok",
        "t2": "ok",
        "t1ce": "ok",
        "flair": "differs",
        "model": "not checked",
    }
    with pytest.raises(CaseError, match="expected the exam's folder as the only input"):
        verify(tmp_path / "labels.nii.gz", [exam, exam])


def test_the_grid_is_the_users_choice(segmenter, folder):
    with pytest.warns(CaseWarning):
        result = segmenter.run(folder, raw=RawOptions(grid="t2"))
    assert result.labels.shape == CLINICAL["t2"][2]
    np.testing.assert_allclose(np.linalg.norm(result.affine[:3, :3], axis=0), (0.9, 0.9, 5))


def test_volumes_on_grids_of_their_own_need_no_dicom(segmenter, phantom, exam):
    images = {name: nibabel.Nifti1Image(raw.volume.data, raw.affine) for name, raw in exam.series.items()}
    with pytest.warns(CaseWarning):
        result = segmenter.run(images, raw=True)
    expected = labels_on(phantom, exam.series["t1ce"])
    assert dice(result.labels, expected, label_values=BRATS)["whole tumour"] > 0.88
    with pytest.raises(CaseError, match="but the exam is no DICOM: leave --map out"):
        segmenter.run(images, raw=RawOptions({"t1": "3"}))
    arrays = {name: raw.volume.data for name, raw in exam.series.items()}
    with pytest.raises(CaseError, match="has no affine, which tells where a series lies"):
        segmenter.run(arrays, raw=True)


def test_a_skull_is_taken_off_and_the_mask_kept(phantom, tmp_path, monkeypatch):
    segmenter = Segmenter(keep_probabilities=False)
    monkeypatch.setitem(segmenter._extractors, False, Skull(phantom))
    exam = raw_exam(with_skull(phantom), dict.fromkeys(CLINICAL, (AXIAL, (1.0, 1.0, 1.0), (190, 220, 180))))
    images = {name: nibabel.Nifti1Image(raw.volume.data, raw.affine) for name, raw in exam.series.items()}
    result = segmenter.run(images, raw=True)
    assert not result.warnings
    assert dice(result.labels, labels_on(phantom, exam.series["t1ce"]), label_values=BRATS)["whole tumour"] > 0.88
    brain = (phantom.volumes["t1"] > 0).sum() / 1000
    assert result.brain_mask.sum() / 1000 == pytest.approx(brain, rel=0.02)
    result.save_brain_mask(tmp_path / "brain.nii.gz")
    saved = nibabel.load(tmp_path / "brain.nii.gz")
    assert np.array_equal(np.asanyarray(saved.dataobj), result.brain_mask)
    assert verify(tmp_path / "brain.nii.gz").holds


def test_options_that_are_none_are_refused():
    for options in ({"align": "affine"}, {"grid": "t9"}, {"strip": "yes"}, {"mapping": {"t9": "1"}}):
        with pytest.raises(CaseError, match="is not"):
            RawOptions(**options)


def test_segment_writes_what_was_asked_for(folder, tmp_path, monkeypatch, capsys):
    outputs = ["--preview", "--report", "--brain-mask", "--seg", "--json"]
    assert command(monkeypatch, "segment", folder, "--raw", "-o", tmp_path / "out", *outputs) == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"Exam_7.nii.gz", "Exam_7_seg.dcm", "Exam_7_preview.png", "Exam_7_report.html", "index.html"}
    document = json.loads(capsys.readouterr().out)
    case = document["cases"][0]
    assert case["record"]["raw"]["align"] == "header"
    assert case["seg"] == str(tmp_path / "out" / "Exam_7_seg.dcm")
    assert case["brain"] is None
    assert [*case["timings_ms"]][:5] == ["load", "align", "strip", "inspect", "prepare"]
    segments = pydicom.dcmread(case["seg"])
    assert segments.PatientID == "SECRET-4711"
    assert segments.pixel_array.sum() == (np.asanyarray(nibabel.load(case["labels"]).dataobj) > 0).sum()
    labels = gzip.decompress((tmp_path / "out" / "Exam_7.nii.gz").read_bytes())
    others = [path for path in (tmp_path / "out").iterdir() if path.suffix != ".dcm"]  # which is the patient's
    content = b"".join(path.read_bytes() for path in others) + labels
    for secret in (b"secret", b"19700101", b"mprage"):
        assert secret not in content.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "t1=3", "--seg"], "for raw exams only: --seg, --map; pass --raw too"),
        (["--brain-mask"], "for raw exams only: --brain-mask"),
        (["--raw", "--strip-ensemble", "--no-strip"], "contradict each other"),
        (["--raw", "--map", "t1"], "--map t1: expected MODALITY=SERIES"),
        (["--raw", "--map", "flair=99"], "no series '99' for flair"),
        (["--raw", "--map", "flair=2"], "no series is t2"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, tmp_path, monkeypatch, capsys, arguments, message):
    assert command(monkeypatch, "segment", folder, "-o", tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

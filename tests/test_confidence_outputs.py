"""Entropy and expected Dice where users meet them: results, files, the command line, pages, plans."""

from __future__ import annotations

import dataclasses
import gzip
import json

import heads
import nibabel
import numpy as np
import pytest
from emulated_device import EmulatedDevice, TinyEngine
from models import tiny_model
from plan_files import make_plan
from record_files import head_folder
from report_cases import report_case

from brats_trt import EngineError, Segmenter, segmentation
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.confidence import STRUCTURES, Calibration, Curve, StructureCalibration, entropy
from brats_trt.confidence.fit import with_calibration
from brats_trt.plans.manifest import manifest_path, read_manifest
from brats_trt.records import read_record
from brats_trt.records.verification import verify
from brats_trt.report import case_page, save_report
from brats_trt.segmenter import demo_model

FITTED_ON = "12 phantoms [of] <ours>"
CURVE = Curve(((0.0, 0.0), (1.0, 0.5)))  # half the score
CALIBRATION = Calibration(FITTED_ON, dict.fromkeys(STRUCTURES, StructureCalibration(CURVE, CURVE)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return head_folder(tmp_path_factory.mktemp("cases") / "P1")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("plain") / "tiny.onnx")


@pytest.fixture(scope="module")
def calibrated(plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrated") / "tiny.onnx"
    with_calibration(plain, CALIBRATION, path)
    return path


def halved(result):
    return {name: score.value / 2 for name, score in result.raw_confidence.items()}


# ----------------------------------------------------------------------------------------------------------- results


def test_a_run_computes_nothing_of_it(calibrated, folder, monkeypatch):
    def refuse(_):
        raise AssertionError("computed without being asked for")

    for name in ("entropy", "raw_scores"):
        monkeypatch.setattr(segmentation, name, refuse)
    result = Segmenter(calibrated, precision="fp32").run(folder)
    for attribute in ("entropy", "confidence"):
        with pytest.raises(AssertionError, match="without being asked"):
            getattr(result, attribute)


def test_only_a_model_with_a_calibration_gives_confidence(plain, calibrated, folder):
    without = Segmenter(plain, precision="fp32").run(folder)
    assert (without.calibration, without.confidence) == (None, None)
    result = Segmenter(calibrated, precision="fp32").run(folder)
    assert result.confidence == pytest.approx(halved(result))
    assert set(result.confidence) == set(STRUCTURES) < set(result.volumes_ml)
    np.testing.assert_array_equal(result.labels, without.labels)


def test_the_demo_model_with_a_calibration_gives_its_values(tmp_path):
    path = tmp_path / "demo.onnx"
    with_calibration(demo_model(), CALIBRATION, path)
    result = Segmenter(path, precision="fp32").run(heads.volumes())
    assert result.confidence == pytest.approx(halved(result))


def test_entropy_is_of_the_mean_of_the_mirrored_pair(plain, folder):
    result = Segmenter(plain, precision="fp32", tta=True).run(folder)
    np.testing.assert_array_equal(result.entropy, entropy(result.probabilities))
    assert result.entropy.shape == result.probabilities.shape[1:]
    assert result.entropy.dtype == np.float32


def test_what_was_not_kept_is_refused_and_calibrated_keeps_it_where_it_is_wanted(plain, calibrated, folder):
    dropped = Segmenter(calibrated, precision="fp32", keep_probabilities=False).run(folder)
    for attribute in ("entropy", "raw_confidence", "confidence"):
        with pytest.raises(ValueError, match="keep_probabilities=True"):
            getattr(dropped, attribute)
    wanted = {"precision": "fp32", "keep_probabilities": "calibrated"}
    assert Segmenter(plain, **wanted).run(folder).softmax is None
    assert Segmenter(calibrated, **wanted).run(folder).confidence is not None


def test_a_saved_entropy_lies_on_the_crop_and_is_verified(tmp_path, plain, folder):
    result = Segmenter(plain, precision="fp32").run(folder)
    path = tmp_path / "e.nii.gz"
    result.save_entropy(path)
    saved = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), result.entropy)
    np.testing.assert_allclose(saved.affine, result.crop_affine, rtol=1e-6)
    assert saved.get_data_dtype() == np.float32
    assert b"research use only" in bytes(saved.header["descrip"])
    record = read_record(path)
    assert dataclasses.replace(record, entropy=None) == result.record
    checks = {check.subject: check.status for check in verify(path, folder).checks}
    assert checks["entropy"] == checks["grid"] == "ok"
    changed = np.asarray(saved.dataobj).copy()
    changed[0, 0, 0] += 0.5
    nibabel.save(nibabel.Nifti1Image(changed, None, saved.header), path)
    assert {check.subject for check in verify(path).checks if check.status == "differs"} == {"entropy"}


# ------------------------------------------------------------------------------------------------------ command line


def test_segment_writes_entropy_beside_the_label_map(run, tmp_path, folder, plain):
    given = ("segment", folder, "-o", tmp_path / "out", "--engine", plain, "--precision", "fp32", "--json")
    code, out, err = run(*given, "--entropy")
    assert code == 0, err
    (entry,) = json.loads(out)["cases"]
    assert entry["entropy"] == str(tmp_path / "out" / "P1_entropy.nii.gz")
    assert nibabel.load(entry["entropy"]).shape == (16, 16, 16)
    assert entry["confidence"] is None
    code, _, err = run(*given, "--entropy")
    assert (code, "exists already" in err) == (2, True)
    assert json.loads(run(*given, "--overwrite")[1])["cases"][0]["entropy"] is None


def test_a_failed_case_leaves_no_entropy(run, tmp_path, plain):
    case = head_folder(tmp_path / "P2")
    broken = case / "P1_t2.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-400])
    assert run("segment", case, "-o", tmp_path / "out", "--engine", plain, "--entropy")[0] == 2
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_two_cases_that_would_share_an_entropy_map_are_refused(run, tmp_path, plain):
    cases = [head_folder(tmp_path / name) for name in ("a", "a_entropy")]
    code, _, err = run("segment", *cases, "-o", tmp_path / "out", "--engine", plain, "--entropy")
    assert (code, "would both be written as a_entropy.nii.gz" in err) == (2, True)


def test_segment_prints_expected_dice_only_of_a_calibrated_model(run, tmp_path, folder, plain, calibrated):
    result = Segmenter(calibrated, precision="fp32").run(folder)
    for engine, known in ((plain, False), (calibrated, True)):
        given = ("segment", folder, "-o", tmp_path / f"out{known}", "--engine", engine, "--precision", "fp32")
        code, out, err = run(*given)
        assert code == 0, err
        assert ("Dice to be expected" in out) == (FITTED_ON in out) == known
        entry = json.loads(run(*given, "--json", "--overwrite")[1])["cases"][0]
        assert entry["confidence"] == (pytest.approx(halved(result)) if known else None)
    for value in result.confidence.values():
        assert f"{value:.3f}" in out


# ------------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("known", [False, True])
def test_a_page_shows_expected_dice_only_of_a_calibrated_model(tmp_path, monkeypatch, known):
    monkeypatch.setattr(case_page, "load_viewer", lambda: gzip.compress(b"// the viewer"))
    softmax = np.zeros((1, 4, 8, 8, 8), np.float32)
    softmax[:, 0], softmax[:, 3] = 0.4, 0.6
    result = dataclasses.replace(report_case(), softmax=softmax, calibration=CALIBRATION if known else None)
    save_report(result, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert ("Dice to be expected" in page) == ("12 phantoms [of] &lt;ours&gt;" in page) == known
    assert page.count('data-label="Dice to be expected"') == 5 * known
    assert (">0.38<" in page) == known, "half of 2 * 0.6 / (0.6 + 1)"


# ------------------------------------------------------------------------------------------------------------- plans


def test_a_manifest_carries_a_calibration_where_there_is_one(tmp_path):
    make_plan(tmp_path / "plain.plan")
    assert "calibration" not in json.loads(manifest_path(tmp_path / "plain.plan").read_text())
    assert read_manifest(tmp_path / "plain.plan").calibration is None
    make_plan(tmp_path / "calibrated.plan", calibration=CALIBRATION)
    path = manifest_path(tmp_path / "calibrated.plan")
    assert read_manifest(tmp_path / "calibrated.plan").calibration == CALIBRATION
    document = json.loads(path.read_text())
    document["calibration"]["structures"]["enhancing"]["found"] = [[0.5, 2]]
    path.write_text(json.dumps(document))
    with pytest.raises(EngineError, match="'calibration' does not fit"):
        read_manifest(tmp_path / "calibrated.plan")


def test_a_backend_on_a_gpu_hands_its_calibration_on():
    device = EmulatedDevice()
    options = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4))
    given = {"largest_shape": (48, 48, 48)}
    assert CudaBackend(device, TinyEngine(device), options, **given).calibration is None
    backend = CudaBackend(device, TinyEngine(device), options, calibration=CALIBRATION, **given)
    assert backend.calibration == CALIBRATION


@pytest.mark.parametrize(
    ("asked", "known", "kept"),
    [("calibrated", True, True), ("calibrated", False, False), (True, False, True), (False, True, False)],
)
def test_calibrated_is_decided_by_the_model(asked, known, kept):
    options = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4), keep_probabilities=asked)
    assert options.for_model(CALIBRATION if known else None).keep_probabilities is kept

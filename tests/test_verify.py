"""`brats-trt verify`: what was changed since it was written, and what does not belong together, is found."""

from __future__ import annotations

import dataclasses
import json
import sys

import heads
import nibabel
import numpy as np
import pytest
from cases import save, with_header_fields
from models import tiny_model
from plan_files import make_plan
from record_files import changed, head_folder, image_of, page_of, script_of, stacked

from brats_trt import CaseError, EngineError, Segmenter, cli
from brats_trt.nifti_writer import write_nifti
from brats_trt.plans.manifest import OnnxRecord, file_sha256
from brats_trt.records import read_record
from brats_trt.records.parts import PlanRecord
from brats_trt.records.verification import verify
from brats_trt.spec import MODALITIES


@pytest.fixture
def run(run):
    """Runs `brats-trt verify` in this process: exit code, stdout, stderr."""

    def call(*arguments):
        code, out, err = run("verify", *arguments)
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, precision="fp32", hash_inputs="all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return head_folder(tmp_path_factory.mktemp("cases") / "P1")


@pytest.fixture(scope="module")
def result(segmenter, folder):
    return segmenter.run(folder)


@pytest.fixture
def output(tmp_path, result):
    result.save(tmp_path / "seg.nii")
    return tmp_path / "seg.nii"


def statuses(found):
    return {check.subject: check.status for check in found.checks}


def differing(found):
    assert not found.holds
    return [check for check in found.checks if check.status == "differs"]


def resaved(path, *, labels=None, affine=None):
    """The same header and record around other voxels or on another grid."""
    image = nibabel.load(path)
    data = np.asanyarray(image.dataobj).copy() if labels is None else labels
    changed_image = nibabel.Nifti1Image(data, affine, image.header, dtype=data.dtype)
    write_nifti(changed_image, path, overwrite=True)


# ------------------------------------------------------------------------------------------------ what belongs


def test_an_output_belongs_to_its_inputs_and_its_model(run, output, folder, model):
    code, out, err = run(output, folder, "--engine", model)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines[:7]] == [
        [subject, "ok"] for subject in ("labels", "grid", "t1", "t2", "t1ce", "flair", "model")
    ]
    assert len(lines) == 9, "one line a check, the verdict, the notice"
    assert "seg.nii: as recorded" in out
    assert "not a medical device" in out


def test_what_is_not_given_is_not_checked_and_says_so(run, output):
    code, out, _ = run(output)
    assert code == 0
    assert out.count("not checked") == 2
    assert "--engine" in out


@pytest.mark.parametrize("way", ["files", "shuffled", "named", "mapping", "one path"])
def test_inputs_are_given_in_many_ways(output, folder, way):
    files = {name: folder / f"P1_{name}.nii.gz" for name in MODALITIES}
    given = {
        "files": list(files.values()),
        "shuffled": list(files.values())[::-1],
        "named": [f"{name}={path}" for name, path in files.items()],
        "mapping": files,
        "one path": str(folder),
    }[way]
    assert verify(output, given).holds


def test_a_file_under_another_name_is_the_same_file(tmp_path, output, folder):
    files = {}
    for name in MODALITIES:
        files[name] = tmp_path / f"{name}.volume"
        files[name].write_bytes((folder / f"P1_{name}.nii.gz").read_bytes())
    found = verify(output, files)
    assert found.holds
    assert "t2.volume, recorded as P1_t2.nii.gz" in found.checks[3].finding


def test_a_4d_file_stands_for_all_its_modalities(tmp_path, segmenter):
    path = save(tmp_path / "BRATS_001.nii.gz", stacked(("flair", "t1", "t1ce", "t2")))
    segmenter.run(path).save(tmp_path / "seg.nii.gz")
    assert verify(tmp_path / "seg.nii.gz", [path]).holds
    other = save(tmp_path / "BRATS_002.nii.gz", stacked(("t1", "flair", "t1ce", "t2")))
    assert [check.subject for check in differing(verify(tmp_path / "seg.nii.gz", [other]))] == list(MODALITIES)


def test_probabilities_are_verified_by_their_own_voxels(tmp_path, result, folder):
    path = tmp_path / "p.nii.gz"
    result.save_probabilities(path)
    assert statuses(verify(path, folder)) == dict.fromkeys(("probabilities", "grid", *MODALITIES), "ok") | {
        "model": "not checked"
    }
    voxels = np.asanyarray(nibabel.load(path).dataobj).copy()
    voxels[3, 4, 5, 1] += 1e-6
    resaved(path, labels=voxels)
    assert [check.subject for check in differing(verify(path))] == ["probabilities"]


def test_a_page_is_verified_by_its_record(run, tmp_path, result, folder, model):
    page = tmp_path / "P1.html"
    page.write_text(page_of(script_of(result.record.to_json())))
    code, out, _ = run(page, folder, "--engine", model)
    assert code == 0
    assert "verify the label map" in out
    assert run(page, "--engine", tiny_model(tmp_path / "other.onnx", bias=[0, -1, -2, -3]))[0] == 1


def test_the_document_for_programs_has_every_check_and_the_record(run, output, folder, result, tmp_path):
    code, out, _ = run(output, folder, "--json", "--engine", tiny_model(tmp_path / "o.onnx", bias=[0, -1, -2, -3]))
    document = json.loads(out)
    assert code == 1
    assert document["holds"] is False
    assert document["output"] == str(output)
    assert document["record"] == result.record.document()
    assert {check["subject"]: check["status"] for check in document["checks"]}["model"] == "differs"
    assert document["notice"] == "Research use only, not a medical device."


# ------------------------------------------------------------------------------------------------ what was changed


def test_one_changed_voxel_is_found(run, output, result, folder, model):
    labels = result.labels.copy()
    labels[5, 6, 7] = 4 - labels[5, 6, 7]
    resaved(output, labels=labels)
    code, out, err = run(output, folder, "--engine", model)
    assert (code, err) == (1, "")
    (line,) = [line for line in out.splitlines() if " differs " in line]
    assert line.startswith("labels")
    assert result.record.labels_sha256 in line
    assert "found" in line
    assert "NOT as recorded" in out


def test_voxels_of_another_type_or_scale_are_found(output, result):
    content = output.read_bytes()
    resaved(output, labels=result.labels.astype(np.float32))
    assert "recorded as uint8 without scale, found float32" in differing(verify(output))[0].finding
    output.write_bytes(with_header_fields(content, scl_slope=2.0))
    assert "slope 2" in differing(verify(output))[0].finding


def shifted(affine, by):
    moved = affine.copy()
    moved[1, 3] += by
    return moved


@pytest.mark.parametrize("change", ["shift", "flip", "shape", "unit"])
def test_another_grid_is_found(output, result, change):
    affine, labels = result.affine, None
    if change == "shift":
        affine = shifted(affine, 0.01)
    elif change == "flip":
        affine = affine @ np.diag([-1, 1, 1, 1])
    elif change == "shape":
        labels = result.labels.reshape(result.labels.shape[::-1], order="F")
    resaved(output, affine=affine, labels=labels)
    if change == "unit":
        output.write_bytes(with_header_fields(output.read_bytes(), xyzt_units=3))
    (check,) = differing(verify(output))
    assert check.subject == "grid"
    assert check.finding.startswith("recorded")
    assert "found" in check.finding


def test_what_rounding_moves_is_no_other_grid(output, result):
    resaved(output, affine=shifted(result.affine, 1e-5))
    assert verify(output).holds


@pytest.mark.parametrize("kind", ["sform", "qform"])
def test_a_grid_is_as_recorded_whichever_form_the_input_has(tmp_path, segmenter, kind):
    affine = nibabel.affines.from_matvec(np.diag([-0.9, 1.1, 1.3]), [91.3, -126.7, -72.1])
    images = {}
    for name, volume in heads.volumes().items():
        images[name] = nibabel.Nifti1Image(volume, affine)
        images[name].header["qform_code" if kind == "sform" else "sform_code"] = 0
        images[name].header.set_qform(affine, code=1) if kind == "qform" else None
    segmenter.run(images).save(tmp_path / "seg.nii")
    assert verify(tmp_path / "seg.nii").holds


def test_labels_are_recorded_as_they_are_when_the_record_is_made(tmp_path, segmenter, folder):
    edited = segmenter.run(folder)
    edited.labels[0, 0, 0] = 1
    edited.save(tmp_path / "seg.nii")
    assert verify(tmp_path / "seg.nii").holds
    edited.labels[0, 0, 0] = 2  # after the record was made
    edited.save(tmp_path / "seg.nii", overwrite=True)
    assert [check.subject for check in differing(verify(tmp_path / "seg.nii"))] == ["labels"]


# --------------------------------------------------------------------------------------------- what does not belong


def test_swapped_modalities_are_found_and_named(run, tmp_path, output, folder):
    swapped = tmp_path / "P1"
    swapped.mkdir()
    other = {"t1": "t2", "t2": "t1"}
    for name in MODALITIES:
        content = (folder / f"P1_{name}.nii.gz").read_bytes()
        (swapped / f"P1_{other.get(name, name)}.nii.gz").write_bytes(content)
    code, out, _ = run(output, swapped)
    assert code == 1
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "found P1_t1.nii.gz" in lines["t1"]
    assert "which is recorded as t2" in lines["t1"]
    assert "which is recorded as t1" in lines["t2"]
    assert lines["flair"].split()[1] == "ok"


def test_another_model_is_found(output, tmp_path, model):
    other = tiny_model(tmp_path / "other.onnx", bias=[0, -41, -40, -40])
    (check,) = differing(verify(output, engine=other))
    assert check.subject == "model"
    assert file_sha256(model) in check.finding
    assert file_sha256(other) in check.finding


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        ("plan", "plan", {"model": "ok", "plan": "ok"}),
        ("plan", "rebuilt", {"model": "ok", "plan": "differs"}),
        ("plan", "foreign", {"model": "differs", "plan": "differs"}),
        ("plan", "onnx", {"model": "ok", "plan": "not checked"}),
        ("onnx", "plan", {"model": "ok", "plan": "differs"}),
    ],
)
def test_a_plan_and_its_model_are_compared_apart(tmp_path, result, model, recorded, given, expected):
    own = OnnxRecord(model.name, file_sha256(model))
    plan = make_plan(tmp_path / "a.plan", onnx=own).plan
    if recorded == "plan":
        known = dataclasses.replace(result.provenance.model, plan=PlanRecord(plan.sha256, "tensorrt-rtx", "1.7.1"))
        provenance = dataclasses.replace(result.provenance, model=known)
        result = dataclasses.replace(result, provenance=provenance)
    result.save(tmp_path / "seg.nii")
    if given == "rebuilt":
        make_plan(tmp_path / "b.plan", content=b"another build", onnx=own)
    make_plan(tmp_path / "c.plan", content=b"of another model")
    engine = {"plan": "a.plan", "rebuilt": "b.plan", "foreign": "c.plan"}
    found = verify(tmp_path / "seg.nii", engine=model if given == "onnx" else tmp_path / engine[given])
    assert {name: status for name, status in statuses(found).items() if name in expected} == expected
    assert found.holds == ("differs" not in expected.values())


# ------------------------------------------------------------------------------------------- inputs in memory


@pytest.mark.parametrize("kind", ["arrays", "float64 arrays", "4-D array", "images"])
def test_volumes_given_in_memory_are_found_in_the_files_that_they_came_from(tmp_path, segmenter, folder, kind):
    images = {name: nibabel.load(folder / f"P1_{name}.nii.gz") for name in MODALITIES}
    source = {
        "arrays": {name: np.asarray(image.dataobj) for name, image in images.items()},
        "float64 arrays": {name: image.get_fdata() for name, image in images.items()},
        "4-D array": stacked(),
        "images": images,
    }[kind]
    segmenter.run(source).save(tmp_path / "seg.nii.gz")
    assert verify(tmp_path / "seg.nii.gz").holds
    found = verify(tmp_path / "seg.nii.gz", folder)
    assert found.holds
    assert statuses(found)["t1ce"] == "ok"
    swapped = {name: folder / f"P1_{other}.nii.gz" for name, other in zip(MODALITIES, MODALITIES[::-1], strict=True)}
    assert len(differing(verify(tmp_path / "seg.nii.gz", swapped))) == 4


def test_scaled_images_and_their_values_are_found_in_their_files(tmp_path, segmenter):
    paths = {name: save(tmp_path / f"{name}.nii", v, slope=0.5, intercept=3.0) for name, v in heads.volumes().items()}
    images = {name: nibabel.load(path) for name, path in paths.items()}
    for source in (images, {name: image.get_fdata() for name, image in images.items()}):
        segmenter.run(source).save(tmp_path / "seg.nii", overwrite=True)
        assert verify(tmp_path / "seg.nii", paths).holds


@pytest.mark.parametrize("order", [("flair", "t1", "t1ce", "t2"), MODALITIES])
def test_arrays_are_found_in_a_4d_file(tmp_path, segmenter, order):
    path = save(tmp_path / "BRATS_001.nii", stacked(order))
    source = heads.volumes() if order != MODALITIES else np.asarray(nibabel.load(path).dataobj)
    segmenter.run(source).save(tmp_path / "seg.nii")
    assert verify(tmp_path / "seg.nii", [path]).holds


def test_what_was_not_hashed_cannot_be_said_to_belong(run, tmp_path, model, folder):
    Segmenter(model, precision="fp32", hash_inputs="none").run(folder).save(tmp_path / "seg.nii")
    assert run(tmp_path / "seg.nii")[0] == 0
    code, out, _ = run(tmp_path / "seg.nii", folder)
    assert code == 1
    assert out.count("unknown") == 4
    assert "not to be hashed" in out


# ----------------------------------------------------------------------------------------------------- bad calls


def refused(outcome, message):
    code, out, err = outcome
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert err.count("\n") == 1


def test_an_output_without_a_readable_record_is_refused(run, tmp_path, output, result, folder):
    refused(run(folder / "P1_t1.nii.gz"), "holds no run record")
    refused(run(tmp_path / "none.nii.gz"), "no such file")
    refused(run(tmp_path / "none.html"), "cannot be read")
    refused(run(folder), "not a name of NIfTI")
    newer = json.dumps(changed(result.record.document(), ("schema_version",), 4)).encode()
    nibabel.save(image_of(result, newer), tmp_path / "newer.nii")
    refused(run(tmp_path / "newer.nii"), "is 4; this version of brats_trt reads 3")
    output.write_bytes(output.read_bytes()[:1000])
    refused(run(output), "truncated within the header extensions")


def test_an_output_whose_voxels_cannot_be_read_is_refused(run, output):
    output.write_bytes(output.read_bytes()[:-1])
    refused(run(output), "truncated")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["P1_t1.nii.gz", "P1_t2.nii.gz"], "no input for t1ce, flair; expected a case folder"),
        (["P1_t1.nii.gz", "P1_t1.nii.gz"], "are both t1"),
        (["P1_t1.nii.gz", "notes.txt"], "does not tell its modality"),
        (["none.nii.gz"], "cannot be read"),
        (["t1=a", "t2=b", "t1ce=c", "flair=d"], "cannot be read"),
        ([""], "an empty name"),
    ],
)
def test_inputs_that_are_no_case_are_refused(run, output, inputs, message):
    refused(run(output, *inputs), message)


def test_a_mapping_of_unknown_modalities_is_refused(output):
    with pytest.raises(CaseError, match="'pd' is not a modality"):
        verify(output, {"pd": "a.nii"})


def test_an_engine_that_cannot_be_read_is_refused(run, tmp_path, output):
    refused(run(output, "--engine", tmp_path / "none.onnx"), "cannot be read")
    refused(run(output, "--engine", tmp_path / "none.plan"), "expected an .onnx file, or a plan")
    with pytest.raises(EngineError):
        verify(output, engine=tmp_path / "none.onnx")


def test_names_that_steer_a_terminal_are_printed_as_text(run, tmp_path, segmenter):
    paths = {name: save(tmp_path / f"\x1b[2J\u202e_{name}.nii", v) for name, v in heads.volumes().items()}
    segmenter.run(paths).save(tmp_path / "seg.nii")
    code, out, _ = run(tmp_path / "seg.nii", *(f"{name}={path}" for name, path in paths.items()))
    assert code == 0
    assert "\\x1b[2J\\u202e_t1.nii" in out
    assert "\x1b" not in out


def test_segment_prints_and_writes_the_same_record(run, tmp_path, folder, model, monkeypatch, capsys):
    arguments = ["segment", str(folder), "-o", str(tmp_path / "out"), "--engine", str(model), "--json"]
    monkeypatch.setattr(sys, "argv", ["brats-trt", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    (entry,) = json.loads(capsys.readouterr().out)["cases"]
    assert read_record(entry["labels"]).document() == entry["record"]
    assert run(entry["labels"], folder, "--engine", model)[0] == 0

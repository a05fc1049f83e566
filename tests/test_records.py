"""The run record: what it says, that it says no more, and that it is read back as strictly as it was written."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import platform
import re
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path

import heads
import nibabel
import numpy as np
import pytest
from cases import OBLIQUE, save
from gpu_arrays import InterfaceArray
from models import tiny_model
from record_files import changed, head_folder, image_of, page_of, paths_of, script_of, stacked, without
from volumes import memory_orders

from brats_trt import CaseError, Segmenter, Spec, nifti_content
from brats_trt.case import load_case
from brats_trt.nifti import read_nifti
from brats_trt.records import RunRecord, read_record
from brats_trt.records.hashing import array_sha256, volume_sha256
from brats_trt.records.inputs import input_records
from brats_trt.spec import MODALITIES

ORDER = ("flair", "t2", "t1", "t1ce")
DOCUMENT = Path(__file__).parents[1] / "docs" / "record.md"
FREE = ("timings_ms",)  # objects whose names are not fixed


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, precision="fp32", hash_inputs="all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return head_folder(tmp_path_factory.mktemp("cases") / "Jane_Doe")


@pytest.fixture(scope="module")
def result(segmenter, folder):
    return segmenter.run(folder)


@pytest.fixture(scope="module")
def document(result):
    return result.record.document()


# ----------------------------------------------------------------------------------------------------- what it says


def test_a_record_says_what_came_in_what_ran_and_what_came_out(model, folder):
    before = datetime.now(timezone.utc).replace(microsecond=0)
    spec = Spec(ORDER, "card")
    options = {"tta": True, "min_region": 0.25, "labels": "msd", "strict": True, "missing": "refuse"}
    segmenter = Segmenter(model, precision="fp32", spec=spec, threads=1, **options)
    result = segmenter.run(folder)
    record = result.record
    assert [volume.modality for volume in record.inputs] == list(ORDER)
    for volume in record.inputs:
        assert (volume.kind, volume.name, volume.index) == ("file", f"P1_{volume.modality}.nii.gz", None)
        assert volume.sha256 == sha256((folder / volume.name).read_bytes())
    assert record.grid.shape == heads.SHAPE
    assert np.array_equal(record.grid.affine, result.affine)
    np.testing.assert_allclose(record.grid.voxel_size_mm, nibabel.affines.voxel_sizes(result.affine))
    assert (record.model.sha256, record.model.plan) == (sha256(model.read_bytes()), None)
    assert record.spec == spec
    assert dataclasses.asdict(record.options) == options
    assert Segmenter(model, precision="fp32").run(folder).record.options.strict is False
    runtime = record.runtime
    assert (runtime.name, runtime.device, runtime.precision, runtime.threads) == ("openvino", "cpu", "fp32", 1)
    assert record.versions.numpy == np.__version__
    assert record.versions.openvino is not None
    assert record.versions.cupy is None
    assert before <= datetime.fromisoformat(record.date.replace("Z", "+00:00")) <= before + timedelta(hours=1)
    assert list(record.timings_ms) == list(result.timings_ms)
    assert dataclasses.asdict(record.volumes_ml) == result.volumes_ml
    assert record.labels_sha256 == sha256(result.labels.tobytes("F"))


def test_a_file_exchanged_after_it_was_read_does_not_lend_its_hash(tmp_path, segmenter):
    case = head_folder(tmp_path / "P1")
    files = {path: sha256(path.read_bytes()) for path in case.iterdir()}
    result = segmenter.run(case)
    for path in files:
        path.write_bytes(b"another patient")
    assert {volume.sha256 for volume in result.record.inputs} == set(files.values())


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_hash_is_of_the_whole_file_whatever_of_it_is_read(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(nifti_content, "_PIECE", 4096)
    monkeypatch.setattr(nifti_content, "EXTENSIONS_ALLOWANCE", 0)  # so that not all of a gzip file is read at once
    content = nibabel.Nifti1Image(heads.volumes()["t1"], OBLIQUE).to_bytes()
    members = (content[:100], content[100:352], content[352:], b"after the voxels " * 20)
    path = tmp_path / f"a{ending}"
    path.write_bytes(
        b"".join(map(gzip.compress, members)) + b"tail" * 99_000 if ending == ".nii.gz" else b"".join(members)
    )
    assert read_nifti(path, digest=True).sha256 == sha256(path.read_bytes())
    assert read_nifti(path).sha256 is None


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_that_is_written_to_between_header_and_voxels_is_refused(tmp_path, ending):
    path = save(tmp_path / f"a{ending}", heads.volumes()["t1"])
    with path.open("r+b") as stored:
        content = nifti_content.open_content(path, stored)
        content.start(352)
        stored.seek(9)  # in gzip's header the system, which nobody reads
        stored.write(b"\x07")
        stored.flush()
        content.array(heads.SHAPE, np.dtype(np.int16), 352)
        with pytest.raises(CaseError, match="written to while it was read"):
            content.sha256()


def by_hand(data, *, slope=1.0, intercept=0.0, affine=None):
    """The hash of voxels in memory, as docs/record.md has it."""
    meaning = {
        "affine": affine, "dtype": data.dtype.newbyteorder("<").str, "intercept": intercept,
        "shape": list(data.shape), "slope": slope,
    }  # fmt: skip
    line = json.dumps(meaning, separators=(",", ":")).encode() + b"\n"
    return sha256(line + data.astype(data.dtype.newbyteorder("<")).tobytes("F"))


@pytest.mark.parametrize("name", [name for name, _ in memory_orders(heads.volumes()["t1"])])
def test_the_hash_of_voxels_does_not_know_their_memory_order(name):
    plain = heads.volumes()["t1"]
    stored = dict(memory_orders(plain))[name]
    assert array_sha256(stored) == sha256(plain.tobytes("F"))
    assert volume_sha256(stored, slope=1.0, intercept=0.0, affine=None) == by_hand(plain)


def test_the_hash_of_voxels_knows_all_that_gives_them_meaning():
    data = heads.volumes()["t1"]
    usual = {"slope": 1.0, "intercept": 0.0, "affine": None}
    others = [{"slope": 2.0}, {"intercept": 1.0}, {"affine": np.eye(4)}]
    hashes = {volume_sha256(data, **{**usual, **other}) for other in ({}, *others)}
    hashes |= {volume_sha256(data.reshape(-1, 2, 1), **usual), volume_sha256(data.view(np.uint16), **usual)}
    changed_voxel = data.copy()
    changed_voxel[3, 2, 1] += 1
    hashes.add(volume_sha256(changed_voxel, **usual))
    assert len(hashes) == 7


def test_arrays_are_named_by_kind_and_hashed_by_their_voxels(segmenter):
    volumes = heads.volumes()
    for source, indices in ((volumes, (None,) * 4), (stacked(), (0, 1, 2, 3))):
        for volume, index in zip(segmenter.run(source).record.inputs, indices, strict=True):
            assert (volume.kind, volume.name, volume.index) == ("array", None, index)
            assert volume.sha256 == by_hand(volumes[volume.modality])


def test_images_are_hashed_with_their_geometry_and_scale(tmp_path, segmenter):
    paths = {name: save(tmp_path / f"{name}.nii", v, slope=0.5, intercept=3.0) for name, v in heads.volumes().items()}
    result = segmenter.run({name: nibabel.load(path) for name, path in paths.items()})
    for volume in result.record.inputs:
        data = heads.volumes()[volume.modality]
        assert (volume.kind, volume.name) == ("image", None)
        assert volume.sha256 == by_hand(data, slope=0.5, intercept=3.0, affine=result.affine.tolist())


def test_the_volumes_of_one_file_share_its_hash(tmp_path, segmenter):
    path = save(tmp_path / "BRATS_001.nii.gz", stacked(("flair", "t1", "t1ce", "t2")))
    inputs = {volume.modality: volume for volume in segmenter.run(path).record.inputs}
    assert {name: volume.index for name, volume in inputs.items()} == {"flair": 0, "t1": 1, "t1ce": 2, "t2": 3}
    assert {volume.sha256 for volume in inputs.values()} == {sha256(path.read_bytes())}
    assert {volume.name for volume in inputs.values()} == {"BRATS_001.nii.gz"}


def test_what_lies_on_a_gpu_is_named_and_not_copied_to_be_hashed():
    case = load_case({name: InterfaceArray(volume) for name, volume in heads.volumes().items()})
    named = input_records(case.volumes, MODALITIES, hash_voxels=True, threads=None)
    assert {(volume.kind, volume.sha256) for volume in named} == {("device_array", None)}


def test_arrays_are_hashed_only_where_that_is_wanted(model, folder):
    plain = Segmenter(model, precision="fp32")
    assert [volume.sha256 for volume in plain.run(heads.volumes()).record.inputs] == [None] * 4
    assert None not in [volume.sha256 for volume in plain.run(folder).record.inputs]
    with pytest.raises(ValueError, match=r"hash_inputs 'sha1' is not known; expected one of \['files'"):
        Segmenter(model, hash_inputs="sha1")


def test_inputs_are_not_hashed_where_that_is_not_wanted(model, folder):
    segmenter = Segmenter(model, precision="fp32", hash_inputs="none")
    for source in (folder, heads.volumes()):
        assert [volume.sha256 for volume in segmenter.run(source).record.inputs] == [None] * 4
    assert load_case(folder).volumes["t1"].origin.sha256 is None


def test_threads_that_share_a_segmenter_get_their_own_records(segmenter):
    outcomes = segmenter.run_many([heads.volumes(seed=seed) for seed in range(3)])
    for seed, outcome in enumerate(outcomes):
        hashes = [by_hand(heads.volumes(seed=seed)[name]) for name in MODALITIES]
        assert [volume.sha256 for volume in outcome.result.record.inputs] == hashes


def test_a_result_of_no_segmenter_has_no_record(result):
    with pytest.raises(ValueError, match="no provenance"):
        _ = dataclasses.replace(result, provenance=None).record


def test_the_document_of_fields_has_each_of_them_and_no_other(document):
    whole = changed(document, ("model", "plan"), {"sha256": "", "flavour": "", "library_version": ""})
    whole["probabilities"] = {"shape": [], "affine": [], "sha256": ""}
    whole["entropy"] = whole["brain"] = whole["probabilities"]
    raw = dict.fromkeys(("align", "strip", "grid", "stripped"), "")
    motions = [dict.fromkeys(("modality", "shift_mm", "angle_deg"), "")]
    whole["raw"] = raw | {"working_grid": dict.fromkeys(("shape", "affine", "voxel_size_mm"), ""), "motions": motions}
    named = (tuple(step for step in path if isinstance(step, str)) for path in paths_of(whole))
    fields = {".".join(path) for path in named if path[0] not in FREE or len(path) == 1}
    objects = {name for name in fields if any(other.startswith(f"{name}.") for other in fields)}
    described = re.findall(r"^\| `([a-z0-9_.]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert len(described) == len(set(described))
    described_fields = {name for name in described if name.split(".")[0] in document}
    assert fields - objects <= described_fields <= fields


# ------------------------------------------------------------------------------------------- that it says no more


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
@pytest.mark.parametrize("as_images", [False, True])
def test_nothing_written_names_a_folder_the_machine_or_its_user(tmp_path, model, monkeypatch, as_images):
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(name, "ZZsecretZZ")
    for module, name in ((platform, "node"), (socket, "gethostname"), (socket, "getfqdn")):
        monkeypatch.setattr(module, name, lambda *_: "ZZsecretZZ")
    case = head_folder(tmp_path / "Jane_Doe", dirty=True)
    engine = tiny_model(tmp_path / "ZZsecretZZ.onnx")
    images = {name: nibabel.load(case / f"P1_{name}.nii.gz") for name in MODALITIES}
    result = Segmenter(engine, precision="fp32").run(images if as_images else case)
    assert str(case) in result.warnings[0]
    assert result.record.warnings[0].startswith("P1_t1.nii.gz: t1 has 1 NaN")
    result.save(tmp_path / "seg.nii.gz")
    result.save_probabilities(tmp_path / "p.nii")
    for content in (gzip.decompress((tmp_path / "seg.nii.gz").read_bytes()), (tmp_path / "p.nii").read_bytes()):
        for secret in ("Jane_Doe", str(tmp_path), tmp_path.name, "ZZsecretZZ"):
            assert secret.encode() not in content


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
def test_a_warning_of_a_whole_case_is_recorded_without_its_folders_name(tmp_path, segmenter):
    folder = tmp_path / "Jane_Doe"
    folder.mkdir()
    for name, volume in heads.volumes().items():
        save(folder / f"P1_{name}.nii.gz", volume, np.diag([3.0, 3.0, 3.0, 1.0]))
    result = segmenter.run(folder)
    (warning,) = (text for text in result.warnings if text.startswith("Jane_Doe: the voxels measure 3 x 3 x 3 mm"))
    assert warning.removeprefix("Jane_Doe: ") in result.record.warnings
    assert "Jane_Doe" not in result.record.to_json()


def test_a_record_says_what_it_tells_of_a_patient(document):
    assert document["notice"] == "Research use only, not a medical device."
    assert "identifies a patient" in document["privacy"]


def test_a_name_that_is_not_utf_8_is_recorded_as_text(tmp_path, segmenter):
    paths = {name: save(tmp_path / f"\udcff_{name}.nii", v) for name, v in heads.volumes().items()}
    record = segmenter.run(paths).record
    assert record.inputs[0].name == "\ufffd_t1.nii"
    assert RunRecord.from_json(record.to_json().encode("ascii")) == record


# ----------------------------------------------------------------------------------------------- there and back


def test_a_document_is_plain_json_and_comes_back_equal(result, document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert RunRecord.from_document(document) == result.record
    assert list(document)[:4] == ["schema", "schema_version", "notice", "privacy"]


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_saved_record_is_read_back_and_nibabel_reads_it_too(tmp_path, segmenter, kind, ending):
    result = segmenter.run({name: kind(volume, OBLIQUE) for name, volume in heads.volumes().items()})
    path = tmp_path / f"seg{ending}"
    result.save(path)
    assert read_record(path) == result.record
    (extension,) = nibabel.load(path).header.extensions
    assert extension.get_code() == 6
    content = extension.get_content()
    text = content if isinstance(content, str) else content.decode("ascii")
    assert json.loads(text.rstrip("\0")) == result.record.document()


def test_a_probability_map_carries_the_record_with_its_own_voxels(tmp_path, result):
    result.save_probabilities(tmp_path / "p.nii.gz")
    record = read_record(tmp_path / "p.nii.gz")
    voxels = np.asanyarray(nibabel.load(tmp_path / "p.nii.gz").dataobj)
    assert record.probabilities.sha256 == sha256(voxels.tobytes("F"))
    assert record.probabilities.shape == voxels.shape
    assert dataclasses.replace(record, probabilities=None) == result.record


def test_outputs_of_two_runs_differ_in_date_and_times_only(tmp_path, segmenter, folder):
    first, second = segmenter.run(folder), segmenter.run(folder)
    provenance = dataclasses.replace(second.provenance, date=first.provenance.date)
    same = dataclasses.replace(second, timings_ms=first.timings_ms, provenance=provenance)
    for name, result in (("a", first), ("b", same)):
        result.save(tmp_path / f"{name}.nii.gz")
        result.save_probabilities(tmp_path / f"{name}_p.nii.gz")
    for ending in (".nii.gz", "_p.nii.gz"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


@pytest.mark.parametrize("endianness", ["<", ">"])
def test_a_record_is_found_among_other_extensions(tmp_path, result, endianness):
    text = result.record.to_json().encode()
    noise = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()  # past what is read at first
    header = nibabel.Nifti1Header(endianness=endianness)
    for code, content in ((6, noise), (6, b"a comment"), (6, b'{"schema": "another"}'), (6, text), (4, text)):
        header.extensions.append(nibabel.nifti1.Nifti1Extension(code, content))
    image = nibabel.Nifti1Image(result.labels, result.affine, header)
    assert image.header.endianness == endianness
    nibabel.save(image, tmp_path / "seg.nii.gz")
    assert read_record(tmp_path / "seg.nii.gz") == result.record


def test_a_page_gives_its_record_back_whatever_text_is_in_it(tmp_path, result):
    hostile = ("</script><script>alert(1)</script>", "<!--", "&amp;", "\u2028\x1b[31m")
    record = dataclasses.replace(result.record, warnings=hostile)
    assert not set("<>&") & set(record.to_json())
    other = '<script>const decoy = \'<script type="application/json" id="run-record">{}\';</script>'
    page = page_of(other, script_of(record.to_json()), '<script id="run-record-table">{}</script>')
    (tmp_path / "P1.html").write_text(page)
    assert read_record(tmp_path / "P1.html") == record


# ------------------------------------------------------------------------------------------------ strictly


def refused(call, *arguments, match):
    with pytest.raises(CaseError, match=match) as fault:
        call(*arguments)
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 1000


def test_a_record_lacks_no_entry_anywhere(document):
    lists = {path for path in paths_of(document) if isinstance(path[-1], int)}
    free = {path for path in paths_of(document) if path[0] in FREE and len(path) > 1}
    for path in set(paths_of(document)) - lists - free:
        refused(
            RunRecord.from_document, without(document, path), match="is missing|expected 'brats_trt.run_record'|is None"
        )
    fixed = {path for path in lists if path[0] in ("inputs", "grid", "spec")}
    assert len(fixed) > 20
    for path in fixed:
        refused(
            RunRecord.from_document, without(document, path), match="entries; expected|the inputs are|the modalities"
        )


def test_a_record_has_no_unknown_entry_anywhere(document):
    objects = [(), *(path for path in paths_of(document) if isinstance(value_at(document, path), dict))]
    for path in objects:
        if path[:1] not in [(name,) for name in FREE]:
            refused(RunRecord.from_document, changed(document, (*path, "extra"), 1), match="extra' is not known")


def value_at(document, path):
    for step in path:
        document = document[step]
    return document


@pytest.mark.parametrize("value", [{"a": 1}, [[]], True, 7.5, "\x00"], ids=str)
def test_no_entry_takes_what_is_of_another_type(document, value):
    """But where a value is of the right type by chance."""
    tried = 0
    for path in paths_of(document):
        old = value_at(document, path)
        text = isinstance(old, str) and isinstance(value, str)
        number = isinstance(old, (int, float)) and not isinstance(old, bool) and isinstance(value, float)
        if type(old) is type(value) or text or number or old is None:
            continue
        tried += 1
        refused(RunRecord.from_document, changed(document, path, value), match="run record is not readable")
    assert tried > 30


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), "another", "expected 'brats_trt.run_record'"),
        (("schema_version",), 4, "is 4; this version of brats_trt reads 3.*update brats_trt"),
        (("schema_version",), 2, "is 2; this version of brats_trt reads 3"),
        (("schema_version",), "1", "expected an integer"),
        (("date",), "yesterday", "expected a time such as"),
        (("inputs", 0, "name"), "/home/jane/P1_t1.nii.gz", "that of a file, without folder"),
        (("inputs", 0, "name"), "", "that of a file, without folder"),
        (("inputs", 0, "name"), "x" * 256, "that of a file, without folder"),
        (("inputs", 0, "name"), None, "name of files only"),
        (("inputs", 0, "kind"), "array", "name of files only"),
        (("inputs", 0, "index"), 4, "expected 0 to 3"),
        (("inputs", 0, "sha256"), "0" * 63, "64 hexadecimal digits"),
        (("inputs", 0, "modality"), "t2", "the spec's order"),
        (("spec", "modalities"), ["t1", "t1", "t1ce", "flair"], "each of"),
        (("grid", "shape", 0), 0, "positive"),
        (("grid", "affine", 0, 0), 1e400, "stands for a number"),
        (("grid", "voxel_size_mm", 0), 99.0, "beside an affine"),
        (("model", "sha256"), "X" * 64, "64 hexadecimal digits"),
        (("model", "plan"), {"sha256": "0" * 64, "flavour": "other", "library_version": "1"}, "expected one of"),
        (("options", "min_region"), 1.5, "a share from 0 to 1"),
        (("options", "labels"), ["brats"], "expected one of"),
        (("runtime", "threads"), 0, "1 or more"),
        (("runtime", "name"), "\x1b[2J", "no name or version"),
        (("versions", "numpy"), "2\n3", "no name or version"),
        (("timings_ms", "infer"), "fast", "stands for a number"),
        (("timings_ms", "infer"), -1.0, "at least 0"),
        (("volumes_ml", "oedema"), -0.5, "at least 0"),
        (("labels_sha256",), "", "64 hexadecimal digits"),
        (("\x1b]0;" * 10000,), 1, "is not known"),
    ],
)
def test_a_value_that_cannot_be_is_refused(document, path, value, message):
    refused(RunRecord.from_document, changed(document, path, value), match=message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "Infinity is no number"),
        (b'{"schema": 1, "schema": 2}', "a name twice"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b" " * (2**20 + 1), "1048577 bytes; expected at most 1048576"),
    ],
)
def test_a_text_that_is_no_record_is_refused(text, message):
    refused(RunRecord.from_json, text, match=message)


# ------------------------------------------------------------------------------------------ files without a record


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("texts", [(), (b"a comment",), (b'{"software": "brats_trt"}',), (b"\0" * 16,)])
def test_a_nifti_without_a_record_is_refused(tmp_path, result, texts, ending):
    nibabel.save(image_of(result, *texts), tmp_path / f"seg{ending}")
    refused(read_record, tmp_path / f"seg{ending}", match="holds no run record; expected one")


def test_a_nifti_with_two_records_is_refused(tmp_path, result):
    text = result.record.to_json().encode()
    nibabel.save(image_of(result, text, text), tmp_path / "seg.nii")
    refused(read_record, tmp_path / "seg.nii", match="holds 2 run records")


@pytest.mark.parametrize("code", [0, 4, 40])
def test_a_record_under_another_code_is_none(tmp_path, result, code):
    nibabel.save(image_of(result, result.record.to_json().encode(), code=code), tmp_path / "seg.nii")
    refused(read_record, tmp_path / "seg.nii", match="no run record")


def test_an_extension_that_ends_early_is_refused_at_every_byte(tmp_path, result):
    result.save(tmp_path / "seg.nii")
    content = (tmp_path / "seg.nii").read_bytes()
    (length,) = np.frombuffer(content[108:112], np.float32).astype(int)  # vox_offset
    for kept in (*range(352, 364), length // 2, length - 1):
        (tmp_path / "cut.nii").write_bytes(content[:kept])
        refused(read_record, tmp_path / "cut.nii", match="truncated within the header extensions")
        (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(content[:kept]))
        refused(read_record, tmp_path / "cut.nii.gz", match="truncated within the header extensions")


@pytest.mark.parametrize("length", [-16, 0, 7, 2**20, 2**31 - 1])
def test_an_extension_of_an_impossible_length_is_refused(tmp_path, result, length):
    result.save(tmp_path / "seg.nii")
    content = bytearray((tmp_path / "seg.nii").read_bytes())
    content[352:356] = length.to_bytes(4, "little", signed=True)
    (tmp_path / "seg.nii").write_bytes(bytes(content))
    refused(read_record, tmp_path / "seg.nii", match="the header extension at byte 352 has")


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("", "no run record"),
        (page_of("<script>let a = 1;</script>"), "no run record"),
        (page_of(script_of("{}"), script_of("{}")), "2 run records"),
        (page_of(script_of("{}")), "expected 'brats_trt.run_record'"),
        (page_of(script_of("[")), "not JSON"),
        (page_of('<script id="run-record">{'), "does not end"),
        (page_of(script_of(" " * (2**20 + 1))), "does not end"),
        ("<script" * 100_000, "no run record"),
    ],
)
def test_a_page_without_one_readable_record_is_refused(tmp_path, page, message):
    (tmp_path / "P1.html").write_text(page)
    refused(read_record, tmp_path / "P1.html", match=message)


def test_a_page_that_cannot_be_read_is_refused(tmp_path):
    refused(read_record, tmp_path / "none.html", match="cannot be read")
    refused(read_record, tmp_path / "a\0.html", match="cannot be read")
    refused(read_record, tmp_path, match="not a name of NIfTI")

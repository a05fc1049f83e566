"""Which series of an exam is which modality; exams that cannot be right; `brats-trt series`."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_exams.dicom import USUAL, Room, changed, recompress, write_enhanced, write_series
from test_exam_geometry import OBLIQUE, affine_of, orthonormal, volume_of
from typer.testing import CliRunner

from brats_trt import CaseError
from brats_trt.cli import app, main
from brats_trt.exam import read_exam, rules
from brats_trt.exam.header import Acquisition
from brats_trt.exam.rules import recognise

SAGITTAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
GRIDS = {
    "t1": ((20, 22, 16), affine_of(SAGITTAL, (1, 1, 1))),
    "t2": ((24, 24, 11), affine_of(np.eye(3), (0.9, 0.9, 5))),
    "t1ce": ((20, 22, 16), affine_of(SAGITTAL, (1, 1, 1), (-30.0, 17.0, 4.0))),
    "flair": ((18, 20, 12), affine_of(orthonormal(OBLIQUE), (1, 1, 3))),
}


def write_exam(room, *, without=()):
    """Four series on four grids, with a localiser, a derived series and what is no DICOM among them."""
    volumes = {}
    for number, (modality, (shape, affine)) in enumerate(GRIDS.items(), start=2):
        if modality in without:
            continue
        volumes[modality] = volume_of(shape=shape, seed=number)
        write = write_enhanced if modality == "t2" else write_series
        write(room, volumes[modality], affine, number=number, **USUAL[modality])
    for directions in (np.eye(3), SAGITTAL):
        localiser = {"SeriesDescription": "AAHead_Scout", "SeriesInstanceUID": "1.2.9"}
        write_series(room, volume_of(shape=(16, 16, 3)), affine_of(directions, (1, 1, 20)), number=1, **localiser)
    derived = USUAL["t1ce"] | {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
    write_series(room, volume_of(), affine_of(np.eye(3), (1, 1, 1)), number=9, **derived)
    (room.folder / "notes.txt").write_text("no DICOM\n")
    return volumes


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path / "exam")


def test_the_four_series_are_found_by_rules_and_loaded(room):
    volumes = write_exam(room)
    exam = read_exam(room.folder)
    assert exam.passed_over == 1
    chosen = exam.chosen()
    assert {modality: entry.description for modality, entry in chosen.items()} == {
        modality: USUAL[modality]["SeriesDescription"] for modality in ("t1", "t2", "t1ce", "flair")
    }
    for modality, entry in chosen.items():
        volume, affine = exam.load(entry)
        assert np.isin([volume.data[..., 0], volume.data[..., -1]], volumes[modality]).all()
        assert sorted(volume.data.shape) == sorted(GRIDS[modality][0])
        assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), np.linalg.norm(GRIDS[modality][1][:3, :3], axis=0))
    reasons = [entry.recognition.reason for entry in exam.series if entry.recognition.modality is None]
    assert reasons == ["a localiser, by “aahead”"] * 2 + ["derived from other images (derived/secondary/mpr)"]


GRE = Acquisition(repetition_ms=1900, echo_ms=3, inversion_ms=900, flip_deg=9)
SE = Acquisition(repetition_ms=600, echo_ms=12)
TSE = Acquisition(repetition_ms=5000, echo_ms=100)
DARK = Acquisition(repetition_ms=9000, echo_ms=120, inversion_ms=2500)


@pytest.mark.parametrize(
    ("seen", "words", "modality"),
    [
        (GRE, "t1_mprage_sag_p2_iso", "t1"),
        (GRE, "t1_mprage_sag_p2_iso +KM", "t1ce"),
        (GRE, "MPRAGE nach KM", "t1ce"),
        (GRE, "MPRAGE ohne KM", "t1"),
        (GRE, "Ax 3D BRAVO +C", "t1ce"),
        (GRE, "SAG FSPGR POST GAD", "t1ce"),
        (GRE, "sT1W_3D_TFE", "t1"),
        (GRE, "sT1W_3D_TFE GADO", "t1ce"),
        (GRE, "3D T1 post-op", "t1"),
        (GRE, "3D T1 pre-op KM", "t1ce"),
        (GRE, "T1 sans injection", "t1"),
        (GRE, "T1 injecté", "t1ce"),
        (SE, "AX T1 SE pre contrast", "t1"),
        (SE, "T1CE", "t1ce"),
        (SE, "T1_se_tra nativ", "t1"),
        (replace(SE, repetition_ms=2200, inversion_ms=850), "Ax T1 FLAIR", "t1"),
        (TSE, "t2_tse_tra_320", "t2"),
        (TSE, "AX T2 FRFSE", "t2"),
        (replace(TSE, echo_ms=400), "T2 SPACE sag", "t2"),
        (DARK, "t2_tirm_tra_dark-fluid", "flair"),
        (DARK, "3D FLAIR CUBE", "flair"),
        (DARK, "sT2W_FLAIR", "flair"),
        (DARK, "FLAIR post contrast", "flair"),
        (DARK, "Tra", "flair"),
        (SE, "Tra", "t1"),
        (replace(SE, contrast_agent=True), "AX T1", "t1ce"),
        # none of the four
        (TSE, "ep2d_diff_b1000", None),
        (TSE, "ADC map", None),
        (replace(GRE, echo_ms=20), "t2*_gre", None),
        (GRE, "SWI_Images", None),
        (GRE, "TOF_3D_multi-slab", None),
        (GRE, "Subtraktion T1", None),
        (GRE, "localizer", None),
        (GRE, "ep2d_perf_dsc", None),
        (replace(TSE, echo_ms=20), "PD TSE", None),
        # in doubt
        (TSE, "T1 SE", None),
        (SE, "T2 TSE", None),
        (TSE, "FLAIR", "flair"),
        (replace(TSE, inversion_ms=160), "FLAIR", None),
        (TSE, "Tra", None),
        (Acquisition(), "series 5", None),
        (Acquisition(), "", None),
        (replace(SE, contrast_agent=True), "T1 pre contrast", None),
        (replace(GRE, image_type=("DERIVED", "PRIMARY")), "t1_mprage", None),
    ],
)
def test_names_and_times_tell_a_modality(seen, words, modality):
    found = recognise(replace(seen, words=words))
    assert found.modality == modality, found.reason
    assert found.reason


def test_the_users_choice_stands_over_the_rules(room):
    write_exam(room)
    numbers = {entry.description: entry.number for entry in read_exam(room.folder).series}
    exam = read_exam(room.folder, {"t1ce": "t1_mprage_sag", "t1": str(numbers["t1_mprage_sag +KM"])})
    assert exam.chosen()["t1ce"].description == "t1_mprage_sag"
    assert exam.chosen()["t1"].recognition.reason == "mapped by the user"
    uid = exam.chosen()["flair"].uid
    alone = read_exam(room.folder, {"t2": uid, "flair": uid.replace(uid, str(numbers["T2 TSE ax"]))})
    assert alone.chosen()["flair"].description == "T2 TSE ax"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"t1ce": "77"}, "no series '77' for t1ce: give a number"),
        ({"t1ce": ""}, "no series '' for t1ce"),
        ({"t9": "1"}, "'t9' is not a modality"),
        ({"t1": "4", "t2": "4"}, "one series is mapped to two modalities"),
        ({"t1": "4", "t1n": "5"}, "t1 is mapped twice"),
        ({"t1": "1"}, "series 1 cannot be t1: a localiser, by “aahead”; choose another"),
        ({"t1": "1.2.9"}, "2 series are '1.2.9' for t1 .number 1, number 2.: give a number"),
    ],
)
def test_a_choice_that_is_none_is_refused(room, mapping, message):
    write_exam(room)
    with pytest.raises(CaseError, match=message):
        read_exam(room.folder, mapping)


def _mixed_up(room):
    Room(room.folder, identifier="4712", study=room.study).save(_any(room))


def _two_exams(room):
    changed(next(path for path in sorted(room.folder.rglob("*")) if path.suffix == ".IMA"), StudyInstanceUID="1.2.3")


def _any(room):
    dataset = Room(room.folder, identifier="4712", study=room.study).dataset("1.2.840.10008.5.1.4.1.1.4", 1, "1.2.3")
    dataset.Modality = "MR"
    return dataset


def _two_candidates(room):
    shape, affine = GRIDS["flair"]
    write_series(room, volume_of(shape=shape), affine, number=12, **USUAL["flair"])


def _truncated(room):
    path = sorted(path for path in room.folder.rglob("*") if path.suffix == ".IMA")[0]
    path.write_bytes(path.read_bytes()[:600])


def _late_native(room):
    for path in room.folder.rglob("*"):
        if path.is_file() and path.suffix != ".txt":
            changed_description(path)


def changed_description(path):
    import pydicom

    if str(pydicom.dcmread(path).get("SeriesDescription", "")) == "t1_mprage_sag":
        changed(path, AcquisitionTime="235900")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_mixed_up, "the files are of 2 patients"),
        (_two_exams, "the files are of 2 exams"),
        (_two_candidates, r"2 series can be flair: 6 \(18x20x12 of 1x1x3 mm\); 8 .*--map flair=6"),
        (_truncated, "a damaged DICOM file: copy the exam again"),
        (_late_native, "series 3 looks like t1, but was acquired after series 5"),
    ],
)
def test_an_exam_that_cannot_be_right_is_refused(room, spoil, message):
    write_exam(room)
    spoil(room)
    with pytest.raises(CaseError, match=message) as refused:
        read_exam(room.folder).chosen()
    assert "\n" not in str(refused.value)
    assert "4711" not in str(refused.value)


def test_a_missing_modality_and_an_exam_of_localisers_alone_are_refused(room, tmp_path):
    write_exam(room, without=("flair", "t2"))
    with pytest.raises(CaseError, match=r"no series is t2, flair; of 5 series 3 is t1, 4 is t1ce, 3 are none: "):
        read_exam(room.folder).chosen()
    assert set(read_exam(room.folder).chosen(incomplete=True)) == {"t1", "t1ce"}
    alone = Room(tmp_path / "alone")
    write_series(alone, volume_of(shape=(16, 16, 3)), affine_of(np.eye(3), (1, 1, 20)), SeriesDescription="t1 fast")
    with pytest.raises(CaseError, match="no series is t1, t2, t1ce, flair; of 1 series 1 are none"):
        read_exam(alone.folder).chosen(incomplete=True)


def test_folders_without_dicom_are_refused(tmp_path):
    with pytest.raises(CaseError, match="no such folder"):
        read_exam(tmp_path / "none")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(CaseError, match="1 files, none of them DICOM"):
        read_exam(tmp_path)


def test_pixels_that_end_too_early_are_refused_with_the_headers(room):
    paths = write_series(room, volume_of(), affine_of(np.eye(3), (1, 1, 2)), **USUAL["t2"])
    paths[3].write_bytes(paths[3].read_bytes()[:-50])
    with pytest.raises(CaseError, match=f"{paths[3]}: a damaged DICOM file: copy the exam again"):
        read_exam(room.folder)


def test_compressed_pixels_that_end_too_early_are_refused(room):
    paths = write_series(room, volume_of(), affine_of(np.eye(3), (1, 1, 2)), **USUAL["t2"])
    recompress(paths[3], "JPEG2000Lossless")
    paths[3].write_bytes(paths[3].read_bytes()[:-80])
    exam = read_exam(room.folder)
    with pytest.raises(CaseError, match=f"{paths[3]}: its pixels cannot be decoded"):
        exam.load(exam.series[0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 20))
def test_damaged_files_raise_nothing_but_case_errors(tmp_path_factory, seed, cuts):
    dice = random.Random(seed)
    room = Room(tmp_path_factory.mktemp("damaged"))
    write = dice.choice([write_series, write_enhanced])
    write(room, volume_of(shape=(4, 4, 10)), affine_of(np.eye(3), (1, 1, 2)), **USUAL["t2"])
    paths = sorted(path for path in room.folder.rglob("*") if path.is_file())
    path = dice.choice(paths)
    content = bytearray(path.read_bytes())
    for _ in range(cuts):
        content[dice.randrange(132, len(content))] = dice.randrange(256)
    path.write_bytes(content[: dice.choice([len(content), dice.randrange(len(content))])])
    with suppress(CaseError):
        exam = read_exam(room.folder)
        for entry in exam.series:
            if entry.stack is not None:
                volume, affine = exam.load(entry)
                assert volume.data.shape == entry.stack.shape
                assert np.isfinite(affine).all()


def test_series_shows_what_was_understood_and_nothing_of_the_patient(room, tmp_path):
    write_exam(room)
    target = tmp_path / "series.json"
    done = CliRunner().invoke(app, ["series", str(room.folder), "--json", str(target)], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    for word in (
        "t1_mprage_sag +KM",
        "20x22x16 of 1x1x1 mm",
        "a localiser",
        "passed over: 1.",
        "Research use",
    ):
        assert word in done.output
    written = target.read_text()
    for secret in ("Doe", "Jane", "4711", "19700101"):
        assert secret not in done.output + written
    assert "mprage_sag" not in written
    document = json.loads(written)
    assert [entry["modality"] for entry in document["series"]] == [None, None, "t1", "t2", "t1ce", "flair", None]
    assert document["series"][3]["shape"] == [24, 24, 11]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "t1ce"], "--map t1ce: expected MODALITY=SERIES, such as t1ce=5"),
        (["--map", "t1=4", "--map", "t1=3"], "--map t1=3: t1 is mapped already"),
        (["--map", "t1=5"], "no series is t1ce"),
    ],
)
def test_series_says_in_one_line_what_is_wrong(room, arguments, message, monkeypatch, capsys):
    write_exam(room)
    monkeypatch.setattr("sys.argv", ["brats-trt", "series", str(room.folder), *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    lines = capsys.readouterr().err.strip().splitlines()
    assert (stopped.value.code, len(lines)) == (2, 1)
    assert lines[0].startswith("brats-trt: ")
    assert message in lines[0]


def _row(*cells):
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _rules():
    named = [(rule.meaning, rule) for rule in rules.OTHERS]
    named += [(f"**{weighting}**: {rule.meaning}", rule) for weighting, rule in rules.WEIGHTINGS]
    named += [(f"a T1 {rule.meaning}", rule) for rule in (rules.WITHOUT_AGENT, rules.WITH_AGENT)]
    rows = [_row(meaning, ", ".join(f"`{pattern}`" for pattern in rule.patterns)) for meaning, rule in named]
    return _row("means", "words, as regular expressions") + _row("---", "---") + "".join(rows)


def _timings():
    rows = [_row(rule.weighting, rule.meaning) for rule in rules.TIMINGS]
    return _row("weighting", "times") + _row("---", "---") + "".join(rows)


@pytest.mark.parametrize(("name", "table"), [("rules", _rules), ("timings", _timings)])
def test_the_documentation_has_the_rules_as_they_are(name, table):
    text = (Path(__file__).parents[1] / "docs" / "dicom.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->\n\n{table()}\n<!-- end of {name} -->\n" in text

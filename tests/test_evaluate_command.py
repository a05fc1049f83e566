"""`brats-trt evaluate`: tables, JSON, CSV and plot; schemes; and input that is refused with nothing written."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from blobs import affine, classes, rotation
from cases import save
from PIL import Image

from brats_trt import CaseError
from brats_trt.evaluation import Options, evaluate
from brats_trt.evaluation.scores import METRICS, score
from brats_trt.metrics import STRUCTURES
from brats_trt.spec import LABEL_VALUES

NOTICE = "Research use only, not a medical device."
GRID = affine((0.8, 1.5, 3.0), turn=rotation())
NAMES = ("P1", "P2", "P3")


def label_map(path, seed, scheme="brats", grid=GRID, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, np.asarray(LABEL_VALUES[scheme], dtype)[classes(seed)], grid)


@pytest.fixture
def folders(tmp_path):
    """Three predictions as `segment` writes them, three BraTS case folders."""
    for seed, name in enumerate(NAMES):
        label_map(tmp_path / "out" / f"{name}.nii.gz", seed)
        label_map(tmp_path / "data" / name / f"{name}_seg.nii.gz", seed + 50)
    return tmp_path / "out", tmp_path / "data"


@pytest.fixture
def run(run):
    """Runs `brats-trt evaluate` in this process: exit code, stdout, stderr."""
    return partial(run, "evaluate")


def assert_refused(outcome, message):
    code, out, err = outcome
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out
    (line,) = [line for line in err.splitlines() if not line.startswith("scoring")]
    assert line.startswith("brats-trt: ")
    assert not out


def test_the_tables_state_the_scores_and_the_conventions(run, folders):
    code, out, err = run(*folders)
    assert code == 0, err
    for word in (*NAMES, *STRUCTURES, "Mean", "Median", "Standard deviation", NOTICE, "HD95 mm", "error ml"):
        assert word in out
    assert "empty: brats: both empty: Dice 1, HD95 0" in out
    assert "hd95: max: the greater of the two directions' 95th percentiles" in out
    assert "standard deviation: of the sample" in out
    assert re.search(r"Published by others .*not measured here", out)
    assert re.search(r"card, Decathlon +0\.924 +- +0\.727 +0\.715 +0\.821", out)
    assert "Cases that count" not in out, "all count"
    assert (
        max(map(len, out.splitlines()[: out.splitlines().index("labels: predictions brats, references brats")])) <= 84
    )


def test_json_has_every_score_every_statistic_and_how_they_came_about(run, folders, tmp_path):
    code, _, err = run(*folders, "--json", tmp_path / "e.json")
    assert code == 0, err
    document = json.loads((tmp_path / "e.json").read_text())
    assert document["schema_version"] == 1
    assert document["notice"] == NOTICE
    assert document["options"] == {"labels": "brats", "reference_labels": "brats", "empty": "brats", "hd95": "max"}
    assert [case["case"] for case in document["cases"]] == list(NAMES)
    keys = [structure.replace(" ", "_") for structure in STRUCTURES]
    for seed, case in enumerate(document["cases"]):
        expected = score(classes(seed), classes(seed + 50), GRID)
        assert list(case["structures"]) == keys
        assert case["structures"]["tumour_core"]["hd95_mm"] == pytest.approx(expected["tumour core"].hd95_mm, rel=1e-5)
        assert case["structures"]["oedema"]["dice"] == expected["oedema"].dice
    statistics = document["summary"]["whole_tumour"]["dice"]
    dice = [case["structures"]["whole_tumour"]["dice"] for case in document["cases"]]
    assert statistics == pytest.approx(
        {"n": 3, "mean": np.mean(dice), "median": np.median(dice), "standard_deviation": np.std(dice, ddof=1)}
    )
    assert set(document["summary"]["oedema"]) == set(METRICS)
    assert document["published"]["dice"][0]["whole_tumour"] == 0.924
    assert document["published"]["dice"][0]["tumour_core"] is None


def test_every_field_of_the_json_is_documented(run, folders, tmp_path):
    run(*folders, "--json", tmp_path / "e.json")
    text = (Path(__file__).parents[1] / "docs" / "evaluate.md").read_text()

    def names(value):
        if isinstance(value, dict):
            for key, entry in value.items():
                yield key
                yield from names(entry)
        elif isinstance(value, list):
            for entry in value:
                yield from names(entry)

    found = set(names(json.loads((tmp_path / "e.json").read_text())))
    assert not {name for name in found if f"`{name}`" not in text}


def test_csv_has_the_same_numbers_as_the_json(run, folders, tmp_path):
    run(*folders, "--json", tmp_path / "e.json", "--csv", tmp_path / "e.csv", "--empty", "exclude")
    document = json.loads((tmp_path / "e.json").read_text())
    rows = list(csv.DictReader(StringIO((tmp_path / "e.csv").read_text())))
    assert len(rows) == 3 * 5 + 4 * 5
    for row in rows:
        if row["row"] == "case":
            (case,) = [case for case in document["cases"] if case["case"] == row["case"]]
            expected = case["structures"][row["structure"]]
        else:
            by_metric = document["summary"][row["structure"]]
            expected = {metric: statistics[row["row"]] for metric, statistics in by_metric.items()}
        for metric in METRICS:
            assert row[metric] == ("" if expected[metric] is None else str(expected[metric]))


def test_the_plot_is_a_picture_and_nothing_else_is_written(run, folders, tmp_path):
    before = {path.name for path in tmp_path.iterdir()}
    code, _, err = run(*folders, "--plot", tmp_path / "e.png", "--csv", tmp_path / "e.csv")
    assert code == 0, err
    with Image.open(tmp_path / "e.png") as picture:
        assert min(picture.size) > 1000
    assert {path.name for path in tmp_path.iterdir()} == before | {"e.png", "e.csv"}


@pytest.mark.parametrize("labels", LABEL_VALUES)
@pytest.mark.parametrize("reference_labels", LABEL_VALUES)
def test_schemes_are_converted_by_name(tmp_path, labels, reference_labels):
    prediction = label_map(tmp_path / "a.nii", 0, labels, dtype=np.float32)
    reference = label_map(tmp_path / "b.nii", 50, reference_labels, dtype=np.int16)
    options = Options(labels=labels, reference_labels=reference_labels)
    (case,) = evaluate(prediction, reference, options).cases
    expected = score(classes(0), classes(50), GRID)
    for structure, scores in case.structures.items():
        assert scores.dice == expected[structure].dice
        assert scores.hd95_mm == pytest.approx(expected[structure].hd95_mm, rel=1e-5), "NIfTI keeps affines in float32"


def test_the_references_scheme_is_the_predictions_unless_it_is_named(run, tmp_path):
    prediction = label_map(tmp_path / "a.nii", 0, "brats2023")
    reference = label_map(tmp_path / "b.nii", 0, "brats2023")
    code, out, err = run(prediction, reference, "--labels", "brats2023")
    assert code == 0, err
    assert re.search(r"^b +1\.000 +1\.000 +1\.000 +1\.000 +1\.000$", out, re.MULTILINE)
    assert_refused(run(prediction, reference, "--labels", "brats2023", "--reference-labels", "brats"), "b.nii")


def test_slope_and_intercept_are_applied(tmp_path):
    stored = np.asarray(LABEL_VALUES["brats"])[classes(0)]
    prediction = save(tmp_path / "a.nii", (10 * stored + 3).astype(np.int16), GRID, slope=0.1, intercept=-0.3)
    (case,) = evaluate(prediction, label_map(tmp_path / "b.nii", 0)).cases
    assert {scores.dice for scores in case.structures.values()} == {1.0}


def test_cases_that_do_not_count_are_told(run, folders):
    save(folders[0] / "P2.nii.gz", np.where(classes(1) == 3, 0, classes(1)).astype(np.uint8), GRID)
    code, out, _ = run(*folders, "--empty", "exclude")
    assert code == 0
    assert "Cases that count, of 3" in out
    assert re.search(r"enhancing +3 +2 +3 +3 +3 +3", out)
    assert "empty: exclude: both empty: not counted" in out
    assert "Cases that count" not in run(*folders)[1]


def test_cases_of_one_side_are_refused_or_left_out_and_listed(run, folders):
    (folders[0] / "P2.nii.gz").unlink()
    assert_refused(run(*folders), "references without a prediction (P2)")
    code, out, _ = run(*folders, "--common")
    assert code == 0
    assert "left out, since only one side has them: P2" in out


def fault_in(folders, kind):
    """Spoils the second case; gives what the error must say."""
    path = folders[0] / "P2.nii.gz"
    labels = np.asarray(LABEL_VALUES["brats"], np.uint8)[classes(1)]
    if kind == "scheme":
        label_map(path, 1, "brats2023")
        return r"P2.nii.gz: \d+ voxels have the values 3; expected 0, 1, 2, 4 .* pass --labels brats2023 or msd"
    if kind == "values":
        save(path, np.where(labels == 4, 9, labels).astype(np.uint8), GRID)
        return r"P2.nii.gz: \d+ voxels have the values 9; .* look at the file"
    if kind == "shape":
        save(path, labels[:-1], GRID)
        return r"P2.nii.gz: shape \(27, 32, 26\), but the reference .*P2_seg.nii.gz has \(28, 32, 26\): resample"
    if kind == "affine":
        save(path, labels, affine((0.8, 1.5, 3.0)))
        return r"P2.nii.gz: the affine puts voxels [\d.]+ mm from where the reference .*P2_seg.nii.gz has them"
    if kind == "4-D":
        save(path, np.stack([labels] * 4, axis=-1), GRID)
        return r"P2.nii.gz: an image of shape \(28, 32, 26, 4\); expected a label map"
    path.write_bytes(path.read_bytes()[:-40])
    return r"P2.nii.gz: truncated"


@pytest.mark.parametrize("kind", ["scheme", "values", "shape", "affine", "4-D", "truncated"])
def test_a_case_that_cannot_be_scored_is_named_and_nothing_is_written(run, folders, tmp_path, kind):
    message = fault_in(folders, kind)
    outputs = [tmp_path / f"e.{ending}" for ending in ("json", "csv", "png")]
    outcome = run(*folders, "--json", outputs[0], "--csv", outputs[1], "--plot", outputs[2])
    assert_refused(outcome, "P2")
    assert re.search(message, outcome[2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_several_faults_are_named_in_one_line(run, folders):
    for name in NAMES:
        (folders[0] / f"{name}.nii.gz").write_bytes(b"")
    outcome = run(*folders)
    assert_refused(outcome, "3 of 3 cases cannot be scored: ")
    assert all(f"{name}.nii.gz: the file is empty" in outcome[2] for name in NAMES)


def test_an_image_in_other_units_is_refused(run, folders):
    import nibabel

    path = folders[0] / "P1.nii.gz"
    image = nibabel.load(path)
    image.header.set_xyzt_units("micron")
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), path)
    assert_refused(run(*folders), "unit of length is the micron; expected millimetres")


def test_calls_that_make_no_sense_are_refused_before_any_work(run, folders, tmp_path):
    taken = tmp_path / "taken.json"
    taken.write_text("precious")
    twice = ("--json", tmp_path / "a", "--csv", tmp_path / "a")
    for arguments, message in (
        ((folders[0],), "no REFERENCES were given"),
        ((*folders, "--json", taken), "exists already and is kept"),
        ((*folders, "--csv", tmp_path), "is a folder and is kept"),
        ((*folders, "--plot", tmp_path / "absent" / "e.png"), "no such folder"),
        ((*folders, *twice), "would both be written there"),
        ((*folders, "--json", folders[0] / "P1.nii.gz", "--overwrite"), "is an input and is kept"),
        ((*folders, "--audit-order", "--csv", tmp_path / "e.csv"), "use --json"),
    ):
        assert_refused(run(*arguments), message)
    assert taken.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "taken.json"]
    assert run(*folders, "--json", taken, "--overwrite")[0] == 0
    assert json.loads(taken.read_text())["schema_version"] == 1


def test_names_are_printed_as_they_are(run, tmp_path):
    for folder in ("a", "b"):
        label_map(tmp_path / folder / "x[red]y.nii", 0)
    code, out, _ = run(tmp_path / "a", tmp_path / "b")
    assert code == 0
    assert "x[red]y" in out


def test_the_same_from_python(folders):
    evaluation = evaluate(*folders)
    assert [case.pair.name for case in evaluation.cases] == list(NAMES)
    assert evaluation.summary["oedema"]["dice"].n == 3
    with pytest.raises(CaseError, match="is not a folder"):
        evaluate(folders[0] / "P1.nii.gz", folders[1])

"""Which label maps are found, how they are paired by name, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from brats_trt import CaseError
from brats_trt.evaluation.pairing import find_label_maps, label_name, pair_cases


def files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def pairs(pairing):
    return {pair.name: (pair.prediction.name, pair.reference.name) for pair in pairing.pairs}


@pytest.mark.parametrize(
    ("stored", "case"),
    [
        ("BraTS20_Training_001.nii.gz", "BraTS20_Training_001"),
        ("BraTS20_Training_001_seg.nii.gz", "BraTS20_Training_001"),
        ("BraTS-GLI-00001-000-seg.nii", "BraTS-GLI-00001-000"),
        ("BRATS_001.NII.GZ", "BRATS_001"),
        ("a.b_seg.nii.gz", "a.b"),
        ("seg.nii.gz", "seg"),
    ],
)
def test_a_label_map_is_called_as_its_case(stored, case):
    assert label_name(Path(stored)) == case


@pytest.mark.parametrize(
    "references",
    [
        ("P1/P1_seg.nii.gz", "P1/P1_t1.nii.gz", "P1/P1_t1ce.nii.gz", "P2/P2_seg.nii", "P2/P2_flair.nii"),
        ("P1/P1-seg.nii.gz", "P1/P1-t1c.nii.gz", "P2/P2-seg.nii.gz", "P2/P2-t2f.nii.gz"),
        ("HGG/P1/P1_seg.nii.gz", "LGG/P2/P2_seg.nii.gz", "LGG/P2/P2_t2.nii.gz", "survival.csv"),
        ("P1.nii.gz", "P2.nii.gz", "._P1.nii.gz", ".DS_Store", "readme.txt"),
        ("P1_seg.nii.gz", "P2.nii"),
    ],
    ids=["BraTS", "BraTS 2023", "BraTS 2018", "Decathlon", "flat"],
)
def test_every_layout_is_paired_by_the_cases_names(tmp_path, references):
    made = ("P2.nii.gz", "P1.nii.gz", "P1_probabilities.nii.gz", "P1_entropy.nii.gz")
    predictions = files(tmp_path / "out", *made)
    pairing = pair_cases(predictions, files(tmp_path / "data", *references))
    assert [pair.name for pair in pairing.pairs] == ["P1", "P2"]
    for pair in pairing.pairs:
        assert pair.prediction == predictions / f"{pair.name}.nii.gz"
        assert pair.name in pair.reference.name


def test_one_case_folder_holds_one_label_map(tmp_path):
    folder = files(tmp_path / "P1", *[f"P1_{name}.nii.gz" for name in ("t1", "t2", "t1ce", "flair", "seg")])
    assert find_label_maps(folder) == {"P1": folder / "P1_seg.nii.gz"}


def test_other_images_in_folders_of_cases_are_no_label_maps(tmp_path):
    folder = files(tmp_path, "P1/P1_seg.nii.gz", "P1/lesion.nii.gz", "P1/P1.nii.gz", "a/b/c/deep_seg.nii.gz")
    assert find_label_maps(folder) == {"P1": folder / "P1" / "P1_seg.nii.gz"}


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    files(tmp_path, "mine.nii.gz", "P1_seg.nii.gz")
    pairing = pair_cases(tmp_path / "mine.nii.gz", tmp_path / "P1_seg.nii.gz")
    assert pairs(pairing) == {"P1": ("mine.nii.gz", "P1_seg.nii.gz")}


def test_a_file_and_a_folder_are_no_pair(tmp_path):
    files(tmp_path, "a/P1.nii.gz")
    for arguments in ((tmp_path / "a", tmp_path / "a" / "P1.nii.gz"), (tmp_path / "a" / "P1.nii.gz", tmp_path / "a")):
        with pytest.raises(CaseError, match=r"P1\.nii\.gz is not a folder but .*a is; give two label maps or two fold"):
            pair_cases(*arguments)


def test_names_without_a_partner_are_named_or_left_out(tmp_path):
    predictions = files(tmp_path / "out", "P1.nii.gz", "P2.nii.gz", "Q.nii.gz")
    references = files(tmp_path / "data", *[f"P{n}.nii.gz" for n in range(1, 10)])
    with pytest.raises(
        CaseError, match=r"out has predictions without a reference \(Q\); .*data has references"
    ) as fault:
        pair_cases(predictions, references)
    assert "(P3, P4, P5, P6, P7 and 2 more)" in str(fault.value)
    assert "--common to score the 2 of both" in str(fault.value)
    pairing = pair_cases(predictions, references, common=True)
    assert [pair.name for pair in pairing.pairs] == ["P1", "P2"]
    assert (pairing.only_predicted, len(pairing.only_reference)) == (("Q",), 7)


def test_nothing_in_common_is_refused_even_where_the_rest_may_be_left_out(tmp_path):
    predictions, references = files(tmp_path / "out", "A.nii.gz"), files(tmp_path / "data", "B.nii.gz")
    with pytest.raises(CaseError, match="without a reference") as fault:
        pair_cases(predictions, references, common=True)
    assert "--common" not in str(fault.value)


@pytest.mark.parametrize("names", [("P1.nii", "P1.nii.gz"), ("P1.nii.gz", "P1/P1_seg.nii.gz")])
def test_two_label_maps_of_one_case_are_refused(tmp_path, names):
    with pytest.raises(CaseError, match="are both of the case P1; keep one"):
        find_label_maps(files(tmp_path, *names))


def test_a_folder_without_label_maps_is_refused(tmp_path):
    with pytest.raises(CaseError, match=r"no label map; expected <case>\.nii\.gz"):
        find_label_maps(files(tmp_path, "P1/P1_t1.nii.gz", "notes.txt"))


def test_missing_paths_are_named_when_they_are_read(tmp_path):
    pairing = pair_cases(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    assert pairs(pairing) == {"b": ("a.nii.gz", "b.nii.gz")}
    with pytest.raises(CaseError, match="cannot be read"):
        find_label_maps(tmp_path / "absent")

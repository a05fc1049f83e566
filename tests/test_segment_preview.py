"""`brats-trt segment --preview`: a picture beside each label map, or neither."""

from __future__ import annotations

import json
import sys

import heads
import numpy as np
import pytest
from cases import save
from models import tiny_model
from PIL import Image
from segmented import coloured

from brats_trt import CaseError, Segmentation, cli


@pytest.fixture
def segment(monkeypatch, capsys, tmp_path):
    """Segments cases into tmp_path/out by the command line: exit code, stdout, stderr."""
    engine = tiny_model(tmp_path / "tiny.onnx")

    def call(*arguments):
        line = ["brats-trt", "segment", *arguments, "-o", tmp_path / "out", "--engine", engine]
        monkeypatch.setattr(sys, "argv", list(map(str, line)))
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def head_case(folder, seed=0):
    folder.mkdir()
    for name, volume in heads.volumes(seed=seed).items():
        save(folder / f"{folder.name}_{name}.nii.gz", volume)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_case_gets_its_picture(segment, tmp_path):
    cases = [head_case(tmp_path / name, seed) for seed, name in enumerate(("P1", "P2"))]
    code, out, err = segment(*cases, "--preview", "--json")
    assert code == 0, err
    assert names(tmp_path / "out") == ["P1.nii.gz", "P1_preview.png", "P2.nii.gz", "P2_preview.png"]
    for entry in json.loads(out)["cases"]:
        with Image.open(entry["preview"]) as picture:
            assert coloured(picture).any()


def test_without_the_option_there_is_no_picture_and_no_volume_is_kept(segment, tmp_path, monkeypatch):
    kept, save_as_usual = [], Segmentation.save

    def spy(self, path, **options):
        kept.append(self.case)
        save_as_usual(self, path, **options)

    monkeypatch.setattr(Segmentation, "save", spy)
    code, out, _ = segment(head_case(tmp_path / "P1"), "--json")
    assert (code, kept) == (0, [None])
    assert json.loads(out)["cases"][0]["preview"] is None
    assert names(tmp_path / "out") == ["P1.nii.gz"]


def test_a_picture_that_exists_is_kept_with_its_case_unless_overwrite(segment, tmp_path):
    case = head_case(tmp_path / "P1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "P1_preview.png").write_bytes(b"precious")
    code, _, err = segment(case, "--preview")
    assert code == 2
    assert "P1_preview.png: exists already and is kept; pass --overwrite" in err
    assert (tmp_path / "out" / "P1_preview.png").read_bytes() == b"precious"
    assert names(tmp_path / "out") == ["P1_preview.png"]
    assert segment(case, "--preview", "--overwrite")[0] == 0
    assert (tmp_path / "out" / "P1_preview.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_drawn_leaves_nothing_of_its_case(segment, tmp_path, monkeypatch):
    from brats_trt import pictures

    def broken(result, *_, **__):
        if result.name == "P1":
            raise CaseError("planted")
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr(pictures, "draw_preview", broken)
    cases = [head_case(tmp_path / name) for name in ("P1", "P2")]
    code, out, err = segment(*cases, "--preview", "--probabilities", "--json")
    assert code == 2
    assert "P1: planted" in err
    assert [entry["case"] for entry in json.loads(out)["failed"]] == ["P1"]
    assert names(tmp_path / "out") == ["P2.nii.gz", "P2_preview.png", "P2_probabilities.nii.gz"]


def test_labels_that_cannot_be_written_take_the_picture_with_them(segment, tmp_path, monkeypatch):
    def full(*_, **__):
        raise CaseError("no space left")

    monkeypatch.setattr(Segmentation, "save", full)
    code, _, err = segment(head_case(tmp_path / "P1"), "--preview", "--probabilities")
    assert code == 2
    assert "no space left" in err
    assert names(tmp_path / "out") == []


def test_a_case_without_a_tumour_has_a_picture_too(segment, tmp_path):
    case = tmp_path / "P1"
    case.mkdir()
    for name, volume in heads.volumes().items():
        save(case / f"P1_{name}.nii.gz", np.minimum(volume, 501))
    code, out, err = segment(case, "--preview", "--json")
    assert code == 0, err
    assert json.loads(out)["cases"][0]["volumes_ml"]["whole_tumour"] == 0
    with Image.open(tmp_path / "out" / "P1_preview.png") as picture:
        assert not coloured(picture).any()

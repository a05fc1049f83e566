from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image

from brats_trt import CaseError
from brats_trt.demo import make_phantom
from brats_trt.demo.run import run_demo
from brats_trt.metrics import dice
from brats_trt.records import read_record
from brats_trt.spec import LABEL_VALUES


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    lines: list[str] = []
    folder = tmp_path_factory.mktemp("demo")
    (folder / "Phantom_0.png").write_bytes(b"of an earlier demo")
    return run_demo(folder, say=lines.append)


def voxels(path):
    return np.asanyarray(nibabel.load(path).dataobj)


def test_the_demo_writes_the_case_the_labels_and_the_picture(result):
    names = {path.name for path in result.case.iterdir()}
    assert names == {f"Phantom_0_{kind}.nii.gz" for kind in ("t1", "t2", "t1ce", "flair", "seg")}
    assert np.array_equal(voxels(result.labels), result.segmentation.labels)
    with Image.open(result.picture) as picture:
        assert min(picture.size) > 1000
    assert {path.name for path in result.case.parent.iterdir()} == {
        "Phantom_0",
        "Phantom_0.png",
        "Phantom_0_labels.nii.gz",
    }


def test_the_demos_files_carry_one_record(result):
    assert read_record(result.picture) == read_record(result.labels)


def test_the_demo_scores_the_labels_that_it_wrote_against_the_reference_that_it_wrote(result):
    reference = voxels(result.case / "Phantom_0_seg.nii.gz")
    assert result.dice == dice(voxels(result.labels), reference, label_values=LABEL_VALUES["brats"])
    assert min(result.dice.values()) > 0.85
    assert max(result.dice.values()) < 1.0


def test_the_case_on_disk_is_the_phantom_of_the_seed(result):
    phantom = make_phantom(0)
    assert np.array_equal(voxels(result.case / "Phantom_0_flair.nii.gz"), phantom.volumes["flair"])
    assert b"research use only" in bytes(nibabel.load(result.case / "Phantom_0_t1.nii.gz").header["descrip"].item())


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CaseError, match="cannot be made"):
        run_demo(tmp_path / "taken", say=lambda _: None)
    (tmp_path / "Phantom_0").write_text("")
    with pytest.raises(CaseError, match="cannot be made"):
        run_demo(tmp_path, say=lambda _: None)

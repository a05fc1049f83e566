"""The main job, from checkpoint to label map, on a synthetic case with a reference."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import onnxruntime
import oracle
import pytest

from brats_trt import cli
from brats_trt.metrics import dice
from brats_trt.spec import LABEL_VALUES, MODALITIES

DATA = Path(__file__).parent / "data"
CASE = DATA / "sample_case" / "Phantom_500"
BRATS = LABEL_VALUES["brats"]


def command(*arguments):
    sys.argv = ["brats-trt", *map(str, arguments)]
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code


def voxels(path):
    return np.asanyarray(nibabel.load(path).dataobj)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "phantom-f2.onnx"
    reference = DATA / "reference"
    command("convert", reference / "phantom-f2-symbol.json", reference / "phantom-f2-0000.params", "-o", path)
    return path


@pytest.fixture(scope="module")
def expected(model):
    """SciPy around ONNX Runtime, with the authors' options."""
    crop, box = oracle.prepare([voxels(CASE / f"{CASE.name}_{m}.nii.gz") for m in MODALITIES])
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    softmax = [session.run(None, {"data_crop": x})[0] for x in (crop, np.ascontiguousarray(crop[:, :, :, ::-1]))]
    labels = oracle.restore(np.concatenate(softmax), box, voxels(CASE / f"{CASE.name}_seg.nii.gz").shape)
    return oracle.drop_small_regions(labels)


def oblique_copy(folder):
    """The case in a scanner that lies askew: other affines, the same voxels."""
    folder.mkdir()
    rotation = np.array([[0.96, -0.2, 0.196], [0.22, 0.97, -0.1], [-0.17, 0.14, 0.975]])
    affine = nibabel.affines.from_matvec(rotation * (0.94, 1.0, 1.2), [-101.5, 88.25, -60.0])
    for modality in MODALITIES:
        image = nibabel.Nifti1Image(voxels(CASE / f"{CASE.name}_{modality}.nii.gz"), affine)
        nibabel.save(image, folder / f"{folder.name}_{modality}.nii")
    return folder


@pytest.mark.parametrize("oblique", [False, True])
def test_the_sample_case_is_segmented_as_the_authors_would(tmp_path, model, expected, oblique):
    case = oblique_copy(tmp_path / "Oblique") if oblique else CASE
    command("segment", case, "-o", tmp_path / "out", "--engine", model, "--profile", "authors")
    saved = nibabel.load(tmp_path / "out" / f"{case.name}.nii.gz")
    labels = np.asanyarray(saved.dataobj)
    assert min(dice(labels, voxels(CASE / f"{CASE.name}_seg.nii.gz"), label_values=BRATS).values()) >= 0.90
    assert min(dice(labels, expected, label_values=BRATS).values()) >= 0.999
    ending = ".nii" if oblique else ".nii.gz"
    assert np.array_equal(saved.affine, nibabel.load(case / f"{case.name}_t1{ending}").affine)

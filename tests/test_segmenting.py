"""The job of a service's worker: the labels of a Segmenter, on the volumes' grid, and no answer of a wrong engine."""

from __future__ import annotations

import heads
import nibabel
import numpy as np
import onnx
import pytest
from cases import OBLIQUE
from models import tiny_model
from onnx import numpy_helper

from brats_trt import CaseError, EngineError, Segmenter
from brats_trt.serve import segmenting
from brats_trt.serve.errors import CaseRefusedError, ServiceError
from brats_trt.serve.worker import Worker

LIMITS = {"start": 120.0, "load": 60.0, "segment": 60.0, "answer": 60.0}
GIVEN = {"affines": {name: OBLIQUE.tolist() for name in heads.volumes()}, "raw": None}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", size=32)


@pytest.fixture(scope="module")
def options(model):
    return {"engine": str(model), "threads": 1}


@pytest.fixture(scope="module")
def golden(options):
    expecting = Worker("brats_trt.serve.segmenting:expect", {"segmenter": options}, LIMITS)
    try:
        return expecting.run({}, {}).content["counts"]
    finally:
        expecting.stop()


@pytest.fixture(scope="module")
def worker(options, golden):
    started = Worker("brats_trt.serve.segmenting:segment", {"segmenter": options, "golden": golden}, LIMITS)
    yield started
    started.stop()


def test_a_worker_gives_the_labels_of_a_segmenter(worker, model):
    volumes = heads.volumes()
    images = {name: nibabel.Nifti1Image(volume, OBLIQUE) for name, volume in volumes.items()}
    expected = Segmenter(model, threads=1).run(images)
    answer = worker.run(GIVEN, volumes)
    assert set(np.unique(expected.labels)) == {0, 1, 2, 4}
    assert np.array_equal(answer.arrays["labels"], expected.labels)
    assert answer.content["volumes_ml"] == expected.volumes_ml
    assert np.allclose(answer.content["affine"], OBLIQUE)
    assert answer.content["model_sha256"] == expected.model_sha256
    for part in ("grid", "model", "options", "volumes_ml"):
        assert answer.content["record"][part] == expected.record.document()[part]
    assert answer.content["warnings"] == list(expected.portable_warnings)


def test_a_raw_exam_comes_on_the_grid_that_was_asked_for(worker):
    given = {**GIVEN, "raw": {"strip": "never", "grid": "flair"}}
    answer = worker.run(given, heads.volumes())
    assert answer.arrays["labels"].shape == heads.SHAPE
    assert answer.arrays["labels"].any()
    assert answer.content["timings_ms"].keys() >= {"align", "strip"}


def test_a_case_at_fault_is_refused_and_the_worker_stays(worker):
    worker.start()
    process = worker.process_id
    volumes = heads.volumes()
    del volumes["t1"]
    with pytest.raises(CaseRefusedError, match="affines"):
        worker.run(GIVEN, volumes)
    fewer = {"affines": {name: GIVEN["affines"][name] for name in volumes}, "raw": None}
    with pytest.raises(CaseRefusedError, match="no volume for t1"):
        worker.run(fewer, volumes)
    assert worker.process_id == process


def test_an_engine_that_labels_the_golden_case_wrongly_never_gets_ready(tmp_path, options, golden):
    """Two modalities change places, as by a wrong conversion: the model loads and answers all the same."""
    wrong = onnx.load(options["engine"])
    (weights,) = (tensor for tensor in wrong.graph.initializer if tensor.name == "weights")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[:, [1, 0, 3, 2]].copy(), "weights"))
    onnx.save(wrong, tmp_path / "wrong.onnx")
    given = {"segmenter": {**options, "engine": str(tmp_path / "wrong.onnx")}, "golden": golden}
    with pytest.raises(EngineError, match="golden case"):
        segmenting.segment(given)
    worker = Worker("brats_trt.serve.segmenting:segment", given, LIMITS)
    with pytest.raises(ServiceError, match="golden case"):
        worker.start()
    assert worker.process_id is None


def test_the_golden_case_has_each_label_and_something_to_crop(golden):
    assert (np.sum(golden, axis=0)[[0, 1, 2, 4]] > 0).all()
    for volume in segmenting.golden_volumes().values():
        assert not volume[:7].any()
        assert volume.any()


@pytest.mark.parametrize(("raw", "expected"), [(None, ["load", "segment"]), ({}, ["load", "align", "segment"])])
def test_the_stages_are_told_as_they_begin(options, golden, raw, expected):
    told = []
    work = segmenting.segment({"segmenter": options, "golden": golden})
    given = {**GIVEN, "raw": None if raw is None else {"strip": "never"}}
    work(given, heads.volumes(), told.append)
    assert told == [*expected, "answer"]


def test_a_search_for_a_brain_is_told_as_a_stage(model, monkeypatch):
    """Where a skull is on, the extractor is asked for, which here is not there."""
    told = []
    segmenter = Segmenter(model, threads=1)
    monkeypatch.setattr(segmenter, "_brain_extractor", lambda *, ensemble: (_ for _ in ()).throw(CaseError("none")))
    volumes = {name: np.maximum(volume, 100) for name, volume in heads.volumes().items()}
    images = {name: nibabel.Nifti1Image(volume, OBLIQUE) for name, volume in volumes.items()}
    with pytest.raises(CaseError, match="none"):
        segmenter.run(images, raw=True, on_stage=told.append)
    assert told == ["load", "align", "strip"]

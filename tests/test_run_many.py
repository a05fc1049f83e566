"""`Segmenter.run_many`: the outcomes of many cases are those of `run` on each."""

from __future__ import annotations

import threading
import warnings

import heads
import nibabel
import numpy as np
import pytest
from cases import save
from models import tiny_model

from brats_trt import CaseError, CaseWarning, EngineError, Segmenter
from brats_trt.backends.cpu import CpuBackend
from brats_trt.spec import MODALITIES


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, precision="fp32")


def folder(path, seed=0):
    path.mkdir()
    for name, volume in heads.volumes(seed=seed).items():
        save(path / f"{path.name}_{name}.nii.gz", volume)
    return path


def test_each_outcome_is_what_run_gives(tmp_path, segmenter):
    cases = [
        folder(tmp_path / "P1"),
        heads.volumes(seed=1),
        np.stack([heads.volumes(seed=2)[name] for name in MODALITIES], axis=3),
        str(folder(tmp_path / "P2", seed=3)),
    ]
    outcomes = list(segmenter.run_many(iter(cases)))
    assert all(outcome.case is case for outcome, case in zip(outcomes, cases, strict=True))
    for outcome, alone in zip(outcomes, map(segmenter.run, cases), strict=True):
        assert outcome.result.name == alone.name
        assert np.array_equal(outcome.result.labels, alone.labels)
        assert np.array_equal(outcome.result.softmax, alone.softmax)
        assert np.array_equal(outcome.result.affine, alone.affine)
        assert outcome.result.class_counts == alone.class_counts
        assert list(outcome.result.timings_ms) == list(alone.timings_ms)


def test_times_are_those_of_the_cases_own_stages(tmp_path, segmenter):
    outcomes = list(segmenter.run_many([folder(tmp_path / "P1"), heads.volumes()]))
    for outcome in outcomes:
        stages = dict(outcome.result.timings_ms)
        total = stages.pop("total")
        assert sum(stages.values()) <= total
        assert min(stages.values()) >= 0


def test_failed_cases_do_not_stop_the_others(tmp_path, segmenter, monkeypatch):
    truncated = folder(tmp_path / "P1")
    content = (truncated / "P1_t2.nii.gz").read_bytes()
    (truncated / "P1_t2.nii.gz").write_bytes(content[:-400])
    empty = {**heads.volumes(), "flair": np.zeros(heads.SHAPE)}
    cases = [truncated, heads.volumes(), empty, None, tmp_path / "nowhere", heads.volumes()]
    outcomes = list(segmenter.run_many(cases))
    assert [outcome.result is not None for outcome in outcomes] == [False, True, False, False, False, True]
    assert [type(outcome.error) for outcome in outcomes if outcome.error] == [CaseError] * 4
    assert "P1_t2.nii.gz: truncated" in str(outcomes[0].error)
    assert "flair has no voxel above zero" in str(outcomes[2].error)


def test_a_network_that_fails_is_an_outcome_too(tmp_path):
    broken = Segmenter(tiny_model(tmp_path / "m.onnx", bias=[np.nan] * 4), precision="fp32")
    outcomes = list(broken.run_many([heads.volumes()] * 2))
    assert [type(outcome.error) for outcome in outcomes] == [EngineError] * 2


def test_results_are_saved_before_they_are_yielded(tmp_path, segmenter):
    cases = [folder(tmp_path / name, seed) for seed, name in enumerate(("P1", "P2", "P3"))]
    (tmp_path / "P2.nii.gz").write_bytes(b"precious")

    def write(result):
        assert threading.current_thread() is not threading.main_thread()
        result.save(tmp_path / f"{result.name}.nii.gz")

    for outcome in segmenter.run_many(cases, save=write):
        saved = tmp_path / f"{outcome.case.name}.nii.gz"
        if outcome.result is None:
            assert "exists already and is kept" in str(outcome.error)
            assert saved.read_bytes() == b"precious"
        else:
            assert np.array_equal(np.asanyarray(nibabel.load(saved).dataobj), outcome.result.labels)
    assert sorted(path.name for path in tmp_path.glob("*.nii.gz")) == ["P1.nii.gz", "P2.nii.gz", "P3.nii.gz"]


def with_a_hole(seed=0):
    volumes = {name: volume.astype(np.float32) for name, volume in heads.volumes(seed=seed).items()}
    volumes["t2"][0, 0, 0] = np.nan
    return volumes


def test_warnings_are_issued_where_the_caller_stands(segmenter):
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        (_, outcome) = segmenter.run_many([heads.volumes(), with_a_hole()])
    assert [str(warning.message) for warning in issued] == list(outcome.result.warnings)
    assert len(issued) == 1
    assert (issued[0].category, issued[0].filename) == (CaseWarning, __file__)


def test_a_warning_that_is_made_an_error_is_the_cases_own(segmenter):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaseWarning)
        first, second = segmenter.run_many([with_a_hole(), heads.volumes()])
    assert first.result is None
    assert isinstance(first.error, CaseWarning)
    assert second.error is None


def test_run_may_be_called_between_the_outcomes(segmenter):
    expected = segmenter.run(heads.volumes(seed=7)).labels
    for outcome in segmenter.run_many([heads.volumes(seed=seed) for seed in range(3)]):
        assert outcome.error is None
        assert np.array_equal(segmenter.run(heads.volumes(seed=7)).labels, expected)


def test_the_next_case_is_loaded_while_the_network_works(segmenter, monkeypatch):
    asked = [threading.Event() for _ in range(3)]
    overlapped = []
    compute = CpuBackend.run

    def cases():
        for event in asked:
            event.set()
            yield heads.volumes()

    def run(self, volumes, placement=None):
        number = len(overlapped)
        overlapped.append(number == 2 or asked[number + 1].wait(30))
        return compute(self, volumes)

    monkeypatch.setattr(CpuBackend, "run", run)
    assert all(outcome.error is None for outcome in segmenter.run_many(cases()))
    assert overlapped == [True] * 3

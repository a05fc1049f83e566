"""Raw exams on the CUDA backend: the whole of it against the CPU backend, on series of four grids."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import heads
import numpy as np
import pytest
from emulated_device import TinyEngine
from models import tiny_model
from raw_exams.scanning import AXIAL, OBLIQUE, SAGITTAL, raw_exam

from brats_trt import CaseError, EngineError, RawOptions, Spec
from brats_trt.backends import StageOptions
from brats_trt.backends.cpu import CpuBackend
from brats_trt.backends.cpu_engine import load_engine
from brats_trt.backends.cuda import CudaBackend
from brats_trt.backends.model import read_model
from brats_trt.backends.placement import LARGEST_MASK, Series
from brats_trt.raw.preparation import prepare
from brats_trt.volume import Volume

GRIDS = {
    "t1": (SAGITTAL, (1.0, 1.0, 1.0), (46, 40, 42)),
    "t2": (AXIAL, (0.9, 0.9, 3.0), (44, 50, 13)),
    "t1ce": (SAGITTAL, (1.1, 1.0, 1.0), (42, 38, 42)),
    "flair": (OBLIQUE, (1.0, 1.0, 2.0), (42, 46, 20)),
}
LARGEST = (64, 64, 64)
OPTIONS = StageOptions(tta=True, min_region=0.1, label_values=(0, 1, 2, 4))


class Ball:
    """A brain that is known: the head without its outermost voxels."""

    def __init__(self):
        x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in heads.SHAPE], indexing="ij")
        inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 + (z / 0.68) ** 2 < 1
        self.shares = Volume(inside.astype(np.float32), 1.0, 0.0, "the brain's mask")
        self.affine = np.eye(4)

    def extract(self, volume, affine):
        return self


@pytest.fixture(scope="module")
def exam():
    head = SimpleNamespace(volumes=heads.volumes(), affine=np.eye(4))
    return raw_exam(head, GRIDS)


def prepared(exam, *, masked, grid="t1ce"):
    found = prepare(exam, Ball, RawOptions(strip="auto" if masked else "never", grid=grid))
    assert (found.placement.mask is not None) == masked
    return found


def run_on(backend, found):
    return backend.run([*found.case.volumes.items()], found.placement)


def on_device(device, found, *, options=OPTIONS, **engine):
    return run_on(CudaBackend(device, TinyEngine(device, **engine), options, largest_shape=LARGEST), found)


@pytest.mark.parametrize("normalisation", ["authors", "card"])
@pytest.mark.parametrize(("masked", "grid"), [(True, "t1ce"), (False, "t2"), (True, "flair")])
def test_a_raw_exam_is_segmented_as_on_the_cpu(device, tmp_path, exam, normalisation, masked, grid):
    found, spec = prepared(exam, masked=masked, grid=grid), Spec(normalisation=normalisation)
    engine = load_engine(read_model(tiny_model(tmp_path / "m.onnx"), spec), "openvino", precision="fp32", threads=1)
    expected = run_on(CpuBackend(engine, OPTIONS), found)
    outcome = on_device(device, found, spec=spec)
    assert outcome.labels.shape == exam.series[grid].volume.data.shape
    np.testing.assert_allclose(outcome.softmax, expected.softmax, rtol=0, atol=2e-3)
    assert (outcome.labels != expected.labels).mean() < 2e-4
    assert outcome.counts == pytest.approx(expected.counts, abs=10)
    assert outcome.box == expected.box
    assert [*outcome.timings_ms] == [*expected.timings_ms]
    if normalisation == "authors":
        assert min(outcome.counts[1:]) > 30


def test_one_backend_takes_a_raw_exam_and_a_case_in_turn(device, exam):
    found = prepared(exam, masked=True)
    backend = CudaBackend(device, TinyEngine(device), OPTIONS, largest_shape=LARGEST)
    case = [(name, Volume(values, 1.0, 0.0, name)) for name, values in heads.volumes().items()]
    first, alone = run_on(backend, found), backend.run(case)
    again, after = run_on(backend, found), backend.run(case)
    assert np.array_equal(first.labels, again.labels)
    assert np.array_equal(alone.labels, after.labels)
    assert first.counts == again.counts
    assert (alone.labels > 0).any()


def test_small_regions_go_from_both_grids(device, exam):
    speck = {name: values.copy() for name, values in heads.volumes().items()}
    speck["flair"][8:13, 20:25, 16:21] = 900
    found = prepared(raw_exam(SimpleNamespace(volumes=speck, affine=np.eye(4)), GRIDS), masked=False)
    kept, dropped = (
        on_device(device, found, options=replace(OPTIONS, min_region=share)) for share in (0.0, OPTIONS.min_region)
    )
    assert (kept.labels > 0).sum() > (dropped.labels > 0).sum() > 0
    assert sum(kept.counts[1:]) > sum(dropped.counts[1:]) > 0


def test_nothing_waits_for_the_device_until_the_labels_are_there(device, exam):
    on_device(device, prepared(exam, masked=True), options=replace(OPTIONS, keep_probabilities=False))
    operations = [operation for operation, _ in device.calls]
    last_launch = max(k for k, operation in enumerate(operations) if operation == "launch")
    assert "synchronise" not in operations[:last_launch]
    assert "download" not in operations[:last_launch]
    launched = [what for operation, what in device.calls if operation == "launch"]
    assert "gather" not in launched, "nothing is interpolated twice"
    assert launched.count("align") == 4


def test_what_no_memory_was_taken_for_is_refused(device, exam):
    found = prepared(exam, masked=True)
    wide = replace(found.placement, target_shape=(100, 100, 100))
    large = Series(Volume(np.zeros((LARGEST_MASK + 1, 1, 1), np.float32), 1.0, 0.0, "the mask"), np.eye(4))
    masked = replace(found.placement, mask=large)
    for placement, said in [
        (wide, "grid of 1000000 voxels, but memory was taken for 262144"),
        (masked, "coarser grid"),
    ]:
        with pytest.raises(CaseError, match=said):
            on_device(device, replace(found, placement=placement))
    inside = found.placement.mask.volume
    for mask in (replace(inside, data=inside.data.astype(np.float64)), replace(inside, slope=0.5)):
        placement = replace(found.placement, mask=Series(mask, np.eye(4)))
        with pytest.raises(CaseError, match="expected shares as they are, in native float32"):
            on_device(device, replace(found, placement=placement))
    huge = {**found.placement.series, "t2": Series(Volume(np.zeros((70, 70, 70), "i2"), 1.0, 0.0, "t2"), np.eye(4))}
    with pytest.raises(CaseError, match="t2 has 343000 voxels of int16"):
        on_device(device, replace(found, placement=replace(found.placement, series=huge)))


def test_a_network_that_gives_nan_is_told_of(device, exam):
    class Broken(TinyEngine):
        def enqueue(self, source, target, stream):
            self.device.write_at(target, np.full((1, 4, *self.size), np.nan, np.float32))

    backend = CudaBackend(device, Broken(device), OPTIONS, largest_shape=LARGEST)
    with pytest.raises(EngineError, match="not finite"):
        run_on(backend, prepared(exam, masked=False))

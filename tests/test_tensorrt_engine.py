"""TensorRtEngine: what it loads, what it refuses, and the CUDA backend on it, with a fake TensorRT."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import heads
import numpy as np
import pytest
from emulated_device import EmulatedDevice, TinyEngine
from models import tiny_softmax
from plan_files import tensor_records
from tensorrt_fakes import OnEmulator

import brats_trt
from brats_trt import EngineError, Spec
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.backends.tensorrt import TensorRtEngine, import_runner, open_library, packaged_library
from brats_trt.case import Volume
from brats_trt.spec import MODALITIES

COMMAND = "brats-trt build tiny.onnx -o tiny.plan"


def manifest(precision="fp32", version_compatible=False, size=4, dtype="float32"):
    return SimpleNamespace(
        spec=Spec(),
        channels=4,
        plan=SimpleNamespace(sha256="1" * 64),
        recipe=SimpleNamespace(precision=precision, version_compatible=version_compatible),
        tensors=tensor_records(dtype, (1, 4, size, size, size)),
        command=COMMAND,
    )


def library(fakes):
    return import_runner().Library(str(fakes.tensorrt), driver=str(fakes.driver))


def engine(fakes, folder, words="", *, known=None, **options):
    plan = folder / "tiny.plan"
    plan.write_bytes(f"FAKE PLAN {words}".encode())
    said = {"size": 4, "dtype": "float32", **dict(word.split("=") for word in words.split() if "=" in word)}
    known = manifest(size=int(said["size"]), dtype=said["dtype"]) if known is None else known
    return TensorRtEngine(plan, known, library=library(fakes), **options)


def test_an_engine_tells_what_the_backend_asks(fakes, tmp_path):
    loaded = engine(fakes, tmp_path, "size=6 dtype=float16")
    assert (loaded.size, loaded.half) == ((6, 6, 6), True)
    assert (loaded.spec, loaded.sha256, loaded.precision) == (Spec(), "1" * 64, "fp32")
    assert loaded.library.device_name == "Fake GPU"
    assert not engine(fakes, tmp_path, "size=6").half


def test_an_engine_runs_on_a_stream_by_its_ptr_or_its_handle(fakes, tmp_path):
    loaded = engine(fakes, tmp_path)
    crop = np.random.default_rng(3).random((1, 4, 4, 4, 4), np.float32)
    source, target = fakes.array(crop), fakes.array(np.zeros_like(crop))
    for stream in (fakes.stream(), SimpleNamespace(ptr=fakes.stream())):
        target.data[...] = 0
        loaded.enqueue(source.address, target.address, stream)
        np.testing.assert_allclose(target.data, tiny_softmax(crop), atol=1e-5)
    times = loaded.layer_times(source.address, target.address, fakes.stream(), runs=2)
    assert [layer for layer, _ in times] == ["scores", "softmax"]


def test_a_plan_that_is_not_the_pipelines_is_refused_with_its_path(fakes, tmp_path):
    with pytest.raises(
        EngineError, match=r"tiny.plan: .*the plan has the tensors \['data_crop: int8 .*expected one input"
    ):
        engine(fakes, tmp_path, "dtype=int8")
    with pytest.raises(EngineError, match=r"tiny.plan: the plan is stripped of 9 bytes"):
        engine(fakes, tmp_path, "stripped=9")
    with pytest.raises(EngineError, match=r"none.plan: the plan cannot be read \(No such file"):
        TensorRtEngine(tmp_path / "none.plan", manifest(), library=library(fakes))


@pytest.mark.parametrize(
    "tensors",
    [
        tensor_records("float16", (1, 4, 6, 6, 6)),
        tensor_records("float32", (1, 4, 8, 6, 6)),
        tensor_records("float32", (1, 4, 6, 6, 6), names=("data", "softmax_lbl3")),
        tensor_records("float32", (1, 4, 6, 6, 6), names=("data_crop", "softmax")),
    ],
    ids=["type", "shape", "input", "output"],
)
def test_an_engine_whose_tensors_are_not_the_manifests_is_refused_and_both_sides_are_named(fakes, tmp_path, tensors):
    known = manifest()
    known.tensors = tensors
    ours = tensors.input
    theirs = r"tiny.plan: the plan takes data_crop: float32 \(1, 4, 6, 6, 6\) and gives softmax_lbl3: "
    with pytest.raises(EngineError, match=theirs) as caught:
        engine(fakes, tmp_path, "size=6", known=known)
    assert f"its manifest says {ours.name}: {ours.dtype} {ours.shape} and {tensors.output.name}: " in str(caught.value)
    assert str(caught.value).endswith(f"build it again: `{COMMAND}`")
    assert fakes.tensorrt_state().contexts == 0


def test_a_package_without_the_runner_says_how_to_build_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "brats_trt._tensorrt", None)
    monkeypatch.delattr(brats_trt, "_tensorrt", raising=False)
    with pytest.raises(EngineError, match=r"built without its runner .*TensorRT_ROOT .*fetch_headers.py"):
        open_library()


def test_the_library_is_looked_for_in_pips_packages_the_whole_runtime_first(monkeypatch, tmp_path):
    names = ("libnvinfer.so.10", "libnvinfer_lean.so.10")
    for package in ("tensorrt_libs", "tensorrt_lean_libs", "tensorrt_rtx_libs"):
        monkeypatch.delitem(sys.modules, package, raising=False)
        (tmp_path / package).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert packaged_library(names) == ""
    lean = tmp_path / "tensorrt_lean_libs" / "libnvinfer_lean.so.10"
    lean.touch()
    assert packaged_library(names) == str(lean)
    (tmp_path / "tensorrt_libs" / "libnvinfer.so.11").touch()
    assert packaged_library(names) == str(lean)
    (tmp_path / "tensorrt_libs" / "libnvinfer.so.10").touch()
    assert packaged_library(names) == str(tmp_path / "tensorrt_libs" / "libnvinfer.so.10")


def test_a_version_compatible_plan_may_bring_code_for_the_host_and_no_other(fakes, tmp_path, monkeypatch):
    opened = []

    def fake_library(path, *, device, host_code):
        opened.append((path, device, host_code))
        return library(fakes)

    monkeypatch.setattr("brats_trt.backends.tensorrt.open_library", fake_library)
    plan = tmp_path / "tiny.plan"
    plan.write_bytes(b"FAKE PLAN")
    TensorRtEngine(plan, manifest(version_compatible=True))
    TensorRtEngine(plan, manifest(), library=Path("lib.so"), device=1)
    assert opened == [(None, 0, True), (Path("lib.so"), 1, False)]


@pytest.mark.parametrize("half", [False, True])
def test_the_cuda_backend_segments_with_it(fakes, tmp_path, half):
    arrays = heads.volumes()
    volumes = [(name, Volume(arrays[name], 1.0, 0.0, name)) for name in MODALITIES]
    options = StageOptions(tta=True, min_region=0.1, label_values=(0, 1, 2, 4))
    outcomes = []
    for make in (
        lambda device: OnEmulator(device, engine(fakes, tmp_path, f"size=16 dtype=float{16 if half else 32}"), fakes),
        lambda device: TinyEngine(device, half=half),
    ):
        device = EmulatedDevice(mode="fast")
        backend = CudaBackend(device, make(device), options, largest_shape=(48, 48, 48))
        outcomes.append(backend.run(volumes))
    ours, expected = outcomes
    assert expected.counts[1] > 0
    assert ours.counts == expected.counts
    np.testing.assert_array_equal(ours.labels, expected.labels)

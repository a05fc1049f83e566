"""The engine of TensorRT-RTX on a stand-in for the library and for the device; what it says without a GPU is real."""

from __future__ import annotations

import contextlib
import gc
import inspect
import json
import sys
from types import SimpleNamespace

import pytest
from fake_tensorrt import fake_module
from plan_files import tensor_records

from brats_trt import EngineError, Spec
from brats_trt.backends import tensorrt_rtx
from brats_trt.backends.device import DeviceEngine
from brats_trt.backends.rtx_kernels import KernelWarning
from brats_trt.backends.tensorrt_rtx import RtxEngine
from brats_trt.plans.recipe import Recipe

SHAPE = [1, 4, 16, 16, 16]


@pytest.fixture
def module(monkeypatch):
    fake = fake_module("tensorrt_rtx", "1.7.1.116")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake)
    monkeypatch.setattr(tensorrt_rtx, "CupyDevice", lambda: SimpleNamespace(current=contextlib.nullcontext))
    return fake


@pytest.fixture
def plan(tmp_path):
    def write(inputs=("data_crop", "HALF", SHAPE), outputs=("softmax_lbl3", "HALF", SHAPE)):
        path = tmp_path / "m.plan"
        path.write_text(json.dumps({"inputs": [inputs], "outputs": [outputs]}))
        return path

    return write


def manifest(tensors=None, **recipe):
    tensors = tensor_records("float16", SHAPE) if tensors is None else tensors
    known = {"plan": SimpleNamespace(sha256="ab" * 32), "tensors": tensors, "command": "brats-trt build m"}
    return SimpleNamespace(spec=Spec(), channels=4, recipe=Recipe(**recipe), **known)


def test_a_run_goes_to_the_callers_stream_at_the_callers_addresses(module, plan):
    engine = RtxEngine(plan(), manifest())
    engine.enqueue(0x1000, 0x2000, SimpleNamespace(ptr=77))
    engine.enqueue(0x3000, 0x2000, 78)
    assert module.calls[-2:] == [
        ("run", {"data_crop": 0x1000, "softmax_lbl3": 0x2000}, 77),
        ("run", {"data_crop": 0x3000, "softmax_lbl3": 0x2000}, 78),
    ]


@pytest.mark.parametrize(("kind", "half"), [("HALF", True), ("FLOAT", False)])
def test_the_engine_says_what_the_backend_must_know(module, plan, kind, half):
    path = plan(("data_crop", kind, [1, 4, 16, 32, 64]), ("softmax_lbl3", kind, [1, 4, 16, 32, 64]))
    tensors = tensor_records("float16" if half else "float32", (1, 4, 16, 32, 64))
    engine = RtxEngine(path, manifest(tensors, precision="fp32"))
    assert (engine.half, engine.size, engine.precision) == (half, (16, 32, 64), "fp32")
    assert (engine.spec, engine.sha256) == (Spec(), "ab" * 32)


def test_the_engine_has_every_member_of_the_protocol(module, plan):
    engine = RtxEngine(plan(), manifest())
    for name in (name for name in vars(DeviceEngine) if not name.startswith("_")):
        assert hasattr(engine, name)
    ours = inspect.signature(RtxEngine.enqueue).parameters
    assert list(ours) == list(inspect.signature(DeviceEngine.enqueue).parameters)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (("data_crop", "HALF", [1, 3, 16, 16, 16]), ("softmax_lbl3", "HALF", [1, 3, 16, 16, 16])),
        (("data_crop", "HALF", [1, 4, 16, 16]), ("softmax_lbl3", "HALF", [1, 4, 16, 16])),
        (("data_crop", "HALF", [1, 4, -1, 16, 16]), ("softmax_lbl3", "HALF", [1, 4, -1, 16, 16])),
        (("data_crop", "HALF", SHAPE), ("softmax_lbl3", "FLOAT", SHAPE)),
        (("data_crop", "HALF", SHAPE), ("softmax_lbl3", "HALF", [1, 4, 8, 8, 8])),
    ],
)
def test_tensors_that_are_not_the_pipelines_are_refused(module, plan, inputs, outputs):
    with pytest.raises(EngineError, match=r"m\.plan: the plan has the tensors.*expected one input and one output"):
        RtxEngine(plan(inputs, outputs), manifest())


@pytest.mark.parametrize(
    "tensors",
    [
        tensor_records("float32", SHAPE),
        tensor_records("float16", (1, 4, 16, 16, 32)),
        tensor_records("float16", SHAPE, names=("data_crop", "softmax")),
    ],
    ids=["type", "shape", "output"],
)
def test_tensors_that_are_not_the_manifests_are_refused_and_both_sides_are_named(module, plan, tensors):
    told = rf"m\.plan: the plan takes data_crop: float16 .* its manifest says data_crop: {tensors.input.dtype} .*"
    with pytest.raises(EngineError, match=told + r"build it again: `brats-trt build m`$"):
        RtxEngine(plan(), manifest(tensors))
    assert "context gone" not in module.calls


def test_a_plan_with_two_inputs_is_refused(module, tmp_path):
    path = tmp_path / "m.plan"
    tensors = [["a", "HALF", SHAPE], ["b", "HALF", SHAPE]]
    path.write_text(json.dumps({"inputs": tensors, "outputs": [["y", "HALF", SHAPE]]}))
    with pytest.raises(EngineError, match="'b: float16"):
        RtxEngine(path, manifest())


def test_a_damaged_plan_is_refused_in_the_librarys_words(module, tmp_path):
    (tmp_path / "m.plan").write_bytes(b"damaged")
    with pytest.raises(
        EngineError, match=r"TensorRT-RTX 1\.7\.1\.116 refuses the plan \(Serialization assertion failed"
    ):
        RtxEngine(tmp_path / "m.plan", manifest())


def test_a_context_that_is_not_made_is_an_error(module, plan):
    module.refused = {"context"}
    with pytest.raises(EngineError, match="refuses to make an execution context"):
        RtxEngine(plan(), manifest())


@pytest.mark.parametrize(
    ("refused", "message"),
    [("address", "refuses the address 0x1000 of 'data_crop'"), ("run", r"refuses the run \(Cuda Runtime: an illegal")],
)
def test_a_refused_run_is_an_error(module, plan, refused, message):
    engine = RtxEngine(plan(), manifest())
    module.refused = {refused}
    with pytest.raises(EngineError, match=message):
        engine.enqueue(0x1000, 0x2000, 77)


def test_the_parts_die_from_the_context_to_the_runtime(module, plan):
    engine = RtxEngine(plan(), manifest())
    assert not [call for call in module.calls if "gone" in call]
    del engine
    gc.collect()
    assert module.calls[-4:] == ["context gone", "config gone", "engine gone", "runtime gone"]


@pytest.mark.parametrize(("graph", "strategy"), [(False, "DISABLED"), (True, "WHOLE_GRAPH_CAPTURE")])
def test_a_graph_is_the_librarys_and_captured_on_request_only(module, plan, graph, strategy):
    RtxEngine(plan(), manifest(), graph=graph)
    assert ("context", strategy, False) in module.calls


@pytest.mark.parametrize("refused", ["config", "strategy"])
def test_a_strategy_that_the_library_does_not_take_is_an_error(module, plan, refused):
    module.refused = {refused}
    with pytest.raises(EngineError, match="a runtime configuration with the CUDA graph strategy WHOLE_GRAPH_CAPTURE"):
        RtxEngine(plan(), manifest(), graph=True)


def run_once(plan, path):
    engine = RtxEngine(plan, manifest(), kernels=path)
    engine.enqueue(0x1000, 0x2000, 77)
    engine.enqueue(0x1000, 0x2000, 77)


def test_kernels_are_compiled_once_and_kept_after_the_first_run(module, plan, tmp_path):
    path = tmp_path / "cache" / "x.kernels"
    for _ in range(3):
        run_once(plan(), path)
    assert path.read_bytes() == b"sm_89 kernels"
    assert module.calls.count("compiled") == 1
    assert [file.name for file in path.parent.iterdir()] == ["x.kernels"]


@pytest.mark.parametrize("content", [b"", b"sm_86 kernels", b"damaged"])
def test_kernels_of_another_machine_are_compiled_again_and_said_so(module, plan, tmp_path, content):
    path = tmp_path / "x.kernels"
    path.write_bytes(content)
    with pytest.warns(KernelWarning, match=r"x\.kernels: kernels are compiled again, since those kept are of another"):
        run_once(plan(), path)
    assert path.read_bytes() == b"sm_89 kernels"


def test_kernels_that_cannot_be_kept_or_read_cost_a_warning_only(module, plan, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(KernelWarning) as caught:
        run_once(plan(), tmp_path / "file" / "x.kernels")
    unread, unkept = (str(warning.message) for warning in caught)
    assert "kernels are compiled again, the file cannot be read (Not a directory)" in unread
    assert "compiled kernels are not kept" in unkept
    assert "BRATS_TRT_CACHE" in unkept
    module.refused = {"cache"}
    with pytest.warns(KernelWarning, match="takes no cache"):
        run_once(plan(), tmp_path / "x.kernels")
    assert not (tmp_path / "x.kernels").exists()


def test_the_real_library_has_what_the_stand_in_pretends():
    real = pytest.importorskip("tensorrt_rtx")
    assert {"DISABLED", "WHOLE_GRAPH_CAPTURE"} <= set(real.CudaGraphStrategy.__members__)
    members = {
        real.ICudaEngine: ("create_runtime_config", "create_execution_context"),
        real.IRuntimeConfig: ("cuda_graph_strategy", "create_runtime_cache", "set_runtime_cache"),
        real.IRuntimeCache: ("serialize", "deserialize"),
    }
    for kind, names in members.items():
        assert [name for name in names if not hasattr(kind, name)] == []
    assert "runtime_config: " in real.ICudaEngine.create_execution_context.__doc__


def test_without_a_gpu_nothing_of_the_library_is_touched(monkeypatch, plan):
    fake = fake_module("tensorrt_rtx", "1.7.1.116")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(EngineError, match=r"needs CuPy.*pip install"):
        RtxEngine(plan(), manifest())
    assert fake.calls == []


def test_a_plan_that_is_not_there_or_has_no_weights_is_refused(module, tmp_path, plan):
    with pytest.raises(EngineError, match=r"none\.plan: the plan cannot be read"):
        RtxEngine(tmp_path / "none.plan", manifest())
    with pytest.raises(EngineError, match="stripped of its weights"):
        RtxEngine(plan(), manifest(stripped=True))

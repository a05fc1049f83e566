"""Plans built for real by TensorRT-RTX, which needs no GPU for it, and the path of TensorRT on a stand-in."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import signal
import sys

import onnx
import pytest
import released_size
from fake_tensorrt import install_tensorrt
from models import tiny_model
from references import checkpoint

from brats_trt import CaseError, EngineError, demo_model
from brats_trt.backends.model import read_model
from brats_trt.export import convert
from brats_trt.plans import builder
from brats_trt.plans.builder import build_plan
from brats_trt.plans.compilation import compile_plan
from brats_trt.plans.flavour import load_flavour
from brats_trt.plans.manifest import manifest_path, read_manifest
from brats_trt.plans.network import ParsedNetwork
from brats_trt.plans.preparation import prepared
from brats_trt.plans.recipe import Recipe

NEEDS_RTX = pytest.mark.skipif(
    not importlib.util.find_spec("tensorrt_rtx"), reason="tensorrt-rtx-cu13 has no wheel for this platform"
)
NOTICE = "Research use only, not a medical device."
NORMS, CONVOLUTIONS, DECONVOLUTIONS, SOFTMAXES, CASTS = 42, 66, 9, 3, 90


@pytest.fixture(scope="module")
def rtx():
    return load_flavour("tensorrt-rtx")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A float32 model of the released architecture; over fewer voxels TensorRT has norms of a single one."""
    path = tmp_path_factory.mktemp("converted") / "x.onnx"
    convert(*checkpoint("random-f1"), path, size=64)
    return path


@pytest.fixture
def tensorrt(monkeypatch):
    """A stand-in for TensorRT 10 and a GPU to build on."""
    return install_tensorrt(monkeypatch)


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


def compiled(flavour, path, **recipe):
    recipe = Recipe(**recipe)
    return compile_plan(prepared(read_model(path), recipe), path, flavour, recipe)


def summary(flavour, path, **recipe):
    """What the real parser makes of a model, without a build."""
    return ParsedNetwork(flavour, prepared(read_model(path), Recipe(**recipe)), path).summary()


def assert_layers_are_those_of_the_graph(layers):
    counted = {name: layers[name] for name in ("NORMALIZATION", "CONVOLUTION", "DECONVOLUTION", "SOFTMAX", "CAST")}
    assert counted == {
        "NORMALIZATION": NORMS,
        "CONVOLUTION": CONVOLUTIONS,
        "DECONVOLUTION": DECONVOLUTIONS,
        "SOFTMAX": SOFTMAXES,
        "CAST": CASTS,
    }


@NEEDS_RTX
def test_the_demo_model_is_built_in_fp16_without_a_convolution_in_float32(rtx):
    plan = compiled(rtx, demo_model())
    assert_layers_are_those_of_the_graph(plan.network.layers)
    assert plan.network.wide_convolutions == ()
    assert 5e6 < len(plan.content) < 60e6


@NEEDS_RTX
def test_a_float32_model_stays_as_it_is_or_is_typed(rtx, converted):
    whole = summary(rtx, converted, precision="fp32")
    assert "CAST" not in whole.layers
    assert len(whole.wide_convolutions) == CONVOLUTIONS + DECONVOLUTIONS
    half = summary(rtx, converted)
    assert_layers_are_those_of_the_graph(half.layers)
    assert half.wide_convolutions == ()


@NEEDS_RTX
def test_a_released_size_checkpoint_is_built_in_fp16_without_a_convolution_in_float32(rtx, tmp_path):
    symbol, weights, parameters = released_size.write_checkpoint(tmp_path)
    convert(symbol, weights, tmp_path / "x.onnx")
    plan = compiled(rtx, tmp_path / "x.onnx")
    assert_layers_are_those_of_the_graph(plan.network.layers)
    assert plan.network.wide_convolutions == ()
    assert 2 * parameters < len(plan.content) < 4 * parameters, "two bytes a parameter, and kernels"


@NEEDS_RTX
def test_the_manifest_says_what_was_built_and_from_what(rtx, model, tmp_path):
    output = tmp_path / "tiny.plan"
    manifest = build_plan(model, output, rtx, Recipe(capabilities=("8.9",)))
    assert read_manifest(output) == manifest
    assert manifest.onnx.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert manifest.plan.sha256 == hashlib.sha256(output.read_bytes()).hexdigest()
    assert manifest.plan.nbytes == output.stat().st_size
    assert (manifest.runtime.flavour, manifest.runtime.version) == ("tensorrt-rtx", rtx.version)
    assert (manifest.device.name, manifest.device.compute_capabilities) == ("portable", ("8.9",))
    assert manifest.tensors.input.name == "data_crop"
    assert manifest.tensors.output.shape == (1, 4, 16, 16, 16)
    assert sum(map(sum, manifest.golden.counts)) == 16**3
    assert manifest.audit is None


@NEEDS_RTX
def test_a_portable_plan_is_for_all_from_ampere_on(rtx, model, tmp_path):
    manifest = build_plan(model, tmp_path / "tiny.plan", rtx, Recipe())
    assert {"8.0", "8.6", "8.9", "12.0"} <= set(manifest.device.compute_capabilities)
    assert "7.5" not in manifest.device.compute_capabilities


@NEEDS_RTX
def test_a_parsers_error_of_the_real_library_names_the_node(rtx, model):
    proto = onnx.load(model)
    proto.graph.node[0].op_type = "Frobnicate"
    onnx.save(proto, model)
    with pytest.raises(EngineError, match=r"the node 'scores' \(Frobnicate\) is at fault"):
        compiled(rtx, model, precision="fp32")


@NEEDS_RTX
def test_ctrl_c_stops_the_real_library_and_leaves_nothing(rtx, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_plan(model, tmp_path / "x.plan", rtx, Recipe(), progress=lambda *_: signal.raise_signal(signal.SIGINT))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_tensorrts_plan_is_for_the_gpu_that_built_it(tensorrt, model, tmp_path):
    manifest = build_plan(model, tmp_path / "tiny.plan", load_flavour("tensorrt"), Recipe())
    assert (manifest.device.name, manifest.device.compute_capabilities) == ("NVIDIA H100", ("9.0",))
    told = json.loads((tmp_path / "tiny.plan").read_text())
    assert told["strongly_typed"]


def test_tensorrt_without_a_gpu_says_so_before_any_work(tensorrt, model, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(EngineError, match="needs CuPy"):
        build_plan(model, tmp_path / "tiny.plan", load_flavour("tensorrt"), Recipe())
    assert tensorrt.networks == []


@pytest.mark.parametrize("existed", [False, True])
def test_a_manifest_that_cannot_be_written_takes_a_new_plan_with_it(tensorrt, model, tmp_path, monkeypatch, existed):
    def full(*_):
        raise CaseError("No space left on device")

    output = tmp_path / "x.plan"
    if existed:
        output.write_bytes(b"old")
    monkeypatch.setattr(builder, "write_manifest", full)
    with pytest.raises(CaseError, match="No space left"):
        build_plan(model, output, load_flavour("tensorrt"), Recipe(), overwrite=True)
    assert output.exists() == existed
    assert not manifest_path(output).exists()


@NEEDS_RTX
@pytest.mark.parametrize(
    "variant",
    [
        {"norm": "native_half"},
        {"norm": "decomposed"},
        {"grouped": "widened16"},
        {"grouped": "dense"},
        {"deconvolution": "pixel_shuffle"},
        {"scale": "as_is"},
        {"scale": "sixteenth"},
    ],
    ids=lambda variant: "-".join(*variant.items()),
)
def test_every_rewrite_is_taken_by_the_real_parser(rtx, converted, variant):
    network = summary(rtx, converted, **variant)
    assert network.wide_convolutions == ()
    assert network.layers.get("DECONVOLUTION", 0) == (0 if "deconvolution" in variant else DECONVOLUTIONS)
    assert network.layers.get("NORMALIZATION", 0) == (0 if "decomposed" in variant.values() else NORMS)


@NEEDS_RTX
def test_rewrites_are_built_together(rtx, converted):
    assert compiled(rtx, converted, norm="decomposed", grouped="widened16", deconvolution="pixel_shuffle").content


@NEEDS_RTX
def test_an_unknown_rewrite_is_refused(rtx, model):
    with pytest.raises(CaseError, match="norm 'plugin' is not known"):
        compiled(rtx, model, norm="plugin")


def test_an_audits_findings_are_kept(tensorrt, model, tmp_path):
    seen = []

    def audit(content):
        seen.append(onnx.load_model_from_string(content))
        return {"worst": 0.5}

    manifest = build_plan(model, tmp_path / "x.plan", load_flavour("tensorrt"), Recipe(), audit=audit)
    assert manifest.audit == {"worst": 0.5}
    assert read_manifest(tmp_path / "x.plan").audit == {"worst": 0.5}
    assert [node.op_type for node in seen[0].graph.node] == ["Cast", "Conv", "Cast", "Mul", "Softmax"], "as it is built"

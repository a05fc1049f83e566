"""Plans built for real by TensorRT-RTX, which needs no GPU for it, and the path of TensorRT on a stand-in."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import shlex
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
import released_size
from fake_tensorrt import fake_module
from models import tiny_model
from references import checkpoint

from brats_trt import CaseError, EngineError, cli, demo_model
from brats_trt.backends import cupy_device
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
    module = fake_module()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    gpu = SimpleNamespace(name="NVIDIA H100", compute_capability=(9, 0))
    monkeypatch.setattr(cupy_device, "CupyDevice", lambda: gpu)
    return module


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["brats-trt", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


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


@NEEDS_RTX
def test_the_command_line_builds_and_repeats_itself(run, model, tmp_path):
    output = tmp_path / "tiny.plan"
    code, out, err = run("build", model, "-o", output, "--runtime", "tensorrt-rtx", "--capability", "8.6")
    assert code == 0, err
    assert f"{output}: fp16" in out
    assert NOTICE in out
    assert "building" in err
    first = read_manifest(output)
    assert run(*shlex.split(first.command)[1:])[0] == 0
    again = read_manifest(output)
    assert (again.recipe, again.onnx, again.command) == (first.recipe, first.onnx, first.command)


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


OPTIONS = {
    "precision": ("fp32", ["--precision", "fp32"]),
    "optimisation_level": (5, ["--optimisation-level", "5"]),
    "hardware_compatible": ("ampere_plus", ["--hardware-compatible", "ampere_plus"]),
    "version_compatible": (True, ["--version-compatible"]),
    "stripped": (True, ["--stripped"]),
    "refittable": (True, ["--refittable"]),
    "norm": ("decomposed", ["--norm", "decomposed"]),
    "grouped": ("dense", ["--grouped", "dense"]),
    "deconvolution": ("pixel_shuffle", ["--deconvolution", "pixel_shuffle"]),
    "scale": ("quarter", ["--scale", "quarter"]),
    "capabilities": (("8.6", "8.9"), ["--capability", "8.6", "--capability", "8.9"]),
}


@pytest.fixture
def asked(monkeypatch, tensorrt):
    """The recipe that a command line comes to, in place of a build."""
    recipes = []

    class SeenError(CaseError):
        pass

    def spy(model, output, flavour, recipe, **_):
        recipes.append(recipe)
        raise SeenError("seen")

    monkeypatch.setattr(builder, "build_plan", spy)
    return recipes


def test_the_options_cover_the_recipe():
    assert set(OPTIONS) == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_choice_of_a_recipe_is_an_option_and_back(run, asked, name):
    value, options = OPTIONS[name]
    run("build", "m.onnx", "-o", "m.plan", *options)
    assert asked == [Recipe(**{name: value})]
    assert " ".join(options) in " ".join(asked[0].options())
    run("build", "m.onnx", "-o", "m.plan", *asked[0].options())
    assert asked[1] == asked[0]


def assert_refused(outcome, message):
    code, out, err = outcome
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err + out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.onnx", "-o", "x.plan"), "missing.onnx: the model cannot be read"),
        (("junk.onnx", "-o", "x.plan"), "junk.onnx: not an ONNX model"),
        (("three.onnx", "-o", "x.plan"), "expected one input and one output of (1, 4, D, H, W)"),
        (("bare.onnx", "-o", "x.plan"), "carries no preprocessing spec"),
        (("half.onnx", "-o", "x.plan", "--precision", "fp32"), "typed in float16"),
        (("tiny.onnx", "-o", "nowhere/x.plan"), "the folder nowhere is not there"),
        (("tiny.onnx", "-o", "folder"), "is a folder and is kept"),
        (("tiny.onnx", "-o", "tiny.onnx", "--overwrite"), "is the name of a model"),
        (("tiny.plan", "-o", "tiny.plan", "--overwrite"), "is the model itself"),
        (("tiny.plan.json", "-o", "tiny.plan", "--overwrite"), "tiny.plan.json: is the model itself"),
        (("tiny.onnx", "-o", "old.plan"), "old.plan: exists already and is kept; pass overwrite (--overwrite)"),
        (("tiny.onnx", "-o", ""), "an empty name was given"),
        (("tiny.onnx", "-o", "x.plan", "--capability", "8.9"), "does not offer compute capabilities"),
        (("tiny.onnx", "-o", "x.plan", "--precision", "fp32", "--audit"), "leave one of them out"),
    ],
)
def test_a_bad_call_is_one_line_and_exit_code_2_and_writes_nothing(
    run, tensorrt, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    for name in ("tiny.onnx", "tiny.plan", "tiny.plan.json"):
        tiny_model(Path(name))
    tiny_model(Path("three.onnx"), channels=3)
    tiny_model(Path("bare.onnx"), spec=None)
    tiny_model(Path("half.onnx"), dtype="FLOAT16")
    Path("junk.onnx").write_bytes(b"junk")
    Path("old.plan").write_bytes(b"precious")
    Path("folder").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert_refused(run("build", *arguments), message)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_unknown_runtime_is_exit_code_2(run, model, tmp_path):
    code, _, err = run("build", model, "-o", tmp_path / "x.plan", "--runtime", "onnxruntime")
    assert code == 2
    assert "'onnxruntime' is not one of 'tensorrt', 'tensorrt-rtx'" in err


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(run, tensorrt, model, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root could write everywhere
    assert_refused(run("build", model, "-o", tmp_path / "x.plan"), "cannot be written: name another output")
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


def test_a_build_that_fails_leaves_an_older_plan_as_it_was(run, tensorrt, model, tmp_path):
    output = tmp_path / "x.plan"
    assert run("build", model, "-o", output)[0] == 0
    before = (output.read_bytes(), manifest_path(output).read_bytes())
    tensorrt.failure = "Error Code 2: OutOfMemory"
    code, _, err = run("build", model, "-o", output, "--overwrite")
    assert code == 2
    assert "builds no plan (Error Code 2: OutOfMemory)" in err
    assert (output.read_bytes(), manifest_path(output).read_bytes()) == before


@NEEDS_RTX
@pytest.mark.parametrize(
    "variant",
    [
        {"norm": "native_half"},
        {"norm": "decomposed"},
        {"grouped": "widened16"},
        {"grouped": "dense"},
        {"deconvolution": "pixel_shuffle"},
        {"scale": "quarter"},
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
    assert [node.op_type for node in seen[0].graph.node] == ["Cast", "Conv", "Cast", "Softmax"], "typed as it is built"


def test_doctor_names_both_libraries_and_what_to_install(run, tensorrt, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    code, out, _ = run("doctor", "--engine", model)
    assert code == 0
    lines = {line.split("  ", 1)[0]: line for line in out.splitlines()}
    assert "10.16.1.11; builds plans where a GPU is" in lines["tensorrt"]
    assert "pip install 'tensorrt-rtx-cu13" in lines["tensorrt-rtx"]
    assert "NVIDIA H100, compute capability 9.0" in lines["cupy"]


def test_doctor_says_what_cupy_lacks(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    _, out, _ = run("doctor", "--engine", model)
    assert "needs CuPy, which cannot be imported" in out

"""`brats-trt build` and what `brats-trt doctor` says of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from fake_tensorrt import install_tensorrt
from models import tiny_model

import brats_trt
from brats_trt import CaseError, EngineError
from brats_trt.backends.tensorrt import import_runner
from brats_trt.plans import builder
from brats_trt.plans.manifest import manifest_path, read_manifest
from brats_trt.plans.recipe import Recipe

NEEDS_RTX = pytest.mark.skipif(
    not importlib.util.find_spec("tensorrt_rtx"), reason="tensorrt-rtx-cu13 has no wheel for this platform"
)
NOTICE = "Research use only, not a medical device."


@pytest.fixture
def tensorrt(monkeypatch):
    """A stand-in for TensorRT 10 and a GPU to build on."""
    return install_tensorrt(monkeypatch)


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


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
    "scale": ("sixteenth", ["--scale", "sixteenth"]),
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


def test_a_build_that_fails_leaves_an_older_plan_as_it_was(run, tensorrt, model, tmp_path):
    output = tmp_path / "x.plan"
    assert run("build", model, "-o", output)[0] == 0
    before = (output.read_bytes(), manifest_path(output).read_bytes())
    tensorrt.failure = "Error Code 2: OutOfMemory"
    code, _, err = run("build", model, "-o", output, "--overwrite")
    assert code == 2
    assert "builds no plan (Error Code 2: OutOfMemory)" in err
    assert (output.read_bytes(), manifest_path(output).read_bytes()) == before


def test_an_audit_is_of_the_graph_as_it_is_built_and_goes_into_the_manifest(run, tensorrt, model, monkeypatch):
    seen = []

    def audit(path, *, cases):
        seen.append([node.op_type for node in onnx.load(path).graph.node])
        return SimpleNamespace(overflows=(), to_json=lambda: {"worst": 0.5})

    monkeypatch.setattr("brats_trt.plans.audit.audit", audit)
    output = model.with_name("x.plan")
    code, _, err = run("build", model, "-o", output, "--audit")
    assert code == 0, err
    assert seen == [["Cast", "Conv", "Cast", "Mul", "Softmax"]]
    assert read_manifest(output).audit == {"worst": 0.5}


def test_doctor_names_both_libraries_and_what_to_install(run, tensorrt, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    code, out, _ = run("doctor", "--engine", model)
    assert code == 0
    lines = {line.split("  ", 1)[0]: line for line in out.splitlines()}
    assert "10.16.1.11; builds plans where a GPU is" in lines["tensorrt"]
    assert "pip install 'tensorrt-rtx-cu13" in lines["tensorrt-rtx"]
    assert "NVIDIA H100, compute capability 9.0" in lines["cupy"]


def line_of(out, name):
    return next(line for line in out.splitlines() if line.startswith(f"{name} "))


def test_doctor_says_how_to_build_the_runner_that_is_not_there(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "brats_trt._tensorrt", None)
    monkeypatch.delattr(brats_trt, "_tensorrt", raising=False)
    code, out, _ = run("doctor", "--engine", model)
    assert code == 0
    assert "built without its runner of TensorRT engines" in line_of(out, "runner")
    assert "scripts/fetch_headers.py" in line_of(out, "runner")


@pytest.mark.usefixtures("has_runner")
def test_doctor_says_which_library_the_runner_lacks_and_how_to_get_it(run, model, monkeypatch):
    def missing(*_, **__):
        raise EngineError("no TensorRT library: libnvinfer.so.10 cannot be loaded: pip install 'tensorrt-cu13'")

    monkeypatch.setattr("brats_trt.backends.tensorrt.open_library", missing)
    monkeypatch.setattr("brats_trt.backends.tensorrt.packaged_library", lambda names: "")
    line = line_of(run("doctor", "--engine", model)[1], "runner")
    assert re.search(
        r"drives tensorrt 1\d\.\d+\.\d+ and later of its major; no libnvinfer\.so\.1\d in pip's packages", line
    )
    assert "(pip install 'tensorrt-cu13>=10.14,<11'" in line
    assert line.endswith("cannot be loaded: pip install 'tensorrt-cu13'")


def test_doctor_names_the_library_that_the_runner_loads(run, model, fakes, monkeypatch):
    def fake_library():
        return import_runner().Library(str(fakes.tensorrt), driver=str(fakes.driver))

    monkeypatch.setattr("brats_trt.backends.tensorrt.open_library", fake_library)
    line = line_of(run("doctor", "--engine", model)[1], "runner")
    assert line.endswith(f"{fakes.tensorrt} of version {fake_library().version} on Fake GPU")


def test_doctor_says_what_cupy_lacks(run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    _, out, _ = run("doctor", "--engine", model)
    assert "needs CuPy, which cannot be imported" in out

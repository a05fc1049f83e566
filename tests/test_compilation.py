"""A build by stand-ins for both releases of TensorRT and for TensorRT-RTX: what they are told, and what they say."""

from __future__ import annotations

import json
import signal
import sys
import threading

import onnx
import pytest
from fake_tensorrt import BuilderFlag, fake_module
from models import tiny_model

from brats_trt import CaseError, EngineError
from brats_trt.plans.compilation import compile_plan
from brats_trt.plans.flavour import FLAVOURS, load_flavour
from brats_trt.plans.network import ParsedNetwork
from brats_trt.plans.recipe import Recipe

RELEASES = {
    "10": ("tensorrt", "10.16.1.11"),
    "11": ("tensorrt", "11.4.0.106"),
    "rtx": ("tensorrt_rtx", "1.7.1.116"),
}
ENTERPRISE = pytest.mark.parametrize("library", ["10", "11"], indirect=True)
RTX = pytest.mark.parametrize("library", ["rtx"], indirect=True)


@pytest.fixture(params=RELEASES)
def library(request, monkeypatch):
    """The stand-in for a release, in the place of the real module."""
    name, version = RELEASES[request.param]
    module = fake_module(name, version)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx", dtype="FLOAT16")


def flavour_of(library):
    return load_flavour(library.__name__.replace("_", "-"))


def build(library, model, progress=None, **recipe):
    """What the stand-in was told."""
    flavour = flavour_of(library)
    compiled = compile_plan(model.read_bytes(), model, flavour, Recipe(**recipe), progress=progress)
    return json.loads(compiled.content)


def test_every_network_is_strongly_typed_and_the_workspace_is_not_capped(library, model):
    told = build(library, model)
    assert told["strongly_typed"]
    assert not told["workspace_was_capped"]
    assert (told["flags"], told["level"], told["hardware"]) == ([], 3, "NONE")


def test_release_10_is_asked_for_strong_typing_and_11_is_not(monkeypatch, model):
    for release, flags in (("10", 1 << 1), ("11", 0)):
        name, version = RELEASES[release]
        module = fake_module(name, version)
        monkeypatch.setitem(sys.modules, name, module)
        build(module, model)
        assert module.networks[0].flags == flags


def test_a_release_10_without_strong_typing_is_refused(monkeypatch, model):
    module = fake_module()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    module.NetworkDefinitionCreationFlag = type("Flag", (), {})
    with pytest.raises(EngineError, match="does not offer strongly typed networks"):
        build(module, model)


@pytest.mark.parametrize("level", [0, 5])
def test_the_optimisation_level_is_handed_over(library, model, level):
    assert build(library, model, optimisation_level=level)["level"] == level


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        ({"stripped": True}, ["STRIP_PLAN"]),
        ({"refittable": True}, ["REFIT"]),
        ({"stripped": True, "refittable": True}, ["REFIT", "STRIP_PLAN"]),
    ],
)
def test_stripped_and_refittable_are_flags_of_the_builder(library, model, recipe, flags):
    assert build(library, model, **recipe)["flags"] == flags


@ENTERPRISE
def test_version_compatible_is_a_flag_of_tensorrts_builder(library, model):
    assert build(library, model, version_compatible=True)["flags"] == ["VERSION_COMPATIBLE"]


@ENTERPRISE
@pytest.mark.parametrize("level", ["ampere_plus", "same_compute_capability"])
def test_hardware_compatibility_is_a_level_of_tensorrt(library, model, level):
    assert build(library, model, hardware_compatible=level)["hardware"] == level.upper()


@RTX
@pytest.mark.parametrize(
    ("asked", "targets"),
    [((), ["SM80", "SM89", "SM120"]), (("8.9",), ["SM89"]), (("7.5", "12.0"), ["SM75", "SM120"])],
)
def test_rtx_is_told_the_compute_capabilities_without_turing_unless_asked(library, model, asked, targets):
    assert build(library, model, capabilities=asked)["targets"] == targets


@ENTERPRISE
def test_tensorrt_refuses_compute_capabilities(library, model):
    with pytest.raises(EngineError, match="does not offer compute capabilities to target: use --hardware-compatible"):
        build(library, model, capabilities=("8.9",))


@RTX
@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"hardware_compatible": "ampere_plus"}, "does not offer hardware compatibility levels: name the GPUs by"),
        ({"version_compatible": True}, "does not offer version-compatible plans"),
        ({"capabilities": ("9.0",)}, r"the compute capability 9\.0: choose from 7\.5, 8\.0, 8\.9, 12\.0"),
    ],
)
def test_rtx_refuses_what_it_does_not_have(library, model, recipe, message):
    with pytest.raises(EngineError, match=message):
        build(library, model, **recipe)


@ENTERPRISE
def test_an_option_that_a_release_has_not_is_named(library, model, monkeypatch):
    monkeypatch.setattr(library, "HardwareCompatibilityLevel", type("Level", (), {"NONE": 0}))
    with pytest.raises(EngineError, match=r"does not offer HardwareCompatibilityLevel\.AMPERE_PLUS"):
        build(library, model, hardware_compatible="ampere_plus")


def test_a_flag_that_the_library_drops_is_an_error(library, model):
    library.refused_flags = {BuilderFlag.STRIP_PLAN}
    with pytest.raises(EngineError, match="the builder's flag STRIP_PLAN here"):
        build(library, model, stripped=True)


def odd_model(path, nodes):
    model = onnx.load(tiny_model(path))
    for index in range(nodes):
        model.graph.node.append(onnx.helper.make_node("OddOne", ["scores"], [f"odd{index}"], name=f"odd/{index}"))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("nodes", "more"), [(1, r"\)"), (3, r"\), and 2 more")])
def test_a_parsers_error_names_the_node_in_one_line(library, tmp_path, nodes, more):
    with pytest.raises(
        EngineError, match=rf"the node 'odd/0' \(OddOne\) is at fault \(no importer for this{more}:"
    ) as it:
        build(library, odd_model(tmp_path / "odd.onnx", nodes))
    assert "\n" not in str(it.value)
    assert "odd.onnx: TensorRT" in str(it.value)


def test_a_build_that_fails_says_so_in_the_librarys_words(library, model):
    library.failure = "Error Code 2: OutOfMemory (no further\ninformation)"
    with pytest.raises(EngineError, match=r"builds no plan \(Error Code 2: OutOfMemory \(no further information\)\):"):
        build(library, model)


def test_a_library_that_fails_silently_is_an_error_too(library, model, monkeypatch):
    monkeypatch.setattr(library.Builder, "build_serialized_network", lambda *_: None)
    with pytest.raises(EngineError, match=r"builds no plan \(no reason given\)"):
        build(library, model)


@ENTERPRISE
def test_without_a_gpu_tensorrts_null_builder_is_an_error(library, model):
    library.has_gpu = False
    with pytest.raises(EngineError, match=r"makes no builder \(CUDA initialization failure.*needs a GPU"):
        build(library, model)


def test_progress_never_falls_and_counts_phases_within_phases(library, model):
    seen = []
    build(library, model, progress=lambda phase, share: seen.append((phase, share)))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(1 / 8), "a quarter of a half"
    assert shares[-1] == 1
    assert {phase for phase, _ in seen} == {"Building", "Tactics"}


def test_what_a_callback_raises_stops_the_build_and_is_raised(library, model):
    seen = []

    def progress(phase, share):
        seen.append(share)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        build(library, model, progress=progress)
    assert len(seen) == 1


def test_ctrl_c_stops_the_build_at_its_next_step(library, model):
    steps = []

    def press():
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)

    library.on_step = press
    with pytest.raises(KeyboardInterrupt):
        build(library, model)
    assert len(steps) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


def test_ctrl_c_after_the_last_step_is_raised_too(library, model, monkeypatch):
    as_usual = library.Builder.build_serialized_network

    def build_and_press(*arguments):
        plan = as_usual(*arguments)
        signal.raise_signal(signal.SIGINT)
        return plan

    monkeypatch.setattr(library.Builder, "build_serialized_network", build_and_press)
    with pytest.raises(KeyboardInterrupt):
        build(library, model)


def test_a_programs_own_handler_of_ctrl_c_is_left_alone(library, model):
    pressed = []
    previous = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        library.on_step = lambda: signal.raise_signal(signal.SIGINT)
        assert build(library, model)["strongly_typed"]
    finally:
        signal.signal(signal.SIGINT, previous)
    assert pressed


def test_a_build_in_another_thread_leaves_signals_alone(library, model):
    told = []
    thread = threading.Thread(target=lambda: told.append(build(library, model)))
    thread.start()
    thread.join()
    assert told[0]["strongly_typed"]


def test_the_summary_counts_layers_and_names_wide_convolutions(library, tmp_path):
    for dtype, wide in (("FLOAT16", ()), ("FLOAT", ("scores",))):
        path = tiny_model(tmp_path / dtype, dtype=dtype)
        summary = ParsedNetwork(flavour_of(library), path.read_bytes(), path).summary()
        assert summary.wide_convolutions == wide
        assert summary.layers == {"CONVOLUTION": 1, "OTHER": 1}
        assert (summary.inputs[0].dtype, summary.outputs[0].shape) == (
            {"FLOAT16": "float16", "FLOAT": "float32"}[dtype],
            (1, 4, 16, 16, 16),
        )


@pytest.mark.parametrize("name", FLAVOURS)
def test_a_library_that_is_not_there_is_named_with_its_pip_line(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    with pytest.raises(EngineError, match=rf"the runtime '{name}' cannot be imported .*: pip install '{name}-cu13"):
        load_flavour(name)


@pytest.mark.parametrize(("name", "version"), [("tensorrt", "10.13.3.9"), ("tensorrt_rtx", "1.4.0.76")])
def test_a_library_that_is_too_old_is_refused(monkeypatch, name, version):
    monkeypatch.setitem(sys.modules, name, fake_module(name, version))
    with pytest.raises(EngineError, match=rf"is of version {version}; expected .* or later: pip install -U"):
        load_flavour(name.replace("_", "-"))


def test_an_unknown_runtime_is_refused():
    with pytest.raises(CaseError, match=r"'onnxruntime' is not known; expected one of \['tensorrt', 'tensorrt-rtx'\]"):
        load_flavour("onnxruntime")

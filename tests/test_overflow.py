"""A network whose values pass float16: the audit refuses to have it built, the golden case refuses the plan.

A plan stands here as its graph evaluated on the CPU with each float16 tensor rounded; infinities go through the graph.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx
import pytest
from emulated_device import CpuNetwork, EmulatedDevice
from fake_tensorrt import install_tensorrt
from models import tiny_model
from onnx import helper, numpy_helper
from references import checkpoint

import brats_trt.demo
from brats_trt import EngineError, demo_model
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.export import convert
from brats_trt.plans.audit import audit_graph
from brats_trt.plans.builder import build_plan
from brats_trt.plans.flavour import load_flavour
from brats_trt.plans.golden import check_golden, expect_golden, golden_counts, golden_crop
from brats_trt.plans.manifest import read_manifest
from brats_trt.plans.preparation import prepared
from brats_trt.plans.recipe import Recipe
from brats_trt.plans.twin import Twin, TwinEvaluation


class RoundedEvaluation(TwinEvaluation):
    """The rounded twin alone, of which an infinity does not end the evaluation."""

    def _evaluate(self, node, inputs):
        return super()._evaluate(node, {name: Twin(twin.rounded, twin.rounded) for name, twin in inputs.items()})


class RoundedEngine:
    """A graph in FP16 as the tests' device takes a network."""

    def __init__(self, path):
        self.model = read_model(path)
        self.precision = "fp16"
        self.infinite = False
        self._evaluation = RoundedEvaluation(path)

    def infer(self, crop, softmax, absent=()):
        softmax[...] = self._evaluation.run(crop, self._look).rounded

    def _look(self, step):
        self.infinite |= any(not np.isfinite(twin.rounded).all() for twin in step.outputs)


def large_model(path):
    """`tiny_model` whose scores are 5000 times larger, in two steps: float16 holds the weights and not the scores."""
    model = onnx.load(tiny_model(path))
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    for array in arrays.values():
        array.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(array) * np.float32(1000), array.name))
    fivefold = (np.eye(4, dtype=np.float32) * 5)[:, :, None, None, None]
    model.graph.initializer.append(numpy_helper.from_array(fivefold, "fivefold"))
    first, softmax = model.graph.node
    first.name = first.output[0] = "steps"
    second = helper.make_node("Conv", ["steps", "fivefold"], ["scores"], name="scores")
    del model.graph.node[:]
    model.graph.node.extend([first, second, softmax])
    onnx.save(model, path)
    return path


def check(model, recipe, folder):
    """What loading a plan of a recipe would find."""
    path = folder / "graph.onnx"
    path.write_bytes(prepared(read_model(model), recipe))
    device, engine = EmulatedDevice(mode="fast"), RoundedEngine(path)
    try:
        check_golden(device, CpuNetwork(device, engine), expect_golden(read_model(model)))
    finally:
        assert engine.infinite == (recipe.scale == "as_is")


def test_a_plan_that_overflows_fails_its_golden_case_and_scaled_it_does_not(tmp_path):
    model = large_model(tmp_path / "large.onnx")
    with pytest.raises(EngineError, match=r"the golden crop on emulated has \d+ of 16384 values that are not"):
        check(model, Recipe(scale="as_is"), tmp_path)
    check(model, Recipe(), tmp_path)


@pytest.mark.slow
def test_the_reference_networks_plan_fails_its_golden_case_as_it_is_and_scaled_it_does_not(tmp_path):
    model = tmp_path / "phantom-f2.onnx"
    convert(*checkpoint("phantom-f2"), model, precision="fp16")
    with pytest.raises(EngineError, match=r"has \d+ of 8388608 values that are not finite"):
        check(model, Recipe(scale="as_is"), tmp_path)
    check(model, Recipe(), tmp_path)


def test_the_demo_model_is_scaled_by_default_and_answers_the_golden_crop_alike_in_fp32(tmp_path):
    demo = read_model(demo_model())
    path = tmp_path / "scaled.onnx"
    path.write_bytes(prepared(demo, Recipe()))
    assert path.read_bytes() != demo.path.read_bytes()
    crop = golden_crop(0, demo.size)
    softmax = np.empty_like(crop)
    OpenVinoEngine(read_model(path), precision="fp32").infer(crop, softmax)
    assert golden_counts(softmax) == expect_golden(demo).counts


@pytest.fixture
def small_phantoms(monkeypatch):
    small = functools.partial(brats_trt.demo.make_phantom, shape=(48, 48, 31))
    monkeypatch.setattr(brats_trt.demo, "make_phantom", small)


def test_an_audit_refuses_to_have_it_built_and_says_what_helps(monkeypatch, tmp_path, small_phantoms):
    install_tensorrt(monkeypatch)
    model, output, tensorrt = large_model(tmp_path / "large.onnx"), tmp_path / "x.plan", load_flavour("tensorrt")
    found = r"values pass float16's 65,504 behind 'scores' \(Conv, \d+,\d+\).*--scale quarter, or sixteenth.*fp32"
    with pytest.raises(EngineError, match=found):
        build_plan(model, output, tensorrt, Recipe(scale="as_is"), audit=audit_graph)
    assert [path.name for path in tmp_path.iterdir()] == ["large.onnx"]
    manifest = build_plan(model, output, tensorrt, Recipe(), audit=audit_graph)
    assert manifest.audit["overflows"] == ()
    assert read_manifest(output).audit["overflows"] == []

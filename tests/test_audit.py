from __future__ import annotations

import functools
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from references import checkpoint

import brats_trt.demo
from brats_trt import CaseError, EngineError
from brats_trt.export import convert
from brats_trt.export.rewrites import rewrite
from brats_trt.metrics import STRUCTURES
from brats_trt.plans.audit import audit

FLOAT16_MAX = 65504


@pytest.fixture(scope="module")
def small_phantoms():
    with pytest.MonkeyPatch.context() as patch:
        small = functools.partial(brats_trt.demo.make_phantom, shape=(48, 48, 31))
        patch.setattr(brats_trt.demo, "make_phantom", small)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory, small_phantoms):
    path = tmp_path_factory.mktemp("model") / "x.onnx"
    convert(*checkpoint("random-f1"), path, size=32, precision="fp16")
    return path


@pytest.fixture(scope="module")
def clean(model):
    return audit(model, cases=2)


def test_a_network_that_float16_holds_agrees_but_for_boundary_voxels(clean):
    assert [case.case for case in clean.cases] == ["demo phantom, seed 0", "demo phantom, seed 1"]
    assert clean.overflows == ()
    for case in clean.cases:
        assert set(case.dice) == set(STRUCTURES)
        assert min(case.dice.values()) > 0.9
        assert 0 < case.softmax_difference < 0.5
        assert case.flipped_off_boundary <= case.flipped < 0.01 * 48 * 48 * 31
        assert 0 < case.boundary < 48 * 48 * 31


def test_every_norm_has_its_range_and_the_narrowest_comes_first(clean):
    assert len({norm.name for norm in clean.norms}) == 42
    margins = [norm.margin for norm in clean.norms]
    assert margins == sorted(margins)
    assert all(norm.margin == pytest.approx(FLOAT16_MAX / norm.largest) for norm in clean.norms)


def test_the_worst_layers_compute_and_come_worst_first(clean):
    errors = [layer.relative_error for layer in clean.worst_layers]
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 5
    assert 2**-12 < errors[0] < 0.1  # a rounding is up to 2^-12 of a value, and roundings add up
    assert not {layer.operator for layer in clean.worst_layers} & {"Cast", "Relu", "Split", "Concat", "Max"}
    assert all(layer.before >= 0 for layer in clean.worst_layers)


def test_an_audit_is_plain_json(clean):
    text = json.dumps(clean.to_json(), allow_nan=False)
    assert json.loads(text)["norms"][0]["name"] == clean.norms[0].name
    assert "float32 on the CPU" in json.loads(text)["method"]


def behind_one_convolution(audited):
    """The range of a norm whose input nothing else reads; the narrowest of those."""
    return next(norm for norm in audited.norms if norm.name.endswith("norm2"))


def planted(model, path, name, factor):
    """The model with the convolution in front of a norm made so many times larger."""
    proto = onnx.load(model)
    producers = {node.output[0]: node for node in proto.graph.node}
    norm = next(node for node in proto.graph.node if node.name == name)
    convolution = producers[producers[norm.input[0]].input[0]]
    assert convolution.op_type == "Conv"
    for tensor in proto.graph.initializer:
        if tensor.name in convolution.input[1:]:
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array((values * np.float16(factor)).astype(np.float16), tensor.name))
    onnx.save(proto, path)
    return convolution.name


def test_an_overflow_is_named_with_its_layer_and_its_norm(model, clean, tmp_path):
    norm = behind_one_convolution(clean)
    layer = planted(model, tmp_path / "x.onnx", norm.name, 1.5 * norm.margin)
    found = audit(tmp_path / "x.onnx", cases=1)
    assert [(overflow.name, overflow.operator) for overflow in found.overflows] == [(layer, "Conv")]
    assert found.overflows[0].largest == pytest.approx(1.5 * FLOAT16_MAX, rel=0.1)
    assert found.norms[0].name == norm.name
    assert found.norms[0].margin == pytest.approx(1 / 1.5, rel=0.1)
    case = found.cases[0]
    assert (case.dice, case.flipped, case.flipped_off_boundary, case.softmax_difference) == (None,) * 4
    json.dumps(found.to_json(), allow_nan=False)


def test_a_network_that_was_scaled_overflows_no_more(model, clean, tmp_path):
    norm = behind_one_convolution(clean)
    planted(model, tmp_path / "x.onnx", norm.name, 1.5 * norm.margin)
    onnx.save(rewrite(onnx.load(tmp_path / "x.onnx"), scale="quarter"), tmp_path / "x.onnx")
    found = audit(tmp_path / "x.onnx", cases=1)
    assert found.overflows == ()
    assert found.norms[0].margin == pytest.approx(4 / 1.5, rel=0.1)


def test_an_audit_needs_a_case(model):
    with pytest.raises(CaseError, match="an audit of 0 cases was asked for; expected at least 1"):
        audit(model, cases=0)


def test_an_audit_needs_a_model(tmp_path):
    with pytest.raises(EngineError, match="the model cannot be read"):
        audit(tmp_path / "none.onnx")

from __future__ import annotations

import json

import pytest
from models import tiny_model

from brats_trt import EngineError, Segmenter, _host, demo_model
from brats_trt.backends.agreement import LEAST_DICE, agrees
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import cpu_precisions
from brats_trt.backends.precision import choose_precision

GOOD = {"necrotic": 0.9999, "oedema": 0.9998, "enhancing": LEAST_DICE}


@pytest.fixture
def model(tmp_path):
    return read_model(tiny_model(tmp_path / "m.onnx"))


def record(model, *, sha256=None, runtime="native", precision="bf16", dice=GOOD):
    content = {"sha256": sha256 or model.sha256, "agreement": {runtime: {precision: {"dice": dice}}}}
    model.path.with_suffix(".json").write_text(json.dumps(content))


def chosen(model, *available, asked="auto"):
    return choose_precision(model, "native", asked, available)


def test_16_bits_are_chosen_where_the_processor_has_them_and_the_labels_agree(model):
    record(model)
    assert chosen(model, "fp32", "bf16") == "bf16"
    assert chosen(model, "fp32") == "fp32"


@pytest.mark.parametrize(
    "change",
    [
        {"dice": {**GOOD, "oedema": LEAST_DICE - 1e-4}},
        {"dice": {}},
        {"dice": {"oedema": "high"}},
        {"sha256": "0" * 64},
        {"precision": "fp16"},
        {"runtime": "openvino"},
    ],
)
def test_auto_is_fp32_without_a_record_that_fits(model, change):
    assert chosen(model, "fp32", "bf16") == "fp32"
    record(model, **change)
    assert chosen(model, "fp32", "bf16") == "fp32"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 1}', "\x00"])
def test_an_unreadable_record_counts_as_none(model, content):
    model.path.with_suffix(".json").write_text(content)
    assert not agrees(model, "native", "bf16")


def test_a_precision_that_the_processor_lacks_is_refused(model):
    with pytest.raises(EngineError, match=r"'bf16' was asked for, but this processor computes in \['fp32'\] only"):
        chosen(model, "fp32", asked="bf16")
    with pytest.raises(EngineError, match="'int4' is not known"):
        chosen(model, "fp32", asked="int4")


def test_the_demo_models_record_is_of_the_demo_model():
    model = read_model(demo_model())
    assert json.loads(model.path.with_suffix(".json").read_text())["sha256"] == model.sha256
    assert agrees(model, "native", "bf16")
    assert agrees(model, "openvino", "bf16")


def test_a_segmenter_says_what_it_computes_in(model):
    assert Segmenter(model.path, precision="fp32").precision == "fp32"


def test_the_native_runtime_is_taken_for_the_cascade_and_openvino_for_other_graphs(model):
    assert Segmenter(precision="fp32").runtime == "native"
    assert Segmenter(runtime="openvino", precision="fp32").runtime == "openvino"
    assert Segmenter(model.path, precision="fp32").runtime == "openvino"
    with pytest.raises(EngineError, match=r"m\.onnx: node .*: use runtime='openvino'"):
        Segmenter(model.path, runtime="native", precision="fp32")
    with pytest.raises(EngineError, match="'mkl' is not known"):
        Segmenter(runtime="mkl")


def test_a_precision_that_only_openvino_has_is_computed_by_it(monkeypatch):
    other = next((name for name in cpu_precisions() if name != "fp32"), None)
    if other is None:
        pytest.skip("this processor has FP32 only")
    monkeypatch.setattr(_host, "network_precisions", lambda: ("fp32",))
    segmenter = Segmenter(precision=other)
    assert (segmenter.runtime, segmenter.precision) == ("openvino", other)

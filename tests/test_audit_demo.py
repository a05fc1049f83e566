from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from references import checkpoint

from brats_trt.export import convert
from brats_trt.export.rewrites import rewrite
from brats_trt.plans.audit import audit

DEMO = Path(__file__).parents[1] / "engines" / "demo.onnx"


@pytest.mark.slow
def test_the_demo_model_fits_into_float16(tmp_path):
    found = audit(DEMO)
    assert found.overflows == ()
    assert min(norm.margin for norm in found.norms) > 10
    assert min(min(case.dice.values()) for case in found.cases) > 0.9995
    assert max(case.flipped_off_boundary for case in found.cases) == 0


@pytest.mark.slow
def test_the_reference_network_needs_its_values_scaled(tmp_path):
    source = tmp_path / "phantom-f2.onnx"
    convert(*checkpoint("phantom-f2"), source, precision="fp16")
    assert [(overflow.name, overflow.operator) for overflow in audit(source).overflows] == [
        ("seg_onlynet32up_conv3_1", "ConvTranspose")
    ]
    onnx.save(rewrite(onnx.load(source), scale="quarter"), tmp_path / "x.onnx")
    scaled = audit(tmp_path / "x.onnx")
    assert scaled.overflows == ()
    assert min(min(case.dice.values()) for case in scaled.cases) > 0.9995
    assert max(case.flipped_off_boundary for case in scaled.cases) == 0

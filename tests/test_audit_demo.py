from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from brats_trt.export.rewrites import rewrite
from brats_trt.plans.audit import audit

DEMO = Path(__file__).parents[1] / "engines" / "demo.onnx"


@pytest.mark.slow
def test_the_demo_model_needs_its_values_scaled(tmp_path):
    found = audit(DEMO)
    assert [(overflow.name, overflow.operator) for overflow in found.overflows] == [
        ("seg_onlynet32up_conv3_1", "ConvTranspose")
    ]
    onnx.save(rewrite(onnx.load(DEMO), scale="quarter"), tmp_path / "x.onnx")
    scaled = audit(tmp_path / "x.onnx")
    assert scaled.overflows == ()
    assert min(min(case.dice.values()) for case in scaled.cases) > 0.9995
    assert max(case.flipped_off_boundary for case in scaled.cases) == 0

"""Every kernel compiles for every architecture with CuPy's options, and none spills."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "scripts" / "kernel_report.py"
SPEC = importlib.util.spec_from_file_location("kernel_report", PATH)
kernel_report = importlib.util.module_from_spec(SPEC)
sys.modules["kernel_report"] = kernel_report
SPEC.loader.exec_module(kernel_report)

NAMES = {
    "foreground",
    "plan",
    "plan_crop",
    "crop_moments",
    "gather",
    "align_moments",
    "align",
    "interleave",
    "scatter",
    "restore",
    "regions_start",
    "regions_join",
    "regions_measure",
    "regions_drop",
}


@pytest.mark.parametrize("architecture", kernel_report.ARCHITECTURES)
def test_every_kernel_compiles_and_none_spills(architecture):
    usages = kernel_report.measure(kernel_report.Nvrtc(), architecture)
    assert {usage.kernel for usage in usages} == NAMES
    assert [usage for usage in usages if usage.spilled] == []
    # Sums in double beside positions in double: with fewer registers it spills. It runs once a raw exam, for the card.
    least = {"align_moments": 0.25}
    assert all(usage.occupancy >= least.get(usage.kernel, 0.33) for usage in usages)


def test_a_kernel_that_does_not_compile_is_told_with_the_compilers_words():
    with pytest.raises(RuntimeError, match=r"sm_80: .*\n?.*nonsense"):
        kernel_report.Nvrtc().compile("nonsense;", "sm_80")

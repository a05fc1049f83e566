"""What several test files share: the devices that they run on."""

from __future__ import annotations

import os

import pytest
from emulated_device import EmulatedDevice

from brats_trt import EngineError


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """The emulated device, then the real one: the same test runs on both."""
    if request.param == "emulated":
        return EmulatedDevice()
    from cuda_device import CudaDevice

    try:
        return CudaDevice()
    except EngineError as fault:
        if os.environ.get("BRATS_TRT_REQUIRE_GPU") == "1":
            pytest.fail(f"a GPU is required: {fault}")
        pytest.skip(f"no GPU: {fault}")

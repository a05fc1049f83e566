"""The CuPy adapter where there is no GPU: what it says. What it does needs one."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType, SimpleNamespace

import pytest

from brats_trt import EngineError
from brats_trt.backends import cupy_device
from brats_trt.backends.cupy_device import CupyDevice
from brats_trt.backends.device import Device


def fake_cupy(error):
    class CUDARuntimeError(RuntimeError):
        pass

    def count():
        raise CUDARuntimeError(error)

    cupy = ModuleType("cupy")
    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    cupy.cuda = SimpleNamespace(runtime=runtime)
    return cupy


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(EngineError, match=r"needs CuPy.*pip install 'cupy-cuda13x\[ctk\]'.*device='cpu'"):
        CupyDevice()


@pytest.mark.parametrize("error", ["cudaErrorInsufficientDriver: CUDA driver version is insufficient", "no device"])
def test_without_a_gpu_or_driver_the_error_says_so(monkeypatch, error):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(error))
    with pytest.raises(EngineError, match=rf"no GPU to run on \({error}\): install NVIDIA's driver"):
        CupyDevice()


def test_the_adapter_has_every_call_of_the_protocol_with_its_parameters():
    for name, call in inspect.getmembers(Device, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(CupyDevice, name)).parameters
            assert list(ours) == list(inspect.signature(call).parameters), name


def test_the_adapter_stays_small():
    assert len(inspect.getsource(cupy_device).splitlines()) <= 130

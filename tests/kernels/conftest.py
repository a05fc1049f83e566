"""The devices that stages run on: emulated with few blocks for sums, and a real one where there is one."""

from __future__ import annotations

import pytest
from emulated_device import EmulatedDevice
from emulator import Emulator

from brats_trt.kernels import records
from kernels.stages import FEW_BLOCKS, SmallDevice


@pytest.fixture
def few_blocks(monkeypatch):
    """Sums in few blocks, for a `SmallDevice`."""
    monkeypatch.setattr(records, "FOREGROUND_BLOCKS", FEW_BLOCKS)


@pytest.fixture
def device(device, request):
    """As everywhere, but emulated with few blocks for sums."""
    if not isinstance(device, EmulatedDevice):
        return device
    request.getfixturevalue("few_blocks")
    return SmallDevice(emulator=Emulator(threads=1))


@pytest.fixture
def rounding_device(few_blocks):
    """Emulated with multiply-adds fused and subnormals flushed, as the kernels are compiled for a GPU."""
    return SmallDevice(mode="fast", emulator=Emulator(threads=1), fmad=True, ftz=True)

"""What a time on a GPU rests on: a run is over when what it downloads is on the host, and not before."""

from __future__ import annotations

import heads
import numpy as np
import pytest
from emulated_device import EmulatedDevice, TinyEngine

from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Volume
from brats_trt.spec import MODALITIES


class LateDevice(EmulatedDevice):
    """Downloads nothing until its stream is waited for, as a GPU may."""

    def __init__(self):
        super().__init__()
        self.queued = []

    def download(self, target, source, stream):
        self.queued.append((stream, target, source))

    def synchronise(self, stream):
        super().synchronise(stream)
        due = [entry for entry in self.queued if entry[0] is stream]
        self.queued = [entry for entry in self.queued if entry[0] is not stream]
        for _, target, source in due:
            super().download(target, source, stream)


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_run_on_a_gpu_ends_when_all_that_it_downloads_is_on_the_host(probabilities):
    options = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4), keep_probabilities=probabilities)
    volumes = [(name, Volume(heads.volumes()[name], 1.0, 0.0, name)) for name in MODALITIES]
    outcomes = []
    for device in (EmulatedDevice(), LateDevice()):
        backend = CudaBackend(device, TinyEngine(device), options, largest_shape=(48, 48, 48))
        outcomes.append(backend.run(volumes))
    prompt, late = outcomes
    assert not device.queued
    assert prompt.labels.any()
    np.testing.assert_array_equal(late.labels, prompt.labels)
    assert late.counts == prompt.counts
    if probabilities:
        np.testing.assert_array_equal(late.softmax, prompt.softmax)

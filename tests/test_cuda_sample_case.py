"""A whole case through the kernels on the emulated device, and how well they use memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
from emulated_device import CpuNetwork, EmulatedDevice, TinyEngine

from brats_trt import Segmenter, demo_model
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.case import Volume, load_case
from brats_trt.spec import MODALITIES

CASE = Path(__file__).parent / "data" / "sample_case" / "Phantom_500"
OPTIONS = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4))


def test_the_sample_case_gives_the_label_map_of_the_cpu_backend():
    device = EmulatedDevice(mode="fast")
    network = CpuNetwork(device, OpenVinoEngine(read_model(demo_model()), precision="fp32"))
    case = load_case(CASE)
    backend = CudaBackend(device, network, OPTIONS, largest_shape=case.shape)
    outcome = backend.run([(name, case.volumes[name]) for name in MODALITIES])
    expected = Segmenter(runtime="openvino", precision="fp32").run(CASE)
    assert outcome.box == expected.box
    different = outcome.labels != expected.labels
    # Kernels work in float32: a voxel may differ where its two greatest probabilities are equal to float32's rounding,
    # in its own softmax, which differs by the crop's rounding.
    softmax = expected.softmax.astype(np.float64)
    restored = oracle.restore_probabilities(softmax, (expected.box.lower, expected.box.upper))
    second, first = np.sort(restored, axis=0)[-2:]
    assert different.mean() < 1e-6
    assert (first - second)[different[expected.box.slices]].max(initial=0.0) < 1e-4
    assert outcome.counts == tuple((outcome.labels == value).sum() for value in OPTIONS.label_values)


@pytest.fixture(scope="module")
def reports():
    """Of every launch over a case whose rows fill sectors, as 240 int16 do."""
    random = np.random.default_rng(0)
    shape = (80, 64, 48)
    volumes = []
    for name in MODALITIES:
        values = random.integers(1, 900, shape).astype(np.int16)
        values[:, :4], values[:, -4:] = 0, 0
        volumes.append((name, Volume(np.asfortranarray(values), 1.0, 0.0, name)))
    device = EmulatedDevice()
    backend = CudaBackend(device, TinyEngine(device, size=(64, 64, 64)), OPTIONS, largest_shape=shape)
    backend.run(volumes)
    return device.reports


def efficiency(reports, kernel, buffer, direction):
    found = [
        getattr(report.buffers[name], f"{direction}_efficiency")
        for launched, report in reports
        if launched == kernel
        for name in report.buffers
        if name.startswith(buffer)
        and getattr(report.buffers[name], f"bytes_{'read' if direction == 'read' else 'written'}")
    ]
    assert found, "the kernel touched the buffer"
    return min(found)


@pytest.mark.parametrize(
    ("kernel", "buffer", "direction", "least"),
    [
        ("foreground", "volume", "read", 0.95),
        ("gather", "input", "write", 0.95),
        ("interleave", "softmax", "read", 0.95),
        ("interleave", "probabilities", "write", 0.95),
        ("scatter", "labels", "write", 0.95),
    ],
)
def test_a_kernel_moves_few_bytes_that_it_does_not_need(reports, kernel, buffer, direction, least):
    assert efficiency(reports, kernel, buffer, direction) >= least
